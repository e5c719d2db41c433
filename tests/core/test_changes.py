from __future__ import annotations

import hashlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.changes import Resolved, resolve_edits
from p2vprep.core.model import (
    DeleteFile,
    DeleteKey,
    DeleteValue,
    Edit,
    FileChange,
    FileState,
    KeyChange,
    PutFile,
    SetValue,
    ValueChange,
)
from p2vprep.core.registry import MemoryHive, find, fold, value
from p2vprep.core.values import Data
from p2vprep.errors import RefusedError
from tests.support.machines import carry_out, dump, in_memory

ONE, TWO = Data.dword(1), Data.dword(2)


def hive() -> MemoryHive:
    return MemoryHive(
        {
            r"ControlSet001\Services\Tcpip": {"Start": ONE, "Type": ONE},
            r"ControlSet001\Control\Alpha\Beta": {"Name": ONE, "": TWO},
            r"Setup\Old\Deep\Deeper": {"x": ONE},
        }
    )


def put(
    key: str, name: str, data: Data, *, rule: str = "r", why: str = "w", create: bool = False
) -> SetValue:
    return SetValue("SYSTEM", key, name, data, rule, why, create=create)


def drop(key: str, name: str, *, rule: str = "r") -> DeleteValue:
    return DeleteValue("SYSTEM", key, name, rule, "w")


def drop_key(key: str, *, rule: str = "r") -> DeleteKey:
    return DeleteKey("SYSTEM", key, rule, "w")


def resolved(*edits: Edit, on: MemoryHive | None = None) -> Resolved:
    return resolve_edits(edits, {"SYSTEM": on or hive()}, {})


# --- single edits ------------------------------------------------------------------------------


def test_a_value_is_set_with_the_spelling_of_the_hive() -> None:
    found = resolved(put(r"controlset001\SERVICES\tcpip", "START", TWO))
    assert found.changes == (
        ValueChange("SYSTEM", r"ControlSet001\Services\Tcpip", "Start", ONE, TWO, "r", "w"),
    )


def test_a_value_that_holds_the_data_already_is_no_change() -> None:
    assert resolved(put(r"ControlSet001\Services\Tcpip", "Start", ONE)).changes == ()


def test_the_same_number_of_another_type_is_a_change() -> None:
    edit = put(r"ControlSet001\Services\Tcpip", "Start", Data.binary(ONE.raw))
    assert len(resolved(edit).changes) == 1


def test_the_default_value_has_an_empty_name() -> None:
    (change,) = resolved(put(r"ControlSet001\Control\Alpha\Beta", "", ONE)).changes
    assert isinstance(change, ValueChange)
    assert (change.name, change.before) == ("", TWO)


def test_a_key_that_is_not_there_is_not_made_unless_asked_for() -> None:
    found = resolved(put(r"ControlSet001\Services\Absent", "Start", TWO))
    assert found.changes == ()
    assert [(skip.subject, skip.reason) for skip in found.skips] == [
        (r"SYSTEM\ControlSet001\Services\Absent: Start", "the key is not there")
    ]


def test_missing_keys_are_made_parents_first_and_once() -> None:
    found = resolved(
        put(r"p2vprep\parked\B", "Start", ONE, create=True),
        put(r"P2VPREP\Parked\A", "Start", ONE, create=True),
    )
    keyed = [change for change in found.changes if isinstance(change, KeyChange | ValueChange)]
    assert [(type(change).__name__, change.key) for change in keyed] == [
        ("KeyChange", "P2VPREP"),
        ("KeyChange", r"P2VPREP\Parked"),
        ("KeyChange", r"P2VPREP\Parked\A"),
        ("ValueChange", r"P2VPREP\Parked\A"),
        ("KeyChange", r"P2VPREP\Parked\B"),
        ("ValueChange", r"P2VPREP\Parked\B"),
    ]


def test_one_wish_to_make_a_key_is_enough() -> None:
    path = r"Setup\New"
    found = resolved(put(path, "a", ONE, create=True), put(path, "a", ONE, why="also"))
    assert [change.why for change in found.changes] == ["w; also", "w; also"]


def test_a_value_may_go_into_a_key_that_another_edit_makes() -> None:
    found = resolved(put("New", "a", ONE), put("New", "b", ONE, create=True))
    assert len(found.changes) == 3
    assert found.skips == ()


def test_a_value_is_deleted_with_what_was_before() -> None:
    found = resolved(drop(r"Setup\old\DEEP\deeper", "X"))
    assert found.changes == (ValueChange("SYSTEM", r"Setup\Old\Deep\Deeper", "x", ONE, None, "r", "w"),)


def test_what_is_absent_already_is_not_deleted() -> None:
    found = resolved(drop(r"Setup\Old", "x"), drop(r"Nowhere\At\All", "x"), drop_key(r"Setup\None"))
    assert found == Resolved((), (), ())


