"""The hive reader against described hives, other readers, and damaged hives."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core import registry
from p2vprep.core.regf.image import CHUNK, SparseImage, WholeImage, little_endian_words
from p2vprep.core.regf.reader import HiveReader, RegfKey, name_hash
from p2vprep.core.registry import MemoryHive, fold
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit.hivewriter import build_hive, security_descriptor
from testdata.kit.hivewriter import name_hash as hash_of_the_kit
from tests.support.corpus import hive_bytes, hive_entries
from tests.support.mutate import cell_offsets, damaged
from tests.support.readers import Plain, name_in_libregf, plain, through_hivex, through_libregf

BIG = bytes(range(251)) * 200
SERVICES = {f"Services\\Service{number:04}": {"Start": Data.dword(number % 5)} for number in range(1300)}
TREE: dict[str, dict[str, Data]] = {
    "": {"": Data.sz("default of the root")},
    "Alpha\\Beta": {"One": Data.dword(1), "big": Data.binary(BIG), "short": Data.binary(b"ab")},
    "Größe": {"Ä": Data.sz("ö")},
    "Жук": {"ключ": Data(0xFFFF0012, b"12345678")},
    **SERVICES,
}
BASE = 4096


class PieceByPiece:
    """A source that notes what was fetched."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fetched: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        return len(self.content)

    def fetch(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert offset + length <= len(self.content)
        self.fetched.append((offset, length))
        return self.content[offset : offset + length]


def key_at(content: bytes, path: str = "") -> RegfKey:
    key = registry.find(HiveReader(content), path)
    assert isinstance(key, RegfKey)
    return key


def patched(content: bytes, offset: int, within: int, raw: bytes) -> bytes:
    """The hive with bytes changed ``within`` bytes behind a cell's size field."""
    start = BASE + offset + 4 + within
    return content[:start] + raw + content[start + len(raw) :]


def word(content: bytes, offset: int, within: int) -> int:
    return int(struct.unpack_from("<I", content, BASE + offset + 4 + within)[0])


def number(value: int) -> bytes:
    return struct.pack("<I", value & 0xFFFFFFFF)


# --- what a sound hive holds -------------------------------------------------------------------


@pytest.mark.parametrize("lists", ["lh", "lf", "li", "ri-lh", "ri-lf", "ri-li"])
@pytest.mark.parametrize("minor", [3, 5, 6])
def test_reads_back_what_was_described(lists: str, minor: int) -> None:
    content = build_hive(TREE, lists=lists, minor=minor)
    assert sorted(plain(HiveReader(content))) == sorted(plain(MemoryHive(TREE)))


@pytest.mark.parametrize("lists", ["lh", "lf", "li", "ri-lh"])
def test_finds_keys_whatever_their_case(lists: str) -> None:
    hive = HiveReader(build_hive(TREE, lists=lists))
    for wanted in ("services\\SERVICE0777", "gRÖSSE", "GRÖßE", "жУК", "alpha\\BETA"):
        key = registry.find(hive, wanted)
        if wanted == "gRÖSSE":  # Windows does not take ß for SS
            assert key is None
        else:
            assert key is not None
            assert fold(key.path) == fold(wanted)
    assert registry.find(hive, "Services\\Service9999") is None
    assert registry.find(hive, "Alpha\\Beta\\Nothing below") is None


def test_finds_values_whatever_their_case() -> None:
    hive = HiveReader(build_hive(TREE))
    assert registry.value(hive, "ALPHA\\beta", "oNE") == Data.dword(1)
    assert registry.value(hive, "größe", "ä") == Data.sz("ö")
    assert registry.value(hive, "", "") == Data.sz("default of the root")
    assert registry.value(hive, "Alpha\\Beta", "Two") is None


def test_names_and_paths_stay_as_found() -> None:
    key = registry.find(HiveReader(build_hive(TREE)), "ALPHA\\BETA")
    assert isinstance(key, RegfKey)
    assert (key.name, key.path, key.depth) == ("Beta", "Alpha\\Beta", 2)
    assert "Beta" in repr(key)
    assert HiveReader(build_hive(TREE, root_name="CMI-CreateHive{x}")).root.name == "CMI-CreateHive{x}"


@pytest.mark.parametrize("lists", ["lh", "lf"])
def test_wrong_hashes_and_a_wrong_order_hide_no_key(lists: str) -> None:
    names = ["Delta", "Alpha", "Charlie", "Bravo"]
    content = build_hive({name: {} for name in names}, lists=lists)
    key = key_at(content)
    held = word(content, key.offset, 28)
    entries = [(word(content, held, 4 + 8 * at), word(content, held, 8 + 8 * at)) for at in range(4)]
    shuffled = [entries[place] for place in (2, 0, 3, 1)]
    raw = b"".join(number(offset) + number(mark ^ 0x01010101) for offset, mark in shuffled)
    hive = HiveReader(patched(content, held, 4, raw))
    for name in names:
        assert [key.name for key in (registry.find(hive, name), hive.root.subkey(name.upper())) if key] == [
            name,
            name,
        ]
    assert hive.root.subkey("Echo") is None


def test_a_found_hash_spares_decoding_the_other_names() -> None:
    class Counting(HiveReader):
        decoded = 0

        def key_name(self, offset: int, path: str | RegfKey) -> str:
            self.decoded += 1
            return super().key_name(offset, path)

    for lists, most in (("lh", 1), ("lf", 1300), ("li", 1300)):
        hive = Counting(build_hive(TREE, lists=lists))
        services = hive.root.subkey("Services")
        assert services is not None
        hive.decoded = 0
        assert services.subkey("service1299") is not None
        assert hive.decoded <= most
        assert services.subkey("absent") is None
        before = hive.decoded
        assert services.subkey("absent too") is None
        assert services.subkey("SERVICE0001") is not None
        assert hive.decoded <= before + 1


def test_the_index_of_names_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2vprep.core.regf.reader._MOST_INDEXED_NAMES", 5)
    hive = HiveReader(build_hive({f"{outer}\\{inner}": {} for outer in "abcd" for inner in "xyz"}))
    for outer in "abcd":
        assert registry.find(hive, f"{outer}\\nothing") is None
    assert sum(map(len, hive._indexes.values())) <= 5


def test_class_names_and_security() -> None:
    other = security_descriptor(users_may_read=True)
    content = build_hive({"A": {}, "B": {}}, class_names={"A": "DynDRootClass"}, descriptors={"b": other})
    first, second = key_at(content, "A"), key_at(content, "B")
    assert (first.class_name, first.class_raw) == ("DynDRootClass", "DynDRootClass".encode("utf-16-le"))
    assert (second.class_name, second.class_raw) == (None, None)
    assert (first.security, second.security) == (security_descriptor(), other)
    assert key_at(build_hive({"A": {}}, with_security=False), "A").security is None


def test_a_predefined_key_has_no_values() -> None:
    content = build_hive({"Perflib\\009": {}})
    key = key_at(content, "Perflib\\009")
    content = patched(content, key.offset, 2, struct.pack("<H", 0x60))
    content = patched(content, key.offset, 36, number(0x80000050) + number(-1))
    assert list(key_at(content, "Perflib\\009").values()) == []


def test_a_nested_index_list_is_followed() -> None:
    content = build_hive({"A": {}, "B": {"x": Data.binary(bytes(64))}}, lists="ri-li")
    root = key_at(content)
    outer = word(content, root.offset, 28)
    leaf = word(content, outer, 4)
    spare = word(content, word(content, word(content, key_at(content, "B").offset, 40), 0), 8)
    content = patched(content, spare, 0, b"ri\1\0" + number(leaf))
    content = patched(content, outer, 4, number(spare))
    assert registry.names(key_at(content).subkeys()) == ("A", "B")


def test_big_data_in_old_hives_is_one_cell() -> None:
    content = build_hive({"A": {"big": Data.binary(BIG)}}, minor=3)
    assert registry.value(HiveReader(content), "A", "big") == Data.binary(BIG)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 16343, 16344, 16345, 32688, 32689, 50000])
