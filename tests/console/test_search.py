"""Searching a hive: everything is found once, in the order of the tree, from any key on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.console.search import SLICE, Hit, Search
from p2vprep.core.registry import MemoryHive, walk
from p2vprep.core.values import Data


def found(hive: MemoryHive, wanted: str, start: str = "") -> list[Hit]:
    search = Search(hive, wanted, start)
    hits = []
    while not search.ended:
        hit = search.next()
        if hit is not None:
            hits.append(hit)
    return hits


HIVE = MemoryHive(
    {
        "A": {"Name": Data.sz("the Broker")},
        "A\\Broker": {"Start": Data.dword(42)},
        "B": {"": Data.multi_sz(["x", "broken"]), "Raw": Data.binary(b"bro")},
        "B\\C": {"brook": Data.dword(7)},
        "Brother": {},
    }
)


def test_names_of_keys_and_values_and_texts_are_looked_at() -> None:
    assert found(HIVE, "bro") == [
        Hit("A", "Name"),
        Hit("A\\Broker", None),
        Hit("B", ""),
        Hit("B\\C", "brook"),
        Hit("Brother", None),
    ]


@pytest.mark.parametrize("wanted", ["42", "0x2a", "0X2A"])
def test_numbers_are_found_in_both_forms(wanted: str) -> None:
    assert found(HIVE, wanted) == [Hit("A\\Broker", "Start")]


def test_a_part_of_a_number_is_not_that_number() -> None:
    assert found(HIVE, "4") == []


def test_it_begins_at_a_key() -> None:
    assert found(HIVE, "bro", "B") == [Hit("B", ""), Hit("B\\C", "brook"), Hit("Brother", None)]
    assert found(HIVE, "bro", "b\\c") == [Hit("B\\C", "brook"), Hit("Brother", None)]


def test_from_a_key_that_is_gone_it_begins_above() -> None:
    assert found(HIVE, "brook", "B\\Gone\\Deeper") == [Hit("B\\C", "brook")]


def test_it_gives_way_after_a_slice_and_goes_on() -> None:
    hive = MemoryHive()
    for number in range(SLICE + 10):
        hive.root.make(f"k{number}")
    hive.root.make(f"k{SLICE + 9}\\last")
    search = Search(hive, "last")
    assert search.next() is None
    assert not search.ended
    assert search.keys == SLICE
    assert search.next() == Hit(f"k{SLICE + 9}\\last", None)
    assert search.next() is None
    assert search.ended


PATHS = st.lists(
    st.lists(st.sampled_from(["a", "ab", "c"]), min_size=1, max_size=3).map("\\".join), max_size=12
)


@given(PATHS, st.integers(0, 20))
def test_from_any_key_on_it_sees_what_a_walk_sees(paths: list[str], at: int) -> None:
    hive = MemoryHive()
    for path in paths:
        hive.root.make(path)
    walked = [key.path for key in walk(hive.root)]
    start = walked[at % len(walked)]
    wanted = [path for path in walked[walked.index(start) :] if "A" in path.rpartition("\\")[2].upper()]
    assert [hit.key for hit in found(hive, "a", start)] == wanted
