"""Looking around on a machine by hand, and edits by hand on their way through the transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.model import Edit, Plan, ValueChange
from p2vprep.core.registry import value
from p2vprep.core.values import Data
from p2vprep.engine.applying import registry_changes
from p2vprep.engine.byhand import (
    apply_edits,
    browse,
    file_edits,
    key_edits,
    plan_edits,
    service_edits,
    value_deletion,
    value_edits,
)
from p2vprep.engine.options import Options
from p2vprep.errors import CannotOpenError, HiveError, RefusedError, UsageError
from p2vprep.events import silent
from testdata.kit.logwriter import steps, write_new
from tests.support import by_hand
from tests.support.flow import Shelf, done, with_files
from tests.support.guest_disk import fingerprint

RUN = by_hand.RUN
SID = by_hand.SID


@pytest.fixture
def machine(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """The sample machine with users, and the hives that every machine has."""
    return by_hand.disk(shelf, tmp_path)


def value_changes(plan: Plan) -> list[ValueChange]:
    return [change for change in plan.changes if isinstance(change, ValueChange)]


def yes(_plan: Plan) -> bool:
    return True


def apply(path: Path, *edits: Edit, options: Options | None = None) -> Plan:
    return apply_edits([path], edits, options or Options(), silent, yes).plan


def test_everything_can_be_looked_at(machine: Path) -> None:
    before = fingerprint(machine)
    with browse([machine], Options(), silent) as browser:
        assert browser.facts.boot.services
        assert browser.hive_names() == (
            "SYSTEM",
            "SOFTWARE",
            "SAM",
            "SECURITY",
            "DEFAULT",
            r"HKU\Anna",
            r"HKU\Default",
        )
        assert value(browser.hive(r"HKU\anna"), RUN, "HPTray") == Data.sz("hptray.exe")
        assert value(browser.hive("DEFAULT"), RUN, "Logon") == Data.sz("logon.exe")
        assert browser.hive("SAM").root.name is not None
        services = browser.key(r"HKLM\SYSTEM\CurrentControlSet\Services")
        assert services.path == rf"{browser.facts.boot_set}\Services"
        assert [(entry.name, entry.kind, entry.size) for entry in browser.list_dir(r"C:\Tools")] == [
            ("readme.txt", "file", 7)
        ]
        assert browser.read_file("/tools/README.TXT") == b"tools\r\n"
        with pytest.raises(HiveError, match="no user Otto") as nobody:
            browser.hive(r"HKU\Otto")
        assert nobody.value.hint == "There are: Anna, Default"
        with pytest.raises(UsageError, match="no such key"):
            browser.key(r"HKLM\SOFTWARE\Nobody")
        with pytest.raises(CannotOpenError):
            browser.read_file("/Tools/absent")
        with pytest.raises(RefusedError):
            browser.list_dir("/Tools/readme.txt")
    assert fingerprint(machine) == before


def test_no_edits_change_nothing(machine: Path) -> None:
    assert plan_edits([machine], (), Options(), silent).plan.changes == ()
    assert not apply_edits([machine], (), Options(), silent, yes).committed


def test_edits_of_every_hive_go_through_one_transaction(machine: Path) -> None:
    before = fingerprint(machine)
    edits = (
        *service_edits("cqmgserv", "disabled"),
        *value_edits(r"HKLM\SOFTWARE\Contoso", "Site", Data.sz("Leipzig")),
        *value_deletion(rf"HKU\anna\{RUN}", "HPTray"),
        *value_edits(r"HKU\.DEFAULT\Control Panel\Desktop", "ScreenSaveActive", Data.sz("0")),
        *key_edits(r"HKLM\SYSTEM\CurrentControlSet\Control\Contoso"),
        *file_edits(r"C:\Tools\new.txt", b"new"),
    )
    plan = apply(machine, *edits)
    assert {change.rule for change in plan.changes} == {"by-hand"}
    assert {hive.name for hive in plan.hives} == {"SYSTEM", "SOFTWARE", "DEFAULT", r"HKU\Anna"}
    with browse([machine], Options(), silent) as browser:
        assert browser.key(r"HKLM\SOFTWARE\Contoso").value("Site") == Data.sz("Leipzig")
        assert browser.key(rf"HKU\Anna\{RUN}").value("HPTray") is None
        assert browser.key(r"HKU\.DEFAULT\Control Panel\Desktop").value("ScreenSaveActive") == Data.sz("0")
        assert browser.key(r"HKLM\SYSTEM\CurrentControlSet\Control\Contoso").name == "Contoso"
        assert browser.read_file("/Tools/new.txt") == b"new"
        service = next(one for one in browser.facts.boot.services if one.name == "CqMgServ")
        assert service.start_name == "disabled"
    assert done("verify", machine)["as_planned"]
    assert not apply_edits([machine], edits, Options(), silent, yes).committed
    done("rollback", machine)
    assert fingerprint(machine) == before


def test_a_user_may_be_named_by_sid(machine: Path) -> None:
    plan = apply(machine, *value_edits(rf"HKU\{SID}\{RUN}", "New", Data.sz("new.exe")))
    assert [change.hive for change in registry_changes(plan)] == [r"HKU\Anna"]
    assert done("verify", machine)["as_planned"]


def test_what_waits_for_the_first_boot_is_left_alone(machine: Path) -> None:
    done("apply", machine, "--yes")
    prepared = fingerprint(machine)
    plan = apply(machine, *service_edits("Spooler", "auto"))
    assert [(change.key, change.name) for change in value_changes(plan)] == [
        (r"ControlSet001\Services\Spooler", "Start")
    ]
    assert [hazard.code for hazard in plan.hazards if hazard.code == "parked-service"] == ["parked-service"]
    done("rollback", machine)
    assert fingerprint(machine) == prepared


def test_plans_are_made_while_looking(machine: Path) -> None:
    with browse([machine], Options(), silent) as browser:
        first = browser.plan(value_edits(r"HKU\.DEFAULT\Software\C", "x", Data.sz("y")))
        second = browser.plan(service_edits("CqMgServ", "disabled"))
    assert {hive.name for hive in first.plan.hives} == {"SYSTEM", "DEFAULT"}
    assert {hive.name for hive in second.plan.hives} == {"SYSTEM"}
    document = plan_edits([machine], service_edits("CqMgServ", "disabled"), Options(), silent).document
    assert second.document == document


def test_dirty_hives_of_users_are_replayed_and_kept(shelf: Shelf, tmp_path: Path, fake: None) -> None:
    before, after = (
        by_hand.user_hive(**held) for held in ({"A": "a.exe"}, {"A": "a.exe", "Late": "late.exe"})
    )
    dirty = write_new(steps(before, after, 4), cut=2)
    files: dict[str, bytes | None] = {by_hand.USER_HIVE: dirty.primary}
    files |= {f"/Users/Anna/ntuser.dat.{name}": log for name, log in dirty.logs.items()}
    path = shelf.disk(tmp_path, spec=with_files(by_hand.spec(), files), name="dirty-user")
    print_before = fingerprint(path)
    plan = apply(path, *value_deletion(rf"HKU\Anna\{RUN}", "A"))
    assert {hive.name: hive.dirty for hive in plan.hives}[r"HKU\Anna"]
    with browse([path], Options(), silent) as browser:
        assert [name for name, _data in browser.key(rf"HKU\Anna\{RUN}").values()] == ["Late"]
    done("rollback", path)
    assert fingerprint(path) == print_before
    for name in dirty.logs:
        files[f"/Users/Anna/ntuser.dat.{name}"] = None
    lost = shelf.disk(tmp_path, spec=with_files(by_hand.spec(), files), name="lost-logs")
    with pytest.raises(RefusedError) as refused:
        apply(lost, *value_deletion(rf"HKU\Anna\{RUN}", "A"))
    assert refused.value.code == "dirty-hive-without-log"


def test_a_damaged_hive_of_a_user_stops_what_needs_it_only(shelf: Shelf, tmp_path: Path, fake: None) -> None:
    spec = with_files(by_hand.spec(), {by_hand.USER_HIVE: b"regf" + bytes(8000)})
    path = shelf.disk(tmp_path, spec=spec, name="damaged-user")
    with browse([path], Options(), silent) as browser:
        with pytest.raises(HiveError):
            browser.hive(r"HKU\Anna")
        assert browser.key(r"HKU\Default\Software").name == "Software"
    with pytest.raises(RefusedError) as refused:
        apply(path, *value_deletion(rf"HKU\Anna\{RUN}", "A"))
    assert refused.value.code == "hive-not-here"
    searched = done("registry", path, "find", "no such text")
    assert (searched["complete"], searched["unreadable"]) == (False, [r"HKU\Anna"])
    found = {(one["kind"], one["name"]): one for one in done("autoruns", path)["autoruns"]}
    assert found["run", "(cannot be read)"]["where"] == r"HKU\Anna"
