"""Exact edits of a hive's bytes: nothing changes but what was asked for, and the hive stays sound."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf import lists, patch, records
from p2vprep.core.regf.cells import Cells
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import find, fold, join
from p2vprep.core.values import Data
from p2vprep.errors import FailedError, HiveError, P2vprepError, RefusedError
from testdata.kit.hivewriter import build_hive, security_descriptor
from tests.support.corpus import hive_bytes, system_hive_names
from tests.support.pacing import paced
from tests.support.trees import assert_independent, assert_sound, edited, tree

KINDS = ["lh", "lf", "li", "ri-lh", "ri-lf", "ri-li"]
SERVICES = "ControlSet001\\Services"
SAMPLE = {
    "Select": {"Current": Data.dword(1), "Default": Data.dword(1)},
    f"{SERVICES}\\a": {"Start": Data.dword(0), "ImagePath": Data.expand_sz("x.sys"), "": Data.sz("")},
    f"{SERVICES}\\B_b": {"Start": Data.dword(2)},
    f"{SERVICES}\\Bz": {},
    f"{SERVICES}\\Straße": {"größe": Data.qword(7), "日本": Data.binary(b"12345678")},
    f"{SERVICES}\\日本": {"Start": Data.dword(3)},
    f"{SERVICES}\\c\\Parameters\\Deep": {"List": Data.multi_sz(["a", "b"])},
}


def value(key: str, name: str, data: Data | None) -> ValueChange:
    return ValueChange("SYSTEM", key, name, None, data, "rule", "why")


def made(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, False, True, "rule", "why")


def gone(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, True, False, "rule", "why")


def assert_exact(data: bytes, changes: list[ValueChange | KeyChange]) -> bytes:
    """Applies the changes; two readers see exactly them, and the hive is sound."""
    after = patch.apply(data, changes)
    expected = edited(tree(data), changes)
    assert tree(after) == expected
    assert_independent(after, expected)
    assert_sound(after)
    assert HiveReader(after).base_block.checksum_valid
    return after


def count_differing(before: bytes, after: bytes) -> int:
    return sum(a != b for a, b in zip(before[4096:], after[4096:], strict=False))


# --- values ------------------------------------------------------------------------------------


def test_a_start_type_is_one_byte_in_place() -> None:
    data = build_hive(SAMPLE)
    after = assert_exact(data, [value(f"{SERVICES}\\a", "start", Data.dword(4))])
    assert len(after) == len(data)
    assert count_differing(data, after) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_every_way_of_setting_a_value(kind: str, minor: int) -> None:
    sizes = (0, 1, 4, 5, 8, 12, 13, 100, 5000, 16344, 30, 3, 0)
    data = build_hive(SAMPLE, lists=kind, minor=minor)
    for size in sizes:
        data = assert_exact(data, [value(f"{SERVICES}\\a", "ImagePath", Data(3, bytes([size % 251]) * size))])
    data = assert_exact(data, [value(f"{SERVICES}\\Bz", "Neu äé", Data.sz("first"))])
    data = assert_exact(
        data, [value(f"{SERVICES}\\Bz", "日本語", Data.sz("x" * 50)), value("Select", "", Data.sz("d"))]
    )
    assert_exact(data, [value(f"{SERVICES}\\Bz", f"v{number}", Data.dword(number)) for number in range(50)])


def test_the_longest_name_and_data_are_kept_for_readers_that_trust_them() -> None:
    data = build_hive(SAMPLE)
    after = patch.apply(data, [value("Select", "a longer name", Data.sz("some longer data"))])
    cells = Cells(after)
    key = lists.find(cells, "Select")
    assert key is not None
    assert (cells.u32(key, 60), cells.u32(key, 64)) == (2 * len("a longer name"), 34)


def test_a_spelling_is_kept() -> None:
    after = patch.apply(build_hive(SAMPLE), [value(f"{SERVICES}\\straßE", "GRÖSSE", Data.qword(1))])
    key = find(HiveReader(after), f"{SERVICES}\\Straße")
    assert key is not None
    assert [name for name, _ in key.values()] == ["größe", "日本", "GRÖSSE"]


def test_values_go_one_by_one_until_the_list_is_free() -> None:
    data = build_hive(SAMPLE)
    for name in ("ImagePath", "", "Start"):
        data = assert_exact(data, [value(f"{SERVICES}\\A", name, None)])
    assert_exact(data, [value(f"{SERVICES}\\a", "again", Data.dword(1))])


@pytest.mark.parametrize("minor", [3, 5])
def test_a_big_value_can_be_replaced_and_deleted_with_all_its_segments(minor: int) -> None:
    data = build_hive({"Big": {"big": Data.binary(b"x" * 40_000), "small": Data.dword(1)}}, minor=minor)
    assert_exact(data, [value("Big", "small", Data.dword(2))])
    assert_exact(data, [value("Big", "big", Data.sz("small now"))])
    assert_exact(data, [value("Big", "big", Data.dword(3))])
    after = assert_exact(data, [value("Big", "big", None)])
    assert free_bytes(after) - free_bytes(data) >= 40_000


def free_bytes(data: bytes) -> int:
    """The bytes of all free cells, by walking the bins."""
    total, at = 0, 4096
    end = 4096 + HiveReader(data).base_block.bins_size
    while at < end:
        (length,) = struct.unpack_from("<I", data, at + 8)
        cell = at + 32
        while cell < at + length:
            (size,) = struct.unpack_from("<i", data, cell)
            total += max(size, 0)
            cell += abs(size)
        at += length
    return total


def test_a_value_over_a_segment_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        patch.apply(build_hive(SAMPLE), [value("Select", "x", Data.binary(bytes(16345)))])
    assert caught.value.code == "value-too-big"


@pytest.mark.parametrize(
    "change",
    [
        value("Select", "absent", None),
        value("Absent", "x", Data.dword(1)),
        gone("Absent"),
        made("Absent\\Below"),
        gone("Absent\\Below\\Far"),
        made("select"),
    ],
)
def test_a_change_that_does_not_fit_the_hive_fails(change: ValueChange | KeyChange) -> None:
    with pytest.raises(FailedError) as caught:
        patch.apply(build_hive(SAMPLE), [change])
    assert caught.value.code == "hive-edit-failed"


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_security", [True, False])
@pytest.mark.parametrize("minor", [3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_made_where_their_name_belongs(kind: str, minor: int, with_security: bool) -> None:
    data = build_hive(SAMPLE, lists=kind, minor=minor, leaf_entries=2, with_security=with_security)
    names = ["0", "ZZ", "B_a", "Ba", "b~", "Ç", "strassf", "日", "\U0001f600", "_", "B[", "a b"]
    data = assert_exact(data, [made(f"{SERVICES}\\{name}") for name in names])
    first = f"{SERVICES}\\Bz"
    assert_exact(
        data, [made(f"{first}\\new"), made(f"{first}\\new\\below"), value(f"{first}\\new", "x", Data.sz("y"))]
    )


def test_an_empty_list_below_an_index_is_passed_over() -> None:
    cells = Cells(build_hive({"a": {}, "c": {}}, lists="ri-lh", leaf_entries=1))
    first, _ = lists.leaves(cells, cells.block.root)
    cells.put16(first.cell, 2, 0)
    cells.put32(cells.block.root, 20, 1)
    assert set(tree(patch.apply(cells.result(), [made("b")]))) == {"", "b", "c"}


@pytest.mark.parametrize(("minor", "kind"), [(3, b"lf"), (4, b"lf"), (5, b"lh"), (6, b"lh")])
def test_a_first_subkey_gets_the_list_all_readers_of_the_version_know(minor: int, kind: bytes) -> None:
    data = build_hive(SAMPLE, minor=minor)
    cells = Cells(patch.apply(data, [made("Select\\new")]))
    key = lists.find(cells, "Select")
    assert key is not None
    assert [leaf.kind for leaf in lists.leaves(cells, key)] == [kind]


def test_a_list_that_is_full_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_MOST_ENTRIES", 3)
    data = patch.apply(build_hive({"a": {}, "b": {}}), [made("c")])
    with pytest.raises(RefusedError) as caught:
        patch.apply(data, [made("d")])
    assert caught.value.code == "key-limit"


@pytest.mark.parametrize("with_security", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_keys_go_with_all_below_them_and_leave_no_empty_list(kind: str, with_security: bool) -> None:
    data = build_hive(SAMPLE, lists=kind, leaf_entries=1, with_security=with_security)
    for name in ("c", "a", "日本", "B_b", "Straße", "Bz"):
        data = assert_exact(data, [gone(f"{SERVICES}\\{name}")])
    data = assert_exact(data, [gone(SERVICES)])
    assert_exact(data, [made(SERVICES), gone("Select")])


def test_a_deleted_key_gives_up_all_its_cells() -> None:
    keys = {
        "a": {},
        "a\\b": {"big": Data.binary(bytes(20_000)), "x": Data.sz("text")},
        "a\\b\\c": {},
        "z": {},
    }
    options = {
        "class_names": {"a\\b": "Klasse"},
        "descriptors": {"a\\b": security_descriptor(users_may_read=True)},
    }
    with_it = patch.apply(build_hive(keys, **options), [gone("a")])  # type: ignore[arg-type]
    held = sum(used_cells(with_it).values())
    without = build_hive({"z": {}})
    room_of_one_entry = 8
    assert held == sum(used_cells(without).values()) + room_of_one_entry
    assert_sound(with_it)


def used_cells(data: bytes) -> dict[int, int]:
    """The sizes of all cells in use, by offset."""
    cells: dict[int, int] = {}
    at = 4096 + 32
    (length,) = struct.unpack_from("<I", data, 40)
    while at < 4096 + length:
        if data[at : at + 4] == b"hbin" and at % 4096 == 0:
            at += 32
        (size,) = struct.unpack_from("<i", data, at)
        if size < 0:
            cells[at] = -size
        at += abs(size)
    return cells


def test_free_neighbours_become_one_cell() -> None:
    data = build_hive({"a": {f"v{number}": Data.sz("some text") for number in range(9)}, "z": {}})
    after = patch.apply(data, [gone("a")])
    at, previous_free = 4096 + 32, False
    while at < len(after):
        (size,) = struct.unpack_from("<i", after, at)
        assert not (size > 0 and previous_free)
        previous_free = size > 0
        at += abs(size)


def test_a_security_descriptor_leaves_the_ring_with_its_last_key() -> None:
    keys: dict[str, dict[str, Data]] = {"a": {}, "b": {}, "c": {}}
    own = {name: security_descriptor(users_may_read=True) + name.encode() for name in keys}
    data = patch.apply(build_hive(keys, descriptors=own), [gone("b")])
    cells = Cells(data)
    start = cells.u32(cells.block.root, 44)
    ring = [start]
    while (following := cells.u32(ring[-1], 4)) != start:
        assert cells.u32(following, 8) == ring[-1]
        ring.append(following)
    assert len(ring) == 3
    assert cells.u32(start, 8) == ring[-1]


def test_the_only_security_descriptor_goes_with_its_only_key() -> None:
    data = bytearray(build_hive({"a": {}, "b": {}}, descriptors={"a": security_descriptor() + b"own"}))
    own = _security_of(data, "a")
    for path in ("", "b"):  # ReactOS leaves keys without a descriptor
        place = _key(data, path) + records.KEY_SECURITY
        data[place : place + 4] = b"\xff" * 4
    ring = 4096 + 4 + own + records.SECURITY_NEXT
    data[ring : ring + 8] = struct.pack("<II", own, own)
    after = patch.apply(bytes(data), [gone("a")])
    (size,) = struct.unpack_from("<i", after, 4096 + own)
    assert size > 0


def _key(data: bytearray, path: str) -> int:
    """The file offset of a key's record."""
    found = lists.find(Cells(bytes(data)), path)
    assert found is not None
    return 4096 + 4 + found


