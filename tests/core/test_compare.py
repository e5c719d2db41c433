"""The comparison of hives against a plain reference, and the judgement of plans."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core import registry
from p2vprep.core.compare import (
    ClassDifference,
    Comparison,
    Difference,
    FlagsDifference,
    KeyDifference,
    SecurityDifference,
    ValueDifference,
    compare,
    unexpected,
)
from p2vprep.core.model import Change, FileChange, KeyChange, ValueChange
from p2vprep.core.regf.reader import HiveReader, RegfKey
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit.hivewriter import build_hive, security_descriptor
from tests.support.corpus import hive_bytes, system_hive_names
from tests.support.mutate import cell_offsets, damaged

OTHER = security_descriptor(users_may_read=True)
ONE, TWO = Data.dword(1), Data.dword(2)


# --- the reference: decode everything, compare dictionaries ------------------------------------

Names = tuple[tuple[str, int], ...]


class Record:
    """All that is compared of one key."""

    def __init__(self, key: RegfKey) -> None:
        self.path = key.path
        self.flags = key.flags & ~0x20
        self.class_raw = key.class_raw
        self.security = key.security
        self.values: dict[tuple[str, int], Data] = {}
        for name, data in key.values():
            self.values[name, sum(name == other for other, _ in self.values)] = data


def flattened(key: RegfKey, names: Names = ()) -> Iterator[tuple[Names, Record]]:
    yield names, Record(key)
    seen: Counter[str] = Counter()
    for child in key.subkeys():
        yield from flattened(child, (*names, (child.name, seen[child.name])))
        seen[child.name] += 1


def sizes(tree: dict[Names, Record]) -> dict[Names, tuple[int, int]]:
    """How many keys and values each key holds, itself included."""
    keys: Counter[Names] = Counter()
    values: Counter[Names] = Counter()
    for names, record in tree.items():
        for length in range(len(names) + 1):
            keys[names[:length]] += 1
            values[names[:length]] += len(record.values)
    return {names: (keys[names], values[names]) for names in tree}


def own_differences(names: Names, old: dict[Names, Record], new: dict[Names, Record]) -> Iterator[Difference]:
    """All differences but those of the presence of keys."""
    first, second = old.get(names), new.get(names)
    path = (second or first).path  # type: ignore[union-attr]
    if second is not None:
        flags = first.flags if first else 0
        inherited = first.security if first else new[names[:-1]].security
        if flags != second.flags:
            yield FlagsDifference(path, flags, second.flags)
        if (first.class_raw if first else None) != second.class_raw:
            yield ClassDifference(path, first.class_raw if first else None, second.class_raw)
        if inherited != second.security:
            yield SecurityDifference(path, inherited, second.security)
    before, after = (first.values if first else {}), (second.values if second else {})
    for place in before.keys() | after.keys():
        if before.get(place) != after.get(place):
            yield ValueDifference(path, place[0], before.get(place), after.get(place))


def reference(before: bytes, after: bytes) -> Counter[Difference]:
    old, new = dict(flattened(HiveReader(before).root)), dict(flattened(HiveReader(after).root))
    found = Counter(item for names in old.keys() | new.keys() for item in own_differences(names, old, new))
    removed, added = sizes(old), sizes(new)
    found.update(
        KeyDifference(old[names].path, "removed", *removed[names]) for names in old.keys() - new.keys()
    )
    found.update(KeyDifference(new[names].path, "added", *added[names]) for names in new.keys() - old.keys())
    return found


def differences(before: bytes, after: bytes) -> tuple[Difference, ...]:
    return compare(HiveReader(before), HiveReader(after)).differences


def patched(content: bytes, offset: int, within: int, raw: bytes) -> bytes:
    """The hive with bytes changed ``within`` bytes behind a cell's size field."""
    start = 4096 + offset + 4 + within
    return content[:start] + raw + content[start + len(raw) :]


def key_at(content: bytes, path: str) -> RegfKey:
    key = registry.find(HiveReader(content), path)
    assert isinstance(key, RegfKey)
    return key


# --- what is found -----------------------------------------------------------------------------

TREE: dict[str, dict[str, Data]] = {
    "": {"at the root": ONE},
    "A\\B": {"v": Data.binary(b"12345678"), "w": ONE, "big": Data.binary(bytes(40_000))},
    "A\\Ж": {"Ж": Data.sz("text")},
    **{f"Long\\K{each:04}": {"Start": Data.dword(each % 5), "t": Data.sz("x" * 40)} for each in range(1100)},
}


