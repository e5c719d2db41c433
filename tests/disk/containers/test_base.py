"""Bounded reading, which all container readers share."""

from __future__ import annotations

import pytest

from p2vprep.disk.containers.base import LARGEST_READ, Source, check_size
from p2vprep.errors import CannotOpenError
from tests.disk.containers.builders import source


def test_reading_never_leaves_the_file() -> None:
    ten = source(bytes(range(10)))
    assert ten.up_to(8, 5) == b"\x08\x09"
    assert ten.up_to(10, 1) == ten.up_to(-1, 1) == b""
    assert ten.exactly(8, 2, "end") == b"\x08\x09"
    with pytest.raises(CannotOpenError) as caught:
        ten.exactly(8, 3, "end")
    assert caught.value.code == "image-truncated"
    assert "end" in caught.value.message


def test_no_table_is_read_that_cannot_be() -> None:
    asked: list[int] = []

    def read(_offset: int, length: int) -> bytes:
        asked.append(length)
        return bytes(min(length, 10))

    endless = Source(1 << 50, read)
    with pytest.raises(CannotOpenError) as caught:
        endless.exactly(0, LARGEST_READ + 1, "table")
    assert caught.value.code == "image-damaged"
    assert asked == []
    endless.up_to(0, 1 << 40)
    assert asked == [LARGEST_READ]


@pytest.mark.parametrize("size", [512, 64 << 40])
def test_sizes_that_make_sense(size: int) -> None:
    assert check_size(size) == size


@pytest.mark.parametrize(
    ("size", "code"),
    [(0, "image-size-absurd"), (-512, "image-size-absurd"), ((64 << 40) + 512, "image-size-absurd"),
     (513, "image-damaged")],
)  # fmt: skip
def test_sizes_that_do_not(size: int, code: str) -> None:
    with pytest.raises(CannotOpenError) as caught:
        check_size(size)
    assert caught.value.code == code
