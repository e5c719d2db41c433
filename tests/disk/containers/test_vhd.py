"""VHD: what is believed, and every lie that is not."""

from __future__ import annotations

import pytest

from p2vprep.disk.containers import vhd
from p2vprep.errors import CannotOpenError, RefusedError
from tests.disk.containers.builders import MIB, source, vhd_dynamic, vhd_footer


def fixed(size: int = MIB, **more: int) -> bytes:
    return bytes(size) + vhd_footer(size, 2, header_offset=0xFFFFFFFFFFFFFFFF, **more)  # type: ignore[arg-type]


def code_of(data: bytes) -> str:
    with pytest.raises((CannotOpenError, RefusedError)) as caught:
        vhd.read(source(data))
    return caught.value.code


def test_a_fixed_disk_has_the_size_of_its_footer_not_of_its_file() -> None:
    found = vhd.read(source(fixed()))
    assert (found.format, found.kind, found.virtual_size) == ("vpc", "VHD (fixed)", MIB)
    assert found.details["created_by"] == "Windows"
    longer = bytes(512) + fixed()
    assert vhd.read(source(longer)).virtual_size == MIB


def test_an_old_footer_of_511_bytes_is_found() -> None:
    assert vhd.has_footer(source(fixed()[:-1]))
    assert vhd.read(source(fixed()[:-1])).virtual_size == MIB
    assert not vhd.has_footer(source(fixed()[:-2]))


def test_a_dynamic_disk_has_the_size_of_its_footer() -> None:
    found = vhd.read(source(vhd_dynamic()))
    assert (found.kind, found.virtual_size, found.read_only) == ("VHD (dynamic)", 8 * MIB, None)
    assert found.details["block_size"] == 2 * MIB


def test_a_block_that_lies_inside_the_file_is_accepted() -> None:
    image = vhd_dynamic(table=(4,))
    body = image[:-512].ljust(4 * 512 + 512 + 2 * MIB, b"\0") + image[-512:]
    assert vhd.read(source(body)).virtual_size == 8 * MIB


def test_differencing_disks_are_refused() -> None:
    assert code_of(vhd_dynamic(kind=4)) == "image-is-delta"
    assert code_of(bytes(MIB) + vhd_footer(MIB, 4)) == "image-is-delta"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(vhd_dynamic(kind=2), "image-damaged", id="fixed at the head"),
        pytest.param(bytes(MIB) + vhd_footer(MIB, 3), "image-damaged", id="dynamic without a head"),
        pytest.param(vhd_dynamic(kind=7), "image-damaged", id="unknown type"),
        pytest.param(vhd_dynamic(block_size=0), "image-damaged", id="block size 0"),
        pytest.param(vhd_dynamic(block_size=3 * MIB), "image-damaged", id="block size no power of two"),
        pytest.param(vhd_dynamic(block_size=512), "image-damaged", id="block size too small"),
        pytest.param(vhd_dynamic(block_size=1 << 31), "image-damaged", id="block size too large"),
        pytest.param(vhd_dynamic(entries=3), "image-damaged", id="too few blocks"),
        pytest.param(vhd_dynamic(entries=1073741825), "image-damaged", id="too many blocks"),
        pytest.param(vhd_dynamic(table_offset=1 << 40), "image-truncated", id="table outside"),
        pytest.param(vhd_dynamic(table=(5,)), "image-truncated", id="block outside"),
        pytest.param(vhd_dynamic()[:-512], "image-truncated", id="no footer at the end"),
        pytest.param(vhd_dynamic()[:1000], "image-truncated", id="cut off"),
        pytest.param(vhd_dynamic()[:100], "image-truncated", id="cut off in the footer"),
        pytest.param(vhd_dynamic()[:-512] + vhd_footer(MIB, 3), "image-damaged", id="contradiction"),
        pytest.param(fixed(0), "image-size-absurd", id="no size"),
        pytest.param(vhd_dynamic(1 << 62, entries=1), "image-size-absurd", id="absurd size"),
        pytest.param(vhd_footer(MIB, 2), "image-damaged", id="only a footer"),
        pytest.param(bytes(1000) + vhd_footer(MIB, 2), "image-truncated", id="fixed and cut off"),
        pytest.param(bytes(MIB) + vhd_footer(MIB - 1, 2), "image-damaged", id="half a sector"),
    ],
)
def test_lies_are_named(data: bytes, code: str) -> None:
    assert code_of(data) == code


@pytest.mark.parametrize("position", [0, 512 + 100])
def test_checksums_are_checked(position: int) -> None:
    image = bytearray(vhd_dynamic())
    image[position + 20] ^= 1
    assert code_of(bytes(image)) == "image-damaged"


def test_a_header_without_its_signature_is_damaged() -> None:
    image = bytearray(vhd_dynamic())
    image[512] ^= 1
    assert code_of(bytes(image)) == "image-damaged"


def test_another_version_is_refused() -> None:
    raw = bytearray(vhd_footer(MIB, 2))
    raw[12] = 0
    raw[13] = 2
    raw[64:68] = bytes(4)
    raw[64:68] = (~sum(raw) & 0xFFFFFFFF).to_bytes(4, "big")
    assert code_of(bytes(MIB) + bytes(raw)) == "image-damaged"
