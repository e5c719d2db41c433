"""Several machines in one launch: each is prepared like a single one, and fails like a single one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2vprep.disk import accel, recovery
from p2vprep.disk.journal import RunState
from p2vprep.disk.share import Share
from p2vprep.engine import several
from p2vprep.engine.operations import load_plan
from p2vprep.engine.options import Options
from p2vprep.engine.results import Applied, Planned, Verification
from p2vprep.engine.several import Result, Teller, Work
from p2vprep.errors import CannotOpenError, FailedError, Interrupted, P2vprepError, UsageError
from tests.support.fake_appliance import FakeAppliance, fake_launch
from tests.support.flow import Shelf, data_disk, on_fake_appliance
from tests.support.guest_disk import fingerprint

NO_STAGE = Options(stages=())
HPE = Options(sources=("hpe-proliant",))


class Told(Teller):
    """Remembers everything."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.runs: dict[str, int] = {}
        self.begun: list[str] = []

    def begins(self, name: str) -> None:
        self.begun.append(name)

    def began_run(self, name: str, run: int) -> None:
        self.runs[name] = run

    def ended(self, name: str, result: Result) -> None:
        assert name not in self.results, f"{name} was told twice"
        self.results[name] = result

    def failure(self, name: str) -> P2vprepError:
        found = self.results[name]
        assert isinstance(found, P2vprepError)
        return found


class Launches:
    """The fake appliance, every launch remembered; ``break_at`` breaks the calls of the N-th machine."""

    def __init__(self) -> None:
        self.disks: list[int] = []
        self.mounted: list[str] = []
        self.dies_on: str | None = None
        self.refuses_on: str | None = None

    @contextmanager
    def __call__(self, disks: Sequence[Path], **options: Any) -> Iterator[Any]:
        self.disks.append(len(disks))
        with fake_launch(disks, **options) as running:
            yield _Watched(running, self)


class _Watched:
    def __init__(self, running: FakeAppliance, launches: Launches) -> None:
        self._running = running
        self._launches = launches
        self._dead = False

    def mount(self, device: str, kind: Any, **options: Any) -> None:
        self._launches.mounted.append(device)
        if self._launches.dies_on is not None and device.startswith(self._launches.dies_on):
            self._dead = True
        self._running.mount(device, kind, **options)

    def __getattr__(self, name: str) -> Any:
        held = getattr(self._running, name)
        if self._dead and callable(held):
            raise FailedError("the appliance went away", code="appliance-died")
        return held


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    made = Launches()
    on_fake_appliance(monkeypatch, made)
    return made


@pytest.fixture
def disks(shelf: Shelf, tmp_path: Path) -> list[Path]:
    return [shelf.disk(tmp_path, name=f"srv{number}") for number in range(3)]


def works(disks: Sequence[Path], options: Options = HPE, **marks: object) -> list[Work]:
    return [Work(disk.stem, (disk,), options, marks) for disk in disks]


def test_one_launch_serves_all_and_every_machine_is_committed(launches: Launches, disks: list[Path]) -> None:
    before = [fingerprint(disk) for disk in disks]
    told = Told()
    several.apply_several(works(disks, wave={"attempt": "a1"}), "tcg", told)
    assert launches.disks == [3]
    for disk, old in zip(disks, before, strict=True):
        result = told.results[disk.stem]
        assert isinstance(result, Applied)
        assert result.committed
        assert fingerprint(disk) != old
        (run,) = recovery.history([disk])
        assert (run.state, run.number) == (RunState.DONE, told.runs[disk.stem])
        assert json.loads((run.folder / "receipt.json").read_text())["wave"] == {"attempt": "a1"}
    # Every machine's own device was opened: no machine was prepared through another's disk.
    assert {device[:8] for device in launches.mounted} == {"/dev/sda", "/dev/sdb", "/dev/sdc"}


@pytest.mark.long
def test_a_shared_launch_does_what_a_single_one_does(
    launches: Launches, disks: list[Path], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "single").mkdir()
    single = shelf.disk(tmp_path / "single", name="srv1")
    several.apply_several(works(disks), "tcg", Told())
    told = Told()
    several.apply_several(works([single]), "tcg", told)
    alone, together = (
        load_plan(recovery.history([disk])[-1].folder / "plan.json") for disk in (single, disks[1])
    )
    assert alone.plan.changes == together.plan.changes


@pytest.mark.long
def test_a_second_time_there_is_nothing_to_do(launches: Launches, disks: list[Path]) -> None:
    several.apply_several(works(disks[:2]), "tcg", Told())
    told = Told()
    several.apply_several(works(disks[:2]), "tcg", told)
    for disk in disks[:2]:
        result = told.results[disk.stem]
        assert isinstance(result, Applied)
        assert (result.committed, result.why) == (False, "nothing to do")


