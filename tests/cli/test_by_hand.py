"""The commands by hand: what they show, how they are written, and that they change what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from p2vprep.core.regtext import encode
from tests.support import by_hand
from tests.support.by_hand import RUN
from tests.support.flow import Shelf, as_json, done, failed, p2vprep
from tests.support.guest_disk import fingerprint


@pytest.fixture
def machine(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    return by_hand.disk(shelf, tmp_path)


# --- services and drivers ----------------------------------------------------------------------


def test_services_are_listed_with_whose_they_are(machine: Path) -> None:
    document = done("services", machine)
    assert document["schema"] == "p2vprep.services/1"
    found = {one["name"]: one for one in document["services"]}
    assert found["CqMgHost"]["needed_by"] == ["CqMgServ", "CqMgStor"]
    assert (found["CqMgHost"]["in_box"], found["Dhcp"]["in_box"]) == (False, True)
    assert found["Dhcp"]["kind"] == "service"
    shown = p2vprep("services", machine).stdout
    assert "Needed by" in shown
    assert "CqMgServ" in shown
    assert {one["name"] for one in done("services", machine, "list")["services"]} == set(found)
    assert {one["name"] for one in done("services", "list", machine)["services"]} == set(found)


def test_the_list_can_be_narrowed(machine: Path) -> None:
    everything = done("services", machine, "--kind", "all")["services"]
    drivers = done("drivers", machine)["services"]
    assert {one["name"] for one in drivers} == {one["name"] for one in everything if one["kind"] == "driver"}
    automatic = done("services", machine, "--auto")["services"]
    assert automatic
    assert all(one["start"] <= 2 for one in automatic)
    third = {one["name"] for one in done("services", machine, "--third-party")["services"]}
    assert "CqMgHost" in third
    assert "Dhcp" not in third
    assert [one["name"] for one in done("services", machine, "--like", "cqmgser")["services"]] == ["CqMgServ"]
    assert done("drivers", machine, "--start", "boot")["services"]
    assert "There are none." in p2vprep("services", machine, "--like", "nothing like it").stdout


def test_a_service_is_set_and_taken_back(machine: Path) -> None:
    before = fingerprint(machine)
    applied = done(
        "services", machine, "set", "cqmgserv", "--start", "disabled", "--yes", "--why", "HP is gone"
    )
    assert applied["committed"]
    changes = applied["plan"]["changes"]
    assert {(change["name"], change["after"]["data"], change["why"]) for change in changes} == {
        ("Start", 4, "HP is gone")
    }
    assert done("verify", machine)["as_planned"]
    again = done("services", "set", machine, "CqMgServ", "--start", "disabled", "--yes")
    assert again["why"] == "nothing to do"
    done("rollback", machine)
    assert fingerprint(machine) == before


def test_a_delay_comes_and_goes_with_the_start_type(machine: Path) -> None:
    def held() -> tuple[int, bool | None]:
        one = done("services", machine, "--like", "CqMgServ")["services"][0]
        return one["start"], one["delayed"]

    done("services", machine, "set", "CqMgServ", "--start", "demand", "--yes")
    assert held()[0] == 3
    # It has no value for a delay yet, and gets one.
    done("services", machine, "set", "CqMgServ", "--start", "delayed", "--yes")
    assert held() == (2, True)
    done("services", machine, "set", "CqMgServ", "--start", "auto", "--yes")
    assert held() == (2, None)


def test_what_others_need_is_refused_with_the_chain_until_it_is_allowed(machine: Path) -> None:
    before = fingerprint(machine)
    refused = failed(5, "dependency", "services", machine, "set", "CqMgHost", "--start", "disabled", "--yes")
    assert "CqMgServ" in refused["message"]
    assert "--allow dependency" in refused["hint"]
    assert fingerprint(machine) == before
    # All together need no permission.
    names = ("CqMgHost", "CqMgServ", "CqMgStor")
    both = done("services", machine, "set", *names, "--start", "disabled", "--plan-only")
    assert not [hazard for hazard in both["hazards"] if hazard["severity"] == "refuse"]
    applied = done(
        "services", machine, "set", "CqMgHost", "--start", "disabled", "--yes", "--allow", "dependency"
    )
    assert applied["plan"]["request"]["allow"] == ["dependency"]


def test_the_never_list_is_not_lifted(machine: Path) -> None:
    given = ("services", machine, "set", "RpcSs", "--start", "disabled", "--yes", "--allow", "never-disable")
    failed(5, "never-disable", *given)
    failed(5, "in-box-driver", "drivers", machine, "set", "storahci", "--start", "demand", "--yes")


def test_a_name_that_is_not_there_is_refused_with_those_that_come_near(machine: Path) -> None:
    refused = failed(5, "no-such-service", "services", machine, "set", "CqMgSrv", "--start", "auto", "--yes")
    assert "CqMgServ" in refused["hint"]


# --- registry ----------------------------------------------------------------------------------


def test_keys_and_values_are_shown(machine: Path) -> None:
    hives = done("registry", machine, "get")["hives"]
    assert hives[:3] == [r"HKLM\SYSTEM", r"HKLM\SOFTWARE", r"HKLM\SAM"]
    assert r"HKU\Anna" in hives
    key = done("registry", machine, "get", r"HKLM\SYSTEM\CurrentControlSet\Services\cqmgserv")
    assert {value["name"] for value in key["values"]} >= {"Start", "Type"}
    one = done("registry", machine, "get", rf"HKU\anna\{RUN}", "hptray")
    assert one["values"] == [{"name": "HPTray", "type": "REG_SZ", "data": "hptray.exe"}]
    assert "hptray.exe" in p2vprep("registry", machine, "get", rf"HKEY_USERS\Anna\{RUN}").stdout
    by_sid = done("registry", machine, "get", rf"HKU\{by_hand.SID}\{RUN}")
    assert by_sid["values"] == one["values"]
    failed(2, "no-such-key", "registry", machine, "get", r"HKLM\SOFTWARE\Nobody")
    failed(2, "no-such-value", "registry", machine, "get", rf"HKU\Anna\{RUN}", "Nothing")
    failed(2, "bad-registry-path", "registry", machine, "get", r"HKCU\Software")
    failed(6, "no-such-user", "registry", machine, "get", r"HKU\Otto\Software")


def test_the_registry_is_searched(machine: Path) -> None:
    found = done("registry", machine, "find", "HPTRAY")
    assert found["complete"]
    assert {(hit["key"], hit["where"]) for hit in found["hits"]} == {(rf"HKU\Anna\{RUN}", "names")}
    data = done("registry", machine, "find", "agent.exe", r"HKLM\SOFTWARE", "--in", "data", "--exact")
    assert [hit["name"] for hit in data["hits"]] == ["HP agent"]
    limited = done("registry", machine, "find", "a", "--limit", "3")
    assert (len(limited["hits"]), limited["complete"]) == (3, False)
    assert "There is more" in p2vprep("registry", machine, "find", "a", "--limit", "3").stdout
    assert "Not found." in p2vprep("registry", machine, "find", "no such text", "HKLM\\SAM").stdout


def test_values_and_keys_are_set_and_deleted(machine: Path) -> None:
    before = fingerprint(machine)
    key = r"HKLM\SOFTWARE\Contoso\Agent"
    done("registry", machine, "set", key, "Servers", "a", "b", "--type", "multi-sz", "--yes")
    done("registry", machine, "set", key, "Port", "0x1f90", "--type", "dword", "--yes")
    held = {value["name"]: value["data"] for value in done("registry", machine, "get", key)["values"]}
    assert held == {"Servers": ["a", "b"], "Port": 8080}
    done("registry", machine, "delete", key, "port", "--yes")
    done("registry", machine, "set", rf"{key}\Empty", "--yes")
    assert done("registry", machine, "get", key)["subkeys"] == ["Empty"]
    done("registry", machine, "delete", r"HKLM\SOFTWARE\Contoso", "--yes")
    failed(2, "no-such-key", "registry", machine, "get", r"HKLM\SOFTWARE\Contoso")
    for _run in range(5):
        done("rollback", machine)
    assert fingerprint(machine) == before


def test_what_must_not_be_written_is_not(machine: Path) -> None:
    given = ("--type", "sz", "--yes")
    failed(5, "hive-read-only", "registry", machine, "set", r"HKLM\SAM\SAM", "x", "y", *given)
    failed(5, "forbidden-key", "registry", machine, "delete", r"HKLM\SYSTEM\Select", "Default", "--yes")
    services = r"HKLM\SYSTEM\CurrentControlSet\Services"
    failed(5, "forbidden-key", "registry", machine, "delete", rf"{services}\CqMgServ", "--yes")
    failed(5, "hive-not-here", "registry", machine, "set", r"HKU\Otto\Software", "x", "y", *given)
    failed(2, "usage", "registry", machine, "set", r"HKLM\SOFTWARE\Contoso", "x", "y", "--yes")
    failed(
        2, "bad-data", "registry", machine, "set", r"HKLM\SOFTWARE\C", "x", "y", "--type", "dword", "--yes"
    )
    start = failed(
        5,
        "never-disable",
        "registry",
        machine,
        "set",
        rf"{services}\RpcSs",
        "Start",
        "4",
        "--type",
        "dword",
        "--yes",
    )
    assert start["changed"] == "Nothing was changed."


def test_reg_files_go_out_and_come_in(machine: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.reg"
    done("registry", machine, "export", rf"HKU\Anna\{RUN}", out)
    assert out.read_bytes().startswith(b"\xff\xfe")
    assert '"HPTray"="hptray.exe"' in out.read_bytes().decode("utf-16")
    text = out.read_bytes().decode("utf-16").replace("hptray.exe", "other.exe")
    text += f'\r\n[HKEY_CURRENT_USER\\{RUN}\\New]\r\n@="made"\r\n'
    (tmp_path / "in.reg").write_bytes(encode(text))
    failed(2, "bad-registry-path", "registry", machine, "import", tmp_path / "in.reg", "--yes")
    done("registry", machine, "import", tmp_path / "in.reg", "--user", "Anna", "--yes")
    found = done("registry", machine, "get", rf"HKU\Anna\{RUN}")
    assert (found["subkeys"], found["values"][0]["data"]) == (["New"], "other.exe")
    again = done("registry", machine, "import", tmp_path / "in.reg", "--user", "Anna", "--yes")
    assert again["why"] == "nothing to do"
    assert "HPTray" in p2vprep("registry", machine, "export", rf"HKU\Anna\{RUN}").stdout


# --- files, adapters, autoruns -----------------------------------------------------------------


def test_files_are_listed_taken_out_and_put_in(machine: Path, tmp_path: Path) -> None:
    before = fingerprint(machine)
    assert done("files", machine, "ls", r"C:\Tools")["entries"] == [
        {"name": "readme.txt", "kind": "file", "size": 7}
    ]
    assert "Users" in p2vprep("files", machine).stdout
    target = tmp_path / "out"
    target.mkdir()
    taken = done("files", machine, "get", "/Tools/readme.txt", target)
    assert (target / "readme.txt").read_bytes() == b"tools\r\n"
    assert taken["size"] == 7
    failed(2, "file-exists", "files", machine, "get", "/Tools/readme.txt", target)
    failed(6, "guest-file-missing", "files", machine, "get", "/Tools/absent", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    (target / "below").mkdir()
    (target / "below" / "b.cmd").write_bytes(b"b")
    done("files", machine, "put", target, "C:\\", "--yes")
    names = [entry["name"] for entry in done("files", machine, "ls", "/out")["entries"]]
    assert names == ["below", "readme.txt"]
    failed(5, "guest-path-protected", "files", machine, "put", target / "readme.txt", "/p2vprep/x", "--yes")
    failed(
        5,
        "guest-path-protected",
        "files",
        machine,
        "put",
        target / "readme.txt",
        "/Windows/System32/config/SYSTEM",
        "--yes",
    )
    failed(2, "bad-guest-path", "files", machine, "ls", "D:\\")
    done("rollback", machine)
    assert fingerprint(machine) == before


def test_adapters_are_listed(machine: Path) -> None:
    found = done("adapters", machine)["adapters"]
    assert found
    assert {"guid", "name", "mac", "ghost", "addresses"} <= set(found[0])
    assert "MAC" in p2vprep("adapters", machine).stdout


def test_what_starts_by_itself_is_gathered_from_everywhere(machine: Path) -> None:
    document = done("autoruns", machine)
    found = {(one["kind"], one["name"]): one for one in document["autoruns"]}
    assert document["left_out"] > 0
    assert found["run", "HP agent"]["command"] == "agent.exe"
    assert found["run", "HPTray"]["where"] == rf"HKU\Anna\{RUN}"
    assert found["run", "Logon"]["where"].startswith(r"HKU\.DEFAULT")
    assert found["service", "CqMgServ"]["in_box"] is None
    assert found["task", r"\Nightly backup"]["command"] == r"C:\Backup\run.cmd /full"
    assert found["task", r"\Nightly backup"]["vendor"] == r"CONTOSO\backup"
    assert found["task", r"\Broken"]["command"] == "(cannot be read)"
    assert found["task", r"\Lost"]["command"] == "(its file is missing)"
    assert ("logon", "Shell") not in found
    everything = {(one["kind"], one["name"]) for one in done("autoruns", machine, "--all")["autoruns"]}
    assert {("logon", "Shell"), ("task", r"\Microsoft\Windows\Defrag\ScheduledDefrag")} <= everything


def test_the_last_errors_of_a_log_are_shown(machine: Path) -> None:
    pytest.importorskip("evtx")
    found = done("events", machine)["events"]
    assert [(event["id"], event["level"]) for event in found] == [(41, "critical"), (7000, "error")]
    assert found[1] == {
        "record": 1,
        "time": "2016-03-02T18:04:11Z",
        "level": "error",
        "source": "Service Control Manager",
        "id": 7000,
        "texts": ["hpqams", "%%2"],
    }
    assert [
        event["id"] for event in done("events", machine, "--level", "warning", "--last", "1")["events"]
    ] == [4199]
    assert len(done("events", machine, "--level", "all")["events"]) == 4
    assert "hpqams | %%2" in p2vprep("events", machine).stdout
    missing = failed(6, "no-event-log", "events", machine, "--log", "Application")
    assert missing["subject"].endswith("Application.evtx")
    failed(2, "usage", "events", machine, "--log", "../config/SAM")


def test_without_the_library_it_says_how_to_get_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evtx", None)
    assert "p2vprep[events]" in failed(2, "no-evtx", "events", machine)["hint"]


# --- collecting --------------------------------------------------------------------------------


def test_edits_are_collected_and_applied_together(machine: Path, tmp_path: Path) -> None:
    before = fingerprint(machine)
    edits = tmp_path / "edits.json"
    collect = ("--plan-only", "-o", edits)
    done("services", machine, "set", "CqMgServ", "CqMgStor", "--start", "disabled", *collect)
    both = done("services", machine, "set", "CqMgHost", "--start", "disabled", *collect)
    assert len(both["changes"]) == 3
    refused = failed(5, "never-disable", "services", machine, "set", "RpcSs", "--start", "disabled", *collect)
    assert "RpcSs" in refused["message"]
    done("registry", machine, "set", r"HKLM\SOFTWARE\Contoso", "Site", "L", "--type", "sz", *collect)
    document = json.loads(edits.read_text())
    assert (document["schema"], len(document["edits"])) == ("p2vprep.edits/1", 4)
    assert fingerprint(machine) == before
    planned = done("plan", machine, "--edits", edits, "--only-edits", "-o", tmp_path / "plan.json")
    assert {change["rule"] for change in planned["changes"]} == {"by-hand"}
    whole = done("plan", machine, "--edits", edits)
    assert {change["rule"] for change in whole["changes"]} > {"by-hand"}
    applied = done("apply", machine, "--plan", tmp_path / "plan.json", "--yes")
    assert [
        change["after"]["data"] for change in applied["plan"]["changes"] if change["name"] == "Start"
    ] == [4, 4, 4]
    done("rollback", machine)
    done("apply", machine, "--edits", edits, "--only-edits", "--yes")
    assert done("verify", machine)["as_planned"]
    done("rollback", machine)
    assert fingerprint(machine) == before


def test_options_that_make_no_sense_together_are_refused(machine: Path, tmp_path: Path) -> None:
    given = ("services", machine, "set", "CqMgServ", "--start", "auto")
    failed(2, "usage", *given, "-o", tmp_path / "edits.json", "--yes")
    failed(2, "usage", *given, "--plan-only", "--yes")
    failed(2, "nobody-to-ask", *given)
    failed(2, "no-edits", "apply", machine, "--only-edits", "--yes")
    (tmp_path / "bad.json").write_text('{"schema": "p2vprep.plan/1"}')
    failed(7, "invalid-document", "plan", machine, "--edits", tmp_path / "bad.json")
    for wrong in (["services"], ["services", machine, "set"], ["registry", machine, "find"]):
        assert as_json(*wrong).status == 2
    assert p2vprep("services", "--help").status == 0
    assert p2vprep("registry", "set", "--help").status == 0
