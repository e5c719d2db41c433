"""Corpus hives as in-memory hives, filled through hivex (a reader that is independent of ours)."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from typing import Any

import hivex

from p2vprep.core.registry import MemoryHive, MemoryKey, fold
from p2vprep.core.values import Data
from tests.support.corpus import hive_bytes


@lru_cache(maxsize=4)
def memory_hive(name: str) -> MemoryHive:
    """A corpus hive read whole through hivex; skips the test where it is missing. Do not change it."""
    with tempfile.NamedTemporaryFile(suffix=".hive") as file:
        file.write(hive_bytes(name))
        file.flush()
        reader = hivex.Hivex(file.name)
        hive = MemoryHive()
        _fill(reader, reader.root(), hive.root)
    return hive


def _fill(reader: Any, root: int, target: MemoryKey) -> None:
    stack: list[tuple[int, MemoryKey]] = [(root, target)]
    while stack:
        node, key = stack.pop()
        for handle in reader.node_values(node):
            kind, raw = reader.value_value(handle)
            # Types above 2**31 come back as negative numbers.
            key.set(reader.value_key(handle), Data(kind & 0xFFFFFFFF, raw))
        for child in reader.node_children(node):
            name = reader.node_name(child)
            held = key.children[fold(name)] = MemoryKey(name, key)
            stack.append((child, held))
