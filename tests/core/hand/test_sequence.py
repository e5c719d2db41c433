"""Edits in an order, folded into edits that hold at once: both ways of doing it give the same registry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.changes import resolve_edits
from p2vprep.core.hand.sequence import in_sequence
from p2vprep.core.model import DeleteKey, DeleteValue, Edit, MakeKey, PutFile, SetValue
from p2vprep.core.registry import MemoryHive, MemoryKey, find, fold, join, split
from p2vprep.core.values import Data
from tests.support.machines import carry_out, dump, in_memory

PATHS = ["A", r"A\B", r"a\b\C", r"A\D", "E"]
NAMES = ["x", "Y"]
paths, names = st.sampled_from(PATHS), st.sampled_from(NAMES)
data = st.integers(0, 3).map(Data.dword)
edits = st.one_of(
    st.builds(SetValue, st.just("SOFTWARE"), paths, names, data, st.just("r"), st.just("w"), st.just(True)),
    st.builds(DeleteValue, st.just("SOFTWARE"), paths, names, st.just("r"), st.just("w")),
    st.builds(DeleteKey, st.just("SOFTWARE"), paths, st.just("r"), st.just("w")),
    st.builds(MakeKey, st.just("SOFTWARE"), paths, st.just("r"), st.just("w")),
)
hives = st.dictionaries(paths, st.dictionaries(names, data, max_size=2), max_size=4).map(MemoryHive)


def one_by_one(hive: MemoryHive, wanted: list[Edit]) -> MemoryHive:
    """What regedit would do: each edit for itself."""
    copy = in_memory(hive)
    for edit in wanted:
        assert not isinstance(edit, PutFile)
        if isinstance(edit, SetValue):
            copy.root.make(edit.key).set(edit.name, edit.data)
        elif isinstance(edit, MakeKey):
            copy.root.make(edit.key)
        elif isinstance(edit, DeleteValue | DeleteKey):
            *above, name = split(edit.key)
            parent = find(copy, join(*above))
            key = None if parent is None else parent.subkey(name)
            if not isinstance(parent, MemoryKey) or not isinstance(key, MemoryKey):
                continue
            if isinstance(edit, DeleteKey):
                del parent.children[fold(name)]
            else:
                key.data.pop(fold(edit.name), None)
    return copy


@given(hives, st.lists(edits, max_size=8))
def test_all_at_once_is_one_after_the_other(hive: MemoryHive, wanted: list[Edit]) -> None:
    folded = in_sequence(wanted, {"SOFTWARE": hive})
    resolved = resolve_edits(folded, {"SOFTWARE": hive}, {})
    assert resolved.hazards == ()
    after = in_memory(hive)
    carry_out(resolved.changes, {"SOFTWARE": after})
    assert dump(after) == dump(one_by_one(hive, wanted))


def test_the_last_word_on_a_file_counts() -> None:
    first, last = PutFile("/Tools/a", b"1", "r", "w"), PutFile("/tools/A", b"2", "r", "w")
    assert in_sequence([first, last], {}) == (last,)
