"""VMDK: what is believed, and every lie that is not."""

from __future__ import annotations

import struct

import pytest

from p2vprep.disk.containers import vmdk
from p2vprep.disk.containers.base import Extent
from p2vprep.errors import CannotOpenError, RefusedError
from tests.disk.containers.builders import MIB, descriptor, source, vmdk_sparse

SECTORS = 16384
FLAT = b'RW 16384 FLAT "disk-flat.vmdk" 0'


def code_of(data: bytes) -> str:
    with pytest.raises((CannotOpenError, RefusedError)) as caught:
        vmdk.read(source(data))
    return caught.value.code


def stream(*, footer: bytes | None = None, kind: bytes = b"streamOptimized") -> bytes:
    text = descriptor(b'RW 16384 SPARSE "x.vmdk"', kind=kind)
    head = vmdk_sparse(flags=0x30001, compression=1, version=3, directory=0xFFFFFFFFFFFFFFFF, text=text)
    last = footer if footer is not None else vmdk_sparse(flags=0x30001, compression=1, version=3)[:512]
    return head + last + bytes(512)


def test_a_sparse_disk() -> None:
    found = vmdk.read(source(vmdk_sparse()))
    assert (found.format, found.kind) == ("vmdk", "VMDK (monolithicSparse)")
    assert (found.virtual_size, found.read_only, found.extents) == (SECTORS * 512, None, ())


def test_a_stream_optimised_disk_can_only_be_read() -> None:
    found = vmdk.read(source(stream()))
    assert found.kind == "VMDK (streamOptimized)"
    assert found.virtual_size == SECTORS * 512
    assert found.read_only is not None


def test_the_extents_of_a_descriptor_are_listed_not_opened() -> None:
    text = descriptor(FLAT, b'RW 100 FLAT "b c.vmdk" 7', kind=b"twoGbMaxExtentFlat")
    found = vmdk.read(source(text))
    assert found.virtual_size == (SECTORS + 100) * 512
    assert found.extents == (
        Extent(b"disk-flat.vmdk", sparse=False, offset=0, length=SECTORS * 512),
        Extent(b"b c.vmdk", sparse=False, offset=7 * 512, length=100 * 512),
    )


def test_the_descriptors_of_esxi_and_windows_are_understood() -> None:
    text = descriptor(b'RW 16384 VMFS "disk-flat.vmdk"', kind=b"vmfs")
    assert vmdk.read(source(text)).extents[0].offset == 0
    text = descriptor(b'RW 16384 SPARSE "d-s001.vmdk"', kind=b"twoGbMaxExtentSparse").replace(b"\n", b"\r\n")
    assert vmdk.read(source(text)).extents[0].sparse
    padded = descriptor(FLAT) + bytes(300)
    assert vmdk.read(source(padded)).virtual_size == SECTORS * 512


def test_signatures() -> None:
    assert vmdk.is_descriptor(b"# Disk DescriptorFile\nversion=1")
    assert vmdk.is_descriptor(b"\n# disk descriptorfile\n")
    assert not vmdk.is_descriptor(b"# Disk Descriptor")
    assert vmdk.is_sparse(b"KDMV\1\0\0\0")
    assert not vmdk.is_sparse(b"COWD")


@pytest.mark.parametrize(
    "name",
    [b"/etc/passwd", b"../x.vmdk", b"sub/x.vmdk", b"..", b".", b"C:\\x.vmdk", b"nbd:localhost:10809",
     b"json:{}", b"file:x", b"a\\b"],
)  # fmt: skip
def test_extents_that_are_not_plainly_beside_the_descriptor_are_refused(name: bytes) -> None:
    for line in (b'RW 16384 FLAT "%s" 0', b'RW 16384 SPARSE "%s"', b'RW 16384 VMFS "%s"'):
        assert code_of(descriptor(line % name)) == "vmdk-extent-outside"


@pytest.mark.parametrize(
    "line",
    [
        b'RDONLY 16384 FLAT "x" 0',
        b"NOACCESS 16384 ZERO",
        b"RW 16384 ZERO",
        b'RW 16384 SESPARSE "x"',
        b'RW 16384 VMFSRDM "x"',
        b'RW -1 FLAT "x" 0',
        b'RW 99999999999999999999 FLAT "x" 0',
        b'RW 16384 FLAT "x"',
        b'RW 16384 FLAT "x" -1',
        b'RW 16384 SPARSE "x" 0',
        b'RW 16384 FLAT x 0',
        b'RW 16384 FLAT "x" 0 "y"',
        b'RW 16384 FLAT "" 0',
        b'RW\n16384\nFLAT\n"/etc/passwd"\n0',
        b'rw 16384 FLAT "x" 0',
        b'\x0bRW 16384 FLAT "x" 0',
        b"RW",
    ],
)  # fmt: skip
def test_extents_that_could_be_read_in_two_ways_are_refused(line: bytes) -> None:
    assert code_of(descriptor(FLAT, line)) == "image-damaged"


