"""VHDX: what is believed, and every lie that is not."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest

from p2vprep.disk.containers import vhdx
from p2vprep.errors import CannotOpenError, RefusedError
from tests.disk.containers import builders
from tests.disk.containers.builders import MIB, source

PRESENT = 6
PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le


def code_of(data: bytes) -> str:
    with pytest.raises((CannotOpenError, RefusedError)) as caught:
        vhdx.read(source(data))
    return caught.value.code


def test_crc32c_has_the_check_value_of_its_standard() -> None:
    assert vhdx.crc32c(b"123456789") == 0xE3069283


def test_size_and_creator_are_read() -> None:
    found = vhdx.read(source(builders.vhdx()))
    assert (found.format, found.virtual_size, found.dirty_log) == ("vhdx", 8 * MIB, False)
    assert found.details == {"created_by": "test", "block_size": 32 * MIB}
    assert found.concerns == ()


def test_a_log_is_a_concern_that_can_be_lifted() -> None:
    found = vhdx.read(source(builders.vhdx(log_guid=bytes(range(16)))))
    assert found.dirty_log
    assert [concern.code for concern in found.concerns] == ["vhdx-dirty-log"]


def test_one_good_header_and_region_table_are_enough() -> None:
    def spoil(image: bytearray) -> None:
        image[(64 << 10) + 100] ^= 1
        image[(192 << 10) + 100] ^= 1

    assert vhdx.read(source(builders.vhdx(spoil=spoil))).virtual_size == 8 * MIB


def test_the_newer_header_counts() -> None:
    def older_names_a_log(image: bytearray) -> None:
        header = image[64 << 10 : (64 << 10) + 4096]
        header[48:64] = bytes(range(16))
        header[4:8] = bytes(4)
        struct.pack_into("<I", header, 4, vhdx.crc32c(bytes(header)))
        image[64 << 10 : (64 << 10) + 4096] = header

    assert not vhdx.read(source(builders.vhdx(spoil=older_names_a_log))).dirty_log


def test_only_blocks_that_are_present_count_as_stored() -> None:
    size, block = 70 * MIB, 32 * MIB
    table = (1 << 20 | PRESENT, 0, 2 << 20 | PRESENT)
    image = builders.vhdx(size=size, block_size=block, bat=table)
    assert vhdx.read(source(image)).virtual_size == size
    assert vhdx.stored_ranges(source(image)) == ((0, block), (64 * MIB, 6 * MIB))


def test_sector_bitmaps_between_the_blocks_are_left_out() -> None:
    block = 256 * MIB  # 16 blocks, then one bitmap
    present = 1 << 20 | PRESENT
    table = (0,) * 16 + (present, present)
    image = builders.vhdx(size=17 * block, block_size=block, bat=table)
    assert vhdx.stored_ranges(source(image)) == ((16 * block, block),)


def spoil_both(first: int, second: int) -> bytes:
    def spoil(image: bytearray) -> None:
        image[first + 100] ^= 1
        image[second + 100] ^= 1

    return builders.vhdx(spoil=spoil)


def metadata_with(number: int, guid: bytes, flags: int) -> bytes:
    """A VHDX whose metadata item of this number has another GUID and other flags."""

    def spoil(image: bytearray) -> None:
        entry = 2 * MIB + 32 + 32 * number
        image[entry : entry + 16] = guid
        image[entry + 24] = flags

    return builders.vhdx(spoil=spoil)


def spoil_at(offset: int, data: bytes) -> bytes:
    def spoil(image: bytearray) -> None:
        image[offset : offset + len(data)] = data

    return builders.vhdx(spoil=spoil)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(builders.vhdx(has_parent=True), "image-is-delta", id="differencing"),
        pytest.param(builders.vhdx(sector=4096), "image-sector-size", id="4K sectors"),
        pytest.param(builders.vhdx(size=0), "image-size-absurd", id="no size"),
        pytest.param(builders.vhdx(size=1 << 60), "image-size-absurd", id="absurd size"),
        pytest.param(builders.vhdx(block_size=0), "image-damaged", id="block size 0"),
        pytest.param(builders.vhdx(block_size=3 * MIB), "image-damaged", id="block size 3 MiB"),
        pytest.param(builders.vhdx(version=2), "image-damaged", id="version 2"),
        pytest.param(builders.vhdx(size=1 << 40, block_size=MIB), "image-damaged", id="table too small"),
        pytest.param(builders.vhdx(bat=(1 << 40 | PRESENT,)), "image-truncated", id="block outside"),
        pytest.param(builders.vhdx(bat_region=(1 << 40, MIB)), "image-truncated", id="table outside"),
        pytest.param(builders.vhdx(bat_region=(3 * MIB, 0)), "image-damaged", id="empty table"),
        pytest.param(builders.vhdx(bat_region=(3 * MIB + 1, MIB)), "image-damaged", id="not aligned"),
        pytest.param(
            builders.vhdx(extra_region=(b"x" * 16, 1)), "image-feature-unknown", id="unknown region"
        ),
        pytest.param(
            builders.vhdx(extra_region=(bytes.fromhex("6677c22d23f600429d64115e9bfd4a08"), 1)),
            "image-damaged",
            id="two tables",
        ),
        pytest.param(builders.vhdx(log=(MIB + 1, MIB)), "image-damaged", id="log not aligned"),
        pytest.param(
            builders.vhdx(log=(1 << 40, MIB), log_guid=bytes(range(16))), "image-truncated", id="log outside"
        ),
        pytest.param(builders.vhdx(region_count=2048), "image-damaged", id="too many regions"),
        pytest.param(builders.vhdx(region_count=1), "image-damaged", id="no metadata region"),
        pytest.param(spoil_both(64 << 10, 128 << 10), "image-damaged", id="both headers"),
        pytest.param(spoil_both(192 << 10, 256 << 10), "image-damaged", id="both region tables"),
        pytest.param(spoil_at(2 * MIB, b"metaDATA"), "image-damaged", id="metadata signature"),
        pytest.param(spoil_at(2 * MIB + 10, b"\xff\xff"), "image-damaged", id="metadata count"),
        pytest.param(spoil_at(2 * MIB + 48, b"\xff\xff\xff\xff"), "image-damaged", id="item outside"),
        pytest.param(metadata_with(0, b"x" * 16, 0), "image-damaged", id="no file parameters"),
        pytest.param(metadata_with(1, b"x" * 16, 0), "image-damaged", id="no size item"),
        pytest.param(metadata_with(4, b"x" * 16, 4), "image-feature-unknown", id="unknown item"),
        pytest.param(metadata_with(4, PARENT_LOCATOR, 4), "image-is-delta", id="parent locator"),
        pytest.param(builders.vhdx()[: 100 << 10], "image-truncated", id="cut off"),
        pytest.param(builders.vhdx()[: 2 * MIB + 4096], "image-truncated", id="cut off in the metadata"),
        pytest.param(b"vhdxfile", "image-truncated", id="only the signature"),
    ],
)
def test_lies_are_named(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_an_unknown_item_that_is_not_required_does_no_harm() -> None:
    assert vhdx.read(source(metadata_with(4, b"x" * 16, 2))).virtual_size == 8 * MIB


def test_an_unknown_region_that_is_not_required_does_no_harm() -> None:
    image = builders.vhdx(extra_region=(b"x" * 16, 0))
    assert vhdx.read(source(image)).virtual_size == 8 * MIB