def test_a_bad_disk_harms_nobody_else(
    launches: Launches, disks: list[Path], shelf: Shelf, tmp_path: Path
) -> None:
    empty = shelf.disk(tmp_path, spec=data_disk(), name="empty")
    before = fingerprint(empty)
    missing = tmp_path / "missing.img"
    told = Told()
    several.apply_several(works([disks[0], empty, missing, disks[1]]), "tcg", told)
    assert told.failure("empty").code == "no-windows"
    assert fingerprint(empty) == before
    assert isinstance(told.failure("missing"), CannotOpenError)
    assert launches.disks == [3]
    for disk in disks[:2]:
        result = told.results[disk.stem]
        assert isinstance(result, Applied)
        assert result.committed
    (run,) = recovery.history([empty])
    assert run.state is RunState.DISCARDED
    assert "no-windows" in run.note


@pytest.mark.long
def test_an_unknown_profile_fails_one_machine_before_its_run(launches: Launches, disks: list[Path]) -> None:
    told = Told()
    mixed = [*works(disks[:1]), *works(disks[1:2], Options(sources=("no-such",)))]
    several.apply_several(mixed, "tcg", told)
    assert isinstance(told.failure("srv1"), UsageError)
    assert recovery.history([disks[1]]) == ()
    assert isinstance(told.results["srv0"], Applied)


def test_where_nobody_is_left_the_appliance_is_not_started(launches: Launches, tmp_path: Path) -> None:
    told = Told()
    several.apply_several(works([tmp_path / "a.img", tmp_path / "b.img"]), "tcg", told)
    assert launches.disks == []
    assert len(told.results) == 2


def test_profiles_that_are_invalid_for_all_end_the_boot(
    launches: Launches, disks: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "bad.yaml").write_text("schema: nonsense\n")
    told = Told()
    options = Options(sources=("bad",), profile_dirs=(folder,))
    several.apply_several(works(disks[:2], options), "tcg", told)
    assert [told.failure(disk.stem).code for disk in disks[:2]] == ["invalid-document"] * 2
    assert launches.mounted == []


def test_when_the_appliance_dies_all_that_are_undecided_say_so_and_are_as_before(
    launches: Launches, disks: list[Path]
) -> None:
    launches.dies_on = "/dev/sdb"
    before = [fingerprint(disk) for disk in disks]
    told = Told()
    several.apply_several(works(disks), "tcg", told)
    for disk, old in zip(disks, before, strict=True):
        assert several.is_of_the_launch(told.failure(disk.stem))
        assert fingerprint(disk) == old
        assert recovery.history([disk])[-1].state is RunState.DISCARDED


def test_a_machine_s_own_error_is_not_of_the_launch() -> None:
    assert not several.is_of_the_launch(CannotOpenError("none", code="no-windows"))
    assert several.is_of_the_launch(FailedError("gone", code="appliance-timeout"))


def test_an_interrupt_leaves_the_undecided_as_they_were(
    launches: Launches, disks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [fingerprint(disk) for disk in disks]

    class Stopping(Told):
        def begins(self, name: str) -> None:
            super().begins(name)
            if self.begun.count("srv1") == 3:  # begun, warmed up, and now in the appliance
                raise Interrupted(2, "Stopped by SIGINT.")

    told = Stopping()
    with pytest.raises(Interrupted):
        several.apply_several(works(disks), "tcg", told)
    assert told.results == {}
    assert [fingerprint(disk) for disk in disks] == before
    assert all(recovery.history([disk])[-1].state is RunState.DISCARDED for disk in disks)


@pytest.mark.long
def test_plans_and_verifications_share_a_launch_too(launches: Launches, disks: list[Path]) -> None:
    told = Told()
    several.plan_several(works(disks[:2]), "tcg", told)
    plans = [told.results[disk.stem] for disk in disks[:2]]
    assert all(isinstance(one, Planned) and one.plan.changes for one in plans)
    several.apply_several(works(disks[:2]), "tcg", Told())
    held = {disk.stem: load_plan(recovery.history([disk])[-1].folder / "plan.json") for disk in disks[:2]}
    checked = Told()
    several.verify_several(works(disks[:2]), "tcg", checked, held)
    for disk in disks[:2]:
        found = checked.results[disk.stem]
        assert isinstance(found, Verification)
        assert found.as_planned
        assert found.first_boot["state"] == "waiting"
    assert launches.disks == [2, 2, 2]


def test_a_share_sees_its_own_disks_only(launches: Launches, disks: list[Path]) -> None:
    with fake_launch(disks, read_only=True, accelerator=accel.TCG) as running:
        share = Share(running, 1, 1)
        assert share.devices == ("/dev/sda",)
        assert share.read_device("/dev/sda", 0, 512) == running.read_device("/dev/sdb", 0, 512)
        with pytest.raises(ValueError, match="no device of this machine"):
            share.read_device("/dev/sdb", 0, 512)
        with pytest.raises(ValueError, match="no disks"):
            Share(running, 2, 2)


def test_a_share_tells_errors_as_if_it_were_alone(disks: list[Path]) -> None:
    with fake_launch(disks, read_only=False, accelerator=accel.TCG) as running:
        running.mount("/dev/sda2", "ntfs", writable=True)
        running.mkdir("/other")  # another machine wrote
        share = Share(running, 1, 1)
        with pytest.raises(CannotOpenError):
            share.mount("/dev/sda9", "ntfs")
        share.mount("/dev/sda2", "ntfs", writable=True)
        share.mkdir("/mine")
        with pytest.raises(FailedError):
            share.mkdir("/mine")
