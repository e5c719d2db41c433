"""The whole command killed at every step and at any moment: the disk is as before or as planned."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from testdata.build import disk_spec
from testdata.kit.disks import Container, DiskSpec
from tests.faults import real, whole
from tests.faults.machine import quick_folder
from tests.faults.whole import WholeBench
from tests.support.flow import NAME, WRITABLE, on_fake_appliance, sample_machine

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
    row = whole.killed_at_random(WholeBench(faked, [container]), 20, SEED + WRITABLE.index(container))
    assert row.sound().tried == 20


@pytest.mark.long
@pytest.mark.appliance
def test_killed_at_random_moments_with_the_real_appliance(
    folder: Path, built: Callable[[Sequence[DiskSpec]], dict[str, Path]]
) -> None:
    """A dozen moments; `make faults` tries hundreds."""
    disks: dict[Container, Path] = {"vpc": built([disk_spec(sample_machine())])[NAME]}
    row = real.killed_at_random(disks, folder, 12, SEED).sound()
    assert row.tried == 12
    assert set(row.ends) == {"before", "planned"}