@pytest.mark.parametrize("minor", [3, 5])
def test_values_of_every_size(size: int, minor: int) -> None:
    data = Data.binary((BIG * 2)[:size])
    content = build_hive({"A": {"v": data}}, minor=minor)
    assert registry.value(HiveReader(content), "A", "v") == data
    assert through_hivex(content)[1][1] == (("v", 3, data.raw),)


NAME = st.text(st.characters(exclude_characters="\\\0"), min_size=1, max_size=12)
DATA = st.builds(
    Data,
    st.one_of(st.integers(0, 11), st.integers(0xFFFF0000, 0xFFFF0013)),
    st.one_of(st.binary(max_size=40), st.binary(max_size=3).map(lambda seed: (seed or b"x") * 17_000)),
)
TREES = st.dictionaries(
    st.lists(NAME, max_size=4).map("\\".join),
    st.dictionaries(st.text(max_size=8), DATA, max_size=4),
    max_size=8,
)


@given(TREES, st.sampled_from(["lh", "lf", "li", "ri-lh", "ri-lf", "ri-li"]), st.sampled_from([3, 5]))
@settings(max_examples=60, deadline=None)
def test_any_tree_is_read_back(tree: dict[str, dict[str, Data]], lists: str, minor: int) -> None:
    content = build_hive(tree, lists=lists, minor=minor, leaf_entries=2)
    ours = plain(HiveReader(content))
    assert sorted(ours) == sorted(plain(MemoryHive(tree)))
    for path, values in tree.items():
        for name, data in MemoryHive({path: values}).root.make(path).values():
            assert registry.value(HiveReader(content), path, name) is not None, (path, name, data)


