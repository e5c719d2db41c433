"""Host files on their way into the guest, and where what comes out may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.model import PutFile
from p2vprep.engine import hostfiles
from p2vprep.errors import UsageError


def code_of(error: pytest.ExceptionInfo[UsageError]) -> str:
    return error.value.code


def test_a_file_and_a_folder_become_edits(tmp_path: Path) -> None:
    (tmp_path / "tools" / "below").mkdir(parents=True)
    (tmp_path / "tools" / "a.cmd").write_bytes(b"a")
    (tmp_path / "tools" / "below" / "b").write_bytes(b"b")
    (one,) = hostfiles.edits_for(tmp_path / "tools" / "a.cmd", "/Tools/x.cmd", why="w")
    assert one == PutFile("/Tools/x.cmd", b"a", "by-hand", "w", locked=False)
    (inside,) = hostfiles.edits_for(tmp_path / "tools" / "a.cmd", "C:\\Tools\\")
    assert isinstance(inside, PutFile)
    assert inside.path == "/Tools/a.cmd"
    put = hostfiles.edits_for(tmp_path / "tools", "/")
    assert [edit.path for edit in put if isinstance(edit, PutFile)] == ["/tools/a.cmd", "/tools/below/b"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "link").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="neither a file nor a folder") as refused:
        hostfiles.edits_for(tmp_path / "tools", "/")
    assert code_of(refused) == "not-a-file"


def test_what_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        hostfiles.edits_for(tmp_path / "none", "/x")
    assert code_of(missing) == "not-a-file"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError) as empty:
        hostfiles.edits_for(tmp_path / "empty", "/x")
    assert code_of(empty) == "nothing-to-put"


def test_there_are_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools").mkdir()
    for number in range(3):
        (tmp_path / "tools" / str(number)).write_bytes(bytes(10))
    monkeypatch.setattr(hostfiles, "PUT_LIMIT", 29)
    with pytest.raises(UsageError, match="more than") as much:
        hostfiles.edits_for(tmp_path / "tools", "/")
    assert code_of(much) == "too-much-to-put"
    monkeypatch.setattr(hostfiles, "PUT_LIMIT", 30)
    assert len(hostfiles.edits_for(tmp_path / "tools", "/")) == 3
    monkeypatch.setattr(hostfiles, "_MOST_FILES", 2)
    with pytest.raises(UsageError, match="more than 2 files"):
        hostfiles.edits_for(tmp_path / "tools", "/")


def test_nothing_of_the_host_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hostfiles.place_for(r"C:\Tools\a.txt", None) == Path("a.txt")
    assert hostfiles.place_for("/Tools/a.txt", tmp_path) == tmp_path / "a.txt"
    assert hostfiles.place_for("/Tools/a.txt", tmp_path / "b.txt") == tmp_path / "b.txt"
    hostfiles.write(tmp_path / "a.txt", b"first")
    with pytest.raises(UsageError) as there:
        hostfiles.place_for("/Tools/a.txt", None)
    assert code_of(there) == "file-exists"
    with pytest.raises(UsageError, match="cannot be written"):
        hostfiles.write(tmp_path / "a.txt", b"second")
    assert (tmp_path / "a.txt").read_bytes() == b"first"
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        hostfiles.place_for("/x", tmp_path / "dangling")
    with pytest.raises(UsageError) as nowhere:
        hostfiles.place_for("/x", tmp_path / "none" / "x")
    assert code_of(nowhere) == "no-such-folder"
