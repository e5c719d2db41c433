"""`make demo`: makes the sample machine and runs the whole story on it, as a user would see it.

Each command is printed as it would be typed, then run for real. Between them the
SHA-256 of the whole virtual disk is shown: after the rollback it is the first one again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from p2vprep.disk import image, nbd
from testdata.build import build_machine

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / "build" / "demo"
MACHINE = "proliant-2012r2"
PROGRAM = CHECKOUT / ".venv" / "bin" / "p2vprep"
STORY = (
    ("What is on this disk, and what stands in the way of a quick first boot?", ["inspect"]),
    ("What would be done, and why?", ["plan"]),
    ("Do it.", ["apply", "--yes"]),
    ("Is everything as planned?", ["verify"]),
    ("What was done to this machine?", ["history"]),
    ("A second plan has nothing left to do.", ["plan"]),
    ("And back, bit for bit.", ["rollback"]),
)


def main() -> int:
    console = Console(highlight=False)
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    console.print(Text("Making the sample machine (testdata/machines/proliant-2012r2.yaml) …", style="bold"))
    disk = build_machine(MACHINE, FOLDER / "srv-erp01.vhd", cache=CHECKOUT / "build" / "testdata")
    before = fingerprint(disk)
    console.print(f"{disk.relative_to(CHECKOUT)}, SHA-256 of the virtual disk {before[:16]}…\n")
    for words, command in STORY:
        status = step(console, words, command, disk)
        if status != 0:
            console.print(Text(f"p2vprep ended with status {status}; the demo stops here.", style="bold red"))
            return status
        if command[0] in {"apply", "rollback"}:
            console.print(f"SHA-256 of the virtual disk now: {fingerprint(disk)[:16]}…\n")
    if fingerprint(disk) != before:
        console.print(Text("The disk is not what it was before: this is a bug.", style="bold red"))
        return 1
    told = f"The disk is what it was before, bit for bit. The demo took {time.monotonic() - started:.0f} s."
    console.print(Text(told, style="bold green"))
    return 0


def step(console: Console, words: str, command: list[str], disk: Path) -> int:
    """Prints a command as typed, runs it, returns its exit status."""
    shown = " ".join(["p2vprep", *command[:1], str(disk.relative_to(CHECKOUT)), *command[1:]])
    console.print(Text(f"# {words}", style="dim"))
    console.print(Text(f"$ {shown}", style="bold"))
    sys.stdout.flush()
    status = subprocess.run([PROGRAM, command[0], disk, *command[1:]], check=False, cwd=CHECKOUT).returncode
    console.print()
    return status


def fingerprint(disk: Path) -> str:
    """The SHA-256 of what the guest would see."""
    with nbd.connect(image.probe(disk), read_only=True) as opened:
        return opened.sha256()


if __name__ == "__main__":
    sys.exit(main())
