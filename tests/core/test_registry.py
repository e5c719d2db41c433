"""Names and paths of the registry, and the hive in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core import registry
from p2vprep.core.registry import MemoryHive, fold, join, split
from p2vprep.core.values import Data


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Tcpip", "TCPIP"),
        ("größe", "GRÖßE"),
        ("ÿ", "Ÿ"),
        ("µ", "µ"),
        ("ı", "ı"),
        ("ſ", "ſ"),
        ("a_b{", "A_B{"),
        ("\ud800x", "\ud800X"),
        ("σς", "ΣΣ"),
    ],
)
def test_names_are_upcased_unit_by_unit(name: str, folded: str) -> None:
    assert fold(name) == folded


@given(st.text(st.characters()))
def test_folding_keeps_the_length_and_is_done_once(name: str) -> None:
    assert len(fold(name)) == len(name)
    assert fold(fold(name)) == fold(name)


@given(st.text(st.characters(min_codepoint=128)), st.text(st.characters(max_codepoint=127)))
def test_no_other_letter_is_taken_for_an_ascii_one(name: str, plain: str) -> None:
    assert (fold(name) == fold(plain)) is (name == plain == "")


def test_paths_are_joined_and_split() -> None:
    assert join("", "\\a\\", "b\\c", "") == "a\\b\\c"
    assert split("\\a\\\\b\\") == ("a", "b")
    assert split("") == ()


def test_keys_and_values_are_found_in_any_case() -> None:
    hive = MemoryHive({"A\\b": {"Start": Data.dword(1)}})
    key = registry.find(hive, "a\\B")
    assert key is not None
    assert key.path == "A\\b"
    assert registry.value(hive, "a\\b", "START") == Data.dword(1)
    assert registry.value(hive, "a\\b", "Type") is None
    assert registry.value(hive, "a\\c", "Start") is None
    assert registry.find(hive, "x\\y") is None


def test_setting_keeps_the_spelling() -> None:
    hive = MemoryHive({"a": {"Start": Data.dword(1)}})
    hive.root.make("A").set("START", Data.dword(2))
    key = hive.root.subkey("a")
    assert key is not None
    assert list(key.values()) == [("Start", Data.dword(2))]


def test_a_walk_sees_parents_first() -> None:
    hive = MemoryHive({"a\\b": {}, "a\\c\\d": {}, "e": {}})
    paths = [key.path for key in registry.walk(hive.root)]
    assert paths == ["", "a", "a\\b", "a\\c", "a\\c\\d", "e"]
    assert registry.names(hive.root.subkeys()) == ("a", "e")
