"""Looking around on a machine by hand, and edits by hand on their way through the transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.model import Edit, Plan
from p2vprep.core.registry import MemoryHive, value
from p2vprep.core.values import Data
from p2vprep.engine.byhand import (
    Browser,
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
from testdata.kit.hivewriter import build_hive
from tests.support.flow import CONFIG, Shelf, done, sample, with_files
from tests.support.guest_disk import fingerprint

USER_HIVE = "/Users/Anna/NTUSER.DAT"
RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"


def small_hive(**values: str) -> bytes:
    hive = MemoryHive()
    key = hive.root.make(RUN)
    for name, text in values.items():
        key.set(name, Data.sz(text))
    return build_hive(hive, file_name="NTUSER.DAT")


@pytest.fixture
def machine(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """The sample machine with two users, and the hives that every machine has."""
    files: dict[str, bytes | None] = {
        USER_HIVE: small_hive(HPTray="hptray.exe"),
        "/Users/Default/NTUSER.DAT": small_hive(),
        f"{CONFIG}/DEFAULT": small_hive(Logon="logon.exe"),
        f"{CONFIG}/SAM": small_hive(),
        f"{CONFIG}/SECURITY": small_hive(),
        "/Tools/readme.txt": b"tools\r\n",
    }
    return shelf.disk(tmp_path, spec=with_files(sample(), files), name="with-users")


def look(path: Path) -> Browser:
    """A browser that is not needed any more when the test looks at it."""
    with browse([path], Options(), silent) as browser:
        return browser


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
