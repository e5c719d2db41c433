"""The whole command with the real appliance, killed at random moments, on disks of several containers.

The guest's file system notes the time, so what is planned is taken from the complete overlay
itself, just before it is committed.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from p2vprep.disk import image, nbd, qemu
from testdata.build import disk_spec
from testdata.kit.disks import Container, DiskSpec, copy_disk
from tests.faults import kill
from tests.faults.machine import Machine, digests, file_digests
from tests.faults.scenarios import FaultError, Row
from tests.faults.whole import Hook, apply, recovered
from tests.support.flow import done, sample_machine

CONTAINERS: tuple[Container, ...] = ("vpc", "vhdx", "qcow2", "vmdk", "raw")
_COMPLETE = "sync-overlay-0"
_COMMIT = 0.4
"""Seconds in which most commits end."""


def sample_disks(containers: Sequence[Container] = CONTAINERS) -> list[DiskSpec]:
    """The sample machine's disk in several containers."""
    return [disk_spec(sample_machine(), container=container) for container in containers]


def killed_at_random(
    disks: Mapping[Container, Path],
    folder: Path,
    tries: int,
    seed: int,
    told: Callable[[str], None] = lambda _line: None,
) -> Row:
    """SIGKILL at random moments of a real apply, on each container in turn.

    A third over the whole command, a third while it works on the guest's files, a third around the
    commit. Every disk that was prepared is also taken back, which has to give what it was before.
    """
    row = Row("SIGKILL at random moments of apply with the real appliance (" + ", ".join(disks) + ")")
    chance = random.Random(seed)
    lasts = _how_long(next(iter(disks.values())), folder)
    for number in range(tries):
        container = list(disks)[number % len(disks)]
        machine = _machine(disks[container], folder / f"try{number}")
        point, seconds = _moment(chance, number, lasts)
        kill.after(partial(apply_noting, machine), seconds, from_point=point)
        recovered(machine)
        noted = machine.folder / "planned"
        what = f"{container}, {seconds:.3f} s after {point or 'the start'}"
        planned = (noted.read_text(),) if noted.exists() else ("never complete",)
        machine = Machine(machine.folder, machine.paths, (), machine.before, planned, machine.files)
        side = machine.side()
        told(f"{what}: {side}")
        if side == "planned":
            done("rollback", machine.paths[0])
            if digests(machine.paths) != machine.before:
                row.broken.append(f"{what}: the rollback did not give the disk back")
            row.ends[side] += 1
            shutil.rmtree(machine.folder)
        else:
            row.add(machine, what, ["before"])
    return row


def _moment(chance: random.Random, number: int, lasts: float) -> tuple[str | None, float]:
    if number % 3 == 0:
        return None, chance.uniform(0.5, 1.05 * lasts)
    if number % 3 == 1:
        return None, chance.uniform(0.7 * lasts, lasts)
    return f"{_COMPLETE}:after", chance.uniform(0, _COMMIT)


def _how_long(disk: Path, folder: Path) -> float:
    machine = _machine(disk, folder / "measured")
    start = time.monotonic()
    ended = kill.wait(kill.start(partial(apply, machine)))
    if ended.status:
        raise FaultError(f"an apply that nobody disturbs ended with {ended.status}")
    shutil.rmtree(machine.folder)
    return time.monotonic() - start


def _machine(disk: Path, home: Path) -> Machine:
    home.mkdir()
    path = copy_disk(disk, home)
    return Machine(home, (path,), (), digests([path]), (), file_digests([path]))


def apply_noting(machine: Machine, hook: Hook) -> None:
    """An apply that writes down, once the overlay is complete, the digest of the disk as it shows it."""

    def both(point: str) -> None:
        note_planned(machine, point)
        hook(point)

    apply(machine, both)


def note_planned(machine: Machine, point: str) -> None:
    if point != f"{_COMPLETE}:before":
        return
    overlay = next(machine.folder.rglob("overlay-0.qcow2"))
    with nbd.connect(qemu.Overlay(overlay, image.probe(machine.paths[0])), read_only=True) as planned:
        digest = planned.sha256()
    part = machine.folder / "planned.new"
    part.write_text(digest)
    os.rename(part, machine.folder / "planned")  # noqa: PTH104 - whole or not at all