@given(
    st.dictionaries(
        st.lists(
            st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), min_size=1),
            max_size=3,
        ).map("\\".join),
        st.dictionaries(
            st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=8), DATA, max_size=3
        ),
        max_size=6,
    )
)
@settings(max_examples=40, deadline=None)
def test_hivex_reads_the_same(tree: dict[str, dict[str, Data]]) -> None:
    content = build_hive(tree)
    assert plain(HiveReader(content)) == through_hivex(content)


# --- fetched in pieces, pages laid over --------------------------------------------------------


def test_a_lazy_hive_is_fetched_in_pieces() -> None:
    filler = {f"Filler\\{number}": {"v": Data.binary(bytes([number]) * 16_000)} for number in range(200)}
    content = build_hive({"Wanted\\Key": {"v": Data.sz("here")}, **filler})
    source = PieceByPiece(content)
    hive = HiveReader(source)
    assert registry.value(hive, "Wanted\\Key", "v") == Data.sz("here")
    assert isinstance(hive.image, SparseImage)
    assert hive.image.fetched == sum(length for _, length in source.fetched) < len(content) / 4
    assert len(set(source.fetched)) == len(source.fetched)
    assert all(offset % CHUNK == 0 for offset, _ in source.fetched)
    assert plain(hive) == plain(HiveReader(content))


def test_a_source_that_gives_too_little_is_an_error() -> None:
    class Short(PieceByPiece):
        def fetch(self, offset: int, length: int) -> bytes:
            return super().fetch(offset, length)[:-1]

    with pytest.raises(HiveError) as caught:
        HiveReader(Short(build_hive({})))
    assert caught.value.code == "hive-short-read"


@given(
    st.binary(min_size=1, max_size=70),
    st.lists(st.tuples(st.integers(0, 90), st.binary(min_size=1, max_size=40)), max_size=5),
    st.lists(st.tuples(st.integers(0, 120), st.integers(1, 60)), min_size=1, max_size=5),
)
@settings(deadline=None)
def test_whole_and_sparse_images_agree(
    content: bytes, overlay: list[tuple[int, bytes]], reads: list[tuple[int, int]]
) -> None:
    whole = WholeImage(content, overlay)
    sparse = SparseImage(PieceByPiece(content), overlay, chunk_size=16)
    assert whole.size == sparse.size
    for start, length in reads:
        start = min(start, whole.size - 1)
        length = min(length, whole.size - start)
        assert whole.read(start, length) == sparse.read(start, length)


def test_a_hive_in_pieces_does_not_give_more_than_its_bound() -> None:
    image = SparseImage(PieceByPiece(bytes(64)), chunk_size=16, most=100)
    for _ in range(4):
        assert image.read(0, 16) == bytes(16)  # 16 are fetched, and 16 read each time
    with pytest.raises(HiveError) as caught:
        image.read(16, 8)
    assert caught.value.code == "hive-damaged"


def test_words_are_little_endian_on_any_host() -> None:
    assert list(little_endian_words(b"\1\0\0\0\2\0\0\1")) == [1, 0x01000002]
    other = "big" if sys.byteorder == "little" else "little"
    assert list(little_endian_words(b"\1\0\0\0", other)) == [0x01000000]


@pytest.mark.parametrize("lazy", [False, True])
def test_replayed_pages_lie_over_the_file(lazy: bool) -> None:
    before = build_hive({"A": {"v": Data.dword(1)}})
    after = build_hive({"A": {"v": Data.dword(2)}, **{f"B\\{each}": {} for each in range(3000)}})
    pages = [(at, after[at : at + 4096]) for at in range(0, len(after), 4096)]
    hive = HiveReader(PieceByPiece(before) if lazy else bytearray(before), pages)
    assert plain(hive) == plain(HiveReader(memoryview(after)))


