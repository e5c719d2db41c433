"""A plan that was read is carried out to the letter, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.values import Data
from tests.support.flow import (
    Shelf,
    change_system,
    done,
    failed,
    inside,
    on_fake_appliance,
    p2vprep,
    set_value,
)
from tests.support.guest_disk import fingerprint

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def plan_text(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The plan document for the sample machine: the same for every copy of its disk."""
    folder = tmp_path_factory.mktemp("plan")
    with pytest.MonkeyPatch.context() as patch:
        on_fake_appliance(patch)
        assert p2vprep("plan", shelf.disk(folder), "-o", folder / "plan.json").status == 0
    return (folder / "plan.json").read_text()


@pytest.fixture
def plan(plan_text: str, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(plan_text)
    return path


def edited(plan: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(plan.read_text())
    change(document)
    plan.write_text(json.dumps(document))


def service_started(disk: Path) -> None:
    change_system(
        disk, lambda hive: set_value(hive, r"ControlSet001\Services\sysdown", "Start", Data.dword(3))
    )


def service_gone(disk: Path) -> None:
    change_system(disk, lambda hive: hive.root.make(r"ControlSet001\Services").children.pop("SYSDOWN"))


def agent_installed(disk: Path) -> None:
    def change(hive: Any) -> None:
        key = hive.root.make(r"ControlSet001\Services\CpqRcmc3")
        for name, data in (("Type", 0x10), ("Start", 2), ("ErrorControl", 1)):
            key.set(name, Data.dword(data))
        key.set("ImagePath", Data.sz(r"C:\agent.exe"))

    change_system(disk, change)


def file_appeared(disk: Path) -> None:
    with inside(disk) as guest:
        guest.mkdir("/p2vprep")
        guest.create("/p2vprep/firstboot.cmd", b"somebody else's")


def something_else_written(disk: Path) -> None:
    """Nothing the plan speaks of, but no longer the hive that it was made for."""
    change_system(disk, lambda hive: hive.root.make("Elsewhere"))


@pytest.mark.parametrize(
    "happened", [service_started, service_gone, agent_installed, file_appeared, something_else_written]
)
def test_a_disk_that_changed_since_makes_the_plan_stale(disk: Path, plan: Path, happened: Change) -> None:
    happened(disk)
    now = fingerprint(disk)
    found = failed(4, "stale-plan", "apply", disk, "--yes", "--plan", plan)
    assert found["details"]
    assert found["changed"] == "Nothing was changed."
    assert found["subject"] == str(plan)
    assert fingerprint(disk) == now
    if happened is file_appeared:
        failed(5, "guest-folder-open", "apply", disk, "--yes")
        return
    assert p2vprep("plan", disk, "-o", plan).status == 0
    assert done("apply", disk, "--yes", "--plan", plan)["committed"]


def first_removed(document: dict[str, Any]) -> None:
    del document["changes"][0]


def one_added(document: dict[str, Any]) -> None:
    more = {"kind": "value", "hive": "SYSTEM", "key": r"ControlSet001\Services\Tcpip", "name": "Start"}
    data = {"before": {"type": "REG_DWORD", "data": 0}, "after": {"type": "REG_DWORD", "data": 4}}
    document["changes"].append({**more, **data, "rule": "services", "why": "added by hand"})


def another_value(document: dict[str, Any]) -> None:
    change = next(one for one in document["changes"] if one.get("name") == "Start")
    change["after"]["data"] = 3


def another_file(document: dict[str, Any]) -> None:
    change = next(one for one in document["changes"] if one["kind"] == "file")
    change["sha256"] = change["after"]["sha256"] = "0" * 64


def another_first_boot(document: dict[str, Any]) -> None:
    document["first_boot"].pop()


def another_hive(document: dict[str, Any]) -> None:
    document["hives"][0]["recovered"] = "0" * 64


def other_options(document: dict[str, Any]) -> None:
    document["request"]["settings"] = {"ncsi": "off"}


@pytest.mark.parametrize(
    "change",
    [first_removed, one_added, another_value, another_file, another_first_boot, another_hive, other_options],
)
def test_a_plan_edited_by_hand_is_not_carried_out(
    disk: Path, plan: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    edited(plan, change)
    before = fingerprint(disk)
    assert failed(4, "stale-plan", "apply", disk, "--yes", "--plan", plan)["details"]
    assert fingerprint(disk) == before


def schema_of_tomorrow(document: dict[str, Any]) -> None:
    document["schema"] = "p2vprep.plan/2"


def no_request(document: dict[str, Any]) -> None:
    del document["request"]


def request_incomplete(document: dict[str, Any]) -> None:
    del document["request"]["stages"]


def request_of_other_types(document: dict[str, Any]) -> None:
    document["request"]["root"] = "first"


def two_digests(document: dict[str, Any]) -> None:
    change = next(one for one in document["changes"] if one["kind"] == "file")
    change["sha256"] = "0" * 64


def unknown_kind(document: dict[str, Any]) -> None:
    document["changes"][0]["kind"] = "wish"


def unknown_type(document: dict[str, Any]) -> None:
    change = next(one for one in document["changes"] if one.get("after") and one["kind"] == "value")
    change["after"]["type"] = "REG_SECRET"


@pytest.mark.parametrize(
    "change",
    [
        schema_of_tomorrow,
        no_request,
        request_incomplete,
        request_of_other_types,
        two_digests,
        unknown_kind,
        unknown_type,
    ],
)
def test_a_document_that_is_no_plan_of_ours_is_invalid(
    disk: Path, plan: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    edited(plan, change)
    for command in (("apply", disk, "--yes"), ("verify", disk)):
        failed(7, "invalid-document", *command, "--plan", plan)
    assert not disk.with_name("disk.raw.p2vprep").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe{", b'{"schema": 1, "schema": 2}', b"[" * 100_000]
)
def test_what_is_no_json_object_is_invalid(disk: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    failed(7, "invalid-document", "apply", disk, "--yes", "--plan", path)


def test_a_plan_that_is_not_there(disk: Path, tmp_path: Path) -> None:
    failed(2, "usage", "apply", disk, "--yes", "--plan", tmp_path / "none.json")
    failed(2, "usage", "apply", disk, "--yes", "--plan", tmp_path)


def test_a_plan_for_another_machine_is_stale(disk: Path, plan: Path) -> None:
    edited(plan, lambda document: document["guest"].update(computer_name="OTHER"))
    failed(4, "stale-plan", "apply", disk, "--yes", "--plan", plan)


def test_the_same_plan_a_second_time_is_stale(disk: Path, plan: Path) -> None:
    """What it says is no longer what would be done: the disk has it already."""
    done("apply", disk, "--yes", "--plan", plan)
    failed(4, "stale-plan", "apply", disk, "--yes", "--plan", plan)


def test_what_was_allowed_for_the_plan_is_allowed_for_its_apply(disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert p2vprep("plan", disk, "--allow", "some-code", "-o", path).status == 0
    applied = done("apply", disk, "--yes", "--plan", path, "--allow", "another-code")
    receipt = json.loads((Path(applied["state"]) / "receipt.json").read_text())
    assert receipt["allowed"] == ["another-code", "some-code"]
