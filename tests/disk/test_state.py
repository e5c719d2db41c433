"""The state folder: its place, its lock, its journal, and what it refuses."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from p2vprep.disk.durable import Durable
from p2vprep.disk.journal import DiskEntry, FileStamp, Journal, Run, RunState, UndoState, change
from p2vprep.disk.state import Host, StateFolder, folder_of, journal_folder, locked
from p2vprep.errors import NeedsRecoverError, RefusedError


def a_host(durable: Durable | None = None) -> Host:
    return Host(
        now=lambda: datetime(2024, 2, 29, 12, 0, tzinfo=timezone.utc),
        pid=4711,
        name="depot",
        tool="0.0",
        durable=durable or Durable(),
    )


def a_run(number: int = 1, state: RunState = RunState.EDITING, path: str = "../disk.vhd") -> Run:
    disk = DiskEntry(path, "vpc", "VHD (dynamic)", 8 << 20, (FileStamp(path, 10, 20, 30),))
    return Run(number, state, "2024-02-29T12:00:00+00:00", "0.0", 1, "depot", (disk,))


def a_folder(image: Path) -> StateFolder:
    image.touch()
    folder = folder_of(image, None)
    folder.path.mkdir(mode=0o700)
    return folder


def test_it_lies_beside_the_image_or_under_the_state_directory(tmp_path: Path) -> None:
    image = tmp_path / "disk.vhd"
    assert folder_of(image, None).path == tmp_path / "disk.vhd.p2vprep"
    elsewhere = folder_of(image, tmp_path / "state").path
    assert elsewhere.parent == tmp_path / "state"
    assert elsewhere.name.startswith("disk.vhd-")
    assert elsewhere != folder_of(tmp_path / "other" / "disk.vhd", tmp_path / "state").path


def test_it_is_found_under_the_state_directory_after_a_move(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    image = old / "disk.vhd"
    image.touch()
    folder = folder_of(image, old / "state")
    folder.path.mkdir(parents=True)
    folder.save_run(a_run(path=os.path.relpath(image, folder.path)), a_host())
    old.rename(tmp_path / "new")
    found = folder_of(tmp_path / "new" / "disk.vhd", tmp_path / "new" / "state")
    assert found.path == tmp_path / "new" / "state" / folder.path.name
    other = folder_of(tmp_path / "new" / "other.vhd", tmp_path / "new" / "state")
    assert not other.path.exists()


def test_the_first_disk_is_found_after_both_were_renamed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    folder.save_run(a_run(), a_host())
    (tmp_path / "disk.vhd").rename(tmp_path / "server.vhd")
    moved = StateFolder(folder.path.rename(tmp_path / "server.vhd.p2vprep"))
    assert moved.disk_path(moved.read_journal().runs[0], 0) == tmp_path / "server.vhd"


def test_the_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    assert folder.read_journal() == Journal()
    odd = os.fsdecode(b"../\xff \n-name.vhd")
    runs = [a_run(1, RunState.DONE), replace(a_run(2, path=odd), finished="x", undo=UndoState.KEPT, note="é")]
    for run in runs:
        folder.save_run(run, a_host())
    assert folder.read_journal().runs == tuple(runs)
    assert folder.journal_path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.path.iterdir()] == ["journal.json"]


def test_a_run_takes_the_place_of_the_one_of_its_number() -> None:
    journal = Journal().with_run(a_run(1)).with_run(change(a_run(1), RunState.DONE)).with_run(a_run(2))
    assert [run.state for run in journal.runs] == [RunState.DONE, RunState.EDITING]
    assert journal.next_number == 3
    assert journal.unfinished == journal.runs[1]
    assert Journal().unfinished is None
    assert Journal().next_number == 1


@pytest.mark.parametrize("state", list(RunState))
def test_only_finished_runs_need_no_recover(state: RunState) -> None:
    finished = state in (RunState.DONE, RunState.DISCARDED, RunState.ROLLED_BACK)
    assert a_run(state=state).unfinished is not finished


def test_what_can_be_undone_is_the_newest_run_that_was_not_taken_back() -> None:
    kept = replace(a_run(1, RunState.DONE), undo=UndoState.KEPT)
    taken_back = replace(a_run(2, RunState.ROLLED_BACK), undo=UndoState.KEPT)
    forgotten = replace(a_run(3, RunState.DONE), undo=UndoState.FORGOTTEN)
    assert Journal((kept, taken_back)).undoable == kept
    assert Journal((kept, forgotten)).undoable is None
    assert Journal((a_run(1, RunState.DISCARDED),)).undoable is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"schema": "p2vprep.journal/1", "ru',
        b"[]",
        b'{"schema": "p2vprep.journal/2", "runs": []}',
        b'{"schema": "p2vprep.journal/1"}',
        b'{"schema": "p2vprep.journal/1", "runs": 1}',
        b'{"schema": "p2vprep.journal/1", "runs": [1]}',
        b'{"schema": "p2vprep.journal/1", "runs": [{"number": 1}]}',
    ],
)
def test_a_torn_journal_is_named_and_nothing_is_guessed(tmp_path: Path, content: bytes) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    folder.journal_path.write_bytes(content)
    with pytest.raises(NeedsRecoverError) as caught:
        folder.read_journal()
    assert caught.value.code == "journal-damaged"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("number", "1"),
        ("number", True),
        ("state", "half"),
        ("undo", 1),
        ("started", None),
        ("disks", None),
        ("disks", [1]),
        ("note", 5),
    ],
)
def test_a_journal_with_one_wrong_field_is_damaged(key: str, value: object) -> None:
    document = json.loads(json.dumps(Journal((a_run(),)).to_json()))
    assert Journal.from_json(document, "x") == Journal((a_run(),))
    document["runs"][0][key] = value
    with pytest.raises(NeedsRecoverError):
        Journal.from_json(document, "x")


def test_a_journal_cannot_name_another_file_as_its_unfinished_copy() -> None:
    document = json.loads(json.dumps(Journal((a_run(),)).to_json()))
    disk = document["runs"][0]["disks"][0]
    disk.update(path="../new.raw.partial", final="../new.raw")
    assert Journal.from_json(document, "x").runs[0].disks[0].final == "../new.raw"
    disk["path"] = "../precious.raw"
    with pytest.raises(NeedsRecoverError):
        Journal.from_json(document, "x")


def test_another_disk_leads_to_the_machine(tmp_path: Path) -> None:
    first, second = a_folder(tmp_path / "a.vhd"), a_folder(tmp_path / "b.vhd")
    first.save_run(a_run(path="../a.vhd"), a_host())
    second.write_owner(first, a_host())
    assert second.read_owner() == first
    assert journal_folder(tmp_path / "b.vhd", None) == first
    # A run of its own on the second disk, while the machine's is finished, comes first.
    first.save_run(a_run(state=RunState.DONE, path="../a.vhd"), a_host())
    second.save_run(a_run(state=RunState.DONE, path="../b.vhd"), a_host())
    assert journal_folder(tmp_path / "b.vhd", None) == second
    first.save_run(a_run(2, path="../a.vhd"), a_host())
    assert journal_folder(tmp_path / "b.vhd", None) == first


def test_a_pointer_to_a_machine_that_is_gone_is_nothing(tmp_path: Path) -> None:
    second = a_folder(tmp_path / "b.vhd")
    second.write_owner(StateFolder(tmp_path / "a.vhd.p2vprep"), a_host())
    assert second.read_owner() is None
    assert journal_folder(tmp_path / "b.vhd", None) == second


@pytest.mark.parametrize("content", ["{", "{}", '{"schema": "p2vprep.owner/1", "owner": 5}'])
def test_a_damaged_pointer_is_named(tmp_path: Path, content: str) -> None:
    second = a_folder(tmp_path / "b.vhd")
    second.owner_path.write_text(content)
    with pytest.raises(NeedsRecoverError) as caught:
        second.read_owner()
    assert caught.value.code == "journal-damaged"


def test_two_at_once_are_refused_with_who_holds_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "disk.vhd", None)
    with locked([folder], a_host(), create=True):
        assert "pid 4711 on depot" in (folder.path / "lock").read_text()
        with pytest.raises(RefusedError) as caught, locked([folder], a_host(), create=True):
            pytest.fail("the second one got the lock")
    assert caught.value.code == "busy"
    assert "4711" in caught.value.details[0]
    with locked([folder], a_host(), create=True):
        pass


def test_patience_waits_for_a_lock_that_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    holder = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            os.close(holder)

    monkeypatch.setattr("p2vprep.disk.state.time.sleep", pause)
    with locked([folder], a_host(), create=False, patience=1.0):
        assert len(pauses) == 3


def test_patience_for_a_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    pauses: list[float] = []
    monkeypatch.setattr("p2vprep.disk.state.time.sleep", pauses.append)
    with locked([folder], a_host(), create=True):
        with pytest.raises(RefusedError) as caught, locked([folder], a_host(), create=False, patience=1.0):
            pytest.fail("the second one got the lock")
        assert caught.value.code == "busy"
        assert sum(pauses) == pytest.approx(1.0)


def test_a_folder_that_stayed_empty_is_taken_away(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "disk.vhd", None)
    with locked([folder], a_host(), create=True):
        assert folder.path.stat().st_mode & 0o777 == 0o700
    assert not folder.path.exists()
    with locked([folder], a_host(), create=True):
        folder.save_run(a_run(), a_host())
    assert sorted(path.name for path in folder.path.iterdir()) == ["journal.json", "lock"]


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "disk.vhd", None)
    with locked([folder], a_host(), create=False):
        assert not folder.path.exists()


def test_all_disks_are_locked_or_none(tmp_path: Path) -> None:
    first, second = (folder_of(tmp_path / name, None) for name in ("a.vhd", "b.vhd"))
    with locked([second], a_host(), create=True):
        with pytest.raises(RefusedError), locked([first, second], a_host(), create=True):
            pytest.fail("the second disk was not free")
        assert not first.path.exists()
        with locked([first], a_host(), create=True):
            pass


@pytest.mark.parametrize("name", ["", "runs"])
def test_a_link_in_its_place_is_refused(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / "disk.vhd", None)
    target = tmp_path / "precious"
    target.mkdir()
    if name:
        folder.path.mkdir()
    (folder.path / name).symlink_to(target)
    with pytest.raises(RefusedError) as caught, locked([folder], a_host(), create=True):
        pytest.fail("a link was followed")
    assert caught.value.code == "state-dir-unsafe"
    assert list(target.iterdir()) == []


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    precious = tmp_path / "precious"
    precious.write_text("text")
    (folder.path / "lock").symlink_to(precious)
    with pytest.raises(RefusedError) as caught, locked([folder], a_host(), create=True):
        pytest.fail("a link was followed")
    assert caught.value.code == "state-dir-unusable"
    assert precious.read_text() == "text"


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "disk.vhd.p2vprep").touch()
    with (
        pytest.raises(RefusedError) as caught,
        locked([folder_of(tmp_path / "disk.vhd", None)], a_host(), create=True),
    ):
        pytest.fail("a file served as a folder")
    assert caught.value.code == "state-dir-unusable"


def test_a_lock_file_that_vanishes_while_it_is_taken_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = a_folder(tmp_path / "disk.vhd")
    real, calls = fcntl.flock, []

    def tidied_meanwhile(descriptor: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            (folder.path / "lock").unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", tidied_meanwhile)
    with locked([folder], a_host(), create=True):
        assert (folder.path / "lock").exists()
    assert len(calls) == 2


def test_a_document_is_old_or_new_at_every_crash_point(tmp_path: Path) -> None:
    class CrashError(Exception):
        pass

    seen: list[str] = []

    def names(name: str) -> None:
        seen.append(name)

    path = tmp_path / "document.json"
    Durable(names).write_document(path, {"number": 0}, "step")
    assert seen == ["step:before", "step:written", "step:after"]
    for number, point in enumerate(seen, 1):

        def crash(name: str, point: str = point) -> None:
            if name == point:
                raise CrashError

        old = json.loads(path.read_text())
        with pytest.raises(CrashError):
            Durable(crash).write_document(path, {"number": number}, "step")
        expected = {"number": number} if point.endswith(":after") else old
        assert json.loads(path.read_text()) == expected


def test_a_failed_write_leaves_no_litter(tmp_path: Path) -> None:
    class Full(Durable):
        def sync_open_file(self, stream: object, _path: Path) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Full().write_document(tmp_path / "document.json", {}, "step")
    assert list(tmp_path.iterdir()) == []