def _security_of(data: bytearray, path: str) -> int:
    (offset,) = struct.unpack_from("<I", data, _key(data, path) + records.KEY_SECURITY)
    assert isinstance(offset, int)
    return offset


def test_the_root_stays() -> None:
    with pytest.raises(RefusedError) as caught:
        patch.apply(build_hive(SAMPLE), [gone("")])
    assert caught.value.code == "key-protected"


# --- growing -----------------------------------------------------------------------------------


def test_what_is_new_grows_over_slack_before_the_file_grows() -> None:
    data = build_hive(SAMPLE, slack=10_000)
    grown = assert_exact(data, [made("Select\\new")])
    assert len(grown) == len(data)
    grown = assert_exact(data, [value("Select", "x", Data.binary(bytes(12_000)))])
    assert len(grown) == 4096 + HiveReader(grown).base_block.bins_size > len(data)


def test_a_hive_that_cannot_grow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build_hive(SAMPLE)
    monkeypatch.setattr("p2vprep.core.regf.cells.MAX_BINS", HiveReader(data).base_block.bins_size)
    with pytest.raises(RefusedError) as caught:
        patch.apply(data, [made("Select\\new")])
    assert caught.value.code == "hive-too-big"


# --- damage ------------------------------------------------------------------------------------


def broken(at: int, raw: bytes) -> bytes:
    """A small hive with bytes written over a place, counted from its first bin."""
    data = bytearray(build_hive({"a": {"x": Data.sz("text")}}))
    data[4096 + at : 4096 + at + len(raw)] = raw
    return bytes(data)


