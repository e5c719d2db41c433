"""Raw disks, and what is known not to be one."""

from __future__ import annotations

import pytest

from p2vprep.disk.containers import raw
from tests.disk.containers.builders import source

MBR = bytes(510) + b"\x55\xaa" + bytes(512)


@pytest.mark.parametrize("head", [MBR, bytes(512) + b"EFI PART", bytes(4096) + b"EFI PART"])
def test_what_begins_like_a_disk_is_one(head: bytes) -> None:
    assert raw.looks_like_a_disk(source(head.ljust(8192, b"\0")))
    assert raw.read(source(head.ljust(8192, b"\0")), named_raw=False).concerns == ()


def test_anything_else_needs_the_name_or_a_word() -> None:
    assert not raw.looks_like_a_disk(source(bytes(8192)))
    assert raw.read(source(bytes(8192)), named_raw=True).concerns == ()
    (concern,) = raw.read(source(bytes(8192)), named_raw=False).concerns
    assert concern.code == "image-format-unknown"


def test_an_incomplete_last_sector_counts_as_a_whole_one() -> None:
    assert raw.read(source(MBR + b"x"), named_raw=True).virtual_size == 1536


@pytest.mark.parametrize("entry", raw.FOREIGN, ids=lambda entry: str(entry.name))
def test_foreign_formats_are_recognised(entry: raw.Foreign) -> None:
    content = bytearray(0x9000)
    start = entry.offset if entry.offset >= 0 else len(content) + entry.offset
    content[start : start + len(entry.magic)] = entry.magic
    found = raw.foreign(source(bytes(content)))
    assert found is not None
    assert found.name == entry.name
    assert raw.foreign(source(MBR)) is None