def test_equal_hives() -> None:
    content = build_hive(TREE)
    assert compare(HiveReader(content), HiveReader(content)).equal
    elsewhere = build_hive(dict(reversed(TREE.items())), lists="ri-li", timestamp=1, slack=4096, minor=3)
    comparison = compare(HiveReader(content), HiveReader(elsewhere))
    assert comparison.equal
    assert comparison.differences == ()


def test_a_changed_an_added_and_a_removed_value() -> None:
    tree = {**TREE, "A\\B": {"v": Data.binary(b"12345678"), "w": TWO, "new": ONE}}
    big = Data.binary(bytes(40_000))
    found = differences(build_hive(TREE), build_hive(tree))
    assert found == (
        ValueDifference("A\\B", "w", ONE, TWO),
        ValueDifference("A\\B", "big", big, None),
        ValueDifference("A\\B", "new", None, ONE),
    )
    assert not Comparison(found).equal


def test_type_and_spelling_count() -> None:
    before = build_hive({"A": {"v": ONE, "Name": ONE}})
    after = build_hive({"A": {"v": Data.binary(ONE.raw), "NAME": ONE}})
    assert set(differences(before, after)) == {
        ValueDifference("A", "v", ONE, Data.binary(ONE.raw)),
        ValueDifference("A", "Name", ONE, None),
        ValueDifference("A", "NAME", None, ONE),
    }
    assert [type(item) for item in differences(build_hive({"Key": {}}), build_hive({"KEY": {}}))] == [
        KeyDifference,
        KeyDifference,
    ]


def test_keys_are_reported_one_by_one_with_all_they_hold() -> None:
    before = build_hive({"A\\B\\C": {"v": ONE}, "A\\B\\D": {}, "Z": {}})
    after = build_hive({"A": {}, "Z\\Y": {"w": TWO}})
    found = compare(HiveReader(before), HiveReader(after))
    assert found.differences == (
        KeyDifference("A\\B", "removed", 3, 1),
        KeyDifference("A\\B\\C", "removed", 1, 1),
        ValueDifference("A\\B\\C", "v", ONE, None),
        KeyDifference("A\\B\\D", "removed", 1, 0),
        KeyDifference("Z\\Y", "added", 1, 1),
        ValueDifference("Z\\Y", "w", None, TWO),
    )
    assert found.summary() == (KeyDifference("A\\B", "removed", 3, 1), KeyDifference("Z\\Y", "added", 1, 1))


def test_a_summary_keeps_what_is_outside() -> None:
    found = compare(
        HiveReader(build_hive({"A": {"v": ONE}})), HiveReader(build_hive({"A": {"v": TWO}, "B": {"v": ONE}}))
    )
    assert set(found.summary()) == {ValueDifference("A", "v", ONE, TWO), KeyDifference("B", "added", 1, 1)}


def test_class_names_security_and_flags() -> None:
    before = build_hive({"A": {}, "B": {}}, class_names={"A": "old"}, descriptors={"B": OTHER})
    after = build_hive({"A": {}, "B": {}}, class_names={"A": "new"})
    key = key_at(after, "B")
    after = patched(after, key.offset, 2, struct.pack("<H", 0x30))
    assert set(differences(before, after)) == {
        ClassDifference("A", "old".encode("utf-16-le"), "new".encode("utf-16-le")),
        SecurityDifference("B", OTHER, security_descriptor()),
        FlagsDifference("B", 0, 0x10),
    }


def test_what_is_unusual_in_an_added_key_is_told() -> None:
    after = build_hive({"A\\B": {}}, class_names={"A": "c"}, descriptors={"A": OTHER})
    after = patched(after, key_at(after, "A\\B").offset, 2, struct.pack("<H", 0x30))
    assert differences(build_hive({}), after) == (
        KeyDifference("A", "added", 2, 0),
        ClassDifference("A", None, "c".encode("utf-16-le")),
        SecurityDifference("A", security_descriptor(), OTHER),
        KeyDifference("A\\B", "added", 1, 0),
        FlagsDifference("A\\B", 0, 0x10),
        SecurityDifference("A\\B", OTHER, security_descriptor()),
    )


def test_a_descriptor_that_many_share_is_told_for_each() -> None:
    content = build_hive(TREE)
    record = key_at(content, "A").security_offset
    found = differences(content, patched(content, record, 20 + 24, b"\x20\x03"))
    assert len(found) == 1105
    assert {type(item) for item in found} == {SecurityDifference}


