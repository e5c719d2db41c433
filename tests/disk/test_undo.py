"""Undo data over disks that are just memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.disk import undo
from p2vprep.disk.durable import Durable
from p2vprep.errors import FailedError

SIZE = 8 * 4096


class Memory:
    """A disk in memory that counts its flushes."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.flushed = 0

    def pread(self, offset: int, length: int) -> bytes:
        return bytes(self.content[offset : offset + length])

    def pwrite(self, offset: int, data: bytes) -> None:
        self.content[offset : offset + len(data)] = data

    def flush(self) -> None:
        self.flushed += 1


def saved(folder: Path, before: bytes, after: bytes, ranges: list[tuple[int, int]]) -> undo.Undo:
    return undo.record(
        Memory(before),
        Memory(after),
        len(before),
        ranges,
        folder / "undo.json",
        folder / "undo.data",
        Durable(),
    )


@pytest.fixture
def pair() -> tuple[bytes, bytes]:
    before = b"".join(bytes([number]) * 4096 for number in range(8))
    after = bytearray(before)
    after[4096 : 3 * 4096] = b"planned." * 1024
    return before, bytes(after)


def test_what_is_saved_is_loaded_and_written_back(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    before, after = pair
    written = saved(tmp_path, before, after, [(0, 4096), (4096, 8192)])
    again = undo.load(tmp_path / "undo.json", tmp_path / "undo.data")
    assert again == written
    disk = Memory(after)
    assert again.differing(disk, after=True) == ()
    assert [item.offset for item in again.differing(disk, after=False)] == [4096]
    again.write_back(disk)
    assert bytes(disk.content) == before
    assert disk.flushed == 1


def test_zeros_take_no_room(tmp_path: Path) -> None:
    written = saved(tmp_path, bytes(SIZE), b"x" * SIZE, [(0, SIZE)])
    assert written.stored_bytes == 0
    assert written.changed_bytes == SIZE
    assert (tmp_path / "undo.data").stat().st_size == 0
    disk = Memory(b"x" * SIZE)
    written.write_back(disk)
    assert bytes(disk.content) == bytes(SIZE)


def test_files_are_for_their_owner_alone(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    saved(tmp_path, *pair, [(0, SIZE)])
    for name in ("undo.json", "undo.data"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damaged_data_are_noticed(tmp_path: Path, pair: tuple[bytes, bytes], damage: str) -> None:
    written = saved(tmp_path, *pair, [(4096, 8192)])
    written.verify()
    data = tmp_path / "undo.data"
    if damage == "flip":
        data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    elif damage == "truncate":
        data.write_bytes(data.read_bytes()[:-1])
    else:
        data.unlink()
    with pytest.raises(FailedError) as caught:
        written.verify()
    assert caught.value.code == "undo-damaged"


def test_nothing_is_written_where_the_data_are_damaged_from_the_start(
    tmp_path: Path, pair: tuple[bytes, bytes]
) -> None:
    written = saved(tmp_path, *pair, [(4096, 8192)])
    (tmp_path / "undo.data").write_bytes(b"")
    disk = Memory(pair[1])
    with pytest.raises(FailedError):
        written.write_back(disk)
    assert bytes(disk.content) == pair[1]


GOOD = [0, 4096, "00", "00", None]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"schema": "p2vprep.undo/2", "virtual_size": SIZE, "ranges": []},
        {"schema": undo.SCHEMA, "virtual_size": "8", "ranges": []},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": 5},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [5]},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [GOOD[:4]]},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [[-1, *GOOD[1:]]]},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [["0", *GOOD[1:]]]},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [[0, undo.CHUNK + 1, *GOOD[2:]]]},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [[0, 0, *GOOD[2:]]]},
        {"schema": undo.SCHEMA, "virtual_size": SIZE, "ranges": [[0, 512, None, "00", None]]},
        {"schema": undo.SCHEMA, "virtual_size": 4095, "ranges": [GOOD]},
    ],
)
def test_an_index_that_makes_no_sense_is_refused(tmp_path: Path, document: object) -> None:
    index = tmp_path / "undo.json"
    index.write_text(json.dumps(document))
    with pytest.raises(FailedError) as caught:
        undo.load(index, tmp_path / "undo.data")
    assert caught.value.code == "undo-damaged"


@pytest.mark.parametrize("content", [b"", b'{"schema": "p2vp', b"\xff\xfe"])
def test_a_torn_index_is_refused(tmp_path: Path, content: bytes) -> None:
    index = tmp_path / "undo.json"
    index.write_bytes(content)
    with pytest.raises(FailedError):
        undo.load(index, tmp_path / "undo.data")
    index.unlink()
    with pytest.raises(FailedError):
        undo.load(index, tmp_path / "undo.data")


def test_a_mixture_of_before_and_planned_sectors_is_ours(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    before, after = pair
    written = saved(tmp_path, before, after, [(4096, 8192)])
    mixed = bytearray(before)
    mixed[4096 + 512 : 4096 + 1536] = after[4096 + 512 : 4096 + 1536]
    assert written.foreign(Memory(bytes(mixed)), Memory(after)) == ()
    mixed[8192] ^= 0xFF
    assert [item.offset for item in written.foreign(Memory(bytes(mixed)), Memory(after))] == [4096]


@given(
    st.lists(st.tuples(st.integers(0, 5 << 20), st.integers(0, 3 << 20)), max_size=6), st.integers(0, 6 << 20)
)
def test_chunks_cover_exactly_what_lies_on_the_disk(ranges: list[tuple[int, int]], size: int) -> None:
    portions = list(undo.chunks(ranges, size))
    assert all(0 < length <= undo.CHUNK and offset + length <= size for offset, length in portions)
    wanted = sum(max(0, min(offset + length, size) - offset) for offset, length in ranges)
    assert sum(length for _offset, length in portions) == wanted


@given(st.data())
def test_writing_back_gives_the_disk_before_whatever_the_changes(data: st.DataObject) -> None:
    import tempfile

    before = data.draw(st.binary(min_size=64, max_size=64)) * 64
    after = bytearray(before)
    ranges = sorted(data.draw(st.sets(st.integers(0, 7), max_size=8)))
    for number in ranges:
        after[number * 512 : number * 512 + 512] = data.draw(st.binary(min_size=16, max_size=16)) * 32
    with tempfile.TemporaryDirectory() as folder:
        written = saved(Path(folder), before, bytes(after), [(number * 512, 512) for number in ranges])
        disk = Memory(bytes(after))
        written.write_back(disk)
    assert bytes(disk.content) == before
