"""Data of registry values as people type them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from p2vprep.core.values import Data, RegType
from p2vprep.errors import DocumentError, UsageError

_TYPES: dict[str, RegType] = {
    "sz": RegType.SZ,
    "expand-sz": RegType.EXPAND_SZ,
    "multi-sz": RegType.MULTI_SZ,
    "dword": RegType.DWORD,
    "qword": RegType.QWORD,
    "binary": RegType.BINARY,
    "none": RegType.NONE,
}
TYPE_WORDS = tuple(_TYPES)
_NUMBERS = (RegType.DWORD, RegType.QWORD)


def parse_data(kind: str, words: Sequence[str]) -> Data:
    """The data that words stand for, by a word of TYPE_WORDS.

    Numbers are decimal or ``0x`` hex, binary data hex digits with or without separators, a multi-sz
    one string a word. Raises UsageError ``bad-data``.
    """
    number = _TYPES[kind]
    if number == RegType.MULTI_SZ:
        return _fitting(kind, number, list(words))
    if len(words) > 1 or (not words and number in _NUMBERS):
        raise UsageError(f"a value of type {kind} takes one DATA", code="bad-data")
    text = words[0] if words else ""
    if number in _NUMBERS:
        return _fitting(kind, number, _number(kind, text))
    if number in (RegType.BINARY, RegType.NONE):
        return _fitting(kind, number, re.sub(r"(?i)^0x|[\s,:-]", "", text))
    return _fitting(kind, number, text)


def _number(kind: str, text: str) -> int:
    if re.fullmatch("0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch("[0-9]+", text):
        return int(text)
    raise UsageError(f"{text!r} is not a number for a {kind}: decimal, or hex with 0x", code="bad-data")


def _fitting(kind: str, number: RegType, plain: object) -> Data:
    try:
        return Data.from_plain(number, plain)
    except DocumentError as problem:
        raise UsageError(f"{kind}: {problem.message}", code="bad-data") from problem
