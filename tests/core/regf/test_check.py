"""The structure check: silent on sound hives, and a name for every damage."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core import registry
from p2vprep.core.regf.cellmap import MOST_PROBLEMS
from p2vprep.core.regf.check import StructureReport, check
from p2vprep.core.regf.reader import HiveReader, RegfKey
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit.hivewriter import build_hive, security_descriptor
from tests.support.corpus import hive_bytes, hive_entries
from tests.support.mutate import cell_offsets, damaged

BASE = 4096
NOWHERE = b"\xf8\xff\xff\x7f"
OTHER = security_descriptor(users_may_read=True)


def number(value: int) -> bytes:
    return struct.pack("<I", value & 0xFFFFFFFF)


def patched(content: bytes, offset: int, within: int, raw: bytes) -> bytes:
    """The hive with bytes changed ``within`` bytes behind a cell's size field."""
    start = BASE + offset + 4 + within
    return content[:start] + raw + content[start + len(raw) :]


def word(content: bytes, offset: int, within: int) -> int:
    return int(struct.unpack_from("<I", content, BASE + offset + 4 + within)[0])


def place(content: bytes, path: str = "") -> int:
    key = registry.find(HiveReader(content), path)
    assert isinstance(key, RegfKey)
    return key.offset


def codes(report: StructureReport) -> set[tuple[str, str]]:
    return {(problem.severity, problem.code) for problem in report.problems}


# --- sound hives -------------------------------------------------------------------------------

TREE: dict[str, dict[str, Data]] = {
    "A\\B": {"v": Data.binary(b"12345678"), "w": Data.dword(1), "big": Data.binary(bytes(40_000))},
    "Größe": {"": Data.sz("text"), "Länge": Data.dword(1)},
    "Žluť": {"Жук": Data.binary(b"")},
    **{f"L\\K{each}": {} for each in range(1200)},
}


@pytest.mark.parametrize("minor", [3, 5])
@pytest.mark.parametrize("lists", ["lh", "lf", "li", "ri-lh", "ri-li"])
def test_nothing_is_wrong_in_a_sound_hive(lists: str, minor: int) -> None:
    content = build_hive(TREE, lists=lists, minor=minor, class_names={"A": "c"}, descriptors={"A": OTHER})
    report = check(content)
    assert report.problems == ()
    assert (report.errors, report.notes, report.omitted, report.leaked_bytes) == ((), (), 0, 0)
    assert (report.keys, report.values) == (1206, 6)
    assert report.cells == len(cell_offsets(content))
    bins = struct.unpack_from("<I", content, 40)[0]
    used = sum(-struct.unpack_from("<i", content, BASE + cell)[0] for cell in cell_offsets(content))
    headers = sum(content.startswith(b"hbin", at) for at in range(BASE, BASE + bins, 4096)) * 32
    assert report.free_bytes == bins - headers - used


def test_file_slack_does_not_matter() -> None:
    assert check(build_hive(TREE, slack=8192) + b"odd").problems == ()


NAME = st.text(st.characters(exclude_characters="\\\0"), min_size=1, max_size=12)
TREES = st.dictionaries(
    st.lists(NAME, max_size=4).map("\\".join),
    st.dictionaries(
        st.text(max_size=8), st.builds(Data, st.integers(0, 12), st.binary(max_size=20)), max_size=4
    ),
    max_size=8,
)


@given(TREES, st.sampled_from(["lh", "lf", "li", "ri-lf"]))
@settings(max_examples=60, deadline=None)
def test_nothing_is_wrong_in_any_described_hive(tree: dict[str, dict[str, Data]], lists: str) -> None:
    assert check(build_hive(tree, lists=lists, leaf_entries=3)).problems == ()


