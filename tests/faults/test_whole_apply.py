"""The whole command killed at every step and at any moment: the disk is as before or as planned."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd, qemu
from testdata.build import disk_spec
from testdata.kit.disks import DiskSpec, copy_disk
from tests.faults import kill, whole
from tests.faults.machine import Machine, digests, file_digests, quick_folder
from tests.faults.whole import WholeBench, apply, recovered
from tests.support.flow import WRITABLE, done, on_fake_appliance, sample_machine

SEED = 20


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A quick folder; what a killed process leaves in its temporary files goes with it."""
    with quick_folder() as path:
        temporary = path / "tmp"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        yield path


@pytest.fixture
def faked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    on_fake_appliance(monkeypatch)
    return folder


def test_killed_at_every_point(faked: Path) -> None:
    row = whole.killed_at_every_point(WholeBench(faked, ["raw"]), quick=True).sound()
    assert row.ends["before"] > 5
    assert row.ends["planned"] > 5


@pytest.mark.long
@pytest.mark.parametrize(
    "containers", [["raw"], ["vhd"], ["vhdx", "qcow2"], ["vmdk", "raw", "vhd"]], ids="+".join
)
def test_killed_at_every_point_of_other_containers(faked: Path, containers: Sequence[str]) -> None:
    assert whole.killed_at_every_point(WholeBench(faked, containers)).sound().tried > 20


def test_killed_at_random_moments(faked: Path) -> None:
    assert whole.killed_at_random(WholeBench(faked, ["vhd"]), 12, SEED).sound().tried == 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("tries", [3, pytest.param(40, marks=pytest.mark.long)])
def test_signalled_at_random_moments(faked: Path, number: signal.Signals, tries: int) -> None:
    bench = WholeBench(faked, ["raw"])
    assert whole.signalled_at_random(bench, number, tries, SEED + number).sound().tried == tries


@pytest.mark.long
@pytest.mark.parametrize("container", WRITABLE)
def test_killed_at_many_random_moments(faked: Path, container: str) -> None:
    row = whole.killed_at_random(WholeBench(faked, [container]), 30, SEED + WRITABLE.index(container))
    assert row.sound().tried == 30


@pytest.mark.long
@pytest.mark.appliance
def test_killed_at_random_moments_with_the_real_appliance(
    folder: Path, tmp_path: Path, built: Callable[[Sequence[DiskSpec]], dict[str, Path]]
) -> None:
    """The guest's file system notes the time, so what is planned is taken from the overlay itself."""
    spec = disk_spec(sample_machine())
    chance = random.Random(SEED)
    sides = []
    for number in range(12):
        home = tmp_path / str(number)
        home.mkdir()
        path = copy_disk(built([spec])[spec.name], home)
        machine = Machine(home, (path,), (), digests([path]), (), file_digests([path]))
        within = number % 3 != 0
        seconds = chance.uniform(0, 0.4) if within else chance.uniform(1, 30)
        point = "sync-overlay-0:after" if within else None
        kill.after(partial(apply_noting, machine), seconds, from_point=point)
        recovered(machine)
        noted = home / "planned"
        known = {machine.before[0]: "before"} | ({noted.read_text(): "planned"} if noted.exists() else {})
        sides.append(known.get(digests([path])[0], f"torn after {seconds:.3f} s"))
        if sides[-1] == "planned":
            done("rollback", path)
            assert digests([path]) == machine.before
        for file in (path, noted):
            file.unlink(missing_ok=True)
    assert set(sides) == {"before", "planned"}


def apply_noting(machine: Machine, hook: whole.Hook) -> None:
    def both(point: str) -> None:
        note_planned(machine, point)
        hook(point)

    apply(machine, both)


def note_planned(machine: Machine, point: str) -> None:
    """Once the overlay is complete: writes down the digest of the disk as it shows it."""
    if point != "sync-overlay-0:before":
        return
    overlay = next(machine.folder.rglob("overlay-0.qcow2"))
    with nbd.connect(qemu.Overlay(overlay, image.probe(machine.paths[0])), read_only=True) as planned:
        digest = planned.sha256()
    part = machine.folder / "planned.new"
    part.write_text(digest)
    os.rename(part, machine.folder / "planned")  # noqa: PTH104 - whole or not at all