# --- damage ------------------------------------------------------------------------------------


def refuse(content: bytes, look: Callable[[HiveReader], object] = plain) -> HiveError:
    with pytest.raises(HiveError) as caught:
        look(HiveReader(content))
    assert caught.value.code == "hive-damaged"
    assert caught.value.subject is not None
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("content", [b"", b"regf", b"CREG" + bytes(5000), bytes(600)])
def test_what_is_not_a_hive(content: bytes) -> None:
    with pytest.raises(HiveError) as caught:
        HiveReader(content)
    assert caught.value.code == "not-a-hive"


@pytest.mark.parametrize(("major", "minor"), [(1, 2), (1, 7), (2, 5), (0, 5)])
def test_an_unknown_version(major: int, minor: int) -> None:
    content = bytearray(build_hive({}))
    struct.pack_into("<II", content, 20, major, minor)
    assert "version" in refuse(bytes(content)).message


SOUND = build_hive(
    {"A\\B": {"v": Data.binary(b"12345678"), "w": Data.dword(1), "big": Data.binary(BIG)}, "C": {}},
    class_names={"A\\B": "class"},
)
WIDE = build_hive({"A\\Ж": {"Ж": Data.binary(b"12345678")}})
A, B = key_at(SOUND, "A").offset, key_at(SOUND, "A\\B").offset
ROOT = key_at(SOUND).offset
LIST = word(SOUND, ROOT, 28)
VALUES = word(SOUND, B, 40)
V, W, G = (word(SOUND, VALUES, 4 * at) for at in range(3))
DB = word(SOUND, G, 8)
SEGMENTS = word(SOUND, DB, 4)

DAMAGES: dict[str, tuple[tuple[int, int, bytes], str]] = {
    "key signature": ((A, 0, b"xx"), "not a key|not one"),
    "key cell free": ((A, -4, number(88)), "marked free"),
    "key cell of size zero": ((A, -4, number(0)), "marked free"),
    "key cell too small": ((A, -4, number(-16)), "not"),
    "key cell unaligned": ((A, -4, number(-84)), "impossible size"),
    "key cell past the end": ((A, -4, number(-0x7FFFFFF8)), "impossible size"),
    "key name too long": ((A, 72, b"\xff\xff"), "runs past"),
    "list outside": ((ROOT, 28, number(0x7FFFFFF8)), "outside"),
    "list offset unaligned": ((ROOT, 28, number(LIST + 4)), "outside"),
    "no list": ((ROOT, 28, number(-1)), "outside"),
    "list is a key": ((ROOT, 28, number(A)), "signature"),
    "list count lies": ((LIST, 2, b"\xff\xff"), "does not fit"),
    "list shorter than the count": ((ROOT, 20, number(3)), "has 3 subkeys"),
    "list longer than the count": ((ROOT, 20, number(1)), "has 1 subkeys"),
    "subkey twice": ((LIST, 12, number(A)), "twice"),
    "subkey is the root": ((LIST, 12, number(ROOT)), "belongs to another"),
    "subkey is a grandchild": ((LIST, 12, number(B)), "belongs to another"),
    "subkey is a value": ((LIST, 12, number(V)), "not"),
    "value list outside": ((B, 40, number(-1)), "outside"),
    "value count lies": ((B, 36, number(0x10000)), "list of 65536 entries"),
    "value signature": ((V, 0, b"xx"), "not one"),
    "value twice": ((VALUES, 4, number(V)), "names a value twice"),
    "value name too long": ((V, 2, b"\xff\xff"), "runs past"),
    "value size lies": ((V, 4, number(100)), "lies in a cell"),
    "value data outside": ((V, 8, number(-8)), "outside"),
    "inline data too long": ((W, 4, number(0x80000005)), "inside its record"),
    "big data signature": ((DB, 0, b"dx"), "not held as big data"),
    "big data count": ((DB, 2, b"\2\0"), "2 segments"),
    "big data list outside": ((DB, 4, number(-1)), "outside"),
    "big data segment outside": ((SEGMENTS, 4, number(-1)), "outside"),
    "big data segment short": ((SEGMENTS, 0, number(V)), "too short"),
    "class outside": ((B, 48, number(0x7FFFFFF8)), "outside"),
    "class too long": ((B, 74, b"\xff\x7f"), "class name"),
    "security outside": ((B, 44, number(0x7FFFFFF8)), "outside"),
    "security is a key": ((B, 44, number(A)), "security record"),
}


