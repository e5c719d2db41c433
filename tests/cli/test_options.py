"""The options that shape a plan, each seen to shape it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.registry import MemoryHive
from p2vprep.core.regtext import parse
from p2vprep.core.values import Data
from tests.support.flow import Shelf, done, failed, p2vprep, with_system


def rules(plan: dict[str, Any]) -> set[str]:
    return {change["rule"] for change in plan["changes"]}


def reasons(plan: dict[str, Any], rule: str) -> dict[str, str]:
    return {skip["subject"]: skip["reason"] for skip in plan["skips"] if skip["rule"] == rule}


def keys(plan: dict[str, Any]) -> set[str]:
    return {change["key"] for change in plan["changes"] if change["kind"] != "file"}


def test_by_default_the_vendor_is_detected_and_the_stage_is_the_isolated_first_boot(disk: Path) -> None:
    plan = done("plan", disk)
    assert [name.split()[0] for name in plan["profiles"]] == ["hpe-proliant", "isolated-first-boot"]
    assert rules(plan) == {"services", "park", "ncsi", "stale-dhcp", "ghosts", "first-boot"}


def test_none_stands_for_no_profile(disk: Path) -> None:
    unvendored = done("plan", disk, "--source", "none")
    assert rules(unvendored) == {"park", "ncsi", "stale-dhcp", "ghosts", "first-boot"}
    without = done("plan", disk, "--stage", "none")
    assert [name.split()[0] for name in without["profiles"]] == ["hpe-proliant"]
    assert rules(without) == {"services", "ghosts", "stale-dhcp"}
    nothing_wanted = ("--stage", "none", "--source", "none", "--ghosts", "keep", "--set", "stale-dhcp=keep")
    bare = done("plan", disk, *nothing_wanted)
    assert (bare["profiles"], bare["changes"], bare["first_boot"]) == ([], [], [])
    nothing = done("apply", disk, "--yes", *nothing_wanted)
    assert not nothing["committed"]


def test_a_source_by_name(disk: Path) -> None:
    assert done("plan", disk, "--source", "hpe-proliant")["changes"] == done("plan", disk)["changes"]


def test_settings(disk: Path) -> None:
    everything = done("plan", disk)
    assert "ncsi" not in rules(done("plan", disk, "--set", "ncsi=keep"))
    assert "stale-dhcp" not in rules(done("plan", disk, "--set", "stale-dhcp=keep"))
    for_good = done("plan", disk, "--set", "ncsi=off")
    assert "ncsi" in rules(for_good)
    assert len(for_good["first_boot"]) == len(everything["first_boot"]) - 1


def test_without_a_first_boot_job_nothing_is_parked(disk: Path) -> None:
    plan = done("plan", disk, "--no-first-boot")
    assert rules(plan) == {"services", "ghosts", "stale-dhcp"}
    assert plan["first_boot"] == []
    why = reasons(plan, "park")
    assert len(why) > 10
    assert set(why.values()) == {"without a first-boot job nothing would give it back"}
    assert done("apply", disk, "--yes", "--no-first-boot")["committed"]
    assert done("plan", disk, "--no-first-boot")["changes"] == []
    assert done("verify", disk)["first_boot"]["state"] == "absent"


@pytest.fixture
def two_sets(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """A machine with a second control set, left by a failed start."""

    def change(hive: MemoryHive) -> None:
        service = hive.root.make(r"ControlSet002\Services\sysdown")
        service.set("Type", Data.dword(0x10)).set("Start", Data.dword(2))
        service.set("ImagePath", Data.sz(r"C:\Windows\system32\sysdown.exe"))
        hive.root.make(r"ControlSet002\Control")

    return shelf.disk(tmp_path, spec=with_system(change))


def test_control_sets(two_sets: Path) -> None:
    second = r"ControlSet002\Services\sysdown"
    boot = done("plan", two_sets)
    assert boot["control_sets"] == ["ControlSet001"]
    assert not any(key.startswith("ControlSet002") for key in keys(boot))
    both = done("plan", two_sets, "--control-sets", "all")
    assert both["control_sets"] == ["ControlSet001", "ControlSet002"]
    assert second in keys(both)
    assert done("apply", two_sets, "--yes", "--control-sets", "all")["committed"]
    assert done("verify", two_sets)["as_planned"]
    assert done("plan", two_sets, "--control-sets", "all")["changes"] == []
    present = done("inspect", two_sets)["facts"]["control_sets"]
    assert present["present"] == ["ControlSet001", "ControlSet002"]


def test_a_folder_of_ones_own_profiles(disk: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    text = (
        "schema: p2vprep.profile/1\nname: quiet\nversion: 3\nkind: stage\nsummary: Fewer services\nactions:\n"
        "  - id: spooler\n    why: nobody prints here\n    source: our own practice\n    disable: Spooler\n"
    )
    (own / "quiet.yaml").write_text(text)
    nothing_else = ("--source", "none", "--ghosts", "keep", "--set", "stale-dhcp=keep")
    given = ("--profile-dir", own, *nothing_else, "--stage", "quiet")
    plan = done("plan", disk, *given)
    assert plan["profiles"] == ["quiet 3"]
    assert [(one["key"], one["why"]) for one in plan["changes"]] == [
        (r"ControlSet001\Services\Spooler", "nobody prints here")
    ]
    (own / "quiet.yaml").write_text(text.replace("disable:", "disabel:"))
    found = failed(7, "invalid-document", "plan", disk, *given)
    assert f"{own / 'quiet.yaml'}:10:5: " in found["message"]


def test_a_reg_file_holds_the_values_of_the_plan(disk: Path, tmp_path: Path) -> None:
    planned = done("plan", disk)
    path = tmp_path / "plan.reg"
    ran = p2vprep("plan", disk, "--format", "reg", "-o", path)
    assert ran.status == 0
    assert "are no part of it" in ran.stderr.replace("\n", " ")
    told = {
        (section.key.partition("SYSTEM\\")[2], name): data and data.to_json()
        for section in parse(path.read_bytes())
        for name, data in section.values
    }
    assert told == {
        (change["key"], change["name"]): change["after"]
        for change in planned["changes"]
        if change["kind"] == "value"
    }
    ran = p2vprep("plan", disk, "--format", "reg", "--no-first-boot", "-o", path)
    assert "no part of it" not in ran.stderr


def test_a_plan_document_on_the_standard_output(disk: Path, tmp_path: Path) -> None:
    plain = p2vprep("plan", disk, "--format", "json")
    assert plain.document == done("plan", disk)
    both = p2vprep("plan", disk, "--json", "-o", tmp_path / "plan.json")
    assert both.document == plain.document
    assert (tmp_path / "plan.json").read_text() == both.stdout


def test_a_plan_document_is_replaced_and_no_other_file(disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    for _time in range(2):
        assert p2vprep("plan", disk, "-o", path).status == 0
    assert p2vprep("plan", disk, "--format", "reg", "-o", path).status == 0
    assert path.read_bytes().startswith(b"\xff\xfe")
    path.write_text("a letter")
    failed(2, "not-a-document", "plan", disk, "-o", path)
    assert path.read_text() == "a letter"
    assert [one.name for one in tmp_path.iterdir() if "partial" in one.name] == []
