"""The guest's files on a fake volume: spelling, links, limits, locks, and every call failing once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.disk import hazards
from p2vprep.disk.guestfiles import FileSource, GuestFiles, parent, parts, state_of
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError, RefusedError
from testdata.kit.disks import DiskSpec, VolumeSpec
from tests.support.fake_appliance import FakeAppliance, Faulty, fake_disk
from tests.support.fake_stores import MemoryStore

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    files = {"/Windows/System32/config/SYSTEM": CONTENT, "/Tools/Readme.TXT": b"read me"}
    return fake_disk(DiskSpec("files", (VolumeSpec(files=files, size=12),)), tmp_path / "disk").read_bytes()


def opened(image: bytes, kind: Literal["ntfs", "fat"] = "ntfs") -> FakeAppliance:
    appliance = FakeAppliance([MemoryStore(image)])
    appliance.mount("/dev/sda1", kind, writable=True)
    return appliance


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(P2vprepError) as error:
        act()
    return error.value.code


@pytest.mark.parametrize("path", ["relative", "", "/a/../b", "/./a", "/a\0b"])
def test_odd_paths_are_bugs(path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        parts(path)


def test_paths_have_parts_and_parents() -> None:
    assert parts("/a//b/") == ("a", "b")
    assert (parent("/a/b"), parent("/a"), parent("/")) == ("/a", "/", "/")


# --- reading


def test_reads_in_any_case(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert files.find("/tools/README.txt") == "/Tools/Readme.TXT"
    assert files.find("/") == "/"
    assert files.read("/TOOLS/readme.txt") == b"read me"
    assert files.size("/tools/readme.txt") == 7
    assert files.state("/tools/readme.txt") == state_of(b"read me")
    assert files.read_start("/tools/readme.txt", 4) == b"read"


def test_nothing_is_none(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert files.read("/none") is None
    assert files.size("/none") is None
    assert files.state("/none/none") is None
    assert files.source("/none") is None
    assert files.read_start("/none", 4) == b""
    assert files.read_start("/Tools", 4) == b""


def test_a_file_that_is_too_large_is_not_read(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert code_of(lambda: files.read("/Tools/Readme.TXT", limit=6)) == "guest-file-too-large"
    assert files.read("/Tools/Readme.TXT", limit=7) == b"read me"


def test_a_folder_in_a_files_place_is_refused(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert code_of(lambda: files.read("/Tools")) == "guest-path-unexpected"
    assert code_of(lambda: files.put("/Tools", b"", locked=True)) == "guest-path-unexpected"


@given(
    st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 600_000)), min_size=1, max_size=8)
)
def test_a_source_gives_what_the_file_holds(asked: list[tuple[int, int]]) -> None:
    reads: list[tuple[int, int]] = []

    class Reader:
        def read(self, _path: str, offset: int, length: int) -> bytes:
            reads.append((offset, length))
            return CONTENT[offset : offset + length]

    source = FileSource(Reader(), "/x", len(CONTENT))  # type: ignore[arg-type]
    for offset, length in asked:
        assert source.fetch(offset, length) == CONTENT[offset : offset + length]
    assert sum(length for _, length in reads) <= len(CONTENT), "nothing is fetched twice"


def test_a_source_that_ends_early_is_an_error(image: bytes) -> None:
    appliance = opened(image)
    source = FileSource(appliance, "/Tools/Readme.TXT", 100)
    assert code_of(lambda: source.fetch(0, 50)) == "cannot-open"


# --- writing


def test_patches_pieces_and_grows(image: bytes) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    files.patch("/WINDOWS/system32/config/system", [(4096, b"one"), (len(CONTENT), b"more")])
    expected = CONTENT[:4096] + b"one" + CONTENT[4099:] + b"more"
    assert files.read("/Windows/System32/config/SYSTEM") == expected
    assert code_of(lambda: files.patch("/none", [(0, b"x")])) == "guest-file-missing"


def test_puts_into_folders_that_are_made_and_locked(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert files.put("/p2vprep/steps/1.cmd", b"1", locked=True) == "/p2vprep/steps/1.cmd"
    for path in ("/p2vprep", "/p2vprep/steps", "/p2vprep/steps/1.cmd"):
        assert files.security(path).others == ()
        files.require_locked(path)


def test_puts_without_a_lock_where_none_is_asked_for(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert files.put("/tools/New.txt", b"new", locked=False) == "/Tools/New.txt"
    assert files.security("/Tools/New.txt").others == ("S-1-1-0",)
    assert code_of(lambda: files.require_locked("/Tools/New.txt")) == "guest-folder-open"


def test_replaces_under_the_spelling_that_is_there(image: bytes) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    assert files.put("/TOOLS/README.TXT", b"x", locked=False) == "/Tools/Readme.TXT"
    assert appliance.list("/Tools") == ("Readme.TXT",)
    assert files.read("/Tools/Readme.TXT") == b"x"


def test_a_prepared_folder_is_refused_and_a_locked_one_is_not(image: bytes) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    assert code_of(lambda: files.ensure_folder("/Tools", locked=True)) == "guest-folder-open"
    appliance.chmod("/Tools", 0o700)
    assert files.ensure_folder("/tools", locked=True) == "/Tools"
    assert files.ensure_folder("/Windows/System32", locked=False) == "/Windows/System32"


def test_a_folder_below_a_prepared_one_is_refused(image: bytes) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    with pytest.raises(RefusedError) as error:
        files.ensure_folder("/Tools/steps", locked=True)
    assert (error.value.code, error.value.subject) == ("guest-folder-open", "/Tools")
    appliance.chmod("/Tools", 0o700)
    assert files.ensure_folder("/Tools/other", locked=True) == "/Tools/other"


@pytest.mark.parametrize("path", ["/link/file", "/link"])
def test_links_are_not_followed(image: bytes, path: str) -> None:
    appliance = opened(image)
    appliance.make_link("/link")
    files = GuestFiles(appliance, "ntfs")
    with pytest.raises(RefusedError) as error:
        files.put(path, b"x", locked=True)
    assert error.value.code == "guest-path-unexpected"
    assert code_of(lambda: files.ensure_folder("/link", locked=False)) == "guest-path-unexpected"


def test_a_file_in_a_folders_place_is_refused(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    assert code_of(lambda: files.put("/Tools/Readme.TXT/x", b"", locked=False)) == "guest-path-unexpected"


def test_deletes_what_is_there(image: bytes) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    files.delete("/TOOLS/readme.txt")
    assert appliance.list("/Tools") == ()
    files.delete("/TOOLS/readme.txt")
    assert code_of(lambda: files.delete("/Tools")) == "guest-path-unexpected"


# --- proving


def test_verify_tells_what_differs(image: bytes) -> None:
    files = GuestFiles(opened(image), "ntfs")
    files.verify("/Tools/Readme.TXT", state_of(b"read me"))
    for path, expected in (("/Tools/Readme.TXT", b"read us"), ("/none", b"")):
        with pytest.raises(FailedError) as error:
            files.verify(path, state_of(expected))
        assert error.value.code == "verify-failed"


def test_an_open_root_lets_anybody_replace_the_folder(image: bytes) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    assert not files.replaceable("/p2vprep")
    assert hazards.of_open_parent(files, ["/p2vprep/a.cmd"]) == []
    appliance.chmod("/", 0o777)
    assert files.replaceable("/p2vprep")
    found = hazards.of_open_parent(files, ["/p2vprep/a.cmd", "/p2vprep/b.cmd"])
    assert [(hazard.code, hazard.severity) for hazard in found] == [("guest-root-open", "refuse")]


def test_a_security_descriptor_that_cannot_be_read_is_an_error(
    image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance = opened(image)
    files = GuestFiles(appliance, "ntfs")
    monkeypatch.setattr(appliance, "xattr", lambda _path, _name: b"\x07")
    assert code_of(lambda: files.security("/Tools")) == "guest-security"
    monkeypatch.setattr(appliance, "xattr", lambda _path, _name: None)
    assert code_of(lambda: files.security("/Tools")) == "cannot-open"
    assert files.attributes("/Tools") == 0


def work(files: GuestFiles) -> None:
    """One of each, as an apply does it."""
    files.read("/Windows/System32/config/SYSTEM")
    files.ensure_folder("/p2vprep", locked=True)
    files.put("/p2vprep/a.cmd", b"a", locked=True)
    files.patch("/Windows/System32/config/SYSTEM", [(0, b"x"), (8192, b"y")])
    files.delete("/Tools/Readme.TXT")
    files.settle()
    files.verify("/p2vprep/a.cmd", state_of(b"a"))
    files.require_locked("/p2vprep/a.cmd")


def test_every_call_that_fails_fails_the_work_with_its_type(image: bytes) -> None:
    counted = Faulty(opened(image))
    work(GuestFiles(counted, "ntfs"))
    first_write = next(number for number, name in enumerate(counted.calls) if name == "mkdir")
    for number in range(1, len(counted.calls) + 1):
        for code in ("appliance-call", "appliance-died"):
            faulty = Faulty(opened(image), number, code)
            with pytest.raises(P2vprepError) as error:
                work(GuestFiles(faulty, "ntfs"))
            assert error.value.code == code
            assert isinstance(error.value, CannotOpenError if number <= first_write + 1 else FailedError)


def test_a_folder_is_told_with_kinds_and_links_are_not_followed(image: bytes) -> None:
    appliance = opened(image)
    appliance.make_link("/Tools/elsewhere")
    appliance.mkdir("/Tools/below")
    files = GuestFiles(appliance, "ntfs")
    assert [(name, held.kind, held.size) for name, held in files.entries("/tools")] == [
        ("below", "folder", 0),
        ("elsewhere", "other", 0),
        ("Readme.TXT", "file", 7),
    ]
    assert code_of(lambda: files.entries("/Tools/elsewhere")) == "guest-path-unexpected"
    assert code_of(lambda: files.entries("/Tools/Readme.TXT")) == "guest-path-unexpected"
    assert code_of(lambda: files.entries("/none")) == "guest-file-missing"
    assert code_of(lambda: files.read("/Tools/elsewhere")) == "guest-path-unexpected"
