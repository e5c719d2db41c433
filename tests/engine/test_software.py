"""SOFTWARE: read in pieces for a few facts, and edited with the care of SYSTEM where a plan changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from p2vprep.core import planner
from p2vprep.core.model import RuleYield, SetValue
from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import MemoryHive, value
from p2vprep.core.rules import RULES
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.values import Data
from testdata.kit.hivewriter import build_hive
from testdata.kit.logwriter import DirtyHive, steps, write_new
from tests.support.fake_appliance import FakeAppliance
from tests.support.flow import CONFIG, Shelf, done, failed, inside, sample, sample_machine, with_files
from tests.support.guest_disk import fingerprint
from tests.support.machines import dump

SOFTWARE = f"{CONFIG}/SOFTWARE"
LOGS = ("LOG1", "LOG2")
KEY = r"Microsoft\Windows\CurrentVersion\Run"
NAME = "HP agent"
BEFORE, AFTER = Data.sz("agent.exe"), Data.sz("")


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Empties a value of SOFTWARE where it is there."""
    held = value(context.hives["SOFTWARE"], KEY, NAME)
    if context.boots_next and held is not None:
        yield SetValue("SOFTWARE", KEY, NAME, AFTER, "run", "a test says so")


@pytest.fixture
def edited_by_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if one more rule were there: it edits SOFTWARE, which no rule of today does."""
    one = SimpleNamespace(NAME="run", KINDS=(), SETTINGS=(), rule=rule)
    monkeypatch.setattr(planner, "RULES", (*RULES, one))


def software(*, late: bool) -> MemoryHive:
    """SOFTWARE of the sample machine with what Windows wrote last, or without."""
    hive = sample_machine().software()
    hive.root.make(KEY).set("Always", Data.dword(1))
    if late:
        hive.root.make(KEY).set(NAME, BEFORE)
        hive.root.make("Only in the logs").set("Held", Data.binary(bytes(range(256)) * 60))
    return hive


def dirty() -> DirtyHive:
    """SOFTWARE whose newest keys and values are only in its logs."""
    before, after = (build_hive(software(late=late), file_name="SOFTWARE") for late in (False, True))
    return write_new(steps(before, after, 4), cut=2)


def disk_with(shelf: Shelf, folder: Path, found: DirtyHive, *, logs: bool = True) -> Path:
    files: dict[str, bytes | None] = {SOFTWARE: found.primary}
    if logs:
        files |= {f"{SOFTWARE}.{suffix}": found.logs[suffix] for suffix in LOGS}
    name = "software-with-logs" if logs else "software-without-logs"
    return shelf.disk(folder, spec=with_files(sample(), files), name=name)


def on_disk(path: Path) -> dict[str, bytes]:
    """SOFTWARE and its logs as they lie on the disk."""
    found = {}
    with inside(path) as guest:
        for name in ("SOFTWARE", *(f"SOFTWARE.{suffix}" for suffix in LOGS)):
            if guest.stat(f"{CONFIG}/{name}") is not None:
                found[name] = guest.read(f"{CONFIG}/{name}", 0, 1 << 30)
    return found


def test_what_is_only_in_its_logs_is_replayed_edited_and_kept(
    edited_by_a_rule: None, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = disk_with(shelf, tmp_path, dirty())
    before, found = fingerprint(disk), on_disk(disk)
    planned = done("plan", disk, "-o", tmp_path / "plan.json")
    state = {hive["name"]: hive for hive in planned["hives"]}["SOFTWARE"]
    assert state["dirty"]
    assert state["replayed_from"] == ["LOG1", "LOG2"]
    applied = done("apply", disk, "--yes", "--plan", tmp_path / "plan.json")
    assert applied["committed"]
    now = on_disk(disk)
    assert not BaseBlock.parse(now["SOFTWARE"]).dirty
    assert {name: now[name] for name in now if "LOG" in name} == {
        name: found[name] for name in found if "LOG" in name
    }
    expected = software(late=True)
    expected.root.make(KEY).set(NAME, AFTER)
    assert dump(HiveReader(now["SOFTWARE"])) == dump(expected)
    logs = {name.rpartition(".")[2]: now[name] for name in now if "LOG" in name}
    assert not recover(now["SOFTWARE"], logs).sources
    assert done("verify", disk)["as_planned"]
    assert done("plan", disk)["changes"] == []
    done("rollback", disk)
    assert fingerprint(disk) == before


def test_a_plan_that_edits_it_holds_for_these_bytes_only(
    edited_by_a_rule: None, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = disk_with(shelf, tmp_path, dirty())
    done("plan", disk, "-o", tmp_path / "plan.json")
    hive = software(late=True)
    hive.root.make("Somebody").set("Else", Data.dword(1))
    write(disk, build_hive(hive, file_name="SOFTWARE"))
    stale = failed(4, "stale-plan", "apply", disk, "--yes", "--plan", tmp_path / "plan.json")
    assert stale["details"] == ["the hive SOFTWARE is not the one the plan was made for"]


def test_a_plan_that_does_not_edit_it_does_not_ask_for_its_bytes(
    shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = disk_with(shelf, tmp_path, dirty())
    planned = done("plan", disk, "-o", tmp_path / "plan.json")
    assert [hive["name"] for hive in planned["hives"]] == ["SYSTEM"]
    hive = software(late=True)
    hive.root.make("Somebody").set("Else", Data.dword(1))
    write(disk, build_hive(hive, file_name="SOFTWARE"))
    assert done("apply", disk, "--yes", "--plan", tmp_path / "plan.json")["committed"]


def write(disk: Path, content: bytes) -> None:
    """Another SOFTWARE, clean and without logs."""
    with inside(disk) as guest:
        for suffix in LOGS:
            guest.remove(f"{SOFTWARE}.{suffix}")
        guest.create(SOFTWARE, content)


def kept_late() -> DirtyHive:
    """A dirty SOFTWARE that has the value in its primary too, so that a rule finds it without logs."""
    before, after = (software(late=True) for _ in range(2))
    after.root.make(KEY).set("More", Data.dword(2))
    old, new = (build_hive(hive, file_name="SOFTWARE") for hive in (before, after))
    return write_new(steps(old, new, 2), cut=1)


def test_dirty_without_its_logs_it_is_not_edited_unless_allowed(
    edited_by_a_rule: None, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = disk_with(shelf, tmp_path, kept_late(), logs=False)
    before = fingerprint(disk)
    refused = failed(5, "dirty-hive-without-log", "apply", disk, "--yes")
    assert "SOFTWARE" in refused["message"]
    assert fingerprint(disk) == before
    lifted = ("--allow", "dirty-hive-without-log")
    assert done("apply", disk, "--yes", *lifted)["committed"]
    edited = on_disk(disk)["SOFTWARE"]
    assert not BaseBlock.parse(edited).dirty
    assert value(HiveReader(edited), KEY, NAME) == AFTER


def test_dirty_without_its_logs_it_can_still_tell_facts(shelf: Shelf, tmp_path: Path, fake: None) -> None:
    disk = disk_with(shelf, tmp_path, kept_late(), logs=False)
    assert "2012 R2" in done("inspect", disk)["guest"]["product"]
    assert done("apply", disk, "--yes")["committed"]


def test_damaged_where_no_fact_is_read_it_is_not_edited(
    edited_by_a_rule: None, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    hive = software(late=True)
    hive.root.make("Damaged").set("Long", Data.binary(b"x" * 512))
    content = bytearray(build_hive(hive, file_name="SOFTWARE"))
    at = content.index(b"x" * 512) - 4
    content[at : at + 4] = (-0x7000).to_bytes(4, "little", signed=True)  # a cell beyond its bin
    disk = shelf.disk(
        tmp_path, spec=with_files(sample(), {SOFTWARE: bytes(content)}), name="software-damaged"
    )
    before = fingerprint(disk)
    damaged = failed(6, "hive-damaged", "apply", disk, "--yes")
    assert "SOFTWARE" in damaged["message"]
    assert damaged["subject"] == SOFTWARE
    assert fingerprint(disk) == before


def test_damaged_where_facts_are_read_the_version_is_guessed(
    shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    content = bytearray(build_hive(software(late=True), file_name="SOFTWARE"))
    at = content.index(b"Uninstall") - 76
    content[at : at + 2] = b"xx"  # no longer the signature of a key
    disk = shelf.disk(
        tmp_path, spec=with_files(sample(), {SOFTWARE: bytes(content)}), name="software-bad-key"
    )
    found = done("inspect", disk)
    assert "software-hive-unreadable" in [finding["code"] for finding in found["findings"]]
    assert found["guest"]["version"]["major"] == 6


def test_for_facts_only_a_fraction_of_it_is_read(
    shelf: Shelf, tmp_path: Path, fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hive = sample_machine().software()
    for number in range(500):
        classes = hive.root.make(rf"Classes\Class{number:04}")
        classes.set("Blob", Data.binary(bytes([number % 251]) * 16000))
    content = build_hive(hive, file_name="SOFTWARE")
    spec = with_files(sample(), {SOFTWARE: content})
    roomy = replace(spec, volumes=tuple(replace(one, size=one.size + 16) for one in spec.volumes))
    disk = shelf.disk(tmp_path, spec=roomy, name="software-big")
    read: list[int] = []
    plain = FakeAppliance.read

    def counted(self: FakeAppliance, path: str, offset: int, length: int) -> bytes:
        if path == SOFTWARE:
            read.append(length)
        return plain(self, path, offset, length)

    monkeypatch.setattr(FakeAppliance, "read", counted)
    assert "2012 R2" in done("inspect", disk)["guest"]["product"]
    assert len(content) > 8_000_000
    assert 0 < sum(read) < len(content) // 8
    read.clear()
    assert done("apply", disk, "--yes")["committed"]
    assert 0 < sum(read) < len(content) // 8
