from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.regf.marvin32 import LOG_SEED, marvin32
from tests.support.corpus import hive_bytes

DOTNET_SEED = 0x004FB61A001BDBCC


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", 0x30ED35C100CD3C7D),
        ("af", 0x48E73FC77D75DDC1),
        ("e70f", 0xB5F6E1FC485DBFF8),
        ("37f495", 0xF0B07C789B8CF7E8),
        ("8642dc59", 0x7008F2E87E9CF556),
        ("153fb79826", 0xE6C08C6DA2AFA997),
        ("0932e6246c47", 0x6F04BF1A5EA24060),
        ("ab427ea8d10fc7", 0xE11847E4F0678C41),
    ],
)
def test_the_published_vectors_of_dotnet(data: str, expected: int) -> None:
    assert marvin32(bytes.fromhex(data), DOTNET_SEED) == expected


def step_by_step(data: bytes, seed: int) -> int:
    """The definition, one operation at a time, to judge the fast loop by."""

    def rotated(word: int, by: int) -> int:
        return (word << by | word >> 32 - by) % 2**32

    low, high = seed % 2**32, seed // 2**32
    padded = data + b"\x80" + bytes(3 - len(data) % 4) + bytes(4)
    for at in range(0, len(padded), 4):
        low = (low + int.from_bytes(padded[at : at + 4], "little")) % 2**32
        high = high ^ low
        low = (rotated(low, 20) + high) % 2**32
        high = rotated(high, 9) ^ low
        low = (rotated(low, 27) + high) % 2**32
        high = rotated(high, 19)
    return high * 2**32 + low


@given(st.binary(max_size=70), st.integers(0, 2**64 - 1))
def test_it_is_its_definition(data: bytes, seed: int) -> None:
    assert marvin32(data, seed) == step_by_step(data, seed)
    assert marvin32(memoryview(bytearray(data)), seed) == marvin32(data, seed)


@given(st.binary(min_size=1, max_size=70), st.data())
def test_a_changed_byte_changes_the_hash(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    changed[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    assert marvin32(changed) != marvin32(data)


@pytest.mark.corpus
@pytest.mark.parametrize("suffix", ["LOG1", "LOG2"])
def test_both_hashes_of_a_log_that_windows_wrote(suffix: str) -> None:
    log = hive_bytes(f"crafted-NewDirtyHive1_yarp.hive.{suffix}")
    (size,) = struct.unpack_from("<I", log, 516)
    first, second = struct.unpack_from("<QQ", log, 512 + 24)
    assert marvin32(log[512 + 40 : 512 + size], LOG_SEED) == first
    assert marvin32(log[512 : 512 + 32]) == second
