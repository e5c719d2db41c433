from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.wine import MISSING, WINE, Prefix

SERVICES = r"SYSTEM\CurrentControlSet\Services"


@pytest.fixture(scope="session")
def wine_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefix]:
    if WINE is None:
        pytest.skip(MISSING)
    prefix = Prefix(tmp_path_factory.mktemp("wine"))
    try:
        yield prefix
    finally:
        prefix.close()


@pytest.fixture
def windows(wine_prefix: Prefix) -> Prefix:
    """A fresh machine: the prefix of this run without what earlier tests left."""
    wine_prefix.remove(("p2vprep", "standin"), (r"SYSTEM\p2vprep", rf"{SERVICES}\p2vprep"))
    return wine_prefix
