"""Which accelerator the appliance runs with: KVM where it works, else emulation (TCG).

``/dev/kvm`` can exist and not work: QEMU then aborts at once, or hangs for
minutes. So QEMU is tried once, on a few instructions and with a short time limit,
and the answer is remembered until the host boots again or QEMU changes.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from p2vprep.errors import CannotOpenError
from p2vprep.events import Note, Sink, silent

Name = Literal["kvm", "tcg"]
Wanted = Literal["auto", "kvm", "tcg"]

PROBE_LIMIT = 5.0
"""Seconds that QEMU may take for the trial; with a KVM that works it takes about 0.1."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_QMP_QUIT = b'{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'

_RAN = 33
"""What QEMU ends with when the guest wrote 16 to its debug-exit port: (16 << 1) | 1."""


@dataclass(frozen=True)
class Accelerator:
    """The accelerator to use. ``demanded``: by the user, so there is no falling back from it."""

    name: Name
    demanded: bool = False
    why: str = ""


TCG = Accelerator("tcg")
"""Emulation, without asking anybody."""


@dataclass(frozen=True)
class Host:
    """What the choice depends on; tests make their own."""

    qemu: Path | None
    device: Path
    cache: Path
    boot_id: str

    @staticmethod
    def here(environment: Mapping[str, str] | None = None) -> Host:
        """This host."""
        env = os.environ if environment is None else environment
        base = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or "/") / ".cache")
        try:
            boot_id = _BOOT_ID.read_text().strip()
        except OSError:
            boot_id = ""
        return Host(_find_qemu(env), Path("/dev/kvm"), base / "p2vprep" / "accelerator.json", boot_id)


def _find_qemu(env: Mapping[str, str]) -> Path | None:
    """The QEMU that libguestfs will run: its own override, else the one of this machine."""
    named = env.get("LIBGUESTFS_HV") or env.get("LIBGUESTFS_QEMU")
    found = named or shutil.which(f"qemu-system-{platform.machine()}") or shutil.which("qemu-kvm")
    return Path(found) if found else None


def fingerprint(host: Host) -> str:
    """What a remembered answer is valid for: this boot and this QEMU. Empty: do not remember."""
    if host.qemu is None or not host.boot_id:
        return ""
    try:
        stat = host.qemu.stat()
    except OSError:
        return ""
    return f"{host.boot_id} {host.qemu} {stat.st_mtime_ns} {stat.st_size}"