def everything(hive: HiveReader) -> None:
    for key in registry.walk(hive.root):
        assert isinstance(key, RegfKey)
        list(key.values())
        _ = key.class_name, key.security


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_every_damage_is_named(damage: tuple[int, int, bytes], message: str) -> None:
    everything(HiveReader(SOUND))
    problem = refuse(patched(SOUND, *damage), everything)
    assert re.search(message, problem.message)


def test_a_security_descriptor_that_lies_about_its_size() -> None:
    place = word(SOUND, B, 44)
    problem = refuse(patched(SOUND, place, 16, number(4000)), everything)
    assert "security descriptor" in problem.message


def test_names_of_odd_length_in_utf16() -> None:
    key = key_at(WIDE, "A\\Ж")
    refuse(patched(WIDE, key.offset, 72, b"\1\0"))
    value = word(WIDE, word(WIDE, key.offset, 40), 0)
    assert refuse(patched(WIDE, value, 2, b"\1\0")).subject == "A\\Ж"


def test_lookups_meet_damage_too() -> None:
    content = patched(SOUND, A, 0, b"xx")
    refuse(content, lambda hive: registry.find(hive, "A"))
    refuse(content, lambda hive: registry.find(hive, "absent"))
    refuse(patched(SOUND, V, 0, b"xx"), lambda hive: registry.value(hive, "A\\B", "absent"))


def test_a_list_that_contains_itself() -> None:
    content = build_hive({"A": {}, "B": {}}, lists="ri-lh")
    outer = word(content, key_at(content).offset, 28)
    assert "contains itself" in refuse(patched(content, outer, 4, number(outer))).message


def test_values_that_share_one_cell_cannot_fill_the_memory() -> None:
    small = {f"{each}": Data.binary(b"8 bytes.") for each in range(50)}
    content = build_hive({"A": {"large": Data.binary(bytes(16_000)), **small}})
    held = word(content, key_at(content, "A").offset, 40)
    shared = word(content, word(content, held, 0), 8)
    for each in range(51):
        content = patched(content, word(content, held, 4 * each), 4, number(16_000) + number(shared))
    assert "more than the whole hive" in refuse(content).message


def test_big_data_of_one_segment_over_and_over_cannot_fill_the_memory() -> None:
    count = len(SOUND) // 16344 + 1
    content = patched(SOUND, DB, 2, struct.pack("<H", count))
    content = patched(content, G, 4, number(16344 * count))
    assert "larger than the hive" in refuse(content).message


def test_a_tree_deeper_than_windows_allows() -> None:
    deep = "\\".join(["k"] * 512)
    assert key_at(build_hive({deep: {}}), deep).path == deep
    refuse(build_hive({deep + "\\k": {}}))


def test_a_hive_cut_short() -> None:
    content = build_hive(SERVICES)
    refuse(content[: len(content) // 2])
    refuse(content[:4096])


def walk_within_bounds(content: bytes) -> int:
    """Reads everything; returns how many keys were seen. Only HiveError may end it early."""
    seen = 0
    try:
        for key in registry.walk(HiveReader(content).root):
            assert isinstance(key, RegfKey)
            seen += 1
            assert seen <= len(content) // 80
            values = list(key.values())
            assert len(values) <= len(content) // 4
            key.value("none of this name")
            key.subkey("none of this name")
            _ = key.path, key.class_name, key.security
    except HiveError as problem:
        if problem.code not in ("hive-damaged", "not-a-hive"):
            raise
    return seen


def mutate_and_walk(base: bytes, times: int, seed: int) -> None:
    cells = cell_offsets(base)
    survived = 0
    for turn in range(times):
        content = damaged(base, cells, Random(seed * 1_000_003 + turn))
        survived += walk_within_bounds(content) > 0
    assert survived


BASES: dict[str, Callable[[], bytes]] = {
    "sound": lambda: SOUND,
    "index lists": lambda: build_hive(
        {f"K{each}\\x": {"v": Data.dword(1)} for each in range(12)}, lists="ri-lf", leaf_entries=3
    ),
    "old": lambda: build_hive({"A\\B\\C\\D": {"v": Data.sz("text")}, "A\\E": {}}, minor=3, lists="li"),
    "wide": lambda: WIDE,
}


@pytest.mark.parametrize("base", BASES)
def test_damaged_hives_end_in_an_error_or_a_finite_walk(base: str) -> None:
    mutate_and_walk(BASES[base](), 150, 1)


@pytest.mark.long
@pytest.mark.parametrize("base", BASES)
def test_many_damaged_hives(base: str) -> None:
    mutate_and_walk(BASES[base](), 4000, 2)


@pytest.mark.long
@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("phony-win7_guestfs-tools_1.SOFTWARE", 4000),
        ("crafted-special_hivex.hive", 2000),
        ("win10-partial_qthivex_1.SYSTEM", 300),
        ("win10-ntuser_regipy_1.NTUSER", 100),
    ],
)
def test_many_damaged_real_hives(name: str, times: int) -> None:
    mutate_and_walk(hive_bytes(name), times, 3)


