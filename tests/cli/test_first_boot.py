"""The first-boot job through the whole command: what comes along, how it starts, what verify tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.registry import MemoryHive, fold
from p2vprep.core.values import Data
from tests.support.flow import change_system, done, failed, inside, p2vprep, read_system

NETWORK = """schema: p2vprep.network/1
interfaces:
  - match: {mac: "00:15:5d:0a:0b:0c"}
    name: Production LAN
    addresses: [192.0.2.10/24]
    gateways: [192.0.2.1]
"""


@pytest.fixture
def given(tmp_path: Path) -> list[str | Path]:
    """Options that bring files, a step and a network."""
    tools = tmp_path / "tools"
    (tools / "sub").mkdir(parents=True)
    (tools / "sub" / "read me.txt").write_bytes(b"hello")
    step = tmp_path / "join.cmd"
    step.write_bytes(b"@echo off\nexit 0\n")
    network = tmp_path / "network.yaml"
    network.write_text(NETWORK)
    return ["--add-files", tools, "--first-boot-step", step, "--network", network]


def read(disk: Path, path: str) -> bytes:
    with inside(disk) as guest:
        held = guest.stat(path)
        assert held is not None, path
        return guest.read(path, 0, held.size)


def test_files_steps_and_the_network_come_along(disk: Path, given: list[str | Path]) -> None:
    plan = done("apply", disk, "--yes", *given)["plan"]
    kinds = {item["kind"] for item in plan["first_boot"]}
    assert {"configure-interface", "run-script"} <= kinds
    assert read(disk, "/p2vprep/files/sub/read me.txt") == b"hello"
    assert read(disk, "/p2vprep/user/001-join.cmd") == b"@echo off\r\nexit 0\r\n"
    assert b"192.0.2.10" in read(disk, "/p2vprep/steps/200-adapter.cmd")
    assert b"call :run 200-adapter 1500 once" in read(disk, "/p2vprep/firstboot.cmd")
    again = done("plan", disk, *given)
    ours = [one for one in again["changes"] if str(one.get("path") or "").startswith("/p2vprep")]
    assert ours == []


def test_a_host_file_that_changed_makes_the_plan_stale(
    disk: Path, given: list[str | Path], tmp_path: Path
) -> None:
    document = tmp_path / "plan.json"
    done("plan", disk, *given, "-o", document)
    (tmp_path / "join.cmd").write_bytes(b"@echo other\n")
    failed(4, "stale-plan", "apply", disk, "--yes", "--plan", document)
    (tmp_path / "join.cmd").unlink()
    failed(2, "first-boot-step", "apply", disk, "--yes", "--plan", document)


def test_verify_tells_of_each_adapter_and_step(disk: Path, given: list[str | Path]) -> None:
    done("apply", disk, "--yes", *given)

    def ran(hive: MemoryHive) -> None:
        report = hive.root.make(r"p2vprep\Result")
        told = {"Boot1": "begun", "State": "failed", "200-adapter": "failed 1", "500-give-back": "done"}
        for name, text in told.items():
            report.set(name, Data.sz(text))

    change_system(disk, ran)
    with inside(disk) as guest:
        guest.mkdir("/p2vprep/results")
        found = b'found mac {11111111-1111-1111-1111-111111111111} "PCI\\X\\1"\r\n'
        told = b"check ok 1\r\ncheck differs 3\r\nadapter differs\r\nexit 1\r\n"
        guest.create("/p2vprep/results/200-adapter.txt", found + told)
    shown = p2vprep("verify", disk).stdout
    assert "adapter Production LAN (mac 00:15:5d:0a:0b:0c): differs" in shown
    assert "differs: address 192.0.2.10/24" in shown
    assert "001-join-cmd: not run" in shown
    steps = {step["name"]: step for step in done("verify", disk)["first_boot"]["steps"]}
    assert steps["200-adapter"]["adapter"]["found_by"] == "mac"
    assert steps["500-give-back"]["status"] == "as planned"


def test_it_can_be_started_by_setups_command_line(disk: Path) -> None:
    done("apply", disk, "--yes", "--set", "first-boot-start=cmdline")
    system = read_system(disk)
    setup = system.root.make("Setup")
    kind, line = setup.value("SetupType"), setup.value("CmdLine")
    assert kind == Data.dword(2)
    assert line is not None
    assert "firstboot.cmd" in (line.text or "")
    assert fold("p2vprep") not in system.root.make(r"ControlSet001\Services").children
    assert done("plan", disk, "--set", "first-boot-start=cmdline")["changes"] == []


def test_a_setup_that_is_under_way_refuses_it(disk: Path) -> None:
    change_system(disk, lambda hive: hive.root.make("Setup").set("SetupType", Data.dword(1)))
    failed(5, "setup-in-progress", "apply", disk, "--yes", "--set", "first-boot-start=cmdline")


def test_a_startup_script_that_would_wait_is_refused(disk: Path) -> None:
    """This machine is a member of a domain."""
    failed(5, "startup-script-waits", "apply", disk, "--yes", "--set", "first-boot-start=startup-script")


def test_a_wrapper_comes_with_the_files(disk: Path, tmp_path: Path) -> None:
    failed(2, "first-boot-start", "plan", disk, "--set", "first-boot-start=wrapper")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "rhsrvany.exe").write_bytes(b"MZ")
    done("apply", disk, "--yes", "--set", "first-boot-start=wrapper", "--add-files", tmp_path / "w")
    entry = read_system(disk).root.make(r"ControlSet001\Services\p2vprep")
    held = entry.value("ImagePath")
    assert held is not None
    assert (held.text or "").endswith(r"\p2vprep\files\rhsrvany.exe -s p2vprep")


def test_without_a_first_boot_job_nothing_is_run(disk: Path, given: list[str | Path]) -> None:
    plan = done("plan", disk, "--no-first-boot", *given[2:4])
    assert plan["first_boot"] == []
    assert not [one for one in plan["changes"] if str(one.get("path") or "").endswith("firstboot.cmd")]
