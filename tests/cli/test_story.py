"""The whole story of a machine, from the first look to forgetting, in every container."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.flow import (
    WRITABLE,
    Shelf,
    data_disk,
    done,
    failed,
    inside,
    p2vprep,
)
from tests.support.guest_disk import fingerprint


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "container",
    [
        pytest.param(name, marks=[] if name in ("raw", "vhd", "vhdx") else pytest.mark.long)
        for name in WRITABLE
    ],
)
def test_a_machine_is_prepared_proved_and_taken_back(container: str, shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, container)
    before = fingerprint(disk)
    found = done("inspect", disk)
    assert found["guest"]["computer_name"] == "SRV-ERP01"
    planned = done("plan", disk)
    assert planned["changes"]
    assert fingerprint(disk) == before
    assert not disk.with_name(f"{disk.name}.p2vprep").exists()

    applied = done("apply", disk, "--yes")
    assert applied["committed"]
    assert applied["plan"]["changes"] == planned["changes"]
    assert applied["written_bytes"] > 0
    after = fingerprint(disk)
    assert after != before

    assert done("verify", disk)["as_planned"]
    assert done("plan", disk)["changes"] == []
    again = done("apply", disk, "--yes")
    assert not again["committed"]
    assert fingerprint(disk) == after

    states = [run["state"] for run in done("history", disk)["runs"]]
    assert states == ["done", "discarded"]
    assert done("recover", disk)["outcome"] == "nothing-to-do"
    assert done("rollback", disk)["run"] == 1
    assert fingerprint(disk) == before
    failed(2, "nothing-to-undo", "rollback", disk)
    failed(2, "nothing-to-verify", "verify", disk)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("containers", [("raw", "qcow2"), ("vhd", "vhdx", "vmdk")], ids="+".join)
def test_the_disks_of_one_machine_go_together(
    containers: tuple[str, ...], shelf: Shelf, tmp_path: Path
) -> None:
    first, *others = containers
    disks = [shelf.disk(tmp_path, one, data_disk(), name=f"data-{one}") for one in others]
    disks.append(shelf.disk(tmp_path, first))  # Windows need not be on the first one named
    before = [fingerprint(disk) for disk in disks]
    assert done("inspect", *disks)["volume"]["disk"] == len(others)
    applied = done("apply", *disks, "--yes")
    assert applied["images"] == [str(disk) for disk in disks]
    after = [fingerprint(disk) for disk in disks]
    assert [old == new for old, new in zip(before, after, strict=True)] == [*(True for _ in others), False]
    assert done("verify", *disks)["as_planned"]
    for disk in disks:  # each of them knows the machine's story
        assert [run["number"] for run in done("history", disk)["runs"]] == [1]
    done("rollback", disks[0])
    assert [fingerprint(disk) for disk in disks] == before


def test_the_state_may_lie_elsewhere(disk: Path, tmp_path: Path) -> None:
    before = fingerprint(disk)
    state = tmp_path / "state"
    given = ("--state-dir", state)
    (tmp_path / "state").mkdir()
    applied = done("apply", disk, "--yes", *given)
    assert Path(applied["state"]).is_relative_to(state)
    assert [path.name for path in disk.parent.iterdir() if "p2vprep" in path.name] == []
    failed(2, "nothing-to-verify", "verify", disk)
    assert done("verify", disk, *given)["as_planned"]
    assert len(done("history", disk, *given)["runs"]) == 1
    assert done("history", disk)["runs"] == []
    done("rollback", disk, *given)
    assert fingerprint(disk) == before


def test_the_plan_that_was_read_is_applied(disk: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    ran = p2vprep("plan", disk, "--set", "ncsi=keep", "--source", "none", "-o", plan)
    assert ran.status == 0
    assert f"written to {plan}" in ran.stdout.replace("\n", "")
    applied = done("apply", disk, "--yes", "--plan", plan)
    assert applied["plan"]["request"]["settings"] == {"ncsi": "keep"}
    assert applied["plan"]["request"]["sources"] == []
    assert {change["rule"] for change in applied["plan"]["changes"]} == {
        "park",
        "stale-dhcp",
        "ghosts",
        "first-boot",
    }
    assert done("verify", disk, "--plan", plan)["as_planned"]
    assert done("apply", disk, "--yes", "--source", "none", "--set", "ncsi=keep")["why"] == "nothing to do"


OUTPUTS = [("raw", ".vhd"), ("vhd", ".vhdx"), ("vhdx", ".vmdk"), ("qcow2", ".raw"), ("vmdk-stream", ".qcow2")]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("container", "suffix"), OUTPUTS)
def test_a_new_image_leaves_the_source_alone(
    container: str, suffix: str, shelf: Shelf, tmp_path: Path
) -> None:
    source = shelf.disk(tmp_path, container)
    content = source.read_bytes()
    before = fingerprint(source)
    new = tmp_path / f"new{suffix}"
    applied = done("apply", source, "--yes", "--output", new)
    assert applied["images"] == [str(new)]
    assert source.read_bytes() == content
    assert done("verify", new)["as_planned"]
    assert done("plan", new)["changes"] == []
    assert [run["state"] for run in done("history", new)["runs"]] == ["done"]
    failed(5, "output-exists", "apply", source, "--yes", "--output", new)
    done("rollback", new)
    assert fingerprint(new) == before


@pytest.mark.usefixtures("fake")
def test_a_stream_optimised_vmdk_is_not_changed_in_place(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, "vmdk-stream")
    found = failed(5, "image-format-read-only", "apply", disk, "--yes")
    assert "--output" in found["hint"]
    assert found["changed"] == "Nothing was changed."
    assert done("plan", disk)["changes"]


def test_an_image_that_is_right_already_is_copied_where_a_new_one_was_asked_for(
    disk: Path, tmp_path: Path
) -> None:
    done("apply", disk, "--yes")
    applied = done("apply", disk, "--yes", "--output", tmp_path / "new.qcow2")
    assert (applied["committed"], applied["written_bytes"]) == (True, 0)
    assert fingerprint(tmp_path / "new.qcow2") == fingerprint(disk)


def test_a_disk_that_was_used_since_is_not_taken_back(disk: Path) -> None:
    before = fingerprint(disk)
    done("apply", disk, "--yes")
    with inside(disk) as guest:
        guest.create("/pagefile.sys", b"used" * 5000)
    used = fingerprint(disk)
    found = failed(5, "disk-changed-since", "rollback", disk)
    assert found["changed"] == "Nothing was changed."
    assert "--allow disk-changed-since" in found["hint"]
    assert fingerprint(disk) == used
    assert done("rollback", disk, "--allow", "disk-changed-since")["forced"]
    assert fingerprint(disk) not in (before, used)


def test_forgetting_keeps_the_receipts_and_gives_up_the_way_back(disk: Path) -> None:
    applied = done("apply", disk, "--yes")
    forgotten = done("forget", disk)
    assert forgotten["freed_bytes"] > 0
    assert (Path(applied["state"]) / "receipt.json").is_file()
    failed(2, "nothing-to-undo", "rollback", disk)
    assert done("verify", disk)["as_planned"]
    again = done("forget", disk)
    assert again["freed_bytes"] == 0
    assert again["summary"] == "There were no undo data."


def test_a_machine_without_a_story(disk: Path) -> None:
    assert done("history", disk)["runs"] == []
    assert "Nothing was done" in p2vprep("history", disk).stdout
    assert done("recover", disk)["outcome"] == "nothing-to-do"
    failed(2, "nothing-to-undo", "rollback", disk)
    assert done("forget", disk)["freed_bytes"] == 0
    assert not disk.with_name("disk.raw.p2vprep").exists()
