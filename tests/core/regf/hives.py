"""Small hives for the replay's tests: how one was, how it became, and blocks spoilt on purpose."""

from __future__ import annotations

import struct

import pytest

from p2vprep.core.regf.replay import Recovery, recover
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit import logwriter
from testdata.kit.hivewriter import build_hive
from testdata.kit.logwriter import DirtyHive


def _state(number: int) -> bytes:
    """A whole hive; each one changes a value of the one before and is a few pages longer."""
    tree = {"A": {"x": Data.dword(number)}, "B": {"text": Data.sz(f"state {number}")}}
    tree |= {f"Added{step}": {"data": Data.binary(bytes([step]) * 3500)} for step in range(number)}
    return build_hive(tree, sequence=(7, 7), slack=0 if number else 8192)


STATES = [_state(number) for number in range(5)]
"""A hive as it went on; the first file has room behind its bins, the others have not."""
BEFORE, GROWN = STATES[0], STATES[-1]
GUID = bytes(range(1, 17))
OTHER_GUID = bytes(range(2, 18))


def with_identity(hive: bytes, guid: bytes = GUID) -> bytes:
    """The hive with a resource manager's GUID, as Vista and later give it one."""
    changed = bytearray(hive)
    changed[112:128] = guid
    changed[164:168] = b"rmtm"
    return logwriter.with_header(bytes(changed))


def spoilt(data: bytes, at: int, flip: int = 0xFF) -> bytes:
    """The bytes with one of them changed and nothing made to match."""
    changed = bytearray(data)
    changed[at] ^= flip
    return bytes(changed)


def put(data: bytes, at: int, number: int) -> bytes:
    """The hive or log with a 32-bit number of its base block set and the checksum made to match."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, at, number)
    return logwriter.with_header(bytes(changed))


def replayed(made: DirtyHive, **more: bytes) -> Recovery:
    """The made hive, recovered with its logs or with others in their place."""
    return recover(made.primary, {**made.logs, **more})


def refused(primary: bytes, logs: dict[str, bytes], *, accept_dirty: bool = False) -> HiveError:
    """The error recovering raises."""
    with pytest.raises(HiveError) as caught:
        recover(primary, logs, accept_dirty=accept_dirty)
    return caught.value