def test_names_held_twice_are_paired_in_order() -> None:
    before = build_hive({"A": {"v": ONE, "w": TWO}, "B": {}})
    record = struct.unpack_from(
        "<2I", before, 4096 + struct.unpack_from("<I", before, 4096 + key_at(before, "A").offset + 44)[0] + 4
    )[1]
    before = patched(before, record, 20, b"v")
    before = patched(before, key_at(before, "B").offset, 76, b"A")
    assert differences(before, before[:]) == ()
    after = patched(before, record, 8, TWO.raw[:1] + b"\7\0\0")
    assert differences(before, after) == (ValueDifference("A", "v", TWO, Data(4, b"\2\7\0\0")),)


def test_unchanged_parts_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_hive(TREE)
    held = before.index(Data.sz("text").raw)
    after = before[:held] + b"T" + before[held + 1 :]
    made: list[int] = []
    original = RegfKey.__init__

    def counting(self: RegfKey, hive: HiveReader, offset: int, parent: RegfKey | None) -> None:
        made.append(offset)
        original(self, hive, offset, parent)

    monkeypatch.setattr(RegfKey, "__init__", counting)
    assert differences(before, after) == (ValueDifference("A\\Ж", "Ж", Data.sz("text"), Data.sz("Text")),)
    assert len(made) < 100


def test_damage_in_what_changed_is_an_error() -> None:
    content = build_hive(TREE)
    for path in ("A\\B", "Long\\K0500", ""):
        with pytest.raises(HiveError):
            differences(content, patched(content, key_at(content, path).offset, 0, b"xx"))
        with pytest.raises(HiveError):
            differences(patched(content, key_at(content, path).offset, 0, b"xx"), content)


def test_damage_that_both_hold_never_hides_a_change() -> None:
    """It is an error where it must be decoded; what is the same in both may be damaged as it likes."""
    content = build_hive(TREE)
    key = key_at(content, "A\\B").offset
    root = key_at(content, "").offset
    held = struct.unpack_from("<I", content, 4096 + key + 44)[0]
    top = struct.unpack_from("<I", content, 4096 + root + 32)[0]
    first = struct.unpack_from("<I", content, 4096 + held + 4)[0]
    nowhere = b"\xf8\xff\xff\x7f"
    damages = [
        (key, 36, b"\xff\xff\xff\x0f"),
        (key, 40, nowhere),
        (key, 20, b"\1\0\0\0"),
        (held, 0, nowhere),
        (first, 8, nowhere),
        (top, 2, b"\xff\xff"),
        (top, 4, nowhere),
        (top, 4, struct.pack("<I", root)),
        (root, 28, struct.pack("<I", key)),
    ]
    for damage in damages:
        before = patched(content, *damage)
        after = before.replace(Data.sz("text").raw, Data.sz("Text").raw)
        assert before != after
        with pytest.raises(HiveError):
            differences(before, after)


def test_a_value_that_lies_nowhere_in_a_key_that_is_the_same_is_an_error() -> None:
    content = build_hive({"A": {"w": Data.binary(b"f" * 12_000)}, "B": {"v": Data.binary(b"near" * 4)}})
    held = struct.unpack_from("<I", content, 4096 + key_at(content, "B").offset + 44)[0]
    assert held < content.index(b"ffff") - 4096  # its page is the same in both
    before = patched(content, held, 0, b"\xf8\xff\xff\x7f")
    after = before.replace(b"f" * 12_000, b"f" * 11_999 + b"g")
    with pytest.raises(HiveError):
        differences(before, after)
    sound = content.replace(b"f" * 12_000, b"f" * 11_999 + b"g")
    assert [item.key for item in differences(content, sound)] == ["A"]


# --- against the reference ---------------------------------------------------------------------


def agree(before: bytes, after: bytes) -> bool:
    """Whether both could be read; then the comparison must say what the reference says."""
    try:
        expected = reference(before, after)
    except HiveError:
        try:
            differences(before, after)
        except HiveError as problem:
            if problem.code not in ("hive-damaged", "not-a-hive"):
                raise
        return False
    assert Counter(differences(before, after)) == expected
    return True


NAME = st.text(st.sampled_from("abcDEFж"), min_size=1, max_size=3)
DATA = st.builds(Data, st.integers(0, 4), st.one_of(st.binary(max_size=6), st.just(bytes(17_000))))
TREES = st.dictionaries(
    st.lists(NAME, max_size=3).map("\\".join), st.dictionaries(NAME, DATA, max_size=3), max_size=6
)


