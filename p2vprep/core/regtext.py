r"""The text form of registry changes: ``.reg`` files as regedit writes and reads them.

The dialect is ``Windows Registry Editor Version 5.00``: UTF-16LE with a byte
order mark, CRLF, hex data wrapped as regedit wraps it. Keys are named as the
running Windows knows them (``HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\…``), so
that a file can be imported there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from p2vprep.core import registry
from p2vprep.core.model import Change, FileChange, KeyChange, ValueChange
from p2vprep.core.values import Data, RegType
from p2vprep.errors import DocumentError, UsageError

HEADER = "Windows Registry Editor Version 5.00"
HIVE_ROOTS: Mapping[str, str] = {
    "SYSTEM": "HKEY_LOCAL_MACHINE\\SYSTEM",
    "SOFTWARE": "HKEY_LOCAL_MACHINE\\SOFTWARE",
    "SAM": "HKEY_LOCAL_MACHINE\\SAM",
    "SECURITY": "HKEY_LOCAL_MACHINE\\SECURITY",
    "DEFAULT": "HKEY_USERS\\.DEFAULT",
}
_WRAP_COLUMN = 76
"""Hex data go on in a new line once a line has this many characters."""

_UNQUOTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_TOP_KEYS = (
    "HKEY_LOCAL_MACHINE",
    "HKEY_USERS",
    "HKEY_CURRENT_USER",
    "HKEY_CLASSES_ROOT",
    "HKEY_CURRENT_CONFIG",
)


@dataclass(frozen=True)
class Section:
    """One ``[key]`` with its values in order; data None deletes the value.

    With ``delete`` the key goes with all below it, and there are no values.
    Without, the key is made where it is absent.
    """

    key: str
    values: tuple[tuple[str, Data | None], ...] = ()
    delete: bool = False


# --- from changes ------------------------------------------------------------------------------


def sections(changes: Iterable[Change]) -> tuple[Section, ...]:
    """The sections that say the same as the changes, in their order; files are left out.

    Raises UsageError for a hive that has no place in the running registry.
    """
    made: list[tuple[str, bool, list[tuple[str, Data | None]]]] = []
    for change in changes:
        if isinstance(change, FileChange):
            continue
        key = _running_key(change.hive, change.key)
        if isinstance(change, KeyChange):
            made.append((key, not change.exists_after, []))
            continue
        if not made or made[-1][:2] != (key, False):
            made.append((key, False, []))
        made[-1][2].append((change.name, change.after))
    return tuple(Section(key, tuple(values), delete) for key, delete, values in made)


def inverse(
    changes: Iterable[Change], before: Mapping[str, registry.Hive] | None = None
) -> tuple[ValueChange | KeyChange, ...]:
    """The changes that take these back, last one first; files are left out.

    A deleted key comes back with all it held, read from ``before`` (the hives
    before the changes, by name); security and class names do not come back
    this way. Raises UsageError where a key was deleted and its hive is not given.
    """
    undone: list[ValueChange | KeyChange] = []
    for change in reversed(list(changes)):
        if isinstance(change, ValueChange):
            undone.append(
                ValueChange(
                    change.hive,
                    change.key,
                    change.name,
                    before=change.after,
                    after=change.before,
                    rule=change.rule,
                    why=change.why,
                )
            )
        elif isinstance(change, KeyChange) and change.exists_after:
            undone.append(_key_change(change, change.key, exists_after=False))
        elif isinstance(change, KeyChange):
            undone.extend(_restored(change, before or {}))
    return tuple(undone)


def _restored(change: KeyChange, before: Mapping[str, registry.Hive]) -> Iterator[ValueChange | KeyChange]:
    hive = before.get(change.hive)
    key = None if hive is None else registry.find(hive, change.key)
    if key is None:
        raise UsageError(
            f"the deleted key {change.key} cannot be written back: what it held is not at hand",
            subject=change.key,
        )
    for held in registry.walk(key):
        yield _key_change(change, held.path, exists_after=True)
        for name, data in held.values():
            yield ValueChange(change.hive, held.path, name, None, data, change.rule, change.why)


def _key_change(origin: KeyChange, key: str, *, exists_after: bool) -> KeyChange:
    return KeyChange(origin.hive, key, not exists_after, exists_after, origin.rule, origin.why)


def _running_key(hive: str, key: str) -> str:
    root = HIVE_ROOTS.get(hive)
    if root is None:
        raise UsageError(f"the hive {hive} has no place in a .reg file", subject=hive)
    return registry.join(root, key)


def hive_key(key: str) -> tuple[str, str]:
    """The hive's name and the path inside it for a key as the running Windows names it.

    Raises DocumentError for a key that no offline hive holds.
    """
    for hive, root in HIVE_ROOTS.items():
        folded, wanted = registry.fold(key), registry.fold(root)
        if folded == wanted or folded.startswith(wanted + "\\"):
            return hive, key[len(root) + 1 :]
    raise DocumentError(f"{key} lies in no hive on the disk", subject=key)


# --- writing -----------------------------------------------------------------------------------


def encode(text: str) -> bytes:
    """The text as regedit stores it: UTF-16LE with a byte order mark."""
    return b"\xff\xfe" + text.encode("utf-16-le")


def write(changes: Iterable[Change]) -> bytes:
    """The ``.reg`` file that does the same as the changes. Raises as :func:`render`."""
    return encode(render(sections(changes)))


def render(parts: Iterable[Section]) -> str:
    """The ``.reg`` text with CRLF line ends.

    Raises DocumentError for a key or value name that the dialect cannot spell
    (control characters, lone surrogates).
    """
    lines = [HEADER, ""]
    for part in parts:
        if _UNQUOTABLE.search(part.key):
            raise DocumentError(f"a .reg file cannot spell the key {part.key!r}", subject=part.key)
        lines.append(f"[-{part.key}]" if part.delete else f"[{part.key}]")
        lines.extend(_value_text(part.key, name, data) for name, data in part.values)
        lines.append("")
    return "\r\n".join(lines) + "\r\n"


def _value_text(key: str, name: str, data: Data | None) -> str:
    if _UNQUOTABLE.search(name):
        raise DocumentError(f"a .reg file cannot spell the value name {name!r}", subject=key)
    start = (_quoted(name) if name else "@") + "="
    if data is None:
        return start + "-"
    if data.type == RegType.SZ and data.text is not None and Data.sz(data.text) == data:
        if not _UNQUOTABLE.search(data.text):
            return start + _quoted(data.text)
    elif data.type == RegType.DWORD and data.number is not None:
        return f"{start}dword:{data.number:08x}"
    kind = "hex" if data.type == RegType.BINARY else f"hex({data.type:x})"
    return _wrapped(f"{start}{kind}:", data.raw)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _wrapped(start: str, raw: bytes) -> str:
    pieces = [start]
    column = len(start)
    for position, byte in enumerate(raw):
        pieces.append(f"{byte:02x}")
        if position == len(raw) - 1:
            break
        pieces.append(",")
        column += 3
        if column >= _WRAP_COLUMN:
            pieces.append("\\\r\n  ")
            column = 2
    return "".join(pieces)


# --- reading -----------------------------------------------------------------------------------


def decode(document: bytes) -> str:
    """The text of a ``.reg`` file: UTF-16LE with a byte order mark, or UTF-8. Raises DocumentError."""
    try:
        if document.startswith(b"\xff\xfe"):
            return document[2:].decode("utf-16-le")
        return document.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DocumentError(f"the .reg file is neither UTF-16LE nor UTF-8: {problem}") from problem


def parse(document: bytes | str, source: str = ".reg text") -> tuple[Section, ...]:
    """The sections of a ``.reg`` text, in order.

    Understands what :func:`render` writes, with comments, and no more. Raises
    DocumentError; its subject is ``source:line``.
    """
    text = decode(document) if isinstance(document, bytes) else document
    return Parser(text, source).sections()


class Parser:
    """Reads line by line; ``number`` is the line read last, from 1."""

    def __init__(self, text: str, source: str) -> None:
        self.lines = re.split("\r?\n", text)
        self.source = source
        self.number = 0

    def sections(self) -> tuple[Section, ...]:
        if self.lines[0].strip() != HEADER:
            self.number = 1
            hint = "Export the file again from regedit as a registration file of version 5."
            raise self.error(f'the first line is not "{HEADER}"', hint)
        self.number = 1
        made: list[tuple[str, bool, list[tuple[str, Data | None]]]] = []
        while self.number < len(self.lines):
            line = self.next_line().strip()
            if not line or line.startswith(";"):
                continue
            if line.startswith("["):
                made.append((*self.section(line), []))
            elif not made or made[-1][1]:
                raise self.error("a value stands here without a key above it")
            else:
                made[-1][2].append(self.value(line))
        return tuple(Section(key, tuple(values), delete) for key, delete, values in made)

    def next_line(self) -> str:
        line = self.lines[self.number]
        self.number += 1
        return line

    def error(self, message: str, hint: str | None = None) -> DocumentError:
        return DocumentError(message, subject=f"{self.source}:{self.number}", hint=hint)

    def section(self, line: str) -> tuple[str, bool]:
        if not line.endswith("]"):
            raise self.error('a key must end with "]"')
        key = line[1:-1]
        delete = key.startswith("-")
        key = key[1:] if delete else key
        if key.split("\\", 1)[0].upper() not in _TOP_KEYS:
            raise self.error(f"{key!r} is not below one of the registry's top keys")
        return key, delete

    def value(self, line: str) -> tuple[str, Data | None]:
        if line.startswith("@"):
            name, rest = "", line[1:]
        elif line.startswith('"'):
            name, rest = self.quoted(line)
        else:
            raise self.error('a value must start with its name in quotes or with "@"')
        if not rest.lstrip().startswith("="):
            raise self.error('"=" is missing after the value name')
        return name, self.data(rest.lstrip()[1:].lstrip())

    def quoted(self, text: str) -> tuple[str, str]:
        """The string at the start of the text, and what follows it."""
        match = re.match(r'"((?:[^"\\]|\\.)*)"', text)
        if match is None:
            raise self.error("a string is not closed on its line")
        return re.sub(r"\\(.)", self.unescaped, match[1]), text[match.end() :]

    def unescaped(self, escape: re.Match[str]) -> str:
        if escape[1] not in '"\\':
            raise self.error(f"the escape {escape[0]} is not known")
        return escape[1]

    def data(self, text: str) -> Data | None:
        if text.startswith('"'):
            plain, rest = self.quoted(text)
            self.end(rest)
            return Data.sz(plain)
        if text.startswith("-"):
            self.end(text[1:])
            return None
        kind, colon, digits = text.partition(":")
        if not colon:
            raise self.error(f"{text!r} is no data that a .reg file can hold")
        return self.typed(kind, digits)

    def typed(self, kind: str, digits: str) -> Data:
        if kind == "dword":
            plain = digits.split(";", 1)[0].strip()
            if not re.fullmatch("[0-9a-fA-F]{1,8}", plain):
                raise self.error(f"{plain!r} is not a number of up to eight hex digits")
            return Data.dword(int(plain, 16))
        match = re.fullmatch(r"hex(?:\(([0-9a-fA-F]{1,8})\))?", kind)
        if match is None:
            raise self.error(f"the data type {kind!r} is not known")
        number = RegType.BINARY if match[1] is None else int(match[1], 16)
        return Data(number, self.hex_bytes(digits))

    def hex_bytes(self, digits: str) -> bytes:
        """The bytes of a hex list that may go on over several lines."""
        pieces: list[str] = []
        line = digits.split(";", 1)[0].strip()
        while line.endswith("\\"):
            pieces.append(line[:-1])
            if self.number >= len(self.lines):
                raise self.error("the hex data go on after the end of the file")
            line = self.next_line().split(";", 1)[0].strip()
        pieces.append(line)
        text = "".join("".join(pieces).split())
        if not text:
            return b""
        if not re.fullmatch("[0-9a-fA-F]{1,2}(,[0-9a-fA-F]{1,2})*", text):
            raise self.error("the hex data are not a list of bytes with commas")
        return bytes(int(byte, 16) for byte in text.split(","))

    def end(self, rest: str) -> None:
        if rest.strip() and not rest.strip().startswith(";"):
            raise self.error(f"{rest.strip()!r} stands after the end of the data")