def place_of(what: bytes) -> int:
    return build_hive({"a": {"x": Data.sz("text")}}).index(what, 4096) - 4096


@pytest.mark.parametrize(
    ("at", "raw"),
    [
        (place_of(b"lh"), b"xx"),
        (place_of(b"lh") + 2, b"\xff\x00"),
        (place_of(b"lh") + 4, b"\x04"),
        (place_of(b"lh") + 4, b"\xf8\xff\xff\xff"),
        (place_of(b"lh") - 4, b"\x10\0\0\0"),
        (place_of(b"vk"), b"xx"),
        (place_of(b"vk") + 8, b"\x08\0\1\0"),
        (
            place_of(
                b"nk",
            )
            - 4,
            b"\xff\xff\xff\x7f",
        ),
        (4, b"\1"),
        (8, b"\1"),
        (8, b"\0\0\2\0"),
    ],
)
def test_a_damaged_hive_ends_in_a_hive_error(at: int, raw: bytes) -> None:
    with pytest.raises(HiveError):
        patch.apply(broken(at, raw), [gone("a")])


def test_a_big_value_that_is_not_one_is_not_given_up() -> None:
    data = bytearray(build_hive({"a": {"big": Data.binary(bytes(20_000))}}))
    data[data.index(b"db", 4096)] = 0
    with pytest.raises(HiveError, match="big data"):
        patch.apply(bytes(data), [value("a", "big", None)])