def test_what_hivex_writes_is_sound(tmp_path: Path) -> None:
    hivex = pytest.importorskip("hivex")
    path = tmp_path / "hive"
    tree = {"A\\B": {"v": Data.dword(1)}, "under_score": {}, "underZcore": {}, "C": {"x": Data.sz("text")}}
    path.write_bytes(build_hive(tree, descriptors={"A\\B": OTHER}))
    hive = hivex.Hivex(str(path), write=True)
    added = hive.node_add_child(hive.root(), "under_b")
    hive.node_set_value(added, {"key": "n", "t": 3, "value": bytes(100)})
    hive.node_set_value(hive.node_get_child(hive.root(), "C"), {"key": "y", "t": 4, "value": b"\1\0\0\0"})
    hive.node_delete_child(hive.node_get_child(hive.root(), "A"))
    hive.commit(str(path))
    report = check(path.read_bytes())
    assert report.errors == ()
    assert codes(report) <= {("note", "security-count"), ("note", "leaked")}


def test_big_data_that_hivex_flattens_is_an_error(tmp_path: Path) -> None:
    hivex = pytest.importorskip("hivex")
    path = tmp_path / "hive"
    path.write_bytes(build_hive({"A": {"big": Data.binary(bytes(40_000))}}))
    hive = hivex.Hivex(str(path), write=True)
    hive.node_set_value(hive.node_get_child(hive.root(), "A"), {"key": "n", "t": 4, "value": bytes(4)})
    hive.commit(str(path))
    assert codes(check(path.read_bytes())) == {("error", "big-data"), ("note", "leaked")}


# --- notes -------------------------------------------------------------------------------------


def test_a_hive_without_security_is_noted() -> None:
    report = check(build_hive({"A": {}}, with_security=False))
    assert codes(report) == {("note", "no-security")}
    assert report.notes[0].message == "2 of its 2 keys have no security descriptor"
    assert report.notes[0].path == ""


def test_a_dirty_hive_is_noted() -> None:
    assert codes(check(build_hive({}, sequence=(3, 2)))) == {("note", "dirty")}


def test_a_wrong_order_is_noted() -> None:
    content = build_hive({"A": {}, "B": {}})
    held = word(content, place(content), 28)
    first, second = content[BASE + held + 8 :][:8], content[BASE + held + 16 :][:8]
    assert codes(check(patched(content, held, 4, second + first))) == {("note", "order")}


@pytest.mark.parametrize("lists", ["lh", "lf"])
@pytest.mark.parametrize(("name", "severity"), [("Name", "error"), ("Näme", "note")])
def test_a_wrong_hash_hides_a_key_from_windows(lists: str, name: str, severity: str) -> None:
    content = build_hive({name: {}}, lists=lists)
    held = word(content, place(content), 28)
    report = check(patched(content, held, 8, b"xxxx"))
    assert codes(report) == {(severity, "hash")}


def test_a_hint_may_differ_in_case_or_be_absent() -> None:
    content = build_hive({"Name": {}}, lists="lf")
    held = word(content, place(content), 28)
    for hint in (b"NAME", b"name", b"\0\0\0\0"):
        assert check(patched(content, held, 8, hint)).problems == ()


def test_maxima_that_are_too_low_are_noted() -> None:
    content = build_hive({"A\\Longer": {"name": Data.binary(b"12345")}}, class_names={"A\\Longer": "cc"})
    for path, within in (("A", 52), ("A", 56), ("A\\Longer", 60), ("A\\Longer", 64)):
        key = place(content, path)
        low = number(word(content, key, within) - 1)
        report = check(patched(content, key, within, low))
        assert codes(report) == {("note", "maximum")}
        assert report.notes[0].path == path
        assert check(patched(content, key, within, number(0x7FFF))).problems == ()


@pytest.mark.parametrize("letter", ["k", "ж"])
def test_names_longer_than_windows_allows_are_noted(letter: str) -> None:
    assert check(build_hive({letter * 255: {letter * 16_383: Data.dword(1)}})).problems == ()
    report = check(build_hive({letter * 256: {}, "A": {letter * 16_384: Data.dword(1)}}))
    assert [(item.code, item.path) for item in report.notes] == [("long-name", ""), ("long-name", "A")]
    assert report.errors == ()
    assert check(build_hive({letter * 2000: {}})).errors == ()


