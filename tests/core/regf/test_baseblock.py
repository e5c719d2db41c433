from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.regf.baseblock import BaseBlock, FileType, FirstBin, checksum
from p2vprep.errors import HiveError
from tests.support.corpus import hive_bytes, hive_entries

RM_ID = bytes(range(1, 17))


def block(**fields: int) -> BaseBlock:
    """A good base block of a clean hive of one page."""
    raw = bytearray(4096)
    struct.pack_into("<4sIIQIIIIIII", raw, 0, b"regf", 7, 7, 99, 1, 5, 0, 1, 0x20, 4096, 1)
    raw[48 : 48 + 12] = "SYSTEM".encode("utf-16-le")
    return BaseBlock.parse(BaseBlock.parse(bytes(raw)).with_(**fields))


def test_it_reads_every_field() -> None:
    found = block(flags=1)
    assert (found.primary_sequence, found.secondary_sequence, found.last_written) == (7, 7, 99)
    assert (found.major, found.minor, found.type, found.format) == (1, 5, FileType.PRIMARY, 1)
    assert (found.root, found.bins_size, found.cluster, found.flags) == (0x20, 4096, 1, 1)
    assert found.file_name == "SYSTEM"
    assert not found.dirty
    assert found.problems() == ()


def test_fewer_than_512_bytes_are_not_a_hive() -> None:
    with pytest.raises(HiveError) as caught:
        BaseBlock.parse(bytes(511))
    assert caught.value.code == "not-a-hive"


def test_512_bytes_are_enough_for_the_block_of_a_log() -> None:
    assert BaseBlock.parse(block().raw[:512]).checksum_valid


@pytest.mark.parametrize(
    ("total", "stored"), [(0, 1), (0xFFFFFFFF, 0xFFFFFFFE), (5, 5), (0x80000000, 0x80000000)]
)
def test_the_checksum_is_never_all_zeros_or_all_ones(total: int, stored: int) -> None:
    sector = struct.pack("<I", total) + bytes(504) + b"\xaa\xbb\xcc\xdd"
    assert checksum(sector) == stored


@given(st.binary(min_size=512, max_size=512))
def test_a_block_with_its_checksum_set_is_valid_if_it_has_the_signature(raw: bytes) -> None:
    assert BaseBlock.parse(BaseBlock.parse(b"regf" + raw[4:]).with_()).checksum_valid
    assert not BaseBlock.parse(BaseBlock.parse(b"rexf" + raw[4:]).with_()).checksum_valid


@given(st.integers(0, 507), st.integers(1, 255))
def test_any_changed_byte_of_the_sector_makes_the_hive_dirty(at: int, flip: int) -> None:
    raw = bytearray(block().raw)
    raw[at] ^= flip
    assert BaseBlock.parse(raw).dirty
    assert not BaseBlock.parse(raw).checksum_valid


def test_unequal_sequence_numbers_make_the_hive_dirty() -> None:
    found = block(primary_sequence=8)
    assert found.checksum_valid
    assert found.dirty


def test_what_lies_behind_the_first_sector_is_kept_and_not_covered() -> None:
    raw = bytearray(block().raw)
    raw[512] = 1
    assert not BaseBlock.parse(raw).dirty
    assert BaseBlock.parse(raw).with_(flags=3)[512:] == bytes(raw[512:])


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"minor": 2}, "version 1.2"),
        ({"minor": 7}, "version 1.7"),
        ({"bins_size": 0}, "hive bins size 0"),
        ({"bins_size": 4097}, "hive bins size 4097"),
        ({"bins_size": 0x80000000}, "hive bins size"),
        ({"root": 4096}, "root cell 0x1000"),
    ],
)
def test_it_says_what_windows_would_not_take(fields: dict[str, int], word: str) -> None:
    assert any(word in problem for problem in block(**fields).problems())


def test_wrong_signature_and_format_are_problems() -> None:
    raw = bytearray(block().raw)
    raw[0:4] = b"CREG"
    assert any("regf" in problem for problem in BaseBlock.parse(raw).problems())
    raw = bytearray(block().raw)
    raw[32] = 3
    assert "its format field is 3 where 1 is expected" in BaseBlock.parse(raw).problems()


def test_a_wrong_checksum_is_a_problem() -> None:
    raw = bytearray(block().raw)
    raw[200] ^= 1
    assert BaseBlock.parse(raw).problems() == ("its checksum is wrong",)


def test_both_sequence_numbers_are_set_together() -> None:
    clean = BaseBlock.parse(block(primary_sequence=8).with_sequence(11, flags=1))
    assert (clean.primary_sequence, clean.secondary_sequence, clean.flags) == (11, 11, 1)
    assert not clean.dirty


def test_an_unknown_field_cannot_be_set() -> None:
    with pytest.raises(KeyError):
        block().with_(colour=1)


def test_the_identity_needs_the_mark_and_a_guid() -> None:
    raw = bytearray(block().raw)
    raw[112:128] = RM_ID
    assert BaseBlock.parse(raw).identity is None
    raw[164:168] = b"rmtm"
    assert BaseBlock.parse(raw).identity == RM_ID
    raw[112:128] = bytes(16)
    assert BaseBlock.parse(raw).identity is None


def test_the_name_may_be_garbage() -> None:
    raw = bytearray(block().raw)
    raw[48:112] = b"\x00\xd8" * 32
    assert "\ufffd" in BaseBlock.parse(raw).file_name


def test_the_first_bin_gives_its_time() -> None:
    head = block().raw + struct.pack("<4sIIQQI", b"hbin", 0, 4096, 0, 1234, 0)
    assert FirstBin.parse(head) == FirstBin(1234)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        struct.pack("<4sIIQQI", b"hbin", 4096, 4096, 0, 1, 0),
        struct.pack("<4sIIQQI", b"nbin", 0, 4096, 0, 1, 0),
    ],
)
def test_without_a_first_bin_there_is_none(header: bytes) -> None:
    assert FirstBin.parse(block().raw + header) is None


@pytest.mark.corpus
@pytest.mark.parametrize("entry", [e for e in hive_entries() if "seq1" in e], ids=lambda e: str(e["name"]))
def test_real_blocks_are_read_as_the_manifest_says(entry: dict[str, object]) -> None:
    found = BaseBlock.parse(hive_bytes(str(entry["name"])))
    assert (found.primary_sequence, found.secondary_sequence) == (entry["seq1"], entry["seq2"])
    assert f"{found.major}.{found.minor}" == entry["regf"]
    assert found.checksum_valid == entry["header_checksum_ok"]
