"""What a driver file (PE) says of itself: the processor it is for and how it is signed.

Offsets: Microsoft's "PE format"; the signature is a PKCS #7 SignedData (RFC 2315) in a
WIN_CERTIFICATE, whose digest algorithms tell whether a Windows that knows no SHA-2 can read it.
Nothing is verified here: Windows does that itself, and does not load what fails.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from p2vprep.errors import DocumentError

Digest = Literal["sha1", "sha2", "other"]
_MACHINES = {0x014C: "x86", 0x8664: "x64", 0xAA64: "arm64", 0x0200: "ia64"}
_SECURITY = 4
"""The index of the certificate table among the data directories."""
_PKCS = 2
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DIGESTS: dict[bytes, Digest] = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha2",
    bytes.fromhex("608648016503040202"): "sha2",
    bytes.fromhex("608648016503040203"): "sha2",
}
_SEQUENCE, _SET, _OID, _EXPLICIT = 0x30, 0x31, 0x06, 0xA0
_MOST_SIGNATURES = 16


@dataclass(frozen=True)
class Program:
    """A PE file: ``x86``, ``x64``, ``arm64``, ``ia64``, else the machine's number in hex."""

    machine: str
    signatures: tuple[Digest, ...] = ()
    """The digest of each embedded signature, in order; empty: not signed in itself."""


def read_program(content: bytes) -> Program:
    """Reads the headers of a PE file. Raises DocumentError ``bad-driver-file`` where it is none."""
    try:
        if content[:2] != b"MZ":
            raise _bad("it does not begin like a program")
        (header,) = struct.unpack_from("<I", content, 0x3C)
        signature, machine = struct.unpack_from("<4sH", content, header)
        if signature != b"PE\0\0":
            raise _bad("it has no PE header")
        optional = header + 24
        (magic,) = struct.unpack_from("<H", content, optional)
        if magic not in (0x10B, 0x20B):
            raise _bad("its optional header is unknown")
        count_at = optional + (92 if magic == 0x10B else 108)
        (count,) = struct.unpack_from("<I", content, count_at)
        place, size = (
            struct.unpack_from("<II", content, count_at + 4 + 8 * _SECURITY) if count > _SECURITY else (0, 0)
        )
        digests = tuple(_signatures(content, place, size)) if place else ()
    except struct.error as problem:
        raise _bad("it is cut short") from problem
    return Program(_MACHINES.get(machine, f"0x{machine:04x}"), digests)


def _bad(why: str) -> DocumentError:
    return DocumentError(f"not a driver file: {why}", code="bad-driver-file")


def _signatures(content: bytes, place: int, size: int) -> Iterator[Digest]:
    """The digests of the WIN_CERTIFICATE entries, each aligned to eight bytes."""
    end = place + size
    if end > len(content):
        raise _bad("its signature lies outside the file")
    for _ in range(_MOST_SIGNATURES):
        if place + 8 > end:
            return
        length, _revision, kind = struct.unpack_from("<IHH", content, place)
        if length < 8 or place + length > end:
            raise _bad("its signature is malformed")
        if kind == _PKCS:
            yield _digest(content[place + 8 : place + length])
        place += (length + 7) & ~7


def _digest(signature: bytes) -> Digest:
    """The first digest algorithm of a SignedData."""
    try:
        info = _inside(signature, _SEQUENCE)
        kind, rest = _take(info, _OID)
        if kind != _SIGNED_DATA:
            return "other"
        signed = _inside(_inside(rest, _EXPLICIT), _SEQUENCE)
        _version, rest = _take(signed, 0x02)
        algorithm = _inside(_inside(rest, _SET), _SEQUENCE)
        return _DIGESTS.get(_inside(algorithm, _OID), "other")
    except (IndexError, ValueError):
        return "other"


def _inside(data: bytes, tag: int) -> bytes:
    return _take(data, tag)[0]


def _take(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the DER element at the start and what follows it. Raises ValueError, IndexError."""
    if data[0] != tag:
        raise ValueError(f"tag {data[0]:#x} instead of {tag:#x}")
    length, start = data[1], 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a length that DER does not have")
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if start + length > len(data):
        raise ValueError("an element longer than what holds it")
    return data[start : start + length], data[start + length :]
