"""Registry value data: the type number and the raw bytes, decoded and encoded exactly.

The raw bytes are the truth. Decoding never fails on odd data (unterminated
strings, odd lengths, garbage after the terminator, unknown types such as the
device-property types 0xFFFFxxxx, all seen in real hives); it returns ``None``
where the data does not fit the type.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from p2vprep.errors import DocumentError


class RegType(IntEnum):
    """The registry value types (winnt.h, REG_*)."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    LINK = 6
    MULTI_SZ = 7
    RESOURCE_LIST = 8
    FULL_RESOURCE_DESCRIPTOR = 9
    RESOURCE_REQUIREMENTS_LIST = 10
    QWORD = 11


_TEXT_TYPES = (RegType.SZ, RegType.EXPAND_SZ, RegType.LINK)
_NUMBER_FORMATS = {RegType.DWORD: "<I", RegType.DWORD_BIG_ENDIAN: ">I", RegType.QWORD: "<Q"}


def type_name(number: int) -> str:
    """``REG_DWORD`` and so on; ``REG_0xFFFF0012`` for a type without a name."""
    try:
        return f"REG_{RegType(number).name}"
    except ValueError:
        return f"REG_0x{number:08X}"


def type_number(name: str) -> int:
    """The inverse of :func:`type_name`. Raises DocumentError for an unknown name."""
    if re.fullmatch("REG_0x[0-9A-Fa-f]{1,8}", name):
        return int(name[6:], 16)
    if name.startswith("REG_") and name[4:] in RegType.__members__:
        return int(RegType[name[4:]])
    raise DocumentError(f"unknown registry type {name!r}", code="invalid-document")


def _utf16(raw: bytes) -> str:
    even = raw[: len(raw) & ~1]
    return even.decode("utf-16-le", errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class Data:
    """What a registry value holds: its type number and its raw bytes."""

    type: int
    raw: bytes

    @staticmethod
    def dword(number: int) -> Data:
        return Data(RegType.DWORD, struct.pack("<I", number))

    @staticmethod
    def qword(number: int) -> Data:
        return Data(RegType.QWORD, struct.pack("<Q", number))

    @staticmethod
    def sz(text: str) -> Data:
        return Data(RegType.SZ, (text + "\0").encode("utf-16-le", errors="surrogatepass"))

    @staticmethod
    def expand_sz(text: str) -> Data:
        return Data(RegType.EXPAND_SZ, (text + "\0").encode("utf-16-le", errors="surrogatepass"))

    @staticmethod
    def multi_sz(items: Iterable[str]) -> Data:
        """A list of strings; each ends with a NUL and the list with one more."""
        text = "".join(item + "\0" for item in items) + "\0"
        return Data(RegType.MULTI_SZ, text.encode("utf-16-le", errors="surrogatepass"))

    @staticmethod
    def binary(raw: bytes) -> Data:
        return Data(RegType.BINARY, raw)

    @property
    def number(self) -> int | None:
        """The number of a DWORD or QWORD of the right length, else None."""
        layout = _NUMBER_FORMATS.get(RegType(self.type)) if self.type in RegType._value2member_map_ else None
        if layout is None or len(self.raw) != struct.calcsize(layout):
            return None
        return int(struct.unpack(layout, self.raw)[0])

    @property
    def text(self) -> str | None:
        """The text of a string type up to its first NUL, else None."""
        if self.type not in _TEXT_TYPES:
            return None
        return _utf16(self.raw).split("\0", 1)[0]

    @property
    def strings(self) -> tuple[str, ...] | None:
        """The non-empty strings of a MULTI_SZ, else None.

        Windows itself stops at the first empty string; real hives hold empty
        strings in the middle, so what follows them is kept here.
        """
        if self.type != RegType.MULTI_SZ:
            return None
        return tuple(part for part in _utf16(self.raw).split("\0") if part)

    def to_json(self) -> dict[str, object]:
        """``{"type", "data"}`` as in the plan document.

        A number for number types, text for string types, a list for MULTI_SZ,
        else hex. ``raw`` (hex) is added where encoding ``data`` again would not
        give the same bytes.
        """
        plain: object
        if self.number is not None:
            plain = self.number
        elif self.text is not None:
            plain = self.text
        elif self.strings is not None:
            plain = list(self.strings)
        else:
            return {"type": type_name(self.type), "data": self.raw.hex()}
        document: dict[str, object] = {"type": type_name(self.type), "data": plain}
        if Data.from_plain(self.type, plain).raw != self.raw:
            document["raw"] = self.raw.hex()
        return document

    @staticmethod
    def from_plain(number: int, plain: object) -> Data:
        """Encodes a plain value for a type. Raises DocumentError where they do not fit."""
        kind = type_name(number)
        if isinstance(plain, bool):
            raise DocumentError(f"{kind} cannot hold a truth value")
        if number in (RegType.DWORD, RegType.DWORD_BIG_ENDIAN, RegType.QWORD) and isinstance(plain, int):
            layout = _NUMBER_FORMATS[RegType(number)]
            if not 0 <= plain < 1 << (8 * struct.calcsize(layout)):
                raise DocumentError(f"{plain} does not fit into a {kind}")
            return Data(number, struct.pack(layout, plain))
        if number in _TEXT_TYPES and isinstance(plain, str):
            if "\0" in plain:
                raise DocumentError(f"{kind} ends at its first NUL character: {plain!r}")
            return Data(number, Data.sz(plain).raw)
        if number == RegType.MULTI_SZ:
            return Data.multi_sz(_items(plain))
        if isinstance(plain, str):
            try:
                return Data(number, bytes.fromhex(plain))
            except ValueError as problem:
                raise DocumentError(f"{kind} takes hex digits: {problem}") from problem
        raise DocumentError(f"{kind} cannot hold {plain!r}")

    @staticmethod
    def from_json(document: object) -> Data:
        """The inverse of :meth:`to_json`. Raises DocumentError."""
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            raise DocumentError(f"not a registry value: {document!r}")
        number = type_number(document["type"])
        if "raw" not in document:
            return Data.from_plain(number, document.get("data"))
        data = Data(number, _hex(document["raw"]))
        if data.to_json()["data"] != document.get("data"):
            # Whoever approves a plan reads "data"; "raw" must not say something else.
            raise DocumentError(f"the raw bytes of a {type_name(number)} are not what its data show")
        return data

    def show(self, width: int = 60) -> str:
        """A short text for people: ``4``, ``"text"``, ``[a, b]``, ``hex:0102…``."""
        if self.number is not None:
            return str(self.number)
        if self.text is not None:
            shown = f'"{self.text}"'
        elif self.strings is not None:
            shown = "[" + ", ".join(self.strings) + "]"
        else:
            shown = "hex:" + self.raw.hex()
        return shown if len(shown) <= width else shown[: width - 1] + "…"


def _items(plain: object) -> list[str]:
    """The strings of a MULTI_SZ, none of which may be empty: the first empty one ends the list."""
    if not isinstance(plain, list | tuple):
        raise DocumentError(f"REG_MULTI_SZ takes a list of strings, not {plain!r}")
    items: list[str] = []
    for item in plain:
        if not isinstance(item, str) or not item or "\0" in item:
            raise DocumentError(f"REG_MULTI_SZ cannot hold {item!r}")
        items.append(item)
    return items


def _hex(raw: object) -> bytes:
    if not isinstance(raw, str):
        raise DocumentError(f"not hex digits: {raw!r}")
    try:
        return bytes.fromhex(raw)
    except ValueError as problem:
        raise DocumentError(f"not hex digits: {raw!r}") from problem