def test_a_subkey_that_is_no_key_is_refused() -> None:
    data = bytearray(build_hive({"a": {}}))
    data[data.rindex(b"nk", 4096)] = 0
    with pytest.raises(HiveError, match="not a key"):
        patch.apply(bytes(data), [gone("a")])


def test_a_hive_that_is_shorter_than_it_says_is_refused() -> None:
    with pytest.raises(HiveError, match="longer than the file"):
        patch.apply(build_hive(SAMPLE)[:5000], [])


def test_lists_in_a_circle_end_in_a_hive_error() -> None:
    data = build_hive({"a": {}}, lists="ri-lh")
    cells = Cells(data)
    top = cells.u32(cells.block.root, 28)
    cells.put32(top, 4, top)
    with pytest.raises(HiveError, match="below another"):
        list(lists.leaves(cells, cells.block.root))


def test_keys_in_a_circle_end_in_a_hive_error() -> None:
    cells = Cells(build_hive({"a\\b": {}, "c": {}}))
    key = lists.find(cells, "a")
    inner = lists.find(cells, "a\\b")
    assert key is not None
    assert inner is not None
    cells.put32(inner, 20, 1)
    cells.put32(inner, 28, cells.u32(key, 28))
    with pytest.raises(HiveError):
        patch.delete_key(cells, key)


