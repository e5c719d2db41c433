from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.pe import Digest, Program, read_program
from p2vprep.errors import DocumentError
from tests.support.virtio import der, program, signature


@pytest.mark.parametrize("arch", ["x86", "x64", "arm64"])
@pytest.mark.parametrize("digests", [(), ("sha1",), ("sha2",), ("sha1", "sha2")])
def test_processor_and_signatures_are_read(arch: str, digests: tuple[Digest, ...]) -> None:
    assert read_program(program(arch, *digests)) == Program(arch, digests)


def test_another_processor_is_named_by_its_number() -> None:
    content = bytearray(program())
    struct.pack_into("<H", content, 68, 0x01C0)
    assert read_program(bytes(content)).machine == "0x01c0"


@pytest.mark.parametrize(
    "content",
    [b"", b"MZ", b"ELF" + bytes(100), b"MZ" + bytes(200), program()[:80], program("x64", "sha1")[:-8]],
)
def test_what_is_no_driver_file_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        read_program(content)
    assert caught.value.code == "bad-driver-file"


def test_an_unknown_optional_header_is_refused() -> None:
    content = bytearray(program())
    struct.pack_into("<H", content, 64 + 24, 0x107)
    with pytest.raises(DocumentError, match="optional header"):
        read_program(bytes(content))


def test_a_signature_that_cannot_be_read_is_another_one() -> None:
    content = program("x64", "sha2")
    held = signature("sha2")
    for other in (
        bytes(len(held)),
        b"\x30\x85" + held[2:],
        der(0x30, der(0x06, b"\x01")).ljust(len(held), b"\0"),
    ):
        assert read_program(content.replace(held, other)).signatures == ("other",)


def test_an_entry_of_no_length_is_refused() -> None:
    content = bytearray(program("x64", "sha2"))
    at = bytes(content).index(signature("sha2")) - 8
    struct.pack_into("<I", content, at, 0)
    with pytest.raises(DocumentError, match="malformed"):
        read_program(bytes(content))


def test_no_more_than_sixteen_signatures_are_read() -> None:
    assert len(read_program(program("x64", *["sha1"] * 20)).signatures) == 16


@given(st.integers(0, 900), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused(place: int, noise: bytes) -> None:
    content = bytearray(program("x64", "sha1", "sha2"))
    content[place : place + len(noise)] = noise
    with suppress(DocumentError):
        assert len(read_program(bytes(content)).signatures) <= 16
