from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2vprep.core.model import RunScript
from p2vprep.engine import host_files
from p2vprep.engine.extras import gather_wishes
from p2vprep.engine.host_files import added_files, steps
from p2vprep.engine.options import Options
from p2vprep.errors import UsageError


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_folder_comes_along_with_all_below_it(tmp_path: Path) -> None:
    put(tmp_path / "tools" / "b.exe", b"MZ")
    put(tmp_path / "Überblick.txt", b"t")
    (tmp_path / "empty").mkdir()
    found = added_files(tmp_path)
    assert [(edit.path, edit.content, edit.locked) for edit in found] == [
        ("/p2vprep/files/tools/b.exe", b"MZ", True),
        ("/p2vprep/files/Überblick.txt", b"t", True),
    ]


def refused(code: str, work: object, *arguments: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        work(*arguments)  # type: ignore[operator]
    assert caught.value.code == code
    assert caught.value.subject
    return caught.value


@pytest.mark.parametrize("name", ["a:b", "con", "NUL.txt", "end.", "end ", "a?b", "LPT1.log", "x" * 201])
def test_names_that_windows_would_not_take_are_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path / name[:200] / name[200:] if len(name) > 200 else tmp_path / name)
    refused("add-files", added_files, tmp_path)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")))
    refused("add-files", added_files, tmp_path)


def test_two_names_that_are_one_for_windows_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.txt")
    put(tmp_path / "A.TXT")
    assert "one file" in refused("add-files", added_files, tmp_path).message


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert refused("add-files", added_files, tmp_path).subject == str(tmp_path / "link")
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "pipe")
    refused("add-files", added_files, tmp_path)


def test_a_folder_that_is_none_or_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused("add-files", added_files, put(tmp_path / "file"))

    def denied(path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    assert "Permission denied" in refused("add-files", added_files, tmp_path).message


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a", b"123")
    put(tmp_path / "b", b"456")
    monkeypatch.setattr(host_files, "MOST_BYTES", 6)
    assert len(added_files(tmp_path)) == 2
    monkeypatch.setattr(host_files, "MOST_BYTES", 5)
    assert refused("add-files", added_files, tmp_path).subject == str(tmp_path / "b")
    monkeypatch.setattr(host_files, "MOST_BYTES", 6)
    monkeypatch.setattr(host_files, "MOST_FILES", 1)
    refused("add-files", added_files, tmp_path)


# --- steps -------------------------------------------------------------------------------------


def test_steps_run_in_their_order_and_phase(tmp_path: Path) -> None:
    files = [
        put(tmp_path / "Join the domain!.CMD", b"one\ntwo\n"),
        put(tmp_path / "before-network.bat", b"one\r\ntwo\n"),
        put(tmp_path / "last-agent.msi", b"\x00\n"),
        put(tmp_path / "日本.reg", b"r"),
    ]
    puts, items = steps(files)
    assert [(edit.path, edit.content) for edit in puts] == [
        ("/p2vprep/user/001-Join-the-domain.cmd", b"one\r\ntwo\r\n"),
        ("/p2vprep/user/002-before-network.bat", b"one\r\ntwo\n"),
        ("/p2vprep/user/003-last-agent.msi", b"\x00\n"),
        ("/p2vprep/user/004-step.reg", b"r"),
    ]
    assert [(item.path, item.phase) for item in items if isinstance(item, RunScript)] == [
        ("user/001-Join-the-domain.cmd", "after-network"),
        ("user/002-before-network.bat", "before-network"),
        ("user/003-last-agent.msi", "last"),
        ("user/004-step.reg", "after-network"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.sh", b"x"),
        ("noending", b"x"),
        ("a.cmd", b"\xef\xbb\xbfecho"),
        ("a.cmd", b"\xff\xfee\x00"),
        ("a.bat", b"\x00"),
    ],
)
def test_what_windows_could_not_run_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    refused("first-boot-step", steps, [put(tmp_path / name, content)])


def test_a_step_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("first-boot-step", steps, [tmp_path / "missing.cmd"])
    refused("first-boot-step", steps, [Path("/dev/null").with_suffix(".cmd")])
    monkeypatch.setattr(host_files, "STEP_BYTES", 2)
    refused("first-boot-step", steps, [put(tmp_path / "a.cmd", b"123")])
    os.mkfifo(tmp_path / "pipe.cmd")
    refused("first-boot-step", steps, [tmp_path / "pipe.cmd"])
    folder = tmp_path / "folder.cmd"
    folder.mkdir()
    refused("first-boot-step", steps, [folder])


def test_the_wishes_hold_both(tmp_path: Path) -> None:
    put(tmp_path / "files" / "a.txt")
    step = put(tmp_path / "s.cmd")
    wishes = gather_wishes(Options(add_files=tmp_path / "files", first_boot_steps=(step,)))
    assert [getattr(edit, "path", "") for edit in wishes.edits] == [
        "/p2vprep/files/a.txt",
        "/p2vprep/user/001-s.cmd",
    ]
    assert len(wishes.items) == 1
    assert gather_wishes(Options()).edits == ()
