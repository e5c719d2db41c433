"""The JSON documents: one per command, on stdout alone, in the documented shape."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from tests.support.flow import Shelf, as_json, done, p2vprep, with_system

COMMANDS = {
    "inspect": (["inspect"], "p2vprep.inspect/1"),
    "plan": (["plan"], "p2vprep.plan/1"),
    "apply": (["apply", "--yes"], "p2vprep.apply/1"),
    "verify": (["verify"], "p2vprep.verify/1"),
    "history": (["history"], "p2vprep.history/1"),
    "rollback": (["rollback"], "p2vprep.rollback/1"),
    "recover": (["recover"], "p2vprep.recover/1"),
    "forget": (["forget"], "p2vprep.forget/1"),
}


def test_every_command_gives_one_document_and_tells_its_progress_elsewhere(disk: Path) -> None:
    for arguments, schema in COMMANDS.values():
        ran = as_json(arguments[0], disk, *arguments[1:])
        assert (ran.status, ran.document["schema"]) == (0, schema)
        if arguments[0] in ("inspect", "plan", "apply", "verify", "rollback"):
            assert "done  " in ran.stderr
        assert "schema" not in ran.stderr


def test_the_document_of_the_plan(disk: Path) -> None:
    plan = done("plan", disk)
    assert plan["guest"]["version"]["text"] == "6.3.9600"
    values = [change for change in plan["changes"] if change["kind"] == "value"]
    assert values
    for change in values:
        assert set(change) == {"kind", "hive", "key", "name", "before", "after", "rule", "why"}
        assert change["hive"] == "SYSTEM"
        assert change["key"].split("\\")[0] in ("ControlSet001", "p2vprep")
        for data in (change["before"], change["after"]):
            assert data is None or set(data) == {"type", "data"}
            if data is not None and data["type"] == "REG_DWORD":
                assert isinstance(data["data"], int)
            if data is not None and data["type"] == "REG_MULTI_SZ":
                assert isinstance(data["data"], list)
            if data is not None and data["type"] == "REG_BINARY":
                bytes.fromhex(data["data"])
        assert change["before"] != change["after"]
        assert change["why"]
    start = next(one for one in values if one["key"].endswith(r"\sysdown"))
    assert (start["name"], start["before"], start["after"]) == (
        "Start",
        {"type": "REG_DWORD", "data": 2},
        {"type": "REG_DWORD", "data": 4},
    )
    files = [change for change in plan["changes"] if change["kind"] == "file"]
    assert {"/p2vprep/firstboot.cmd", "/p2vprep/data/services.txt"} <= {one["path"] for one in files}
    assert all(len(one["sha256"]) == 64 and one["before"] is None for one in files)
    for skip in plan["skips"]:
        assert set(skip) == {"rule", "subject", "reason"}
    for hazard in plan["hazards"]:
        assert set(hazard) >= {"code", "severity", "message", "evidence"}
    assert plan["hives"][0]["dirty"]
    assert plan["request"]["stages"] == ["isolated-first-boot"]


def test_the_document_of_the_inspection(disk: Path) -> None:
    found = done("inspect", disk)
    facts = found["facts"]
    expected = {"control_sets", "services", "drivers", "filters", "adapters", "addresses", "evidence"}
    assert set(facts) >= expected
    assert facts["control_sets"] == {
        "present": ["ControlSet001"],
        "boot": "ControlSet001",
        "select": {"Current": 1, "Default": 1, "Failed": 0, "LastKnownGood": 1},
    }
    names = {service["name"] for service in facts["services"]}
    assert {"sysdown", "Dhcp"} <= names
    assert "hpqams" in names, "its key is in the transaction log only"
    assert {service["name"] for service in facts["drivers"]} >= {"Tcpip", "hpqilo3"}
    adapters = {adapter["name"]: adapter for adapter in facts["adapters"]}
    for adapter in adapters.values():
        fields = {"guid", "name", "description", "mac", "kind", "ghost", "why", "addresses", "dhcp"}
        assert set(adapter) >= fields
    assert adapters["Production"]["dhcp"] is True
    assert adapters["Local Area Connection 2"]["ghost"] is True
    assert adapters["Local Area Connection 2"]["addresses"] == ["10.20.40.15/24"]
    assert adapters["Production"]["ghost"] is None
    assert adapters["Production"]["after_move"]["ghost"] is True
    assert "no hypervisor" in adapters["Production"]["after_move"]["why"]
    places = {mention["place"] for mention in adapters["Production"]["mentions"]}
    assert {"device", "class instance", "TCP/IP interface"} <= places
    evidence = {(item["kind"], item["subject"]) for item in facts["evidence"]}
    assert {("service", "CqMgHost"), ("driver", "hpqilo3"), ("bios", "ProLiant DL380p Gen8")} <= evidence
    assert {item["vendor"] for item in facts["evidence"]} == {"hpe-proliant"}
    assert [source["profile"] for source in found["sources"]] == ["hpe-proliant"]
    assert found["images"][0]["path"] == str(disk)
    assert found["hives"][0]["replayed_pages"] > 0
    assert isinstance(found["findings"], list)


def test_the_document_of_the_history(disk: Path) -> None:
    done("apply", disk, "--yes")
    (run,) = done("history", disk)["runs"]
    assert (run["number"], run["state"]) == (1, "done")
    assert run["counts"].keys() == {"values", "keys", "files"}
    assert run["summary"] == ", ".join(f"{count} {what}" for what, count in run["counts"].items())
    assert run["undo_bytes"] > 0
    assert run["disks"] == [str(disk)]


def strange(hive: MemoryHive) -> None:
    """Names as no honest Windows has them: half a surrogate, an escape sequence, markup, a line end."""
    name = "ag\ud800ent\x1b[31m[red]\n"
    service = hive.root.make(rf"ControlSet001\Services\{name}")
    service.set("Type", Data.dword(0x10)).set("Start", Data.dword(2))
    service.set("DisplayName", Data.sz("[bold]\x1b]0;title\x07"))
    service.set("ImagePath", Data.sz("C:\\a.exe"))
    path = r"ControlSet001\Control\ComputerName\ComputerName"
    hive.root.make(path).set("ComputerName", Data.sz("EVIL\x1b[2J\u202e"))


@pytest.fixture
def strange_disk(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    return shelf.disk(tmp_path, spec=with_system(strange))


@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_strange_names_survive_in_json_and_are_escaped_for_people(strange_disk: Path, command: str) -> None:
    ran = as_json(command, strange_disk)
    assert ran.status == 0, ran
    assert ran.document["guest"]["computer_name"] == "EVIL\x1b[2J\u202e"
    if command == "inspect":
        assert "ag\ud800ent\x1b[31m[red]\n" in {one["name"] for one in ran.document["facts"]["services"]}
    shown = p2vprep(command, strange_disk, "-v")
    assert shown.status == 0
    for stream in (shown.stdout, shown.stderr):
        assert not [letter for letter in stream if letter != "\n" and not letter.isprintable()]
    assert r"EVIL\x1b[2J\u202e" in shown.stdout


def test_a_name_in_an_error_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "disk\x1b[31m\n.vhd"
    commands: list[list[str | Path]] = [["inspect", path], ["apply", path, "--yes"], ["rollback", path]]
    for arguments in commands:
        ran = p2vprep(*arguments)
        assert ran.status in (2, 6)
        assert "\x1b" not in ran.stderr
        assert as_json(*arguments).status == ran.status


def run_as_a_user(disk: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, as its user sees it."""
    return subprocess.run(
        [sys.executable, "-m", "p2vprep", *arguments, str(disk)],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )


