"""The faults, each as a function that tries it a number of times and tells what came of it.

Every single try ends with the same question: are all disks of the machine, bit by
bit, either as before or as planned, and all on the same side?
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from p2vprep.disk import qemu
from p2vprep.disk.recovery import Outcome, history, recover
from p2vprep.disk.signals import interruptible
from p2vprep.disk.state import Host
from p2vprep.errors import FailedError, Interrupted, NeedsRecoverError, P2vprepError, RefusedError
from tests.faults import kill
from tests.faults.machine import (
    Machine,
    apply,
    apply_with,
    build,
    digests,
    host,
    mended,
    points_of,
    taken_back,
)
from tests.faults.power import Survivors, picture


class FaultError(AssertionError):
    """A fault did what it must never do."""


@dataclass
class Row:
    """One line of the table: a fault, how often it was tried, and the sides on which the disks ended.

    ``broken`` tells, try by try, where the promise was not kept.
    """

    fault: str
    ends: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return sum(self.ends.values())

    def add(self, machine: Machine, what: str, sides: Sequence[str]) -> None:
        """Notes where the machine ended and whether it may end there; then removes it."""
        side = machine.side()
        self.ends[side] += 1
        if side not in sides:
            self.broken.append(f"{what}: the disks are {side}, allowed is {' or '.join(sides)}")
        unfinished = [run.number for run in history(machine.paths[:1]) if run.unfinished]
        if unfinished:
            self.broken.append(f"{what}: run {unfinished} is still unfinished")
        litter = [path.name for path in machine.folder.rglob("overlay-*")]
        if litter:
            self.broken.append(f"{what}: {litter} left behind")
        shutil.rmtree(machine.folder)

    def sound(self) -> Row:
        """The row itself, if every try kept the promise. FaultError otherwise."""
        if self.broken:
            raise FaultError(f"{self.fault}: {'; '.join(self.broken)}")
        return self


@dataclass
class Bench:
    """A folder with a machine that every try gets a fresh copy of."""

    folder: Path
    formats: Sequence[str]
    quick: bool = False
    _count: int = 0

    def __post_init__(self) -> None:
        self.model = build(self.folder / "model", self.formats)

    def machine(self) -> Machine:
        self._count += 1
        return self.model.copied(self.folder / f"try{self._count}")

    def applied(self) -> Machine:
        machine = self.machine()
        apply(machine)
        return machine

    def half_committed(self) -> Machine:
        """A machine whose apply was killed in the middle of its commit."""
        machine = self.machine()
        kill.at_point(partial(apply, machine), self.point("commit-0:after"))
        return machine

    def points(self) -> list[str]:
        machine = self.machine()
        found = points_of(partial(apply, machine))
        shutil.rmtree(machine.folder)
        return found

    def distinct(self, points: Sequence[str]) -> Iterator[tuple[int, str]]:
        """The points to try, with their numbers; when quick, each moment only once."""
        for number, point in enumerate(points):
            follows = number > 0 and points[number - 1].endswith(":after") and point.endswith(":before")
            if not (self.quick and follows):  # nothing durable happens between the two
                yield number, point

    def point(self, name: str) -> int:
        return self.points().index(name)


def killed_at_every_point(bench: Bench) -> Row:
    """SIGKILL at every crash point of an apply, then recover; before the commit nothing may have happened."""
    row = Row(f"SIGKILL at every step of apply ({_names(bench)})")
    points = bench.points()
    begun = points.index("journal-committing:after")
    for number, point in bench.distinct(points):
        machine = bench.machine()
        ended = kill.at_point(partial(apply, machine), number)
        if not ended.killed:
            raise FaultError(f"the child was not killed at {point}: {ended}")
        mended(machine)
        row.add(machine, point, ["planned"] if number >= begun else ["before"])
    return row


def killed_at_random(bench: Bench, tries: int, seed: int) -> Row:
    """SIGKILL at random moments: half over the whole apply, half within the commit itself."""
    row = Row(f"SIGKILL at random moments of apply ({_names(bench)})")
    chance = random.Random(seed)
    machine = bench.machine()
    start = time.monotonic()
    apply(machine)
    lasts = time.monotonic() - start
    for number in range(tries):
        machine = bench.machine()
        within = number % 2 == 1
        seconds = chance.uniform(0, 0.15 * len(bench.formats) if within else 1.2 * lasts)
        kill.after(
            partial(apply, machine),
            seconds,
            from_point="journal-committing:after" if within else None,
        )
        mended(machine, abort=chance.random() < 0.3)
        row.add(machine, f"after {seconds:.3f} s, in the commit: {within}", ["before", "planned"])
    return row


def recover_killed_at_every_point(bench: Bench, *, abort: bool) -> Row:
    """A commit that was cut off is recovered, recover is killed at every point, and run again."""
    row = Row(f"SIGKILL at every step of recover{' --abort' if abort else ''} ({_names(bench)})")
    model = bench.half_committed()

    def fresh() -> Machine:
        bench._count += 1
        return model.copied(bench.folder / f"try{bench._count}")

    machine = fresh()
    points = points_of(partial(mended, machine, abort=abort))
    row.add(machine, "not killed", ["before" if abort else "planned"])
    for number, point in bench.distinct(points):
        machine = fresh()
        kill.at_point(partial(mended, machine, abort=abort), number)
        mended(machine, abort=abort)
        row.add(machine, point, ["before" if abort else "planned"])
    return row


def rollback_killed_at_every_point(bench: Bench) -> Row:
    """Rollback killed at every point; recover finishes it once its journal entry is there."""
    row = Row(f"SIGKILL at every step of rollback ({_names(bench)})")
    model = bench.applied()

    def fresh() -> Machine:
        bench._count += 1
        return model.copied(bench.folder / f"try{bench._count}")

    machine = fresh()
    points = points_of(partial(taken_back, machine))
    begun = points.index("journal-rolling-back:after")
    row.add(machine, "not killed", ["before"])
    for number, point in bench.distinct(points):
        machine = fresh()
        kill.at_point(partial(taken_back, machine), number)
        mended(machine)
        row.add(machine, point, ["before"] if number >= begun else ["planned"])
    return row


def output_killed_at_every_point(bench: Bench, suffix: str) -> Row:
    """Apply with --output killed at every point: the source stays, the new image is whole or absent."""
    row = Row(f"SIGKILL at every step of apply --output NEW{suffix} ({_names(bench)})")
    points: list[str] = []
    number = -1
    while number < len(points):
        machine = bench.machine()
        new = machine.folder / f"new{suffix}"
        if number < 0:
            points = points_of(partial(apply, machine, outputs=[new]))
        else:
            kill.at_point(partial(apply, machine, outputs=[new]), number)
        recover([new], host=host())
        if new.exists() and digests([new]) != machine.planned:
            raise FaultError(f"{row.fault}, {number}: the new image is not what was planned")
        left = [path.name for path in machine.folder.iterdir() if "partial" in path.name]
        if left:
            raise FaultError(f"{row.fault}, {number}: {left} left behind")
        begun = number < 0 or number > points.index("journal-committing:written")
        if new.exists() is not begun:
            raise FaultError(f"{row.fault}, {number}: the new image exists: {new.exists()}")
        row.add(machine, str(number), ["before"])
        number += 1
    return row


def no_space_at_every_point(bench: Bench) -> Row:
    """Every step of ours fails with "no space" in turn; an error that says "as before" is held to it."""
    row = Row(f"every own write fails with ENOSPC in turn ({_names(bench)})")
    for number, point in bench.distinct(bench.points()):
        machine = bench.machine()
        _apply_failing(row, machine, point, _failing_at(number))
    return row


def _failing_at(number: int) -> Callable[[str], None]:
    passed = 0

    def hook(name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number + 1:
            raise OSError(28, "No space left on device", name)

    return hook


def _apply_failing(row: Row, machine: Machine, what: str, hook: Callable[[str], None]) -> None:
    """An apply that may fail: the error has to say the truth about the disk."""
    sides: Sequence[str] = ["planned"]
    try:
        apply(machine, hook)
    except NeedsRecoverError:
        mended(machine)
        sides = ["before", "planned"]
    except (RefusedError, FailedError):
        sides = ["before"]
    except OSError:
        if not what.startswith("edit:"):  # the test's own part
            raise
        sides = ["before"]
    row.add(machine, what, sides)


FILL_POINTS = ("start", "edit:before", "undo-data:undo-0.data:before", "commit-0:before", "read-back:before")


def full_file_system(
    bench: Bench, mount: Path, size: int, rooms: Sequence[int], points: Sequence[str] = FILL_POINTS
) -> Row:
    """A small file system (mounted by the caller) that somebody fills up to some room at some point.

    Images and state folder lie on it. What filled it stays there while the run goes back.
    """
    row = Row(f"file system full at {len(points)} moments ({_names(bench)}, {size >> 20} MiB)")
    for point in points:
        for room in rooms:
            machine = bench.model.copied(mount / "machine")
            filler = mount / "filler"
            sides: Sequence[str] = ["planned"]
            try:
                if point == "start":
                    _fill(filler, room)
                apply(machine, partial(_fill_at, point, filler, room))
            except NeedsRecoverError:
                filler.unlink()
                mended(machine)
                sides = ["before", "planned"]
            except P2vprepError:
                sides = ["before"]
            filler.unlink(missing_ok=True)
            row.add(machine, f"{room >> 10} KiB free at {point}", sides)
    return row


def _fill_at(point: str, filler: Path, room: int, name: str) -> None:
    if name == point:
        _fill(filler, room)


def _fill(filler: Path, room: int) -> None:
    """Writes until only that many bytes are free."""
    found = os.statvfs(filler.parent)
    with filler.open("wb", buffering=0) as stream:
        left = found.f_bavail * found.f_frsize - room
        while left > 0:
            left -= stream.write(bytes(min(left, 1 << 20)))


def applies_at_once(bench: Bench, tries: int, seed: int) -> Row:
    """Two applies start together: one goes through, the other too, afterwards, or is refused."""
    row = Row(f"two applies at once ({_names(bench)})")
    chance = random.Random(seed)
    for _number in range(tries):
        machine = bench.machine()
        first = kill.start(partial(_apply_unless_refused, machine))
        time.sleep(chance.uniform(0, 0.2))
        second = kill.start(partial(_apply_unless_refused, machine))
        ended = [kill.wait(child).status for child in (first, second)]
        if sorted(ended) not in ([0, 0], [0, 5]):
            row.broken.append(f"exit statuses {ended}")
        row.add(machine, f"exit statuses {ended}", ["planned"])
    return row


def _apply_unless_refused(machine: Machine, hook: Callable[[str], None]) -> None:
    try:
        apply(machine, hook)
    except RefusedError:
        os._exit(5)


def commit_tool_killed(bench: Bench, tries: int, seed: int) -> Row:
    """qemu-img itself is killed in the middle of a commit: the run goes back by itself."""
    row = Row(f"qemu-img killed during the commit ({_names(bench)})")
    chance = random.Random(seed)
    for _number in range(tries):
        machine = bench.machine()
        with _frail_qemu_img(bench.folder, chance.uniform(0.0, 0.06)):
            try:
                apply(machine)
                sides = ["planned"]
            except FailedError as error:
                if "before" not in error.changed:
                    raise FaultError(f"{row.fault}: {error.changed}") from error
                sides = ["before"]
        row.add(machine, "", sides)
    return row


@contextmanager
def _frail_qemu_img(folder: Path, seconds: float) -> Iterator[None]:
    """For the length of the block qemu-img dies that long after it was asked to commit."""
    real = shutil.which("qemu-img")
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    script = tools / "qemu-img"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = commit ] || exec {real} "$@"\n'
        f'exec timeout -s KILL {seconds + 0.001:.4f} {real} "$@"\n'
    )
    script.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{tools}:{path}"
    try:
        yield
    finally:
        os.environ["PATH"] = path


def signalled_at_every_point(bench: Bench, number: signal.Signals) -> Row:
    """A signal at every crash point: a clean stop before the commit, afterwards it is finished first."""
    row = Row(f"{number.name} at every step of apply ({_names(bench)})")
    points = bench.points()
    begun = points.index("journal-committing:before")
    for position, point in bench.distinct(points):
        machine = bench.machine()
        planned = position >= begun
        try:
            with interruptible():
                apply(machine, _signal_at(position, number))
        except Interrupted as error:
            if error.signal_number != number or ("All changes" in error.changed) is not planned:
                raise FaultError(f"{row.fault}, {point}: {error.changed}") from error
        else:
            raise FaultError(f"{row.fault}, {point}: the signal was lost")
        row.add(machine, point, ["planned"] if planned else ["before"])
    return row


def _signal_at(position: int, number: signal.Signals) -> Callable[[str], None]:
    passed = 0

    def hook(_name: str) -> None:
        nonlocal passed
        passed += 1
        if passed == position + 1:
            signal.raise_signal(number)

    return hook


def overlay_lost(bench: Bench, damage: str) -> Row:
    """An overlay is gone or damaged after the commit had begun: everything goes back."""
    row = Row(f"overlay {damage} after the commit had begun ({_names(bench)})")
    for number in range(len(bench.formats)):
        machine = bench.half_committed()
        overlay = next(machine.folder.rglob(f"overlay-{number}.qcow2"))
        if damage == "vanished":
            overlay.unlink()
        elif damage == "truncated":
            os.truncate(overlay, overlay.stat().st_size // 2)
        else:
            content = bytearray(overlay.read_bytes())
            content[-4096:] = bytes(4096)
            overlay.write_bytes(content)
        if mended(machine).outcome is not Outcome.ROLLED_BACK:
            raise FaultError(f"{row.fault}: not rolled back")
        row.add(machine, str(number), ["before"])
    return row


def power_lost_at_every_point(bench: Bench, seed: int) -> Row:
    """Whatever was not flushed is lost, at every crash point; raw disks only (tests.faults.power)."""
    row = Row(f"loss of power at every step of apply ({_names(bench)})")
    chance = random.Random(seed)
    machine = bench.machine()
    pictures: list[tuple[str, Machine]] = []

    def hook(name: str) -> None:
        taken = picture(machine, bench.model, alive, bench.folder / f"picture{len(pictures)}", chance)
        pictures.append((name, taken))

    alive = Survivors(hook)
    apply_with(Host(durable=alive), machine)
    names = [name for name, _taken in pictures]
    begun = names.index("journal-committing:after")
    for number, (name, taken) in enumerate(pictures):
        recover(taken.paths[:1], host=host())
        sides = ["planned"] if number >= begun else ["before"]
        if name == "journal-committing:written":
            sides = ["before", "planned"]  # renamed or not: the folder was not flushed
        row.add(taken, name, sides)
    return row


def _names(bench: Bench) -> str:
    return " + ".join(bench.formats)


def qemu_versions() -> str:
    """For the head of the table."""
    return str(qemu.versions()["qemu-img"])
