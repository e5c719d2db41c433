"""Where the fields of the records in a hive lie, in bytes from the start of their cell.

Source: the public format description by Maxim Suhanov ("Windows registry file
format specification"), checked on hives of Windows XP to 10.
"""

from __future__ import annotations

from p2vprep.core.regf.reader import name_hash
from p2vprep.core.registry import fold

# Key ("nk"). Lengths of names and data are in bytes, those of names as UTF-16.
KEY_FLAGS = 2
KEY_WRITTEN = 4
KEY_PARENT = 16
KEY_SUBKEYS = 20
KEY_SUBKEY_LIST = 28
KEY_VALUES = 36
KEY_VALUE_LIST = 40
KEY_SECURITY = 44
KEY_CLASS = 48
KEY_LONGEST_SUBKEY_NAME = 52
"""16 bits: the upper half holds flags since Vista."""
KEY_LONGEST_VALUE_NAME = 60
KEY_LONGEST_VALUE_DATA = 64
KEY_NAME_LENGTH = 72
KEY_CLASS_LENGTH = 74
KEY_NAME = 76

# Value ("vk").
VALUE_NAME_LENGTH = 2
VALUE_SIZE = 4
VALUE_PLACE = 8
VALUE_TYPE = 12
VALUE_FLAGS = 16
VALUE_NAME = 20

# Security ("sk"): a ring of all descriptors of the hive.
SECURITY_NEXT = 4
SECURITY_PREVIOUS = 8
SECURITY_REFERENCES = 12

# Lists ("lf", "lh", "li", "ri"): signature, count, entries.
LIST_COUNT = 2
LIST_ENTRIES = 4
ENTRY_WORDS = {b"lf": 2, b"lh": 2, b"li": 1, b"ri": 1}


def stored_name(name: str) -> tuple[bytes, bool]:
    """A name's bytes and whether they are compressed: Latin-1 where all of it fits, else UTF-16."""
    if all(ord(letter) < 256 for letter in name):
        return name.encode("latin-1"), True
    return name.encode("utf-16-le", "surrogatepass"), False


def utf16_length(name: str) -> int:
    """The bytes of a name in UTF-16, as the longest-name fields count them."""
    return len(name.encode("utf-16-le", "surrogatepass"))


def order(name: str) -> bytes:
    """The sort key of names in subkey lists: upcased UTF-16 units."""
    return fold(name).encode("utf-16-be", "surrogatepass")


def entry_words(kind: bytes, name: str, cell: int) -> list[int]:
    """The words of one entry of a subkey list: the key's offset, with the list's hint or hash.

    ``lf`` holds the first four characters, zeros where one is not Latin-1;
    ``lh`` a hash over the upcased name.
    """
    if kind == b"lh":
        return [cell, name_hash(fold(name))]
    if kind == b"lf":
        start = name[:4]
        hint = b"" if any(ord(letter) > 255 for letter in start) else start.encode("latin-1")
        return [cell, int.from_bytes(hint.ljust(4, b"\0"), "little")]
    return [cell]