def recall(text: str, valid_for: str) -> tuple[bool, str] | None:
    """The remembered answer (KVM works, why) in a cache file's text, or None where there is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict) or not valid_for or document.get("for") != valid_for:
        return None
    works, why = document.get("kvm"), document.get("why")
    return (works, why) if isinstance(works, bool) and isinstance(why, str) else None


def _recalled(host: Host) -> tuple[bool, str] | None:
    try:
        return recall(host.cache.read_text(encoding="utf-8"), fingerprint(host))
    except (OSError, UnicodeDecodeError):
        return None


def remember(host: Host, works: bool, why: str) -> None:
    """Keeps the answer until the next boot of the host. A cache that cannot be written is no fault."""
    valid_for = fingerprint(host)
    if not valid_for:
        return
    fresh = host.cache.with_name(f"{host.cache.name}.{os.getpid()}")
    try:
        host.cache.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps({"for": valid_for, "kvm": works, "why": why}), encoding="utf-8")
        fresh.replace(host.cache)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def rom() -> bytes:
    """A 64 KiB BIOS for x86 that does one thing at its reset vector: write 16 to the debug-exit port."""
    code = bytes.fromhex("b010baf400eef4ebfd")  # mov al,16; mov dx,0xf4; out dx,al; hlt; jmp back
    return bytes(0xFFF0) + code.ljust(16, b"\xf4")


@dataclass(frozen=True)
class Trial:
    """A QEMU command that shows whether KVM works: it ends with ``good`` where it does."""

    command: tuple[str, ...]
    stdin: bytes
    good: int


def trial(qemu: Path, machine: str, bios: Path, accelerator: Name = "kvm") -> Trial:
    """The trial for a machine architecture (as the kernel names it).

    On x86 the guest really runs a few instructions, since a broken KVM may only
    hang there; elsewhere the empty machine is set up and told to quit.
    """
    common = (
        str(qemu), "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max", "-nodefaults",
        "-no-user-config", "-display", "none", "-no-reboot",
    )  # fmt: skip
    if machine in ("x86_64", "i686", "i386"):
        port = "isa-debug-exit,iobase=0xf4,iosize=0x04"
        return Trial((*common, "-machine", "pc", "-m", "16", "-bios", str(bios), "-device", port), b"", _RAN)
    return Trial((*common, "-machine", "virt", "-S", "-qmp", "stdio"), _QMP_QUIT, 0)


def judge(returncode: int | None, output: str, good: int = _RAN) -> tuple[bool, str]:
    """Whether KVM works, and why not, by how the trial ended (None: not within the limit)."""
    if returncode is None:
        return False, "QEMU hangs with KVM"
    if returncode == good:
        return True, "QEMU runs with KVM"
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("{")]
    ending = f"signal {-returncode}" if returncode < 0 else f"status {returncode}"
    return False, f"QEMU ends with {ending} when it uses KVM" + (f": {lines[-1][:200]}" if lines else "")


def probe(host: Host, limit: float = PROBE_LIMIT) -> tuple[bool, str]:
    """Tries KVM for real: opens the device, then runs a few instructions in QEMU."""
    if host.qemu is None:
        return False, "QEMU is not installed"
    try:
        os.close(os.open(host.device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as problem:
        return False, f"{host.device}: {problem.strerror}"
    with tempfile.TemporaryDirectory(prefix="p2vprep-kvm-") as folder:
        bios = Path(folder) / "rom"
        bios.write_bytes(rom())
        return attempt(trial(host.qemu, platform.machine(), bios), limit)


def attempt(what: Trial, limit: float) -> tuple[bool, str]:
    """Runs a trial, at most ``limit`` seconds, and judges it."""
    try:
        done = subprocess.run(
            what.command,
            input=what.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return judge(None, "", what.good)
    except OSError as problem:
        return False, f"{what.command[0]}: {problem.strerror}"
    return judge(done.returncode, done.stdout.decode(errors="replace"), what.good)


def choose(wanted: Wanted = "auto", *, sink: Sink = silent, host: Host | None = None) -> Accelerator:
    """The accelerator to launch with; says in one line when it falls back to emulation.

    Raises CannotOpenError (``no-kvm``) when KVM is demanded and does not work.
    """
    if wanted == "tcg":
        return Accelerator("tcg", demanded=True, why="asked for")
    host = host or Host.here()
    answer = None if wanted == "kvm" else _recalled(host)
    if answer is None:
        answer = probe(host)
        remember(host, *answer)
    works, why = answer
    if works:
        return Accelerator("kvm", demanded=wanted == "kvm", why=why)
    if wanted == "kvm":
        raise CannotOpenError(
            f"KVM does not work on this host: {why}",
            code="no-kvm",
            subject=str(host.device),
            hint="Run `p2vprep doctor`, or use --accel auto or --accel tcg (emulation, slower).",
        )
    sink(Note(f"KVM is not usable ({why}); using emulation, which is slower."))
    return Accelerator("tcg", why=why)


def disappointed(
    accelerator: Accelerator, why: str, *, sink: Sink = silent, host: Host | None = None
) -> bool:
    """Called when a launch with this accelerator failed: whether emulation is worth one more try.

    If so, the host is remembered as one whose KVM does not work.
    """
    if accelerator.name != "kvm" or accelerator.demanded:
        return False
    remember(host or Host.here(), False, f"the appliance did not start with it: {why}"[:300])
    sink(Note("The appliance did not start with KVM; trying once more with emulation, which is slower."))
    return True