def test_a_blank_line_before_an_extent_is_refused_because_qemu_counts_it_twice() -> None:
    assert code_of(descriptor(FLAT, b"", b'RW 1 FLAT "y" 0')) == "image-damaged"
    assert code_of(descriptor(FLAT, b" \t\r", b'RW 1 FLAT "y" 0')) == "image-damaged"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(descriptor(FLAT, parent=b"12345678"), "image-is-delta", id="parent"),
        pytest.param(
            descriptor(FLAT, more=b'parentFileNameHint="/etc/shadow"\n'), "image-is-delta", id="parent name"
        ),
        pytest.param(descriptor(FLAT, kind=b"vmfsSparse"), "image-is-delta", id="ESXi delta"),
        pytest.param(descriptor(FLAT, kind=b"seSparse"), "image-is-delta", id="ESXi delta, new"),
        pytest.param(descriptor(FLAT, kind=b"fullDevice"), "vmdk-extent-outside", id="device"),
        pytest.param(descriptor(FLAT, kind=b"vmfsRDM"), "vmdk-extent-outside", id="RDM"),
        pytest.param(descriptor(FLAT, kind=b"custom"), "image-format-unsupported", id="custom"),
        pytest.param(
            descriptor(FLAT, kind=b"monolithicSparse"), "image-format-unsupported", id="no descriptor"
        ),
        pytest.param(descriptor(FLAT, more=b'createType="vmfs"\n'), "image-damaged", id="two types"),
        pytest.param(descriptor(FLAT, more=b"# parentCID=1\n"), "image-damaged", id="parent in a comment"),
        pytest.param(descriptor(FLAT).replace(b"createType", b"kind"), "image-damaged", id="no type"),
        pytest.param(descriptor(), "image-damaged", id="no extent"),
        pytest.param(descriptor(FLAT, FLAT), "image-damaged", id="an extent twice"),
        pytest.param(descriptor(b'RW 0 FLAT "x" 0'), "image-size-absurd", id="no size"),
        pytest.param(descriptor(b'RW 999999999999999 FLAT "x" 0'), "image-size-absurd", id="absurd size"),
        pytest.param(descriptor(FLAT, more=b"#" * MIB), "image-damaged", id="endless"),
    ],
)
def test_descriptors_that_lie_are_named(text: bytes, code: str) -> None:
    assert code_of(text) == code


def parented() -> bytes:
    return descriptor(b'RW 1 SPARSE "x"', kind=b"monolithicSparse", parent=b"00000001")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(vmdk_sparse(capacity=0), "image-size-absurd", id="capacity 0: a hidden descriptor"),
        pytest.param(vmdk_sparse(capacity=1 << 55), "image-size-absurd", id="absurd size"),
        pytest.param(vmdk_sparse(grain=0), "image-damaged", id="grain 0"),
        pytest.param(vmdk_sparse(grain=100), "image-damaged", id="grain 100"),
        pytest.param(vmdk_sparse(table_entries=0), "image-damaged", id="tables of 0"),
        pytest.param(vmdk_sparse(version=4), "image-damaged", id="version 4"),
        pytest.param(vmdk_sparse(newlines=b"\n \n\n"), "image-damaged", id="text mode"),
        pytest.param(vmdk_sparse(directory=0), "image-damaged", id="no directory"),
        pytest.param(vmdk_sparse(directory=1 << 40), "image-truncated", id="directory outside"),
        pytest.param(vmdk_sparse(tables=(1 << 30,)), "image-truncated", id="table outside"),
        pytest.param(vmdk_sparse(capacity=1 << 37, grain=8), "image-damaged", id="huge directory"),
        pytest.param(vmdk_sparse(flags=0x30001, compression=1), "image-damaged", id="compressed secretly"),
        pytest.param(vmdk_sparse(flags=0x30001, compression=9), "image-feature-unknown", id="compression"),
        pytest.param(vmdk_sparse(text=parented()), "image-is-delta", id="parent"),
        pytest.param(vmdk_sparse(text=b"nothing"), "image-damaged", id="no descriptor in there"),
        pytest.param(vmdk_sparse(text=descriptor(FLAT)), "image-damaged", id="flat inside"),
        pytest.param(vmdk_sparse(with_descriptor=False), "image-is-extent", id="extent"),
        pytest.param(vmdk_sparse()[:512], "image-truncated", id="cut off"),
        pytest.param(vmdk_sparse()[:100], "image-truncated", id="cut off in the header"),
        pytest.param(b"KDMV", "image-truncated", id="only the magic number"),
        pytest.param(stream(footer=bytes(512)), "image-truncated", id="no second header"),
        pytest.param(stream(footer=stream()[:512]), "image-damaged", id="second header knows nothing"),
    ],
)
def test_sparse_files_that_lie_are_named(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_descriptor_that_claims_too_much_is_damaged() -> None:
    image = bytearray(vmdk_sparse())
    image[36:44] = struct.pack("<Q", 1 << 40)
    assert code_of(bytes(image)) == "image-damaged"


def test_a_parent_hidden_behind_the_declared_end_of_the_descriptor_is_found() -> None:
    image = bytearray(vmdk_sparse())
    image[36:44] = struct.pack("<Q", 1)  # the descriptor claims one sector; QEMU reads twenty
    text = descriptor(b'RW 16384 SPARSE "x"', kind=b"monolithicSparse").ljust(600, b"#")
    image[512 : 512 + 700] = (text + b'\nparentFileNameHint="/etc/shadow"\n').ljust(700, b"#")
    assert code_of(bytes(image)) == "image-is-delta"


def test_the_size_of_an_extent_is_checked_like_that_of_a_disk() -> None:
    assert vmdk.sparse_extent_size(source(vmdk_sparse(with_descriptor=False))) == SECTORS * 512
    for bad in (b"x" * 4096, vmdk_sparse(flags=0x30001, compression=1), vmdk_sparse(capacity=0)):
        with pytest.raises(CannotOpenError):
            vmdk.sparse_extent_size(source(bad))
