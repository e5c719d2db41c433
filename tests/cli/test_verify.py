"""Verify: what was planned is there, was changed by somebody, or was given back by the first boot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.registry import MemoryHive, fold
from p2vprep.core.values import Data
from tests.support.flow import as_json, change_system, done, inside, p2vprep, set_value

INTERFACES = r"ControlSet001\Services\Tcpip\Parameters\Interfaces"
PRODUCTION = "{0E7B9C1A-55D2-4E0F-9C27-6E5A3C0F4D11}"
STEPS = ("400-values", "500-give-back", "600-start")


def first_boot(plan: dict[str, Any], **result: str) -> Any:
    """What a first boot does to the SYSTEM hive: gives back, forgets its records, reports."""

    def change(hive: MemoryHive) -> None:
        for item in plan["first_boot"]:
            if item["kind"] == "restore-service":
                service = hive.root.make(rf"ControlSet001\Services\{item['service']}")
                service.set("Start", Data.dword(item["start"]))
                if item["delayed"] is not None:
                    service.set("DelayedAutostart", Data.dword(int(item["delayed"])))
            else:
                key = item["key"].replace(r"SYSTEM\CurrentControlSet", "ControlSet001")
                set_value(hive, key, item["name"], item["data"] and Data.from_json(item["data"]))
        hive.root.children.pop(fold("p2vprep"))
        del hive.root.make(r"ControlSet001\Services").children[fold("p2vprep")]
        report = hive.root.make(r"p2vprep\Result")
        steps = dict.fromkeys(STEPS, "done") | {f"{step}.over": "yes" for step in STEPS}
        for name, told in {
            "Boot1": "begun",
            "State": "finished",
            "Finished": "yes",
            **steps,
            **result,
        }.items():
            report.set(name, Data.sz(told))

    return change


def renew_lease(hive: MemoryHive) -> None:
    """Windows got an address on the new network."""
    key = hive.root.make(rf"{INTERFACES}\{PRODUCTION}")
    key.set("DhcpIPAddress", Data.sz("192.0.2.77")).set("LeaseObtainedTime", Data.dword(1_800_000_000))


def statuses(document: dict[str, Any]) -> set[str]:
    return {check["status"] for check in document["checks"]}


def test_a_prepared_disk_is_as_planned_and_waits_for_its_first_boot(disk: Path) -> None:
    plan = done("apply", disk, "--yes")["plan"]
    found = done("verify", disk)
    assert found["schema"] == "p2vprep.verify/1"
    assert statuses(found) == {"as planned"}
    assert [check["change"]["kind"] for check in found["checks"]] == [one["kind"] for one in plan["changes"]]
    assert found["first_boot"]["state"] == "waiting"
    shown = p2vprep("verify", disk)
    assert shown.status == 0
    assert "The first boot has not happened yet." in shown.stdout
    assert f"All {len(plan['changes'])} planned changes are in place." in shown.stdout


def test_values_keys_and_files_that_somebody_changed_are_told(disk: Path) -> None:
    done("apply", disk, "--yes")

    def change(hive: MemoryHive) -> None:
        set_value(hive, r"ControlSet001\Services\sysdown", "Start", Data.dword(2))
        set_value(hive, r"ControlSet001\Services\p2vprep", "ImagePath", None)
        del hive.root.make(r"p2vprep\Parked").children[fold("Spooler")]

    change_system(disk, change)
    with inside(disk) as guest:
        guest.create("/p2vprep/firstboot.cmd", b"@echo changed\r\n")
        guest.remove("/p2vprep/data/services.txt")
    ran = as_json("verify", disk)
    assert (ran.status, ran.document["as_planned"]) == (3, False)
    differing = {
        check["subject"]: check["found"] for check in ran.document["checks"] if check["status"] == "differs"
    }
    assert differing.pop("/p2vprep/firstboot.cmd").startswith("15 bytes, SHA-256 ")
    assert differing == {
        r"SYSTEM\ControlSet001\Services\sysdown\Start": "2",
        r"SYSTEM\ControlSet001\Services\p2vprep\ImagePath": "absent",
        r"SYSTEM\p2vprep\Parked\Spooler": "absent",
        r"SYSTEM\p2vprep\Parked\Spooler\Start": "absent",
        "/p2vprep/data/services.txt": "absent",
    }
    shown = p2vprep("verify", disk)
    assert shown.status == 3
    assert r"Services\sysdown\Start" in shown.stdout
    assert "planned changes differ" in shown.stdout


def test_after_a_first_boot_what_was_borrowed_is_given_back(disk: Path) -> None:
    plan = done("apply", disk, "--yes")["plan"]
    assert {item["kind"] for item in plan["first_boot"]} == {"restore-service", "restore-value"}
    change_system(disk, first_boot(plan))
    change_system(disk, renew_lease)
    found = done("verify", disk)
    assert found["as_planned"]
    assert statuses(found) == {"as planned", "given back", "renewed"}
    by_status: dict[str, list[str]] = {status: [] for status in statuses(found)}
    for check in found["checks"]:
        by_status[check["status"]].append(check["subject"])
    assert r"SYSTEM\ControlSet001\Services\Spooler\Start" in by_status["given back"]
    assert r"SYSTEM\ControlSet001\Services\wuauserv\Start" in by_status["given back"]
    assert [subject.rpartition("\\")[2] for subject in by_status["renewed"]] == [
        "DhcpIPAddress",
        "LeaseObtainedTime",
    ]
    assert r"SYSTEM\ControlSet001\Services\sysdown\Start" in by_status["as planned"]
    assert found["first_boot"]["state"] == "finished"
    assert [step["outcome"] for step in found["first_boot"]["steps"]] == ["done"] * len(STEPS)
    shown = p2vprep("verify", disk).stdout
    assert "The first boot did everything." in shown
    assert "given back by the first boot" in shown


def test_after_a_first_boot_only_what_belongs_to_it_may_differ(disk: Path) -> None:
    plan = done("apply", disk, "--yes")["plan"]
    change_system(disk, first_boot(plan))

    def change(hive: MemoryHive) -> None:
        set_value(hive, r"ControlSet001\Services\Spooler", "Start", Data.dword(0))
        set_value(hive, r"ControlSet001\Services\sysdown", "Start", Data.dword(2))

    change_system(disk, change)
    ran = as_json("verify", disk)
    assert ran.status == 3
    assert {check["subject"] for check in ran.document["checks"] if check["status"] == "differs"} == {
        r"SYSTEM\ControlSet001\Services\sysdown\Start",
        r"SYSTEM\ControlSet001\Services\Spooler\Start",
    }


def test_what_was_not_done_at_the_first_boot_is_told(disk: Path) -> None:
    plan = done("apply", disk, "--yes")["plan"]
    failing = {"State": "failed", "600-start": "failed 1", "400-values": "late"}
    change_system(disk, first_boot(plan, **failing))
    with inside(disk) as guest:
        guest.mkdir("/p2vprep/results")
        guest.create(
            "/p2vprep/results/600-start.txt", b'not-started 001 sc 1058 reg - "Spooler"\r\nexit 1\r\n'
        )
    found = done("verify", disk)
    assert found["first_boot"]["state"] == "failed"
    shown = p2vprep("verify", disk).stdout
    assert "The first boot is over, and some steps failed." in shown
    assert "step 600-start: failed because it ended with exit code 1" in shown
    assert "step 400-values: failed because it took longer than its time limit" in shown
    assert ": not-started" in shown


def test_before_a_first_boot_nothing_is_given_back(disk: Path) -> None:
    """Without a report of the job, a service that starts again was changed by somebody."""
    plan = done("apply", disk, "--yes")["plan"]
    change_system(disk, first_boot(plan))
    change_system(disk, lambda hive: hive.root.children.pop(fold("p2vprep")))
    ran = as_json("verify", disk)
    assert ran.status == 3
    assert statuses(ran.document) == {"as planned", "differs"}
    assert ran.document["first_boot"]["state"] == "absent"


def test_the_newest_run_counts(disk: Path) -> None:
    done("apply", disk, "--yes", "--source", "none")
    second = done("apply", disk, "--yes")["plan"]
    assert {change["rule"] for change in second["changes"]} >= {"services"}
    assert len(done("verify", disk)["checks"]) == len(second["changes"])
    done("rollback", disk)
    assert {check["change"]["rule"] for check in done("verify", disk)["checks"]} >= {"park"}


def test_a_profile_of_ones_own_is_not_needed_to_verify(disk: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "quiet.yaml").write_text(
        "schema: p2vprep.profile/1\nname: quiet\nversion: 1\nkind: stage\nsummary: Fewer services\n"
        "actions:\n  - id: spooler\n    why: nobody prints here\n    source: our own practice\n"
        "    disable: Spooler\n"
    )
    given = ("--stage", "quiet", "--source", "none", "--profile-dir", own)
    planned = p2vprep("plan", disk, *given, "-o", tmp_path / "plan.json")
    assert planned.status == 0
    done("apply", disk, "--yes", "--plan", tmp_path / "plan.json", "--profile-dir", own)
    (own / "quiet.yaml").unlink()
    assert done("verify", disk)["as_planned"]


def test_a_run_whose_plan_was_lost_cannot_be_verified(disk: Path) -> None:
    applied = done("apply", disk, "--yes")
    plan = Path(applied["state"]) / "plan.json"
    kept = plan.read_text()
    plan.write_text(kept[: len(kept) // 2])
    assert as_json("verify", disk).status == 7
    plan.unlink()
    ran = as_json("verify", disk)
    assert (ran.status, str(plan) in ran.stderr.replace("\n", "")) == (2, True)


@pytest.mark.parametrize("name", ["plan", "receipt"])
def test_what_a_run_leaves_in_writing_is_for_its_owner_alone(disk: Path, name: str) -> None:
    applied = done("apply", disk, "--yes", "--allow", "hibernated")
    path = Path(applied["state"]) / f"{name}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    document = json.loads(path.read_text())
    assert document["schema"] == f"p2vprep.{name}/1"
    if name == "plan":
        assert document == applied["plan"]
    else:
        assert document["allowed"] == ["hibernated"]
        assert document["accelerator"] == "tcg"
        assert document["hives"][0]["replayed_pages"] > 0
        assert document["summary"]["files"] > 0
