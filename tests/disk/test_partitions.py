"""Partition tables that are damaged, odd or hostile; sound ones are in the kit's tests."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.disk.partitions import Layout, read_layout
from testdata.kit.disks import make_blank, windows_disk
from testdata.kit.tables import Slot, write_gpt, write_mbr
from tests.support.ntfs_image import fat_head, ntfs_head


def layout(content: bytes) -> Layout:
    return read_layout(lambda offset, length: content[offset : offset + length], 1, "/dev/sdb")


def table(*slots: Slot) -> bytearray:
    file = io.BytesIO(bytes(1 << 20))
    write_mbr(file, slots)
    return bytearray(file.getvalue())


def gpt(tmp_path: Path) -> bytearray:
    raw = tmp_path / "disk"
    make_blank(windows_disk("gpt", {}, table="gpt", size=2), raw)
    return bytearray(raw.read_bytes())


@pytest.mark.parametrize("head", [ntfs_head(), fat_head(), bytes(3) + b"-FVE-FS-" + bytes(501)])
def test_a_disk_that_is_a_volume_has_no_table(head: bytes) -> None:
    found = layout(head)
    assert found.table == "none"
    assert [(one.device, one.start, one.disk) for one in found.partitions] == [("/dev/sdb", 0, 1)]


@pytest.mark.parametrize("content", [b"", bytes(100), bytes(1 << 16), b"no table at all" * 1000])
def test_a_disk_with_nothing_says_so(content: bytes) -> None:
    assert layout(content).problem == "there is neither a partition table nor a file system"
    assert layout(content).partitions == ()


def test_an_empty_table_says_so() -> None:
    assert layout(bytes(table())).problem == "the partition table is empty"


def test_primary_numbers_are_those_of_the_slots() -> None:
    raw = table(Slot(64, 10, 7), Slot(128, 10, 7, active=True))
    raw[446 : 446 + 16] = bytes(16)
    (found,) = layout(bytes(raw)).partitions
    assert (found.device, found.number, found.active, found.type) == ("/dev/sdb2", 2, True, "07")


def test_logical_partitions_count_from_five() -> None:
    found = layout(
        bytes(table(Slot(64, 10, 7), Slot(128, 10, 7, logical=True), Slot(200, 9, 0x0B, logical=True)))
    )
    assert [(one.number, one.start // 512, one.type) for one in found.partitions] == [
        (1, 64, "07"),
        (5, 128, "07"),
        (6, 200, "0B"),
    ]


def test_a_chain_that_loops_ends() -> None:
    raw = table(Slot(128, 10, 7, logical=True), Slot(200, 9, 7, logical=True))
    link = struct.pack("<B3sB3sII", 0, bytes(3), 5, bytes(3), 0, 100)
    raw[199 * 512 + 462 : 199 * 512 + 478] = link
    found = layout(bytes(raw))
    assert "no end" in found.problem
    assert len(found.partitions) == 2


def test_a_chain_that_breaks_keeps_what_came_before() -> None:
    raw = table(Slot(128, 10, 7, logical=True), Slot(200, 9, 7, logical=True))
    raw[199 * 512 + 510] = 0
    found = layout(bytes(raw))
    assert "broken" in found.problem
    assert [one.number for one in found.partitions] == [5]


def test_gpt_numbers_are_those_of_the_entries() -> None:
    kind = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
    file = io.BytesIO(bytes(1 << 20))
    write_gpt(file, [Slot(64, 10, "00000000-0000-0000-0000-000000000000"), Slot(100, 10, kind)], 2048)
    (found,) = layout(file.getvalue()).partitions
    assert (found.device, found.start, found.size, found.type) == ("/dev/sdb2", 51200, 5120, kind)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (512, "missing or damaged"),
        (512 + 40, "header is damaged"),
        (512 + 12, "header is damaged"),
        (1024, "entries are"),
    ],
)
def test_a_damaged_gpt_says_so(tmp_path: Path, place: int, problem: str) -> None:
    raw = gpt(tmp_path)
    raw[place] ^= 0xFF
    found = layout(bytes(raw))
    assert problem in found.problem
    assert found.partitions == ()


def test_large_sectors_are_named(tmp_path: Path) -> None:
    raw = gpt(tmp_path)
    raw[4096:4104], raw[512:520] = b"EFI PART", bytes(8)
    assert "4096" in layout(bytes(raw)).problem


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2048), st.binary(min_size=1, max_size=16)), max_size=8))
def test_no_damage_raises_or_takes_long(spots: list[tuple[int, bytes]]) -> None:
    raw = table(Slot(64, 10, 7), Slot(128, 10, 7, logical=True))
    for place, content in spots:
        raw[place : place + len(content)] = content
    assert len(layout(bytes(raw)).partitions) <= 4 * 132
