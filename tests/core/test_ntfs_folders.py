"""Reading folders without mounting, on trees written by hand and on real volumes."""

from __future__ import annotations

import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.ntfs_folders import ROOT, NtfsFolders
from tests.support.corpus import corpus_root
from tests.support.ntfs_tree import ntfs_tree

MANY = [f"/Windows/System32/file{number:03}.dll" for number in range(40)]
PATHS = [*MANY, "/Windows/System32/config/SYSTEM", "/Windows/Ünïcode/", "/PROGRA~1/", "/pagefile.sys"]


def folders(content: bytes) -> NtfsFolders:
    return NtfsFolders(lambda offset, length: content[offset : offset + length])


def walk(reader: NtfsFolders, *names: str) -> int | None:
    here = ROOT
    for name in names:
        entry = reader.lookup(here, name)
        if entry is None:
            return None
        here = entry.record
    return here


@pytest.mark.parametrize("listed", [False, True])
def test_finds_a_path_in_any_case(listed: bool) -> None:
    reader = folders(ntfs_tree(PATHS, listed=listed))
    assert walk(reader, "WINDOWS", "system32", "Config", "system") is not None
    assert walk(reader, "Windows", "System32", "config", "SOFTWARE") is None
    assert walk(reader, "none") is None
    for path in MANY:
        assert walk(reader, *path.split("/")[1:]) is not None


@pytest.mark.parametrize("listed", [False, True])
def test_lists_a_folder_without_short_and_stale_names(listed: bool) -> None:
    reader = folders(ntfs_tree(PATHS, listed=listed))
    top = {entry.name: entry.folder for entry in reader.children()}
    assert top == {".": True, "Windows": True, "pagefile.sys": False}
    system = walk(reader, "Windows", "System32")
    assert system is not None
    found = sorted(entry.name for entry in reader.children(system))
    assert found == sorted(["config", *(path.rpartition("/")[2] for path in MANY)])
    assert [entry.name for entry in reader.children(walk(reader, "Windows") or 0)] == ["System32", "Ünïcode"]


def test_an_empty_folder_and_a_file_hold_nothing() -> None:
    reader = folders(ntfs_tree(["/empty/"]))
    assert reader.children(walk(reader, "empty") or 0) == ()
    assert reader.lookup(walk(reader, "empty") or 0, "x") is None
    with pytest.raises(ValueError, match="damaged"):
        reader.children(200)


@given(st.sets(st.text("abXYZ_^~0é", min_size=1, max_size=5).map(lambda name: name.strip()), max_size=40))
def test_every_name_that_is_there_is_found_and_no_other(names: set[str]) -> None:
    unique = {name.upper(): name for name in names if name}
    reader = folders(ntfs_tree([f"/{name}" for name in unique.values()]))
    for name in unique.values():
        if name.isascii():
            entry = reader.lookup(ROOT, name.lower())
            assert entry is not None
            assert entry.name == name
    assert reader.lookup(ROOT, "not-there") is None
    assert {entry.name for entry in reader.children()} == {"."} | {
        name for name in unique.values() if "~" not in name
    }


@given(
    st.lists(st.tuples(st.integers(0, 300_000), st.binary(min_size=1, max_size=8)), max_size=12),
    st.booleans(),
)
def test_no_damage_makes_more_than_a_value_error(spots: list[tuple[int, bytes]], listed: bool) -> None:
    image = bytearray(ntfs_tree(PATHS, listed=listed))
    for place, content in spots:
        place %= len(image)
        image[place : place + len(content)] = content
    try:
        reader = folders(bytes(image))
        for entry in reader.children():
            reader.lookup(entry.record, "System32")
    except ValueError:
        return


@pytest.mark.parametrize("length", [0, 100, 511, 512, 20_000])
def test_a_volume_that_ends_early_is_an_error(length: int) -> None:
    with pytest.raises(ValueError):
        folders(ntfs_tree(PATHS)[:length]).children()


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "offset", "expected"),
    [
        ("vhd-fixed-win10-ntfs.vhd", 65536, {"$RECYCLE.BIN", "folder", "System Volume Information"}),
        ("ntfs-index.raw", 65536, {"$RECYCLE.BIN", "test_dir", "System Volume Information"}),
        ("ntfs-unclean-logfile.raw", 0, {"$RECYCLE.BIN"}),
    ],
)
def test_real_volumes(name: str, offset: int, expected: set[str]) -> None:
    root = corpus_root()
    if root is None:
        pytest.skip("the corpus of real disks is not here (P2VPREP_CORPUS)")
    content = lzma.decompress((root / "disks" / f"{name}.xz").read_bytes())[offset:]
    reader = folders(content)
    assert {one.name for one in reader.children() if one.folder} - {".", "$Extend"} == expected
    for entry in reader.children():
        if entry.name.isascii():
            assert reader.lookup(ROOT, entry.name.lower()) == entry