def test_a_key_is_deleted_and_swallows_deletions_below() -> None:
    found = resolved(drop_key(r"setup\OLD"), drop(r"Setup\Old\Deep\Deeper", "x"), drop_key(r"Setup\Old\Deep"))
    assert found.changes == (KeyChange("SYSTEM", r"Setup\Old", True, False, "r", "w"),)


def test_a_hive_that_is_not_here_is_a_skip() -> None:
    found = resolve_edits([SetValue("SOFTWARE", r"A\B", "x", ONE, "r", "w")], {"SYSTEM": hive()}, {})
    assert found.changes == ()
    assert found.skips[0].reason == "the SOFTWARE hive is not here"


# --- several edits -----------------------------------------------------------------------------


def test_edits_that_agree_become_one_change_with_both_reasons() -> None:
    path = r"ControlSet001\Services\Tcpip"
    found = resolved(put(path, "Start", TWO, rule="b", why="one"), put(path.upper(), "START", TWO, why="two"))
    (change,) = found.changes
    assert (change.rule, change.why) == ("b", "one; two")
    assert found.hazards == ()


@pytest.mark.parametrize(
    "pair",
    [
        (put(r"Setup\Old", "x", ONE), put(r"SETUP\Old", "X", TWO)),
        (put(r"Setup\Old", "x", ONE), drop(r"Setup\Old", "x")),
        (put(r"Setup\Old\Deep", "x", ONE), drop_key(r"Setup\Old")),
        (put(r"Setup\Old", "x", ONE), drop_key(r"Setup\Old")),
        (put(r"Setup\Old\New", "x", ONE, create=True), drop_key(r"Setup\Old")),
    ],
)
def test_edits_that_contradict_each_other_refuse(pair: tuple[Edit, Edit]) -> None:
    for edits in (pair, tuple(reversed(pair))):
        found = resolved(*edits)
        (hazard,) = found.hazards
        assert (hazard.code, hazard.severity, hazard.liftable) == ("conflict", "refuse", False)
        assert len(hazard.evidence) == 2
        assert found.changes == ()


def test_a_key_and_its_values_may_be_deleted_together() -> None:
    found = resolved(drop(r"Setup\Old\Deep\Deeper", "x"), drop_key(r"Setup\Old\Deep\Deeper"))
    assert len(found.changes) == 1
    assert found.hazards == ()


def test_a_key_beside_a_deleted_one_is_not_swallowed() -> None:
    other = MemoryHive({r"A\Bc": {"x": ONE}, r"A\B": {"x": ONE}})
    found = resolved(drop_key(r"A\B"), put(r"A\Bc", "x", TWO), on=other)
    assert len(found.changes) == 2


def test_changes_are_sorted_by_rule_then_path() -> None:
    path = r"ControlSet001\Control\Alpha\Beta"
    edits = [
        put(r"ControlSet001\Services\Tcpip", "Start", TWO, rule="a"),
        put(path, "Z", TWO, rule="b"),
        put(path, "A", TWO, rule="b"),
        put(path, "Name", TWO, rule="a"),
    ]
    orders = [resolved(*edits).changes, resolved(*reversed(edits)).changes]
    assert orders[0] == orders[1]
    assert [(c.rule, c.name) for c in orders[0] if isinstance(c, ValueChange)] == [
        ("a", "Name"),
        ("a", "Start"),
        ("b", "A"),
        ("b", "Z"),
    ]


# --- files -------------------------------------------------------------------------------------


def state(content: bytes) -> FileState:
    return FileState(hashlib.sha256(content).hexdigest(), len(content))


def test_files_are_compared_by_content_and_their_paths_without_case() -> None:
    edits: list[Edit] = [PutFile("/p2vprep/a.cmd", b"new", "r", "w"), DeleteFile("/p2vprep/b.cmd", "r", "w")]
    there: dict[str, FileState | None] = {"/P2VPREP/A.cmd": state(b"old"), "/p2vprep/b.cmd": state(b"x")}
    found = resolve_edits(edits, {}, there)
    assert found.changes == (
        FileChange("/p2vprep/a.cmd", state(b"old"), state(b"new"), "r", "w"),
        FileChange("/p2vprep/b.cmd", state(b"x"), None, "r", "w"),
    )
    assert isinstance(found.changes[0], FileChange)
    assert found.changes[0].content == b"new"
    there = {"/p2vprep/a.cmd": state(b"new"), "/p2vprep/b.cmd": None}
    assert resolve_edits(edits, {}, there).changes == ()


def test_a_file_nobody_looked_for_is_a_fault_of_the_caller() -> None:
    with pytest.raises(KeyError):
        resolve_edits([PutFile("/a", b"", "r", "w")], {}, {})


def test_two_contents_for_one_file_refuse() -> None:
    edits = [PutFile("/a", b"1", "r", "w"), PutFile("/A", b"2", "s", "w")]
    (hazard,) = resolve_edits(edits, {}, {"/a": None}).hazards
    assert hazard.code == "conflict"


