"""The hive writer of the test kit, judged by two readers that are not ours."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from testdata.kit.hivewriter import build_hive, header_checksum, name_hash, name_hint, security_descriptor
from tests.support.readers import plain, through_hivex, through_libregf

hivex = pytest.importorskip("hivex")
pyregf = pytest.importorskip("pyregf")

BIG = bytes(range(256)) * 200
TREE: dict[str, dict[str, Data]] = {
    "": {"at the root": Data.sz("yes")},
    "Alpha\\Beta\\Gamma": {
        "": Data.sz("default"),
        "number": Data.dword(4),
        "empty": Data.binary(b""),
        "five bytes": Data.binary(b"12345"),
        "big": Data.binary(BIG),
        "größe": Data.multi_sz(["é", "ж"]),
        "Жук": Data(0xFFFF0012, b"device property"),
    },
    "Žluť": {},
    "under_score": {},
    "underZcore": {},
    **{f"Long\\key {number}": {} for number in range(1200)},
}

VARIANTS: list[dict[str, Any]] = [
    {},
    {"minor": 3},
    {"lists": "lf"},
    {"lists": "li"},
    {"lists": "ri-lh"},
    {"lists": "ri-lf", "leaf_entries": 7},
    {"lists": "ri-li"},
    {"with_security": False},
    {"descriptors": {"alpha\\BETA": security_descriptor(users_may_read=True)}, "slack": 8192},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_other_readers_see_the_tree_that_was_described(options: dict[str, Any]) -> None:
    content = build_hive(TREE, **options)
    expected = sorted(plain(MemoryHive(TREE)))
    assert sorted(through_hivex(content, write=True)) == expected
    assert sorted(through_libregf(content)) == expected


def test_hivex_edits_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(build_hive(TREE))
    hive = hivex.Hivex(str(path), write=True)
    node = hive.node_add_child(hive.node_get_child(hive.root(), "Long"), "added")
    hive.node_set_value(node, {"key": "n", "t": 4, "value": b"\4\0\0\0"})
    hive.commit(str(path))
    expected = plain(MemoryHive({**TREE, "Long\\added": {"n": Data.dword(4)}}))
    assert sorted(through_hivex(path.read_bytes())) == sorted(expected)


def test_class_names_reach_libregf() -> None:
    file = pyregf.file()
    file.open_file_object(io.BytesIO(build_hive({"A": {}, "B": {}}, class_names={"a": "c1a55"})))
    assert file.get_key_by_path("\\A").class_name == "c1a55"
    assert file.get_key_by_path("\\B").class_name is None


def test_the_header_says_what_was_asked_for() -> None:
    content = build_hive({}, minor=3, sequence=(7, 6), file_name="\\SystemRoot\\System32\\Config\\SYSTEM")
    assert struct.unpack_from("<II", content, 4) == (7, 6)
    assert struct.unpack_from("<II", content, 20) == (1, 3)
    assert struct.unpack_from("<I", content, 40) == (len(content) - 4096,)
    assert content[48:112].decode("utf-16-le").rstrip("\0") == "stemRoot\\System32\\Config\\SYSTEM"
    assert struct.unpack_from("<I", content, 508) == (header_checksum(content),)


def test_an_unknown_kind_of_list_is_refused() -> None:
    with pytest.raises(ValueError, match="ri-xx"):
        build_hive({}, lists="ri-xx")


def test_checksum_avoids_its_two_forbidden_results() -> None:
    assert header_checksum(bytes(508)) == 1
    assert header_checksum(b"\xff" * 4 + bytes(504)) == 0xFFFFFFFE
    assert header_checksum(b"\x05" + bytes(507)) == 5


def test_hashes_and_hints_follow_windows() -> None:
    assert name_hash("") == 0
    assert name_hash("ab") == name_hash("AB") == 65 * 37 + 66
    assert name_hint("ab") == b"ab\0\0"
    assert name_hint("Tcpip") == b"Tcpi"
    assert name_hint("Žlu") == bytes(4)
