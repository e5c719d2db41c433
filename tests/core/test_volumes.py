"""Volumes by their first bytes and the state of NTFS, on made-up and on real volumes."""

from __future__ import annotations

import lzma
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.volumes import Fetch, identify, is_hibernated, ntfs_state
from tests.support.corpus import corpus_root
from tests.support.ntfs_image import CLUSTER, fat_head, ntfs_head


def fetch(content: bytes) -> Fetch:
    return lambda offset, length: content[offset : offset + length]


def real(name: str, length: int = 12 << 20) -> bytes:
    """The beginning of a corpus disk."""
    root = corpus_root()
    if root is None or not (root / "disks" / f"{name}.xz").is_file():
        pytest.skip(f"{name} is not here (P2VPREP_CORPUS)")
    with lzma.open(root / "disks" / f"{name}.xz") as file:
        return file.read(length)


def at(size: int, offset: int, magic: bytes) -> bytes:
    image = bytearray(size)
    image[offset : offset + len(magic)] = magic
    return bytes(image)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (ntfs_head(), "ntfs"),
        (fat_head(), "fat"),
        (at(8192, 3, b"-FVE-FS-"), "bitlocker"),
        (at(8192, 3, b"ReFS\0\0\0\0"), "refs"),
        (at(8192, 3, b"EXFAT   "), "exfat"),
        (at(8192, 1080, b"\x53\xef"), "linux"),
        (at(8192, 512, b"LABELONE"), "linux"),
        (at(8192, 4086, b"SWAPSPACE2"), "linux"),
        (bytes(8192), "empty"),
        (b"", "empty"),
        (at(8192, 510, b"\x55\xaa"), "unknown"),
        (at(8192, 0, b"something"), "unknown"),
    ],
)
def test_volumes_are_told_by_their_first_bytes(first: bytes, kind: str) -> None:
    assert identify(first) == kind


def test_bitlocker_to_go_is_not_taken_for_fat() -> None:
    image = bytearray(fat_head())
    image[424:440] = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
    assert identify(bytes(image)) == "bitlocker"


@pytest.mark.parametrize("offset", [11, 13, 14, 16, 21, 510])
def test_a_boot_sector_that_is_nearly_fat_is_not(offset: int) -> None:
    image = bytearray(fat_head())
    image[offset : offset + 2] = b"\0\0" if offset == 14 else b"\x03\x03"
    assert identify(bytes(image)) == "unknown"


@pytest.mark.parametrize("dirty", [False, True])
@pytest.mark.parametrize(
    ("log", "state"), [("clean", "clean"), ("emptied", "clean"), ("unclean", "unclean"), ("cached", "cached")]
)
def test_the_state_of_ntfs(dirty: bool, log: str, state: str) -> None:
    found = ntfs_state(fetch(ntfs_head(dirty=dirty, log=log)))
    assert (found.dirty, found.log) == (dirty, state)


def test_a_log_without_restart_pages_is_unknown() -> None:
    image = bytearray(ntfs_head())
    image[8 * CLUSTER : 10 * CLUSTER] = bytes(2 * CLUSTER)
    assert ntfs_state(fetch(bytes(image))).log == "unknown"


def test_clusters_larger_than_128_sectors_are_understood() -> None:
    image = bytearray(ntfs_head())
    image[13] = 256 - 3  # two to the third sectors: the same 4096 bytes
    assert ntfs_state(fetch(bytes(image))).log == "clean"


@pytest.mark.parametrize(
    ("offset", "content", "why"),
    [
        (3, b"MSDOS5.0", "boot sector"),
        (11, struct.pack("<H", 500), "boot sector"),
        (13, b"\0", "boot sector"),
        (64, b"\x80", "absurd"),
        (48, bytes(8), "absurd"),
        (4 * CLUSTER + 3 * 1024, b"BAAD", "record 3 is damaged"),
        (4 * CLUSTER + 2 * 1024, b"BAAD", "record 2 is damaged"),
        (4 * CLUSTER + 3 * 1024 + 510, b"\x99\x99", "torn"),
        (4 * CLUSTER + 3 * 1024 + 20, b"\xff\x03", "end too early|without attribute"),
    ],
)
def test_damaged_structures_are_told(offset: int, content: bytes, why: str) -> None:
    image = bytearray(ntfs_head())
    image[offset : offset + len(content)] = content
    with pytest.raises(ValueError, match=why):
        ntfs_state(fetch(bytes(image)))


@given(
    st.lists(st.tuples(st.integers(0, 12 * CLUSTER), st.binary(min_size=1, max_size=8)), max_size=6),
    st.data(),
)
def test_no_damage_makes_more_than_a_value_error(spots: list[tuple[int, bytes]], data: st.DataObject) -> None:
    image = bytearray(ntfs_head())
    for offset, content in spots:
        image[offset : offset + len(content)] = content
    image = image[: data.draw(st.integers(0, len(image)))]
    identify(bytes(image))
    try:
        ntfs_state(fetch(bytes(image)))
    except ValueError:
        return


@pytest.mark.parametrize(
    ("first", "saved"),
    [
        (b"hibr", True),
        (b"HIBR", True),
        (b"wake", True),
        (b"WAKE", True),
        (b"RSTR", False),
        (bytes(4), False),
        (b"", False),
    ],
)
def test_hibernation_is_told_by_the_signature(first: bytes, saved: bool) -> None:
    assert is_hibernated(first) is saved


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["win10-xts128", "clearkey-only", "partially-encrypted", "vista", "win7"])
def test_real_bitlocker_volumes(name: str) -> None:
    assert identify(real(f"bitlocker-{name}.img", 8192)) == "bitlocker"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "offset", "log"),
    [
        ("ntfs-unclean-logfile.raw", 0, "unclean"),
        ("vhd-fixed-win10.vhd", 65536, "clean"),
        ("vhd-fixed-win10-ntfs.vhd", 65536, "clean"),
        ("ntfs-index.raw", 65536, "clean"),
    ],
)
def test_real_ntfs_volumes(name: str, offset: int, log: str) -> None:
    content = real(name, 40 << 20)[offset:]
    assert identify(content[:8192]) == "ntfs"
    found = ntfs_state(fetch(content))
    assert (found.dirty, found.log) == (False, log)