# --- real hives --------------------------------------------------------------------------------

BAD = {
    "crafted-BadListHive_yarp.hive": "'2'.*belongs to another key",
    "crafted-EffectiveSizeHive_yarp.hive": "outside the hive",
    "crafted-TruncatedHive_yarp.hive": "outside the hive",
    "crafted-TruncatedNameHive_yarp.hive": "runs past its cell",
    "crafted-corrupt_sub_key_list_plaso.hive": "marked free",
    "crafted-SYSTEM_find-evil.hive": "belongs to another key",
    "crafted-NTUSER_Bad_artemis.hive": "'Console'.*belongs to another key",
    "crafted-SYSTEM.DAT-win9x_dfwinreg.bin": "regf",
}
ALL = [entry["name"] for entry in hive_entries() if not entry["type"].startswith("log")]
LARGE = {entry["name"] for entry in hive_entries() if entry["size"] > 3 << 20}


def sizes(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.long) if name in LARGE else name for name in names]


@pytest.mark.corpus
@pytest.mark.parametrize("name", sizes([name for name in ALL if name not in BAD]))
def test_agrees_with_hivex_on_real_hives(name: str) -> None:
    content = hive_bytes(name)
    assert plain(HiveReader(content)) == through_hivex(content)


@pytest.mark.corpus
@pytest.mark.parametrize("name", sizes([name for name in ALL if name not in BAD]))
def test_agrees_with_libregf_on_real_hives(name: str) -> None:
    content = hive_bytes(name)
    ours, theirs = plain(HiveReader(content)), through_libregf(content)
    assert len(ours) == len(theirs)
    for (names, values), (other_names, other_values) in zip(ours, theirs, strict=True):
        assert tuple(map(name_in_libregf, names)) == other_names
        assert len(values) == len(other_values)
        for (value, kind, raw), (other_value, other_kind, other_raw) in zip(
            values, other_values, strict=True
        ):
            assert (name_in_libregf(value), kind) == (other_value, other_kind)
            assert _same_in_libregf(kind, raw, other_raw)


def _same_in_libregf(kind: int, raw: bytes, other: bytes) -> bool:
    """libregf garbles inline data of 1 to 3 bytes and reads texts up to their NUL, whatever their length."""
    if 0 < len(raw) < 4:
        return len(other) == len(raw)
    if kind in (1, 2):
        return raw.startswith(other) or other.startswith(raw)
    return raw == other


@pytest.mark.corpus
@pytest.mark.parametrize("name", [name for name in ALL if name in BAD])
def test_damaged_hives_of_the_corpus_are_refused(name: str) -> None:
    with pytest.raises(HiveError, match=BAD[name]):
        everything(HiveReader(hive_bytes(name)))


@pytest.mark.corpus
def test_finds_every_service_of_a_real_hive() -> None:
    hive = HiveReader(hive_bytes("win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM"))
    services = registry.find(hive, "ControlSet001\\Services")
    assert services is not None
    names = registry.names(services.subkeys())
    assert len(names) == 277
    for name in names:
        found = registry.find(hive, f"controlset001\\SERVICES\\{name.swapcase()}")
        assert found is not None
        assert found.name == name


def test_hashes_are_those_of_the_kit() -> None:
    for name in ("Tcpip", "{4D36E972-E325-11CE-BFC1-08002BE10318}", "Größe", "жук", "😀"):
        assert name_hash(fold(name)) == hash_of_the_kit(name)


def test_plain_form_is_what_the_tests_believe() -> None:
    form: Plain = plain(HiveReader(build_hive({"A": {"v": Data.dword(1)}})))
    assert form == [((), ()), (("A",), (("v", 4, b"\1\0\0\0"),))]