# --- keys that are never touched ---------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        put(r"Select", "Default", TWO),
        put(r"select\X", "Default", TWO, create=True),
        put(r"CurrentControlSet\Services\Tcpip", "Start", TWO),
        put(r"currentcontrolset", "Start", TWO),
        put("", "x", ONE),
        put(r"ControlSet001\Control\ProductOptions", "ProductType", ONE),
        put(r"ControlSet001\Control\Nsi\{x}\28", "x", ONE),
        drop(r"ControlSet001\control\productoptions", "ProductSuite"),
        drop_key("ControlSet001"),
        drop_key(r"ControlSet001\Services"),
        drop_key(r"ControlSet001\Control"),
        drop_key(r"ControlSet001\Control\Lsa"),
        drop_key(r"ControlSet001\Control\Lsa\JD"),
        drop_key(r"ControlSet001\Control\LSA\skew1"),
        drop_key(r"ControlSet001\Services\Tcpip"),
        drop_key("Select"),
    ],
)
def test_keys_that_are_never_touched(edit: Edit) -> None:
    with pytest.raises(RefusedError) as caught:
        resolved(edit)
    assert caught.value.code == "forbidden-key"
    assert not caught.value.liftable


@pytest.mark.parametrize(
    "edit",
    [
        put(r"ControlSet001\Services\Tcpip", "Start", TWO),
        put(r"Selected", "x", TWO, create=True),
        put(r"ControlSet001\Control\Lsa", "x", TWO, create=True),
        drop_key(r"ControlSet001\Services\Tcpip\Parameters"),
        drop_key(r"ControlSet001\Services\{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"),
        drop_key(r"ControlSet001\Control\Lsa\Other"),
        drop_key(r"ControlSet001\Control\Alpha"),
        drop_key(r"Setup\Old"),
    ],
)
def test_keys_that_may_be_touched(edit: Edit) -> None:
    resolved(edit)


def test_select_means_the_key_of_the_system_hive() -> None:
    edit = SetValue("SOFTWARE", r"Select", "x", ONE, "r", "w", create=True)
    assert len(resolve_edits([edit], {"SOFTWARE": MemoryHive()}, {}).changes) == 2


# --- properties --------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "A", "b", "Bc", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("\\".join)
DATA = st.sampled_from([ONE, TWO, Data.sz("x"), Data.multi_sz(["x", "y"]), Data.binary(b"")])
EDITS = st.one_of(
    st.builds(put, PATHS, NAMES, DATA, rule=st.sampled_from(["r", "s"]), create=st.booleans()),
    st.builds(drop, PATHS, NAMES, rule=st.sampled_from(["r", "s"])),
    st.builds(drop_key, PATHS, rule=st.sampled_from(["r", "s"])),
)
HIVES = st.dictionaries(PATHS, st.dictionaries(NAMES, DATA, max_size=3), max_size=8).map(MemoryHive)


@settings(max_examples=150)
@given(HIVES, st.lists(EDITS, max_size=10))
def test_a_plan_does_what_was_asked_and_nothing_else_and_is_empty_the_second_time(
    given: MemoryHive, edits: list[Edit]
) -> None:
    before = dump(given)
    first = resolve_edits(edits, {"SYSTEM": given}, {})
    assert before == dump(given), "planning does not write"
    carry_out(first.changes, {"SYSTEM": given})
    after = dump(given)
    second = resolve_edits(edits, {"SYSTEM": given}, {})
    assert (second.changes, second.hazards) == ((), first.hazards)
    touched = {fold(change.key) for change in first.changes if not isinstance(change, FileChange)}
    for path, values in before.items():
        if not any(path == key or path.startswith(key + "\\") for key in touched):
            assert after[path] == values
    if not first.hazards:
        skipped = {fold(skip.subject) for skip in first.skips}
        for edit in edits:
            assert _is_true(edit, given) or fold(_subject(edit)) in skipped


def _subject(edit: Edit) -> str:
    return f"SYSTEM\\{edit.key}: {edit.name}" if isinstance(edit, SetValue) else ""


def _is_true(edit: Edit, held: MemoryHive) -> bool:
    if isinstance(edit, DeleteKey):
        return find(held, edit.key) is None
    if isinstance(edit, DeleteValue):
        return value(held, edit.key, edit.name) is None
    assert isinstance(edit, SetValue)
    return value(held, edit.key, edit.name) == edit.data


@settings(max_examples=50)
@given(HIVES, st.lists(EDITS, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_edits_only_matters_for_words(
    given: MemoryHive, edits: list[Edit], random: Random
) -> None:
    shuffled = list(edits)
    random.shuffle(shuffled)
    there, back = in_memory(given), in_memory(given)
    carry_out(resolve_edits(edits, {"SYSTEM": given}, {}).changes, {"SYSTEM": there})
    carry_out(resolve_edits(shuffled, {"SYSTEM": given}, {}).changes, {"SYSTEM": back})
    assert dump(there) == dump(back)