@given(TREES, TREES)
@settings(max_examples=60, deadline=None)
def test_any_two_trees_compare_as_the_reference_says(
    before: dict[str, dict[str, Data]], after: dict[str, dict[str, Data]]
) -> None:
    assert agree(build_hive(before), build_hive(after, lists="li"))


SMALL: dict[str, dict[str, Data]] = {
    **{f"K{each}\\x\\y{each}": {"v": ONE, "text": Data.sz("y" * each)} for each in range(40)},
    **{f"L\\{each}": {"Start": TWO} for each in range(40)},
}
BASES: dict[str, Callable[[], bytes]] = {
    "plain": lambda: build_hive(SMALL, class_names={"K1": "class"}, descriptors={"K2": OTHER}),
    "index lists": lambda: build_hive(SMALL, lists="ri-lf", leaf_entries=7),
    "old": lambda: build_hive(SMALL, lists="li", minor=3),
}


def mutate_and_agree(base: bytes, seed: int) -> bool:
    random = Random(seed)
    cells = cell_offsets(base)
    before = damaged(base, cells, random) if random.random() < 0.3 else base
    return agree(before, damaged(before, cells, random) if len(before) == len(base) else base)


@given(st.sampled_from(sorted(BASES)), st.integers(0, 1 << 40))
@settings(max_examples=100, deadline=None)
def test_mutated_hives_compare_as_the_reference_says(base: str, seed: int) -> None:
    mutate_and_agree(BASES[base](), seed)


@pytest.mark.long
@pytest.mark.parametrize("name", BASES)
def test_many_mutated_hives_compare_as_the_reference_says(name: str) -> None:
    base = BASES[name]()
    readable = sum(mutate_and_agree(base, seed) for seed in range(1000))
    assert 100 < readable < 1000


def test_innocent_changes_everywhere_compare_as_the_reference_says() -> None:
    base = BASES["plain"]()
    vectors = 0
    for key in list(registry.walk(HiveReader(base).root))[::7]:
        assert isinstance(key, RegfKey)
        renamed = patched(base, key.offset, 76, b"~") if key.parent else base
        flagged = patched(base, key.offset, 3, b"\1")
        vectors += agree(base, renamed) and agree(renamed, base) and agree(base, flagged)
    assert vectors > 20


def edited_with_hivex(content: bytes, path: Path, edit: Callable[[Any], None]) -> bytes:
    hivex = pytest.importorskip("hivex")
    path.write_bytes(content)
    hive = hivex.Hivex(str(path), write=True)
    edit(hive)
    hive.commit(str(path))
    return path.read_bytes()


def some_edits(hive: Any) -> None:
    """Changes, adds and deletes here and there, as a plan does."""
    nodes = list(hive.node_children(hive.root()))
    for node in nodes[:3]:
        hive.node_set_value(node, {"key": "added value", "t": 4, "value": b"\4\0\0\0"})
        child = hive.node_add_child(node, "p2vprep test")
        hive.node_set_value(child, {"key": "", "t": 1, "value": b"x\0\0\0"})
        for below in hive.node_children(node)[:2]:
            if hive.node_name(below) != "p2vprep test":
                hive.node_delete_child(below)


def test_what_hivex_edits_compares_as_the_reference_says(tmp_path: Path) -> None:
    before = build_hive(SMALL)
    after = edited_with_hivex(before, tmp_path / "hive", some_edits)
    assert agree(before, after)
    assert agree(after, before)
    assert len(differences(before, after)) > 10


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if "partial" in name or "phony" in name else pytest.mark.long)
        for name in system_hive_names()
    ],
)
def test_real_hives_edited_with_hivex(name: str, tmp_path: Path) -> None:
    before = hive_bytes(name)
    after = edited_with_hivex(before, tmp_path / "hive", some_edits)
    assert agree(before, after)


# --- plans -------------------------------------------------------------------------------------


def value(key: str, name: str, before: Data | None, after: Data | None, hive: str = "SYSTEM") -> ValueChange:
    return ValueChange(hive, key, name, before, after, "rule", "why")


def key(path: str, before: bool, after: bool, hive: str = "SYSTEM") -> KeyChange:
    return KeyChange(hive, path, before, after, "rule", "why")


