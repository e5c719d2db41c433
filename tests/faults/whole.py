"""The whole command under the faults of the transaction: a sample machine, prepared in a child process."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from p2vprep.cli.main import main
from p2vprep.disk import transaction
from p2vprep.disk.durable import no_hook
from tests.faults import kill
from tests.faults.machine import Machine, digests, file_digests, host, points_of
from tests.faults.scenarios import FaultError, Row
from tests.support.flow import Shelf, data_disk, done

Hook = Callable[[str], None]


def apply(machine: Machine, hook: Hook = no_hook) -> None:
    """``p2vprep apply --yes`` on all disks of a machine, in this process; the hook sees its crash points."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction, "Host", lambda: host(hook))
        status = _status_of(machine)
    if status:
        raise FaultError(f"apply ended with {status}")


def apply_for_its_status(machine: Machine, _hook: Hook) -> None:
    """The same in a child process that ends with the command's own exit status."""
    os._exit(_status_of(machine))


def _status_of(machine: Machine) -> int:
    try:
        main(["apply", *map(str, machine.paths), "--yes", "--json"])
    except SystemExit as end:
        return int(end.code or 0)
    raise FaultError("apply returned")


def recovered(machine: Machine) -> dict[str, Any]:
    """``p2vprep recover`` by the machine's first disk alone; its document."""
    return done("recover", machine.paths[0])


@dataclass
class WholeBench:
    """A folder with a sample machine that every try gets a fresh copy of.

    The first container is that of the disk with Windows, the others are data disks.
    """

    folder: Path
    containers: Sequence[str]
    lasts: float = 0.0
    """How many seconds one apply takes here."""
    _count: int = 0
    model: Machine = field(init=False)

    def __post_init__(self) -> None:
        home, shelf = self.folder / "model", self.folder / "shelf"
        home.mkdir()
        shelf.mkdir()
        built = Shelf(shelf)
        first, *others = self.containers
        paths = [built.disk(home, first)]
        paths += [
            built.disk(home, name, data_disk(), name=f"data{number}") for number, name in enumerate(others)
        ]
        self.model = Machine(home, tuple(paths), (), digests(paths), (), file_digests(paths))
        tried = self.machine()
        start = time.monotonic()
        apply(tried)
        self.lasts = time.monotonic() - start
        planned = digests(tried.paths)
        shutil.rmtree(tried.folder)
        self.model = Machine(home, tuple(paths), (), self.model.before, planned, self.model.files)

    def machine(self) -> Machine:
        self._count += 1
        return self.model.copied(self.folder / f"try{self._count}")

    def points(self) -> list[str]:
        machine = self.machine()
        found = points_of(partial(apply, machine))
        shutil.rmtree(machine.folder)
        return found


def killed_at_every_point(bench: WholeBench, *, quick: bool = False) -> Row:
    """SIGKILL at every crash point, each moment once; before the commit nothing may have happened.

    When quick, of the points before the commit only every third.
    """
    row = Row(f"SIGKILL at every step of the whole command ({' + '.join(bench.containers)})")
    points = bench.points()
    begun = points.index("journal-committing:after")
    for number, point in enumerate(points):
        if number and points[number - 1].endswith(":after") and point.endswith(":before"):
            continue  # nothing durable happens between the two
        if quick and number < begun - 2 and number % 3:
            continue
        machine = bench.machine()
        ended = kill.at_point(partial(apply, machine), number)
        if not ended.killed:
            raise FaultError(f"the child was not killed at {point}: {ended}")
        recovered(machine)
        row.add(machine, point, ["planned"] if number >= begun else ["before"])
    return row


def killed_at_random(bench: WholeBench, tries: int, seed: int) -> Row:
    """SIGKILL at random moments: half over the whole command, half within the commit itself."""
    row = Row(f"SIGKILL at random moments of the whole command ({' + '.join(bench.containers)})")
    chance = random.Random(seed)
    for number in range(tries):
        machine = bench.machine()
        within = number % 2 == 1
        seconds = chance.uniform(0, 0.15 * len(bench.containers) if within else 1.1 * bench.lasts)
        point = "journal-committing:after" if within else None
        kill.after(partial(apply, machine), seconds, from_point=point)
        recovered(machine)
        row.add(machine, f"after {seconds:.3f} s, in the commit: {within}", ["before", "planned"])
    return row


def signalled_at_random(bench: WholeBench, number: signal.Signals, tries: int, seed: int) -> Row:
    """SIGINT or SIGTERM at random moments: the command ends by itself, and no recover is needed."""
    row = Row(f"{number.name} at random moments of the whole command ({' + '.join(bench.containers)})")
    chance = random.Random(seed)
    for _try in range(tries):
        machine = bench.machine()
        seconds = chance.uniform(0, bench.lasts)
        ended = kill.after(partial(apply_for_its_status, machine), seconds, number=number)
        what = f"{number.name} after {seconds:.3f} s, ended with {ended.status}"
        if ended.status not in (0, 128 + number, -number):
            raise FaultError(f"{row.fault}: {what}")
        # Before the command is ready for signals, it ends by the signal itself; nothing was begun then.
        row.add(machine, what, ["before"] if ended.status == -number else ["before", "planned"])
    return row