def test_a_key_that_its_parent_does_not_list_is_not_deleted() -> None:
    cells = Cells(build_hive({"a": {}, "b": {}}))
    key = lists.find(cells, "a")
    other = lists.find(cells, "b")
    assert key is not None
    assert other is not None
    cells.put32(key, 16, other)
    with pytest.raises(HiveError):
        patch.delete_key(cells, key)


# --- at random ---------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "B", "b_", "bA", "Z", "é", "É2", "日", "longer name", "\U0001f600"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: join(*parts))
DATA = st.builds(Data, st.sampled_from([0, 1, 3, 4, 7, 0xFFFF0012]), st.binary(max_size=40))
STEPS = st.lists(st.tuples(PATHS, st.none() | NAMES, st.none() | DATA), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(PATHS, st.dictionaries(NAMES, DATA, max_size=4), max_size=8),
    STEPS,
    st.sampled_from(KINDS),
    st.integers(1, 3),
    st.sampled_from([3, 5]),
)
def test_any_sequence_of_changes_is_exact(
    keys: dict[str, dict[str, Data]],
    steps: list[tuple[str, str | None, Data | None]],
    kind: str,
    entries: int,
    minor: int,
) -> None:
    data = build_hive(keys, lists=kind, leaf_entries=entries, minor=minor)
    state = tree(data)
    changes: list[ValueChange | KeyChange] = []
    for path, name, held in steps:
        for change in fitting(state, path, name, held):
            changes.append(change)
            state = edited(state, [change])
    assert_exact(data, changes)


def fitting(
    state: dict[str, dict[str, Data]], path: str, name: str | None, data: Data | None
) -> list[ValueChange | KeyChange]:
    """The changes of one random step that are possible in this state."""
    folded = {fold(each): each for each in state}
    if name is None:
        above, _, _ = path.rpartition("\\")
        if fold(path) in folded:
            return [gone(path)] if data is None else []
        return [made(path)] if fold(above) in folded else []
    if fold(path) not in folded:
        return []
    held = {fold(each) for each in state[folded[fold(path)]]}
    return [value(path, name, data)] if data is not None or fold(name) in held else []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(4096, 8191), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_mutated_hive_is_edited_or_refused(mutations: list[tuple[int, int]]) -> None:
    data = bytearray(build_hive(SAMPLE, lists="ri-lf", leaf_entries=2))
    for at, byte in mutations:
        data[at] = byte
    changes: list[ValueChange | KeyChange] = [
        value(f"{SERVICES}\\a", "Start", Data.dword(4)),
        value(f"{SERVICES}\\a", "ImagePath", None),
        made(f"{SERVICES}\\new"),
        gone(f"{SERVICES}\\c"),
    ]
    for change in changes:
        try:
            patch.apply(bytes(data), [change])
        except P2vprepError as problem:
            assert problem.code  # noqa: PT017 - either outcome is right


# --- real hives --------------------------------------------------------------------------------


@pytest.mark.corpus
@pytest.mark.parametrize("name", paced(system_hive_names()))
def test_real_hives_are_edited_exactly(name: str) -> None:
    data = hive_bytes(name)
    hive = HiveReader(data)
    services = find(hive, SERVICES)
    assert services is not None
    start = [key.path for key in services.subkeys() if key.value("Start") is not None][:20]
    changes: list[ValueChange | KeyChange] = [value(path, "Start", Data.dword(4)) for path in start]
    changes += [value(path, "ImagePath", None) for path in start if find(hive, path).value("ImagePath")]  # type: ignore[union-attr]
    changes += [
        made(f"{SERVICES}\\p2vprep"),
        value(f"{SERVICES}\\p2vprep", "ImagePath", Data.expand_sz("%x%")),
    ]
    enum = find(hive, "ControlSet001\\Enum")
    if enum is not None:
        changes += [gone(key.path) for key in list(enum.subkeys())[::3]]
    after = patch.apply(data, changes)
    expected = edited(tree(data), changes)
    assert tree(after) == expected
    assert_independent(after, expected)
