r"""What may stand in a command line of the first-boot scripts, and what may only go through the registry.

Between double quotes most signs mean nothing to cmd, nor to the argument rules of programs. Not
among them: quotes, percent and exclamation marks, carets, backslashes, and everything outside
ASCII (cmd would read it in the OEM code page). Texts that hold one of these never get into a
script: they are written with a ``.reg`` file, which spells any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from p2vprep.errors import P2vprepError

LONGEST_LINE = 2000
"""In characters. cmd takes 8191 (2047 on Windows 2000); no line may come near."""

_PLAIN = re.compile(
    r"[\w.(){}\[\]$&@#+=,;'~-]([\w .(){}\[\]$&@#+=,;'~-]*[\w.(){}\[\]$&@#+=,;'~-])?", re.ASCII
)
_INSTANCE = re.compile(r"[\w.(){}$&@#+,;~-]+(\\[\w.(){}$&@#+,;~-]+){1,3}", re.ASCII)
_WORD = re.compile(r"[\w./:=+-]+", re.ASCII)
_GUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}", re.ASCII)


def is_plain(name: str) -> bool:
    """Can this name stand between quotes in a command line without any meaning of its own?"""
    return _PLAIN.fullmatch(name) is not None


def is_plain_instance(instance: str) -> bool:
    """The same of a device instance, whose parts are joined by backslashes."""
    return len(instance) <= 200 and _INSTANCE.fullmatch(instance) is not None


def is_guid(text: str) -> bool:
    """A GUID with braces."""
    return _GUID.fullmatch(text) is not None


def is_word(text: str) -> bool:
    """Can this argument stand in a command line without quotes?"""
    return _WORD.fullmatch(text) is not None


def script(text: str) -> bytes:
    """The text as cmd wants it: ASCII with CRLF. Lines are checked to stay far below cmd's limit.

    Raises P2vprepError for a line that is too long or not ASCII: texts from outside never get here.
    """
    lines = text.splitlines()
    if any(len(line) > LONGEST_LINE for line in lines):
        raise P2vprepError("a line of a first-boot script is too long for cmd")
    if not text.isascii():
        raise P2vprepError("a first-boot script holds a sign outside ASCII")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def lines(texts: Iterable[str]) -> bytes:
    """A data file: ASCII with CRLF."""
    return "".join(f"{text}\r\n" for text in texts).encode("ascii")
