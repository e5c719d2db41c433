r"""``.reg`` files in and out: what regedit and other tools write, as edits; a key of a hive, as a file.

Read are version 5 (UTF-16, or UTF-8 as some editors save it) and REGEDIT4 (the code page of the
machine that wrote it; its ``hex(1)``, ``hex(2)`` and ``hex(7)`` hold bytes of that code page, not
UTF-16), "How to add, modify, or delete registry subkeys and values by using a .reg file",
Microsoft. Strings may go on over several lines, as regedit exports values with line ends.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence

from p2vprep.core.hand import places
from p2vprep.core.hand.making import RULE, WHY, refuse_read_only
from p2vprep.core.model import DeleteKey, DeleteValue, Edit, MakeKey, SetValue
from p2vprep.core.registry import Key, fold, join, split, walk
from p2vprep.core.regtext import HEADER, Parser, Section, encode, render
from p2vprep.core.values import Data, RegType
from p2vprep.errors import DocumentError, UsageError

OLD_HEADER = "REGEDIT4"
_TEXT_IN_CODE_PAGE = (RegType.SZ, RegType.EXPAND_SZ, RegType.MULTI_SZ)
_LONGEST_STRING = 2000
"""Lines that one string may go on over."""
_USER = "HKEY_CURRENT_USER"


# --- reading -----------------------------------------------------------------------------------


def read(document: bytes, source: str, *, encoding: str | None = None) -> tuple[Section, ...]:
    """The sections of a .reg file, in order; subjects of errors are ``source:line``.

    ``encoding`` is the code page of a REGEDIT4 file; without it, one that holds more than ASCII
    is refused. Raises DocumentError, UsageError for a code page that is not known.
    """
    text, old = _decoded(document, source, encoding)
    lines = text.lstrip("\ufeff").split("\n", 1)
    rest = lines[1] if len(lines) > 1 else ""
    parser = _Old if old else _New
    return parser(f"{HEADER if old else lines[0]}\n{rest}", source, encoding or "ascii").sections()


def to_edits(sections: Sequence[Section], *, user: str | None = None, why: str = WHY) -> tuple[Edit, ...]:
    """The edits that an import of the sections makes, in their order.

    ``HKEY_CURRENT_USER`` stands for ``user``. Raises UsageError for keys that lie in no hive on a
    disk, RefusedError ``hive-read-only`` for those of SAM and SECURITY.
    """
    edits: list[Edit] = []
    for section in sections:
        place = _place(section.key, user)
        if section.delete:
            edits.append(DeleteKey(place.hive, place.key, RULE, why))
            continue
        edits.append(MakeKey(place.hive, place.key, RULE, why))
        for name, data in section.values:
            if data is None:
                edits.append(DeleteValue(place.hive, place.key, name, RULE, why))
            else:
                edits.append(SetValue(place.hive, place.key, name, data, RULE, why, create=True))
    return tuple(edits)


def _place(key: str, user: str | None) -> places.Place:
    parts = split(key)
    if user is not None and fold(parts[0]) == _USER:
        key = join(places.USERS, user, *parts[1:])
    place = places.parse(key)
    refuse_read_only(place, key)
    if not split(place.key):
        raise UsageError("the root of a hive is never edited", code="bad-registry-path", subject=key)
    return place


def _decoded(document: bytes, source: str, encoding: str | None) -> tuple[str, bool]:
    """The text, and whether it is of the old form."""
    try:
        if document.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return document.decode("utf-16"), False
        if document[1:2] == b"\0":
            return document.decode("utf-16-le"), False
        if document.startswith(codecs.BOM_UTF8):
            document = document[len(codecs.BOM_UTF8) :]
            encoding = "utf-8"
        old = document.lstrip()[: len(OLD_HEADER)] == OLD_HEADER.encode()
        return document.decode(encoding or ("ascii" if old else "utf-8")), old
    except LookupError as problem:
        raise UsageError(f"there is no code page {encoding}", code="bad-encoding") from problem
    except UnicodeDecodeError as problem:
        raise DocumentError(
            f"the .reg file is not text in this code page: {problem.reason} at byte {problem.start}",
            subject=source,
            hint="Name the code page of the machine that wrote it, for example --encoding cp1252.",
        ) from problem


class _New(Parser):
    """Version 5, with strings over several lines."""

    def __init__(self, text: str, source: str, encoding: str) -> None:
        super().__init__(text, source)
        self.encoding = encoding
        self.ends = re.findall("\r?\n", text)

    def quoted(self, text: str) -> tuple[str, str]:
        first = self.number
        line = self.lines[first - 1]
        if not _CLOSED.match(text):
            text += line[len(line.rstrip()) :]
        while not _CLOSED.match(text) and self.number < len(self.lines):
            if self.number - first >= _LONGEST_STRING:
                raise self.error(f"a string goes on over more than {_LONGEST_STRING} lines")
            text += self.ends[self.number - 1] + self.next_line()
        return super().quoted(text)


_CLOSED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class _Old(_New):
    """REGEDIT4."""

    def typed(self, kind: str, digits: str) -> Data:
        data = super().typed(kind, digits)
        if data.type not in _TEXT_IN_CODE_PAGE:
            return data
        try:
            text = data.raw.decode(self.encoding)
        except UnicodeDecodeError as problem:
            raise self.error(f"the text is not {self.encoding}: {problem.reason}") from problem
        return Data(data.type, text.encode("utf-16-le"))


# --- writing -----------------------------------------------------------------------------------

_LONG = {"HKLM": "HKEY_LOCAL_MACHINE", "HKU": "HKEY_USERS"}


def export(key: Key, shown: str) -> bytes:
    r"""A key with all below it as a .reg file of version 5, as regedit exports it.

    ``shown`` is how the key is named there, with a short or long root: ``HKLM\SYSTEM\Select``. Raises
    DocumentError for a name that a .reg file cannot spell.
    """
    return encode(render(_sections(key, _long(shown))))


def _sections(key: Key, shown: str) -> Iterator[Section]:
    top = len(split(key.path))
    for held in walk(key):
        name = join(shown, *split(held.path)[top:])
        yield Section(name, tuple((value, data) for value, data in held.values()))


def _long(shown: str) -> str:
    root, *rest = split(shown)
    return join(_LONG.get(fold(root), root), *rest)
