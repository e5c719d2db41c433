"""The work done while the appliance boots: used where it fits, and never believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from p2vprep.core.model import ValueChange
from p2vprep.core.values import Data
from p2vprep.disk import hive, transaction
from p2vprep.disk.accel import Accelerator
from p2vprep.disk.foresight import Foresight, foresee
from p2vprep.disk.image import probe
from p2vprep.engine import ahead, applying
from p2vprep.engine.machine import Ahead, Machine, open_machine
from p2vprep.engine.options import Options
from p2vprep.engine.planning import make_plan, open_store
from p2vprep.errors import FailedError
from p2vprep.events import Event, Note, silent
from testdata.build import disk_spec, hive_files
from testdata.machines import load
from tests.support.fake_appliance import fake_disk, fake_launch

CONFIG = "/Windows/System32/config"
OPTIONS = Options()


def foresight(**replaced: bytes) -> Foresight:
    """What would have been read of the sample machine."""
    files = hive_files(load("proliant-2012r2")) | {
        name.replace("_", "."): raw for name, raw in replaced.items()
    }
    return Foresight((), "/dev/sda2", "/Windows", {f"{CONFIG}/{name}": raw for name, raw in files.items()})


def looked_ahead(monkeypatch: pytest.MonkeyPatch, seen: Foresight, told: list[Event]) -> Ahead | None:
    monkeypatch.setattr(ahead, "foresee", lambda _images: seen)
    return ahead.look_ahead((), OPTIONS, open_store(OPTIONS), told.append)


def test_plans_and_edits_as_the_ordinary_way_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = looked_ahead(monkeypatch, foresight(), [])
    assert found is not None
    assert found.system is not None
    assert found.edited is not None
    disk = fake_disk(disk_spec(load("proliant-2012r2"), container="raw"), tmp_path / "disk.img")
    image = probe(disk)
    surveys = foresee([image]).surveys
    with (
        transaction.scratch([image]) as overlays,
        fake_launch(overlays, read_only=True, accelerator=Accelerator("tcg")) as running,
    ):
        known = replace(found, foresight=replace(found.foresight, surveys=surveys))
        machine = open_machine((image,), running, OPTIONS, silent, known)
        plan, _ = make_plan(machine, OPTIONS, open_store(OPTIONS))
        assert machine.system is found.system
        (edit,) = applying.edit_hives(machine, plan, silent)
        assert edit.edited is found.edited
        ordinary = replace(machine, ahead=None)
        (again,) = applying.edit_hives(ordinary, plan, silent)
        assert again.edited.data == found.edited.data


def machine_with(found: Ahead) -> Machine:
    """Only what choosing an edit looks at."""
    return Machine((), None, None, found.system, None, None, (), OPTIONS, found)  # type: ignore[arg-type]


def test_an_edit_is_used_for_the_same_hive_and_changes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked_ahead(monkeypatch, foresight(), [])
    assert found is not None
    assert found.system is not None
    machine, changes = machine_with(found), list(found.changes)
    assert applying._edited_ahead(machine, found.system, changes) is found.edited
    assert applying._edited_ahead(machine, replace(found.system), changes) is None
    assert applying._edited_ahead(machine, found.system, changes[1:]) is None
    assert applying._edited_ahead(replace(machine, ahead=None), found.system, changes) is None
    other = next(change for change in changes if isinstance(change, ValueChange))
    changes[changes.index(other)] = replace(other, after=Data.dword(7))
    assert applying._edited_ahead(machine, found.system, changes) is None


def test_a_damaged_hive_is_left_to_the_appliance(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    found = looked_ahead(monkeypatch, foresight(SYSTEM=b"regf" + bytes(8192)), told)
    assert found is not None
    assert (found.system, found.edited) == (None, None)
    assert isinstance(told[0], Note)
    assert "Not everything could be done ahead" in told[0].text


def test_without_a_hive_only_the_survey_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked_ahead(monkeypatch, Foresight(()), [])
    assert found == Ahead(Foresight(()))


def test_disks_that_cannot_be_read_are_left_to_the_appliance(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_images: object) -> Foresight:
        raise FailedError("the storage is gone", code="nbd-failed")

    monkeypatch.setattr(ahead, "foresee", fail)
    told: list[Event] = []
    assert ahead.look_ahead((), OPTIONS, open_store(OPTIONS), told.append) is None
    assert "the storage is gone" in str(told)


def test_an_edit_that_fails_ahead_is_tried_again_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise FailedError("hivex took too long", code="hivex-timeout")

    monkeypatch.setattr(hive, "edit", fail)
    found = looked_ahead(monkeypatch, foresight(), [])
    assert found is not None
    assert found.system is not None
    assert found.edited is None
    assert applying._edited_ahead(machine_with(found), found.system, list(found.changes)) is None


@pytest.mark.parametrize("files", [(), ("disk.sys",), ("disk.sys", "atapi.sys", "vmbus.sys")])
def test_what_a_target_needs_is_done_ahead_by_the_drivers_that_are_there(
    monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    seen = replace(foresight(), drivers=files)
    monkeypatch.setattr(ahead, "foresee", lambda _images: seen)
    options = Options(targets=("hyper-v-gen1",))
    found = ahead.look_ahead((), options, open_store(options), silent)
    assert found is not None
    freed = {change.key.split("\\")[2] for change in found.changes if change.key.endswith("StartOverride")}
    every = {"atapi", "intelide", "vmbus", "storvsc"}
    assert freed == (every & {name.removesuffix(".sys") for name in files} if files else every)
