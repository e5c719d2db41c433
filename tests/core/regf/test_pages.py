"""The pages that differ between two versions of a hive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.regf.pages import changed_pages
from p2vprep.errors import HiveError


def written(before: bytes, pieces: tuple[tuple[int, bytes], ...]) -> bytes:
    """A file after the pieces were written into it."""
    file = bytearray(before)
    for offset, raw in pieces:
        assert offset <= len(file)
        file[offset : offset + len(raw)] = raw
    return bytes(file)


def test_equal_files_have_no_changed_pages() -> None:
    assert changed_pages(b"abcdef", b"abcdef") == ()
    assert changed_pages(b"", b"") == ()


def test_neighbours_are_one_piece() -> None:
    assert changed_pages(b"aaaabbbbccccdddd", b"aXaaXbbbccccdddX", 4) == ((0, b"aXaaXbbb"), (12, b"dddX"))


def test_what_is_appended_is_changed() -> None:
    assert changed_pages(b"aaaabb", b"aaaabbXXXXX", 4) == ((4, b"bbXXXXX"),)
    assert changed_pages(b"aaaa", b"aaaab", 4) == ((4, b"b"),)


def test_pages_are_4096_bytes_unless_said_otherwise() -> None:
    after = bytes(5000) + b"x" + bytes(8000)
    assert changed_pages(bytes(len(after)), after) == ((4096, after[4096:8192]),)


def test_a_shorter_file_is_refused() -> None:
    with pytest.raises(HiveError) as caught:
        changed_pages(b"ab", b"a")
    assert caught.value.code == "hive-shrank"


@given(
    st.binary(max_size=60),
    st.lists(st.tuples(st.integers(0, 59), st.integers(0, 255)), max_size=6),
    st.binary(max_size=30),
    st.integers(1, 9),
)
def test_writing_the_pieces_gives_the_new_file(
    before: bytes, changes: list[tuple[int, int]], tail: bytes, page: int
) -> None:
    after = bytearray(before + tail)
    for offset, value in changes:
        if offset < len(after):
            after[offset] = value
    pieces = changed_pages(before, bytes(after), page)
    assert written(before, pieces) == after
    for (offset, raw), (following, _) in pairwise(pieces):
        assert offset + len(raw) < following
    for offset, raw in pieces:
        assert offset % page == 0
        for at in range(0, len(raw), page):
            assert before[offset + at : offset + at + page] != raw[at : at + page]
