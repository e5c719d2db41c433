"""What sharing a launch of the appliance is worth: a wave of N disks against N single applies.

Both are whole commands, from process start to exit, on fresh copies of the same disk, in one run on
one machine. Where `virt-win-reg` and `virt-customize` are installed (package libguestfs-tools) they
are measured too, doing what they can of the same work: merging the same registry changes and copying
one file, for every disk. They neither replay logs, nor prove, nor can they undo.

Printed are the times of each and the ratios.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from testdata.build import build_machine

CHECKOUT = Path(__file__).resolve().parents[1]
TOOL = (sys.executable, "-m", "p2vprep")
OPTIONS = ("--source", "hpe-proliant")
TOOLS = ("virt-win-reg", "virt-customize", "guestfish")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disks", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1, help="launches at a time in the wave")
    parser.add_argument("--per-appliance", type=int, default=16)
    parser.add_argument("--machine", default="proliant-2012r2", help="a sample machine")
    parser.add_argument("--tool-disks", type=int, default=4, help="disks that other tools are measured on")
    parser.add_argument("--without-tools", action="store_true", help="do not measure other tools")
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="p2vprep-bench-") as folder:
        shared = measure_wave(chosen, Path(folder) / "wave")
        single = measure_single(chosen, Path(folder) / "single")
        print(f"wave / single applies: {shared / single:.3f}  (wanted: at most 0.35 with 16 disks)")
        if not chosen.without_tools:
            measure_tools(chosen, Path(folder) / "tools", shared / chosen.disks)
    return 0


def disks(chosen: argparse.Namespace, folder: Path, count: int | None = None) -> list[Path]:
    folder.mkdir()
    cache = CHECKOUT / "build" / "testdata"
    return [
        build_machine(chosen.machine, folder / f"disk-{number:02}.vhd", cache=cache)
        for number in range(count or chosen.disks)
    ]


def measure_wave(chosen: argparse.Namespace, folder: Path) -> float:
    """The wave, its seconds; every machine has to be prepared."""
    held = disks(chosen, folder)
    manifest = folder / "wave.csv"
    rows = [f"{disk.stem},{disk.name},hpe-proliant" for disk in held]
    manifest.write_text("\n".join(["name,disk,source", *rows]) + "\n", encoding="utf-8")
    how = ("--jobs", str(chosen.jobs), "--per-appliance", str(chosen.per_appliance))
    seconds, output = timed([*TOOL, "wave", "run", str(manifest), *how, "--json"])
    applied = json.loads(output)["applied"]
    assert applied == len(held), f"{applied} of {len(held)} were prepared"
    print(f"wave of {len(held)} disks: {seconds:.1f} s, {seconds / len(held):.2f} s per disk", flush=True)
    return seconds


def measure_single(chosen: argparse.Namespace, folder: Path) -> float:
    """One apply after the other, all seconds together."""
    total = 0.0
    for disk in disks(chosen, folder):
        seconds, output = timed([*TOOL, "apply", str(disk), *OPTIONS, "--yes", "--json"])
        assert json.loads(output)["committed"]
        total += seconds
    print(f"{chosen.disks} single applies: {total:.1f} s, {total / chosen.disks:.2f} s per disk", flush=True)
    return total


def measure_tools(chosen: argparse.Namespace, folder: Path, shared: float) -> None:
    """virt-win-reg and virt-customize, a disk after the other; ``shared`` is the wave's time per disk."""
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        print(f"not measured: {', '.join(missing)} (install libguestfs-tools)")
        return
    held = disks(chosen, folder, chosen.tool_disks)
    changes = folder / "changes.reg"
    changes.write_bytes(as_reg(held[0]))
    note = folder / "note.txt"
    note.write_text("prepared\r\n", encoding="ascii")
    make_known_to_tools(held)
    try:
        total = sum(by_tools(disk, changes, note) for disk in held)
    except subprocess.CalledProcessError as problem:
        words = (problem.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
        print(f"not measured: {problem.cmd[0]} fails on the sample machine: {' '.join(words)}")
        return
    each = total / len(held)
    print(f"virt-win-reg + virt-customize on {len(held)} disks: {total:.1f} s, {each:.2f} s per disk")
    print(f"wave / these tools, per disk: {shared / each:.3f}")


def make_known_to_tools(held: Sequence[Path]) -> None:
    """Gives each disk a cmd.exe, without which these tools see no Windows; the time is not counted."""
    folder = held[0].parent
    (folder / "cmd.exe").write_bytes(executable_header())
    script = ("run", "mount /dev/sda2 /", f"upload {folder / 'cmd.exe'} /Windows/System32/cmd.exe")
    fish = ["guestfish", "--rw", "-a", str(held[0])]
    subprocess.run(fish, input="\n".join(script), text=True, check=True, capture_output=True)
    for other in held[1:]:
        shutil.copyfile(held[0], other)


def executable_header() -> bytes:
    """The headers of a 64-bit Windows program without a body; only its architecture is looked at."""
    stub = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<H", 0x20B).ljust(68, b"\0") + struct.pack("<H", 3)
    section = b".text".ljust(8, b"\0") + bytes(32)
    return (stub + coff + optional.ljust(240, b"\0") + section).ljust(1024, b"\0")


def by_tools(disk: Path, changes: Path, note: Path) -> float:
    """Seconds of both tools on one disk."""
    copy = ("--no-network", "-a", str(disk), "--copy-in", f"{note}:/Windows")
    merged = timed(["virt-win-reg", "--merge", str(disk), str(changes)])[0]
    return merged + timed(["virt-customize", *copy])[0]


def as_reg(disk: Path) -> bytes:
    """The registry changes of the same plan, as the .reg file those tools take: not in UTF-16."""
    command = [*TOOL, "plan", str(disk), *OPTIONS, "--no-first-boot", "--format", "reg"]
    return timed(command)[1].decode("utf-16").replace("\r\n", "\n").encode()


def timed(command: Sequence[str]) -> tuple[float, bytes]:
    """Wall-clock seconds of a whole process, and what it printed. Raises CalledProcessError."""
    started = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started, done.stdout


if __name__ == "__main__":
    sys.exit(main())
