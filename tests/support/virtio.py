"""A virtio-win kit made up for tests: INF files, driver files with and without signatures, folders."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from p2vprep.core.model import Guest, Role, WindowsVersion

MACHINES = {"x86": 0x014C, "x64": 0x8664, "arm64": 0xAA64}
DECORATIONS = {"x86": "NTx86", "x64": "NTamd64", "arm64": "NTarm64"}
FOLDERS = {"x86": "x86", "x64": "amd64", "arm64": "ARM64"}
DEVICES = {
    "viostor": ("1001", "1042", "0002"),
    "vioscsi": ("1004", "1048", "0008"),
    "netkvm": ("1000", "1041", "0001"),
    "balloon": ("1002", "1045", "0005"),
    "vioser": ("1003", "1043", "0003"),
}
_OIDS = {"sha1": "2b0e03021a", "sha2": "608648016503040201"}


def der(tag: int, *content: bytes) -> bytes:
    """One DER element."""
    held = b"".join(content)
    size = len(held)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + held


def signature(digest: str) -> bytes:
    """The begin of a PKCS #7 SignedData that names a digest, long enough to need two length bytes."""
    algorithm = der(0x30, der(0x06, bytes.fromhex(_OIDS[digest])), der(0x05))
    signed = der(0x30, der(0x02, b"\x01"), der(0x31, algorithm), der(0x04, bytes(200)))
    return der(0x30, der(0x06, bytes.fromhex("2a864886f70d010702")), der(0xA0, signed))


def program(architecture: str = "x64", *digests: str) -> bytes:
    """A driver file of a processor with the given embedded signatures."""
    wide = architecture != "x86"
    optional = bytearray(240 if wide else 224)
    struct.pack_into("<H", optional, 0, 0x20B if wide else 0x10B)
    count_at = 108 if wide else 92
    struct.pack_into("<I", optional, count_at, 16)
    head = b"MZ" + bytes(58) + struct.pack("<I", 64)
    head += b"PE\0\0" + struct.pack("<H", MACHINES[architecture]) + bytes(18)
    certificates = b""
    for digest in digests:
        held = signature(digest)
        entry = struct.pack("<IHH", 8 + len(held), 0x200, 2) + held
        certificates += entry + bytes(-len(entry) % 8)
    place = len(head) + len(optional) + 16
    if certificates:
        struct.pack_into("<II", optional, count_at + 4 + 8 * 4, place, len(certificates))
    return head + bytes(optional) + bytes(16) + certificates


def inf(name: str = "viostor", architecture: str = "x64", *, decoration: str | None = None) -> str:
    """An INF file of a driver, in the shape that the kit's have."""
    old, new, subsystem = DEVICES[name]
    decorated = decoration if decoration is not None else DECORATIONS[architecture]
    models = f"Makers.{decorated}" if decorated else "Makers"
    boots = name in ("viostor", "vioscsi")
    kind = ("SCSIAdapter", "{4D36E97B-E325-11CE-BFC1-08002BE10318}") if boots else ("System", "{0}")
    return f"""\
; an invented driver; this line [Version] is no section
[Version]
Signature = "$Windows NT$"
Class     = {kind[0]}
ClassGUID = {kind[1]}
Provider  = %Maker%
DriverVer = 03/04/2021,100.85.104.1   ; of a test
CatalogFile = {name}.cat

[Manufacturer]
%Maker% = Makers{"," + decorated if decorated else ""}

[{models}]
%Device% = install, PCI\\VEN_1AF4&DEV_{old}&SUBSYS_{subsystem}1AF4&REV_00, PCI\\VEN_1AF4&DEV_{old}
%Device% = install, \\
  PCI\\VEN_1AF4&DEV_{new}&SUBSYS_11001AF4&REV_01, PCI\\VEN_1AF4&DEV_{new}

[SourceDisksFiles]
{name}.sys = 1,,

[install]
CopyFiles = @{name}.sys

[install.Services]
AddService = helper, 0, helper_service
AddService = {name}, 0x00000002, driver_service

[helper_service]
ServiceType = 0x10
StartType = 3
ErrorControl = 1
ServiceBinary = "%12%\\helper.exe"

[driver_service]
ServiceType = %KERNEL%
StartType = {0 if boots else 3}
ErrorControl = 1
ServiceBinary = %12%\\{name}.sys
LoadOrderGroup = SCSI miniport
AddReg = numbers

[numbers]
HKR, "Parameters\\PnpInterface", "5", 0x00010001, 0x00000001
HKR, "Parameters", "BusType", %DWORD%, 0x0000000A
HKR, , Text, 0, "not a number"
HKLM, Elsewhere, Number, %DWORD%, 1

[Strings]
Maker = "Example, Inc.; makers"
Device = "An invented device"
KERNEL = 1
DWORD = 0x00010001
"""


def package(name: str, architecture: str = "x64", *digests: str) -> dict[str, bytes]:
    """The files of a driver: INF, catalog, driver, and a symbol file that nobody needs."""
    return {
        f"{name}.inf": inf(name, architecture).encode("latin-1"),
        f"{name}.cat": f"catalog of {name}".encode(),
        f"{name}.sys": program(architecture, *(digests or ("sha1", "sha2"))),
        f"{name}.pdb": b"symbols",
    }


def kit(
    *windows: str, architecture: str = "x64", names: tuple[str, ...] = tuple(DEVICES)
) -> dict[str, bytes]:
    """The files of a kit as on the ISO: ``viostor/w10/amd64/viostor.sys``."""
    return {
        f"{name}/{folder}/{FOLDERS[architecture]}/{file}": content
        for name in names
        for folder in windows
        for file, content in package(name, architecture).items()
    }


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Writes files below a folder of the host and returns it."""
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def guest(
    major: int = 10, minor: int = 0, build: int = 17763, *, role: Role = Role.SERVER, arch: str = "x64"
) -> Guest:
    """A Windows of this version."""
    version = WindowsVersion(major, minor, build)
    return Guest("Windows under test", version, role, arch, "", "HOST", "/Windows")  # type: ignore[arg-type]