def test_cells_without_an_owner_are_noted() -> None:
    content = build_hive({"A": {"v": Data.binary(b"12345678")}})
    report = check(patched(content, place(content, "A"), 36, number(0) + number(-1)))
    assert codes(report) == {("note", "leaked")}
    assert report.leaked_bytes == 16 + 32 + 8


def test_a_reference_count_that_is_too_high_is_noted_and_too_low_an_error() -> None:
    content = build_hive({"A": {}})
    record = word(content, place(content), 44)
    assert codes(check(patched(content, record, 12, number(3)))) == {("note", "security-count")}
    assert codes(check(patched(content, record, 12, number(1)))) == {("error", "security-count")}


# --- errors ------------------------------------------------------------------------------------

SOUND = build_hive(
    {
        "A\\B": {"v": Data.binary(b"12345678"), "w": Data.dword(1), "big": Data.binary(bytes(40_000))},
        "C": {"Ж": Data.dword(1)},
        "Ж": {},
    },
    class_names={"A\\B": "class"},
    descriptors={"C": OTHER},
)
ROOT, A, B, C, WIDE = (place(SOUND, path) for path in ("", "A", "A\\B", "C", "Ж"))
LIST = word(SOUND, ROOT, 28)
VALUES = word(SOUND, B, 40)
V, W, G = (word(SOUND, VALUES, 4 * at) for at in range(3))
WIDE_VALUE = word(SOUND, word(SOUND, C, 40), 0)
DB = word(SOUND, G, 8)
SEGMENTS = word(SOUND, DB, 4)
SK, SK2 = word(SOUND, A, 44), word(SOUND, C, 44)

ERRORS: dict[str, tuple[int, int, bytes, str, str | None]] = {
    "key signature": (A, 0, b"xx", "signature", ""),
    "key cell too small": (A, 72, b"\xff\xff", "name", ""),
    "key name of odd length": (WIDE, 72, b"\1\0", "name", ""),
    "key without a name": (A, 72, b"\0\0", "name", ""),
    "key twice": (LIST, 12, number(A), "shared-cell", ""),
    "key of another": (A, 16, number(C), "parent", ""),
    "list outside": (ROOT, 28, NOWHERE, "reference", ""),
    "list unaligned": (ROOT, 28, number(LIST + 4), "reference", ""),
    "list inside another cell": (ROOT, 28, number(A + 8), "reference", ""),
    "list signature": (LIST, 0, b"xx", "signature", ""),
    "list count lies": (LIST, 2, b"\xff\xff", "size", ""),
    "count too high": (ROOT, 20, number(4), "count", ""),
    "count too low": (ROOT, 20, number(2), "count", ""),
    "equal names": (C, 76, b"A", "same-name", ""),
    "value list outside": (B, 40, NOWHERE, "reference", "A\\B"),
    "value count lies": (B, 36, number(0x1000), "size", "A\\B"),
    "value signature": (V, 0, b"xx", "signature", "A\\B"),
    "value twice": (VALUES, 4, number(V), "shared-cell", "A\\B"),
    "value name too long": (V, 2, b"\xff\x0f", "name", "A\\B"),
    "value name of odd length": (WIDE_VALUE, 2, b"\1\0", "name", "C"),
    "values of equal names": (W, 20, b"V", "same-name", "A\\B"),
    "inline data too long": (W, 4, number(0x80000005), "size", "A\\B"),
    "data too long": (V, 4, number(13), "size", "A\\B"),
    "data outside": (V, 8, NOWHERE, "reference", "A\\B"),
    "data of another": (V, 8, number(LIST), "shared-cell", "A\\B"),
    "big data signature": (DB, 0, b"xx", "big-data", "A\\B"),
    "big data count": (DB, 2, b"\2\0", "big-data", "A\\B"),
    "big data list": (DB, 4, NOWHERE, "reference", "A\\B"),
    "big data segment": (SEGMENTS, 4, NOWHERE, "reference", "A\\B"),
    "big data segment too short": (SEGMENTS, 0, number(word(SOUND, V, 8)), "shared-cell", "A\\B"),
    "class outside": (B, 48, NOWHERE, "reference", "A\\B"),
    "class too long": (B, 74, b"\xff\0", "size", "A\\B"),
    "security outside": (B, 44, NOWHERE, "reference", ""),
    "security signature": (SK2, 0, b"xx", "signature", None),
    "security size": (SK2, 16, number(4096), "size", None),
    "security forward link": (SK, 4, number(SK), "security-ring", None),
    "security backward link": (SK2, 8, number(SK2), "security-ring", None),
    "security chain without end": (SK2, 4, number(SK2), "security-ring", None),
    "security link nowhere": (SK2, 4, NOWHERE, "reference", ""),
    "root signature": (ROOT, 0, b"xx", "signature", None),
}