def test_a_locale_that_lacks_letters_is_no_reason_to_fail(disk: Path) -> None:
    done("apply", disk, "--yes")
    name = disk.rename(disk.with_name("größe.raw"))
    disk.with_name("disk.raw.p2vprep").rename(disk.with_name("größe.raw.p2vprep"))
    told = run_as_a_user(name, "history", PYTHONIOENCODING="ascii")
    assert (told.returncode, b"Traceback" in told.stderr) == (0, False), told
    ran = run_as_a_user(name, "history", "--json", PYTHONIOENCODING="ascii")
    assert json.loads(ran.stdout)["runs"][0]["disks"] == [str(name)]
    failed = run_as_a_user(name.with_name("über.vhd"), "inspect", PYTHONIOENCODING="ascii")
    assert (failed.returncode, b"Traceback" in failed.stderr) == (6, False)


def test_no_colour_where_nobody_wants_it(disk: Path) -> None:
    done("apply", disk, "--yes")
    colour = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-9]|9[0-7])(?:;[0-9]+)*m")
    assert colour.search(run_as_a_user(disk, "rollback", "--allow", "x", FORCE_COLOR="1").stdout)
    done("apply", disk, "--yes")
    assert not colour.search(run_as_a_user(disk, "rollback", FORCE_COLOR="1", NO_COLOR="1").stdout)
    assert b"\x1b" not in run_as_a_user(disk, "history").stdout


@pytest.mark.parametrize("arguments", [["history"], ["history", "--json"], ["rollback", "--json"]])
def test_a_reader_that_goes_away_is_no_fault(disk: Path, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-m", "p2vprep", *arguments, str(disk)],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    os.close(writer)
    assert ran.returncode == 141
    assert b"Traceback" not in ran.stderr
    assert b"BrokenPipe" not in ran.stderr


def test_progress_that_nobody_reads_does_not_stop_the_work(disk: Path) -> None:
    done("apply", disk, "--yes")
    reader, writer = os.pipe()
    os.close(reader)
    for arguments, target in ((["rollback"], writer), (["recover"], os.open("/dev/full", os.O_WRONLY))):
        ran = subprocess.run(
            [sys.executable, "-m", "p2vprep", *arguments, "--json", str(disk)],
            stdout=subprocess.PIPE,
            stderr=target,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        os.close(target)
        assert ran.returncode == 0
        assert json.loads(ran.stdout)["schema"] == f"p2vprep.{arguments[0]}/1"


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault(disk: Path, closed: str) -> None:
    done("apply", disk, "--yes")
    command = f"{sys.executable} -m p2vprep rollback --json {disk} {closed}"
    ran = subprocess.run(
        ["sh", "-c", command], capture_output=True, check=False, cwd=Path(__file__).parents[2], text=True
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False)
    assert [run["state"] for run in done("history", disk)["runs"]] == ["rolled-back"]
