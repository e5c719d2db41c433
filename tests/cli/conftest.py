"""Fixtures of the command line's tests: the sample machine on the fake appliance."""

import pytest

from tests.support.flow import disk, fake, shelf

__all__ = ["disk", "fake", "shelf"]


@pytest.fixture(autouse=True)
def _as_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are as long as into a pipe, whatever terminal the suite runs on."""
    monkeypatch.delenv("COLUMNS", raising=False)