@pytest.mark.parametrize("damage", ERRORS.values(), ids=ERRORS.keys())
def test_every_damage_is_an_error(damage: tuple[int, int, bytes, str, str | None]) -> None:
    assert check(SOUND).problems == ()
    offset, within, raw, code, path = damage
    report = check(patched(SOUND, offset, within, raw))
    assert (code, path) in [(problem.code, problem.path) for problem in report.errors]
    assert all(str(problem) for problem in report.problems)


def test_a_segment_that_is_too_short() -> None:
    segment = word(SOUND, SEGMENTS, 8)
    size = -struct.unpack_from("<i", SOUND, BASE + segment)[0]
    smaller = patched(SOUND, segment, -4, struct.pack("<i", -4096))
    smaller = patched(smaller, segment + 4096, -4, struct.pack("<i", size - 4096))
    assert ("error", "size") in codes(check(smaller))


def test_a_list_that_contains_itself() -> None:
    content = build_hive({"A": {}, "B": {}}, lists="ri-lh")
    outer = word(content, place(content), 28)
    report = check(patched(content, outer, 4, number(outer)))
    assert {("error", "shared-cell"), ("error", "count")} <= codes(report)


def test_a_tree_deeper_than_windows_allows() -> None:
    deep = "\\".join(["k"] * 512)
    assert check(build_hive({deep: {}})).problems == ()
    report = check(build_hive({deep + "\\k": {}}))
    assert ("error", "depth") in codes(report)
    assert report.errors[0].path == deep


def test_cells_must_fill_their_bin() -> None:
    for size in (0, 4, -4, 0x7FFFFFF8, -12):
        report = check(patched(SOUND, A, -4, struct.pack("<i", size)))
        assert ("error", "cell") in codes(report), size


@pytest.mark.parametrize(
    ("at", "raw"), [(0, b"hbim"), (4, number(4096)), (8, number(0)), (8, number(4097)), (8, number(1 << 30))]
)
def test_headers_of_bins(at: int, raw: bytes) -> None:
    content = SOUND[: BASE + at] + raw + SOUND[BASE + at + len(raw) :]
    assert ("error", "bin") in codes(check(content))


def test_the_base_block_is_judged() -> None:
    changed = bytearray(SOUND)
    changed[100] ^= 1
    assert codes(check(changed)) == {("error", "base-block")}
    assert check(changed).errors[0].offset == 0
    assert "checksum" in str(check(changed).errors[0])
    block = HiveReader(SOUND).base_block
    log = block.with_(type=1) + SOUND[512:]
    assert codes(check(log)) == {("error", "base-block")}


def test_a_file_cut_short() -> None:
    for length in (4096, 8192, len(SOUND) - 1):
        assert ("error", "truncated") in codes(check(SOUND[:length]))


def test_a_file_too_short_for_a_base_block() -> None:
    with pytest.raises(HiveError) as caught:
        check(b"regf")
    assert caught.value.code == "not-a-hive"


def test_a_flood_of_problems_is_counted_not_listed() -> None:
    content = bytearray(build_hive({f"K{each:04}": {} for each in range(500)}))
    for key in HiveReader(bytes(content)).root.subkeys():
        content[BASE + key.offset + 4] = 0
    report = check(content)
    signatures = [problem for problem in report.errors if problem.code == "signature"]
    assert len(signatures) == MOST_PROBLEMS
    assert report.omitted == 500 - MOST_PROBLEMS


