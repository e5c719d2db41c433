"""A plan at a glance: what is shortened, and what never is."""

from __future__ import annotations

import pytest

from p2vprep.cli.render_plan import _rows
from p2vprep.core.model import Change, ValueChange
from p2vprep.core.values import Data

ONE = "{0E7B9C1A-55D2-4E0F-9C27-6E5A3C0F4D11}"
OTHER = "{5C2D1E77-8A40-4A6B-B1F3-0D9E2B7A6C52}"
LIKE_ONE = "{0e7b9c1a-0000-4E0F-9C27-6E5A3C0F4D11}"


def changed(guid: str) -> Change:
    key = rf"ControlSet001\Services\Tcpip\Parameters\Interfaces\{guid}"
    return ValueChange("SYSTEM", key, "EnableDHCP", Data.dword(0), Data.dword(1), "ghosts", "gone")


def subjects(*guids: str, verbose: bool = False) -> list[str]:
    return [subject for subject, _change, _why in _rows([changed(guid) for guid in guids], verbose)]


def test_guids_are_shortened_at_a_glance() -> None:
    assert subjects(ONE, OTHER) == [
        r"Tcpip\Parameters\Interfaces\{0E7B9C1A-…}\EnableDHCP",
        r"Tcpip\Parameters\Interfaces\{5C2D1E77-…}\EnableDHCP",
    ]


def test_guids_that_would_look_the_same_stay_whole() -> None:
    assert [subject.count("…") for subject in subjects(ONE, LIKE_ONE, OTHER)] == [0, 0, 1]


@pytest.mark.parametrize("guid", [ONE, OTHER])
def test_in_full_nothing_is_shortened(guid: str) -> None:
    assert guid in subjects(guid, verbose=True)[0]
