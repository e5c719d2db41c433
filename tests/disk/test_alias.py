"""Second names for files whose own name a tool cannot take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2vprep.disk import alias


@pytest.mark.parametrize(
    ("name", "avoid", "plain"),
    [(b"/a b,c", "", True), (b"/a:b", "", True), (b"/a:b", ":", False), (b"/\xff", "", False),
     ("/ä".encode(), ":", True)],
)  # fmt: skip
def test_what_is_plain(name: bytes, avoid: str, plain: bool) -> None:
    assert alias.is_plain(os.fsdecode(name), avoid=avoid) is plain


def test_a_plain_name_is_left_as_it_is(tmp_path: Path) -> None:
    assert alias.plain((tmp_path / "disk.img",)) == str(tmp_path / "disk.img")


def test_an_alias_leads_to_the_file_and_never_hides_an_extent(tmp_path: Path) -> None:
    for name in ("a:b", "image-0", "image-1"):
        (tmp_path / name).write_text(name)
    found = Path(alias.plain((tmp_path / "a:b", tmp_path / "image-0", tmp_path / "image-1"), avoid=":"))
    assert ":" not in str(found)
    assert found.read_text() == "a:b"
    assert (found.parent / "image-0").read_text() == "image-0"
    assert (found.parent / "image-1").read_text() == "image-1"
    assert found.parent.stat().st_mode & 0o777 == 0o700


def test_the_aliases_go_with_the_process_that_made_them(tmp_path: Path) -> None:
    folder = tmp_path / "aliases"
    folder.mkdir()
    alias._remove(folder, os.getpid() + 1)
    assert folder.is_dir()
    alias._remove(folder, os.getpid())
    assert not folder.exists()