# --- damaged hives: never an exception, never more trusting than the reader --------------------


def check_and_read(content: bytes) -> bool:
    """Whether the check found no error; then the reader must be able to read everything."""
    try:
        report = check(content)
    except HiveError as problem:
        if problem.code != "not-a-hive":
            raise
        return False
    sound = not report.errors
    if sound:
        for key in registry.walk(HiveReader(content).root):
            assert isinstance(key, RegfKey)
            list(key.values())
            _ = key.class_name, key.security
    return sound


def mutate_and_check(base: bytes, times: int, seed: int) -> None:
    cells = cell_offsets(base)
    sound = sum(
        check_and_read(damaged(base, cells, Random(seed * 7_000_003 + turn))) for turn in range(times)
    )
    assert 0 < sound < times


BASES: dict[str, Callable[[], bytes]] = {
    "sound": lambda: SOUND,
    "lists": lambda: build_hive(
        {f"K{each}\\x": {"v": Data.dword(1)} for each in range(12)}, lists="ri-lf", leaf_entries=3
    ),
    "old": lambda: build_hive({"A\\B\\C\\D": {"v": Data.sz("text")}, "A\\E": {}}, minor=3, lists="li"),
}


@pytest.mark.parametrize("base", BASES)
def test_a_hive_without_errors_can_be_read(base: str) -> None:
    mutate_and_check(BASES[base](), 150, 1)


@pytest.mark.long
@pytest.mark.parametrize("base", BASES)
def test_many_hives_without_errors_can_be_read(base: str) -> None:
    mutate_and_check(BASES[base](), 6000, 2)


@pytest.mark.long
@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("phony-win7_guestfs-tools_1.SOFTWARE", 4000),
        ("win10-partial_qthivex_1.SYSTEM", 200),
        ("win10-ntuser_regipy_1.NTUSER", 100),
    ],
)
def test_many_real_hives_without_errors_can_be_read(name: str, times: int) -> None:
    mutate_and_check(hive_bytes(name), times, 3)


# --- real hives --------------------------------------------------------------------------------

TRULY_DAMAGED = {
    "crafted-BadListHive_yarp.hive": {"shared-cell"},
    "crafted-EffectiveSizeHive_yarp.hive": {"base-block", "reference"},
    "crafted-TruncatedHive_yarp.hive": {"truncated", "reference"},
    "crafted-TruncatedNameHive_yarp.hive": {"name"},
    "crafted-corrupt_sub_key_list_plaso.hive": {"reference"},
    "crafted-SYSTEM_find-evil.hive": {"base-block", "cell"},
    "crafted-SYSTEM.DAT-win9x_dfwinreg.bin": {"base-block"},
    "crafted-NTUSER_Bad_artemis.hive": {"shared-cell"},
}
ALL = [entry for entry in hive_entries() if not entry["type"].startswith("log")]


def _sound_entries() -> list[Any]:
    return [
        pytest.param(entry, id=entry["name"], marks=[pytest.mark.long] if entry["size"] > 9 << 20 else [])
        for entry in ALL
        if entry["name"] not in TRULY_DAMAGED
    ]


@pytest.mark.corpus
@pytest.mark.parametrize("entry", _sound_entries())
def test_real_hives_have_no_errors(entry: dict[str, Any]) -> None:
    report = check(hive_bytes(entry["name"]))
    assert report.errors == ()
    assert report.omitted == 0
    assert {problem.code for problem in report.notes} <= {"dirty", "maximum", "leaked", "hash"}
    if "hivex_ro" in entry:
        assert (report.keys, report.values) == (entry["hivex_ro"]["keys"], entry["hivex_ro"]["values"])


@pytest.mark.corpus
@pytest.mark.parametrize("name", [entry["name"] for entry in ALL if entry["name"] in TRULY_DAMAGED])
def test_damaged_hives_of_the_corpus_have_errors(name: str) -> None:
    assert {problem.code for problem in check(hive_bytes(name)).errors} >= TRULY_DAMAGED[name]
