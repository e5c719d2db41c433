from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.documents.patterns import (
    any_name_matches,
    in_range,
    is_wildcard,
    name_matches,
    regex,
    too_wide,
)
from p2vprep.core.model import WindowsVersion
from p2vprep.core.registry import fold

XP, W2003, VISTA = WindowsVersion(5, 1, 2600), WindowsVersion(5, 2, 3790), WindowsVersion(6, 0, 6002)
W7, W81, W2019 = WindowsVersion(6, 1, 7601), WindowsVersion(6, 3, 9600), WindowsVersion(10, 0, 17763)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("CqMgHost", "cqmghost", True),
        ("CqMgHost", "CqMgHost2", False),
        ("MSSQL$*", "MSSQL$SHOP", True),
        ("MSSQL$*", "MSSQLSERVER", False),
        ("MSExchange*", "MSExchangeADTopology", True),
        ("MSExchange*", "xMSExchangeADTopology", False),
        ("hp?ilo", "hpqilo", True),
        ("hp?ilo", "hpilo", False),
        ("a.c", "abc", False),
        ("Intel(R) PROSet Monitoring Service", "Intel(R) PROSet Monitoring Service", True),
        ("*", "", True),
        ("x*", "x\ny", True),
    ],
)
def test_names_are_anchored(pattern: str, name: str, fits: bool) -> None:
    assert name_matches(pattern, name) is fits


@given(st.text(max_size=20))
def test_a_name_without_wildcards_fits_itself_in_any_case(name: str) -> None:
    if not is_wildcard(name):
        assert name_matches(name, name)
        assert name_matches(name, fold(name))
        assert not name_matches(name, name + "x")


def test_a_wildcard_must_leave_three_plain_signs() -> None:
    assert too_wide("*")
    assert too_wide("ab*")
    assert too_wide("?????")
    assert not too_wide("abc*")
    assert not too_wide("ab")


def test_expressions_search_without_regard_to_case() -> None:
    assert regex(r"\\HP\\").search(r"C:\Program Files\hp\agent.exe")


@pytest.mark.parametrize(
    ("text", "version", "holds"),
    [
        (">=6.0 <6.2", VISTA, True),
        (">=6.0 <6.2", W7, True),
        (">=6.0 <6.2", XP, False),
        (">=6.0 <6.2", W81, False),
        (">= 6.0", W7, True),
        ("5.2", W2003, True),
        ("==5.2", XP, False),
        ("<6.3", W81, False),
        ("<=6.3", W81, True),
        (">6.1", W7, False),
        (">=10.0.17763", W2019, True),
        (">=10.0.17763", WindowsVersion(10, 0, 14393), False),
        ("<10.0.17763", W81, True),
        (">=10.0.17763", WindowsVersion(10, 0), False),
        ("<10.0.17763", WindowsVersion(10, 0), False),
        (">=6.1.7601", WindowsVersion(10, 0), True),
    ],
)
def test_windows_ranges(text: str, version: WindowsVersion, holds: bool) -> None:
    assert in_range(text, version) is holds


@pytest.mark.parametrize("text", ["", "7", ">=six", ">=6.1 or <5", "6.1.7601.2", "=>6.1", "!=6.1"])
def test_what_is_not_a_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"comparison|empty"):
        in_range(text, W7)


@given(st.lists(st.text(st.sampled_from("aB1*?. "), min_size=1, max_size=4), max_size=4), st.text(max_size=4))
def test_any_of_many_names_is_each_of_them_asked_in_turn(patterns: list[str], name: str) -> None:
    assert any_name_matches(patterns, name) == any(name_matches(pattern, name) for pattern in patterns)
