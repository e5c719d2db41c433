r"""What a driver's INF file says: which devices, which service, which files, for one Windows.

Only what it takes to start a driver before Plug and Play can read the file itself. Sections and
their meaning: Microsoft's "INF file sections and directives". Names compare without regard to case.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from p2vprep.core.model import Role, WindowsVersion
from p2vprep.errors import DocumentError

LARGEST = 1 << 20
"""An INF file is never longer (bytes); those of virtio drivers have some kilobytes."""
_MOST_LINES = 20_000
_ARCHITECTURES = {"x86": "X86", "x64": "AMD64", "arm64": "ARM64", "ia64": "IA64"}
_PRODUCT_TYPES = {Role.CLIENT: 1, Role.DOMAIN_CONTROLLER: 2, Role.SERVER: 3}
_DWORD = 0x00010001
_ASSOCIATED = 2
"""AddService flag: this service is the device's function driver (SPSVCINST_ASSOCSERVICE)."""
_DECORATION = re.compile(r"NT(X86|AMD64|ARM64|IA64)?((?:\.[^.]*)*)", re.IGNORECASE)


@dataclass(frozen=True)
class InfService:
    """The service an INF makes for its device."""

    name: str
    binary: str
    """The driver's file name: ``viostor.sys``."""
    type: int
    start: int
    error_control: int
    group: str
    numbers: tuple[tuple[str, str, int], ...] = ()
    """DWORD values below the service's key: subkey, name, number."""


@dataclass(frozen=True)
class DriverInf:
    """What one Windows takes from an INF file."""

    class_guid: str
    provider: str
    version: str
    """``DriverVer`` as written: date and version."""
    hardware_ids: tuple[str, ...]
    r"""What matches a device exactly: ``PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00``."""
    compatible_ids: tuple[str, ...]
    services: tuple[InfService, ...]
    files: tuple[str, ...]
    """All files of the package beside the INF itself, the catalog last."""

    @property
    def service(self) -> InfService:
        """The driver's own service."""
        return self.services[0]


def read_inf(content: bytes, version: WindowsVersion, architecture: str, role: Role) -> DriverInf:
    """What a Windows of this version, architecture (``x86``, ``x64``, ``arm64``) and role takes from it.

    Raises DocumentError: ``bad-inf`` where the file makes no sense, ``inf-not-for-this-windows`` where
    it has no devices for this Windows.
    """
    sections = _sections(_decoded(content))
    strings = {key.upper(): _unquoted(held) for key, held in _pairs(sections.get("STRINGS", ()))}
    book = _Book(sections, strings)
    head = book.values("VERSION")
    if "SIGNATURE" not in head:
        raise DocumentError("the file has no [Version] of an INF", code="bad-inf")
    wanted = _Wanted(_ARCHITECTURES.get(architecture, ""), version, _PRODUCT_TYPES.get(role))
    installs: dict[str, None] = {}
    hardware: dict[str, None] = {}
    compatible: dict[str, None] = {}
    for fields in book.lists(_models(book, wanted)):
        install, *ids = fields
        installs.setdefault(install)
        hardware.update(dict.fromkeys(ids[:1]))
        compatible.update(dict.fromkeys(ids[1:]))
    if not hardware:
        raise DocumentError("it has no devices for this Windows", code="inf-not-for-this-windows")
    services = tuple(dict.fromkeys(one for name in installs for one in _services(book, name, wanted)))
    catalog = next((head[name] for name in _catalog_names(wanted) if head.get(name)), "")
    files = dict.fromkeys(book.files(wanted))
    return DriverInf(
        class_guid=head.get("CLASSGUID", ""),
        provider=head.get("PROVIDER", ""),
        version=head.get("DRIVERVER", ""),
        hardware_ids=tuple(hardware),
        compatible_ids=tuple(one for one in compatible if one not in hardware),
        services=services,
        files=(*files, catalog) if catalog else tuple(files),
    )


# --- the text ----------------------------------------------------------------------------------


def _decoded(content: bytes) -> str:
    """The text: UTF-16 or UTF-8 with a byte order mark, else the Western code page that INF files are in."""
    if len(content) > LARGEST:
        raise DocumentError(f"it is longer than {LARGEST // 1024} KiB", code="bad-inf")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if content.startswith(codecs.BOM_UTF8):
        return content.decode("utf-8-sig", errors="replace")
    return content.decode("latin-1")


def _sections(text: str) -> dict[str, list[str]]:
    """The lines of every section, comments off, continued lines joined; sections of one name are one."""
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        raise DocumentError(f"it has more than {_MOST_LINES} lines", code="bad-inf")
    found: dict[str, list[str]] = {}
    current: list[str] = []
    held = ""
    for line in lines:
        plain = held + _without_comment(line).strip()
        if plain.endswith("\\"):
            held = plain[:-1]
            continue
        held = ""
        if plain.startswith("[") and "]" in plain:
            current = found.setdefault(plain[1 : plain.index("]")].strip().upper(), [])
        elif plain:
            current.append(plain)
    return found


def _without_comment(line: str) -> str:
    quoted = False
    for index, sign in enumerate(line):
        if sign == '"':
            quoted = not quoted
        elif sign == ";" and not quoted:
            return line[:index]
    return line


def _fields(text: str) -> list[str]:
    """The parts between commas that stand outside quotes."""
    parts, quoted = [""], False
    for sign in text:
        quoted ^= sign == '"'
        if sign == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    return [_unquoted(part) for part in parts]


