"""Registry places as people write them."""

from __future__ import annotations

import pytest

from p2vprep.core.hand.places import Place, in_set, is_current, parse, shown
from p2vprep.errors import UsageError


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (r"HKLM\SYSTEM\CurrentControlSet\Services", Place("SYSTEM", r"CurrentControlSet\Services")),
        (r"HKEY_LOCAL_MACHINE\software\Contoso", Place("SOFTWARE", "Contoso")),
        ("hklm\\system\\", Place("SYSTEM", "")),
        (r"Computer\HKEY_LOCAL_MACHINE\SAM\SAM\Domains", Place("SAM", r"SAM\Domains")),
        (r"HKLM\SECURITY\Policy", Place("SECURITY", "Policy")),
        (r"HKU\.DEFAULT\Control Panel", Place("DEFAULT", "Control Panel")),
        (r"HKEY_USERS\S-1-5-18\Software", Place("DEFAULT", "Software")),
        (r"HKU\Anna\Software", Place(r"HKU\Anna", "Software")),
        (r"HKCR\.txt", Place("SOFTWARE", r"Classes\.txt")),
        (r"SYSTEM\Select", Place("SYSTEM", "Select")),
        (r"default\Software", Place("DEFAULT", "Software")),
    ],
)
def test_a_place_is_found_in_its_hive(path: str, place: Place) -> None:
    assert parse(path) == place
    assert parse(str(place)) == place


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "empty"),
        ("HKLM", "HKLM is not one hive"),
        (r"HKLM\HARDWARE\X", "no hive on the disk"),
        ("HKU", "HKU is not one hive"),
        (r"HKCU\Software", "who is logged on"),
        (r"HKEY_CURRENT_CONFIG\System", "made when Windows starts"),
        (r"Nothing\Software", "no root of the registry"),
    ],
)
def test_what_lies_in_no_hive_is_refused(path: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        parse(path)
    assert refused.value.code == "bad-registry-path"


def test_the_current_control_set_is_known() -> None:
    assert is_current(r"currentcontrolset\Services")
    assert not is_current("ControlSet001")
    assert not is_current("")
    assert in_set(r"CurrentControlSet\Services\X", "ControlSet002") == r"ControlSet002\Services\X"
    assert shown("SYSTEM", "") == r"HKLM\SYSTEM"
