"""Corpus hives as test parameters: the small ones always, the large ones in the long run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.corpus import hive_entries

LARGE = 3_000_000
"""Bytes from which on a hive is for the long run."""


def paced(names: Iterable[str]) -> list[Any]:
    """The names as parameters; those of large hives carry the mark ``long``."""
    sizes = {entry["name"]: entry["size"] for entry in hive_entries()}
    return [pytest.param(name, marks=[pytest.mark.long] if sizes[name] > LARGE else []) for name in names]
