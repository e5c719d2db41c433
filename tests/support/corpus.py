"""The corpus of real hives and disk containers, where it is present.

It lies outside the repository: at ``$P2VPREP_CORPUS`` or beside the checkout
in ``shared/corpus``. Tests that need it are marked ``corpus`` and call one of
these functions, which skip with a clear word where a file is missing.
"""

from __future__ import annotations

import json
import lzma
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

_CHECKOUT = Path(__file__).resolve().parents[2]


def corpus_root() -> Path | None:
    """The corpus folder, or None where there is none."""
    named = os.environ.get("P2VPREP_CORPUS")
    root = Path(named) if named else _CHECKOUT.parent / "shared" / "corpus"
    return root if (root / "hives" / "manifest.json").is_file() else None


def hive_entries() -> list[dict[str, Any]]:
    """The manifest's entries of the hives; empty without a corpus (so that parametrised tests skip)."""
    root = corpus_root()
    if root is None:
        return []
    entries: list[dict[str, Any]] = json.loads((root / "hives" / "manifest.json").read_text())
    return entries


def disk_entries() -> list[dict[str, Any]]:
    """The manifest's entries of the disks; empty without a corpus."""
    root = corpus_root()
    if root is None:
        return []
    document = json.loads((root / "disks" / "manifest.json").read_text())
    entries: list[dict[str, Any]] = document if isinstance(document, list) else document["files"]
    return entries


def system_hive_names() -> list[str]:
    """The names of the real (and phony) SYSTEM hives."""
    return [entry["name"] for entry in hive_entries() if entry["name"].endswith(".SYSTEM")]


@lru_cache(maxsize=8)
def hive_bytes(name: str) -> bytes:
    """A corpus hive or log, decompressed; skips the test where it is missing."""
    return _read("hives", name)


def disk_bytes(name: str) -> bytes:
    """A corpus disk, decompressed in memory; skips the test where it is missing."""
    return _read("disks", name)


def unpack_disk(name: str, folder: Path) -> Path:
    """A corpus disk, decompressed sparsely into a folder; skips the test where it is missing."""
    root = corpus_root()
    if root is None:
        pytest.skip("the corpus of real disks is not here (P2VPREP_CORPUS)")
    packed = root / "disks" / f"{name}.xz"
    if not packed.is_file():
        pytest.skip(f"{name} is not in the corpus")
    target = folder / name
    with lzma.open(packed) as source, target.open("wb") as sink:
        while block := source.read(1 << 16):
            if block.strip(b"\0"):
                sink.write(block)
            else:
                sink.seek(len(block), os.SEEK_CUR)
        sink.truncate(sink.tell())
    return target


def hive_logs(name: str) -> dict[str, bytes]:
    """The transaction logs that lie beside a corpus hive, by their suffix (LOG, LOG1, LOG2)."""
    root = corpus_root()
    if root is None:
        return {}
    return {
        suffix: _read("hives", f"{name}.{suffix}")
        for suffix in ("LOG", "LOG1", "LOG2")
        if (root / "hives" / f"{name}.{suffix}.xz").is_file()
    }


def _read(folder: str, name: str) -> bytes:
    root = corpus_root()
    if root is None:
        pytest.skip("the corpus of real hives is not here (P2VPREP_CORPUS)")
    packed = root / folder / f"{name}.xz"
    if not packed.is_file():
        pytest.skip(f"{name} is not in the corpus")
    return lzma.decompress(packed.read_bytes())
