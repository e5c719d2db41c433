"""One hive through three readers (ours, hivex, libregf), each giving the same plain form."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from typing import Any

from p2vprep.core.registry import Hive, Key

Values = tuple[tuple[str, int, bytes], ...]
Plain = list[tuple[tuple[str, ...], Values]]
"""Every key's names from the root down, parents first in the hive's order, and its values."""


def plain(hive: Hive) -> Plain:
    """Any hive of the registry interface."""

    def keys(key: Key, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Values]]:
        yield names, tuple((name, data.type, data.raw) for name, data in key.values())
        for child in key.subkeys():
            yield from keys(child, (*names, child.name))

    return list(keys(hive.root, ()))


def through_hivex(content: bytes, *, write: bool = False) -> Plain:
    """Raises RuntimeError where hivex cannot read the hive."""
    import hivex

    def values(node: int) -> Values:
        found = []
        for value in hive.node_values(node):
            kind, raw = hive.value_value(value)
            found.append((hive.value_key(value), kind & 0xFFFFFFFF, raw))
        return tuple(found)

    def keys(node: int, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Values]]:
        yield names, values(node)
        for child in hive.node_children(node):
            yield from keys(child, (*names, hive.node_name(child)))

    with tempfile.NamedTemporaryFile(suffix=".hive") as file:
        file.write(content)
        file.flush()
        hive = hivex.Hivex(file.name, write=write)
        return list(keys(hive.root(), ()))


def through_libregf(content: bytes) -> Plain:
    """Raises OSError where libregf cannot read the hive."""
    import pyregf

    def values(key: Any) -> Values:
        return tuple((value.name or "", value.type, value.data or b"") for value in key.values)

    def keys(key: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Values]]:
        yield names, values(key)
        for child in key.sub_keys:
            yield from keys(child, (*names, child.name or ""))

    file = pyregf.file()
    file.open_file_object(io.BytesIO(content))
    try:
        return list(keys(file.get_root_key(), ()))
    finally:
        file.close()


def name_in_libregf(name: str) -> str:
    """libregf stops at a NUL and takes compressed names for Windows-1252."""
    return name.split("\0")[0].encode("latin-1").decode("cp1252") if name.isprintable() is False else name
