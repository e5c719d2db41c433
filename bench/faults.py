"""Breaks the transaction in every way we know and prints what came of it, as a table.

``python -m bench.faults`` (or ``make faults``) takes some minutes for the transaction and,
with the real appliance under emulation, about an hour for 200 kills of a whole apply
(``--real N`` tries fewer, or none). ``--seed N`` gives other random moments, ``--write``
puts the table into docs/reliability.md. The exit status is 1 if any disk ended neither
as before nor as planned, or on the wrong side.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from testdata.kit.disks import build_disks
from tests.faults import real, scenarios
from tests.faults.machine import FORMATS, quick_folder
from tests.faults.scenarios import Bench, Row

_DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
_CACHE = Path(__file__).resolve().parents[1] / "build" / "testdata"
_BEGIN, _END = "<!-- faults: begin -->", "<!-- faults: end -->"
_TMPFS = 24 << 20
_ROOM = (0, 4, 16, 64, 200, 400, 700, 1200, 2100, 8192)


def rows(folder: Path, seed: int) -> Iterator[Row]:
    """All faults at full length."""
    number = count()

    def bench(*formats: str) -> Bench:
        return Bench(folder / str(next(number)), formats)

    yield scenarios.killed_at_every_point(bench("vhd", "qcow2"))
    for position, name in enumerate(FORMATS):
        yield scenarios.killed_at_random(bench(name, "raw"), 30, seed + position)
    for abort in (False, True):
        yield scenarios.recover_killed_at_every_point(bench("vhd", "vhdx"), abort=abort)
    yield scenarios.rollback_killed_at_every_point(bench("vhdx", "vmdk"))
    yield scenarios.output_killed_at_every_point(bench("vmdk"), ".vhdx")
    yield scenarios.power_lost_at_every_point(bench("raw", "raw"), seed)
    yield scenarios.no_space_at_every_point(bench("raw", "vhd"))
    yield from _full_file_systems(bench)
    for number_of_signal in (signal.SIGINT, signal.SIGTERM):
        yield scenarios.signalled_at_every_point(bench("raw"), number_of_signal)
    yield scenarios.commit_tool_killed(bench("vhd", "vmdk"), 30, seed)
    yield scenarios.applies_at_once(bench("raw", "vhd"), 30, seed)
    for damage in ("vanished", "truncated", "overwritten"):
        yield scenarios.overlay_lost(bench("vhd", "raw"), damage)


def real_rows(folder: Path, tries: int, seed: int) -> Iterator[Row]:
    """A whole apply with the real appliance."""
    if tries > 0:
        specs = real.sample_disks()
        built = [build_disks([spec], _CACHE)[spec.name] for spec in specs]
        disks = dict(zip(real.CONTAINERS, built, strict=True))
        home = folder / "real"
        home.mkdir()
        yield real.killed_at_random(disks, home, tries, seed, lambda line: print(line, file=sys.stderr))


def _full_file_systems(bench: Callable[..., Bench]) -> Iterator[Row]:
    """Needs root to mount a small file system; without it there is no such row."""
    if os.geteuid() != 0:
        print("not root: the rows about full file systems are left out", file=sys.stderr)
        return
    for name in ("raw", "vhd", "qcow2", "vhdx", "vmdk"):
        model = bench(name)
        with _mounted(model.folder / "mount") as mount:
            yield scenarios.full_file_system(model, mount, _TMPFS, [room << 10 for room in _ROOM])


@contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_TMPFS}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def table(found: list[Row], seed: int) -> str:
    """The rows as a table in Markdown, with a line about how it was made."""
    lines = ["| fault | tried | disks as before | as planned | promise broken |", "|---|---:|---:|---:|---:|"]
    for row in found:
        before, planned, broken = row.ends["before"], row.ends["planned"], len(row.broken)
        lines.append(f"| {row.fault} | {row.tried} | {before} | {planned} | {broken} |")
    tried, broken = sum(row.tried for row in found), sum(len(row.broken) for row in found)
    lines.append(f"| **together** | **{tried}** | | | **{broken}** |")
    made = (
        f"Made by `make faults` with seed {seed}, QEMU {scenarios.qemu_versions()}; disks of 8 MiB, "
        "with the real appliance the sample machine's."
    )
    return "\n".join([*lines, "", made])


def write(text: str, document: Path = _DOCUMENT) -> None:
    """Puts the table between its marks in the document."""
    content = document.read_text()
    head, rest = content.split(_BEGIN)
    tail = rest.split(_END)[1]
    document.write_text(f"{head}{_BEGIN}\n{text}\n{_END}{tail}")


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=int, default=200, help="kills with the real appliance (default 200)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args(arguments)
    found: list[Row] = []
    start = time.monotonic()
    with quick_folder() as folder:
        every = chain(rows(folder, options.seed), real_rows(folder, options.real, options.seed))
        for row in every:
            found.append(row)
            print("\n".join(row.broken), end="\n" if row.broken else "", file=sys.stderr)
            print(f"{time.monotonic() - start:6.0f} s  {row.tried:4} tries  {row.fault}", file=sys.stderr)
    text = table(found, options.seed)
    print(text)
    if options.write:
        write(text)
    return 1 if any(row.broken for row in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