def _unquoted(text: str) -> str:
    plain = text.strip()
    if len(plain) >= 2 and plain[0] == plain[-1] == '"':
        return plain[1:-1].replace('""', '"')
    return plain


def _pairs(lines: Iterator[str] | list[str] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, equals, held = line.partition("=")
        if equals:
            yield _unquoted(key), held.strip()


# --- sections and strings ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Book:
    """The sections of a file with its strings put in."""

    sections: Mapping[str, list[str]]
    strings: Mapping[str, str]

    def lines(self, section: str) -> list[str]:
        return self.sections.get(section.upper(), [])

    def values(self, section: str) -> dict[str, str]:
        """The single values of a section by their upper-case keys."""
        return {key.upper(): self.put_in(_unquoted(held)) for key, held in _pairs(self.lines(section))}

    def lists(self, section: str | None) -> Iterator[list[str]]:
        """What stands right of each equals sign, as a list; of a section's lines that have one."""
        for _key, held in _pairs(self.lines(section) if section is not None else []):
            yield [self.put_in(part) for part in _fields(held)]

    def put_in(self, text: str) -> str:
        """The text with ``%name%`` replaced; what is no name of a string stays (``%12%`` is a folder)."""
        return re.sub(r"%([^%]+)%", lambda found: self.strings.get(found[1].upper(), found[0]), text)

    def files(self, wanted: _Wanted) -> Iterator[str]:
        """The files that belong to the package."""
        for section in ("SourceDisksFiles", f"SourceDisksFiles.{wanted.architecture}"):
            for key, _held in _pairs(self.lines(section)):
                yield self.put_in(key)


@dataclass(frozen=True)
class _Wanted:
    """The Windows that the file is read for."""

    architecture: str
    version: WindowsVersion
    product_type: int | None

    def rank(self, decoration: str) -> tuple[int, ...] | None:
        """How well ``NTamd64.6.1`` and so on fits, more is better; None: not for this Windows."""
        match = _DECORATION.fullmatch(decoration)
        if match is None:
            return None
        named = (match[1] or "").upper()
        if named != self.architecture if named else self.architecture != "X86":
            return None
        numbers = [int(part, 0) if _is_number(part) else None for part in match[2].split(".")[1:]]
        major, minor, product, _suite, build = (*numbers, None, None, None, None, None)[:5]
        if product is not None and product != self.product_type:
            return None
        at_least = (major or 0, minor or 0, build or 0)
        have = (*self.version.nt, self.version.build or (build or 0))
        return None if have < at_least else (*at_least, int(product is not None), int(bool(named)))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"0x[0-9a-fA-F]{1,8}|[0-9]{1,9}", text) is not None


def _models(book: _Book, wanted: _Wanted) -> str | None:
    """The name of the section that lists the devices for this Windows."""
    ranked: list[tuple[tuple[int, ...], str]] = []
    for name, *decorations in book.lists("Manufacturer"):
        if not decorations and wanted.architecture == "X86":
            ranked.append(((-1,), name))
        for decoration in decorations:
            rank = wanted.rank(decoration)
            if rank is not None:
                ranked.append((rank, f"{name}.{decoration}"))
    return max(ranked, key=lambda one: one[0])[1] if ranked else None


def _catalog_names(wanted: _Wanted) -> tuple[str, ...]:
    return (f"CATALOGFILE.NT{wanted.architecture}", "CATALOGFILE.NT", "CATALOGFILE")


# --- services ----------------------------------------------------------------------------------


def _services(book: _Book, install: str, wanted: _Wanted) -> Iterator[InfService]:
    """The services of an install section, the device's own first."""
    for suffix in (f".NT{wanted.architecture}", ".NT", ""):
        lines = book.lines(f"{install}{suffix}.Services")
        if lines:
            break
    added: list[tuple[bool, InfService]] = []
    for key, held in _pairs(lines):
        if key.upper() != "ADDSERVICE":
            continue
        name, flags, section = [*(book.put_in(part) for part in _fields(held)), "", "", ""][:3]
        own = _is_number(flags) and bool(int(flags, 0) & _ASSOCIATED)
        if name and section:
            added.append((own, _service(book, name, section)))
    yield from (service for _own, service in sorted(added, key=lambda one: not one[0]))


def _service(book: _Book, name: str, section: str) -> InfService:
    held = book.values(section)
    return InfService(
        name=name,
        binary=held.get("SERVICEBINARY", "").replace("/", "\\").rpartition("\\")[2],
        type=_number(held.get("SERVICETYPE", "")),
        start=_number(held.get("STARTTYPE", "")),
        error_control=_number(held.get("ERRORCONTROL", "")),
        group=held.get("LOADORDERGROUP", ""),
        numbers=tuple(_numbers(book, held.get("ADDREG", ""))),
    )


def _numbers(book: _Book, sections: str) -> Iterator[tuple[str, str, int]]:
    """The DWORD values that AddReg puts below the service's own key."""
    for section in _fields(sections):
        for line in book.lines(section):
            root, subkey, name, flags, number = (
                [book.put_in(part) for part in _fields(line)] + [""] * 5
            )[:5]  # fmt: skip
            if root.upper() == "HKR" and _is_number(flags) and int(flags, 0) == _DWORD and _is_number(number):
                yield subkey, name, int(number, 0)


def _number(text: str) -> int:
    if not _is_number(text):
        raise DocumentError(f"{text!r} is no number", code="bad-inf")
    return int(text, 0)