BEFORE: dict[str, dict[str, Data]] = {"A": {"v": ONE, "w": ONE}, "Gone\\B": {"x": ONE}, "Z": {}}
AFTER: dict[str, dict[str, Data]] = {"A": {"v": TWO}, "Z\\New\\Deep": {"n": ONE}}
PLAN: list[Change] = [
    value("A", "v", ONE, TWO),
    value("a", "W", ONE, None),
    key("Gone", True, False),
    key("Z\\New", False, True),
    key("Z\\New\\Deep", False, True),
    value("Z\\New\\Deep", "n", None, ONE),
]


def judge(
    changes: Iterable[Change],
    before: dict[str, dict[str, Data]] = BEFORE,
    after: dict[str, dict[str, Data]] = AFTER,
    **options: Any,
) -> tuple[tuple[Change, ...], tuple[Difference, ...]]:
    comparison = compare(HiveReader(build_hive(before)), HiveReader(build_hive(after, **options)))
    return unexpected(comparison, tuple(changes), "SYSTEM")


def test_exactly_the_plan() -> None:
    assert judge(PLAN) == ((), ())


@pytest.mark.parametrize("left_out", range(len(PLAN)))
def test_what_was_not_planned_is_extra(left_out: int) -> None:
    plan = [item for at, item in enumerate(PLAN) if at != left_out]
    missing, extra = judge(plan)
    assert missing == ()
    # A new key is implied by what is planned below it.
    assert bool(extra) == (left_out not in (3, 4))


def test_an_implied_key_without_its_own_plan() -> None:
    assert judge([value("N\\O", "v", None, ONE)], {}, {"N\\O": {"v": ONE}}) == ((), ())
    _, extra = judge([value("N\\O", "v", None, ONE)], {}, {"N\\O": {"v": ONE}, "N\\P": {}})
    assert extra == (KeyDifference("N\\P", "added", 1, 0),)
    _, extra = judge([key("N", False, True)], {}, {"N\\O": {}})
    assert extra == (KeyDifference("N\\O", "added", 1, 0),)


@pytest.mark.parametrize(
    "planned",
    [
        value("A", "v", ONE, Data.dword(3)),
        value("A", "v", TWO, ONE),
        value("A", "v", None, TWO),
        value("A", "absent", ONE, TWO),
        value("A", "absent", ONE, None),
        key("Z\\Never", False, True),
        key("A", True, False),
        key("Gone\\C", True, False),
    ],
)
def test_what_did_not_come_true_is_missing(planned: Change) -> None:
    missing, _ = judge([*PLAN[1:], planned])
    assert missing == (planned,)


def test_a_value_with_another_result_is_missing_and_extra() -> None:
    planned = value("A", "v", ONE, Data.dword(3))
    assert judge([planned, *PLAN[1:]]) == ((planned,), (ValueDifference("A", "v", ONE, TWO),))


def test_changes_that_change_nothing_must_change_nothing() -> None:
    nothing: list[Change] = [value("A", "v", ONE, ONE), value("A", "q", None, None), key("A", True, True)]
    assert judge(nothing, BEFORE, BEFORE) == ((), ())
    assert judge(nothing, {"A": {"v": ONE}}, {"A": {"v": TWO}}) == (
        (),
        (ValueDifference("A", "v", ONE, TWO),),
    )


def test_other_hives_and_files_do_not_matter() -> None:
    others: list[Change] = [
        value("A", "v", ONE, TWO, "SOFTWARE"),
        key("Gone", True, False, "SOFTWARE"),
        FileChange("p2vprep/run.cmd", None, None, "rule", "why"),
    ]
    assert judge(others, BEFORE, BEFORE) == ((), ())
    missing, extra = judge(others)
    assert missing == ()
    assert len(extra) == 8


def test_a_value_planned_in_a_deleted_key_is_met() -> None:
    assert judge([*PLAN, value("Gone\\B", "x", ONE, None)]) == ((), ())
    kept = value("Gone\\B", "x", ONE, TWO)
    assert judge([*PLAN, kept]) == ((kept,), ())


def test_security_classes_and_flags_are_never_planned() -> None:
    _, extra = judge(PLAN, class_names={"A": "c"}, descriptors={"A": OTHER, "Z\\New": OTHER})
    assert {(type(item), item.key) for item in extra} == {
        (ClassDifference, "A"),
        (SecurityDifference, "A"),
        (SecurityDifference, "Z\\New"),
        (SecurityDifference, "Z\\New\\Deep"),
    }


def test_deleting_one_key_does_not_cover_its_neighbour() -> None:
    _, extra = judge([key("Gone", True, False)], {"Gone": {}, "Gone2": {}}, {})
    assert extra == (KeyDifference("Gone2", "removed", 1, 0),)
