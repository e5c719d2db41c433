import pytest

from p2vprep.core.facts.controlsets import control_sets, read_select
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.errors import HiveError


def hive(*sets: str, **select: int) -> MemoryHive:
    keys: dict[str, dict[str, Data]] = {name: {} for name in sets}
    keys["Select"] = {name: Data.dword(number) for name, number in select.items()}
    return MemoryHive(keys)


def test_the_set_that_boots_next_comes_first_then_by_number() -> None:
    system = hive("ControlSet003", "ControlSet001", "ControlSet002", Current=1, Default=2, LastKnownGood=3)
    select = read_select(system)
    assert select == {"Current": 1, "Default": 2, "LastKnownGood": 3}
    assert control_sets(system, select) == ("ControlSet002", "ControlSet001", "ControlSet003")


def test_names_are_kept_as_spelt_and_other_keys_are_no_sets() -> None:
    system = hive("CONTROLSET001", "CurrentControlSet", "ControlSet0001", "ControlSetX01", Default=1)
    assert control_sets(system, read_select(system)) == ("CONTROLSET001",)


def test_current_may_be_zero_in_a_hive_made_by_setup() -> None:
    system = hive("ControlSet001", Current=0, Default=1)
    assert control_sets(system, read_select(system)) == ("ControlSet001",)


@pytest.mark.parametrize(
    "system",
    [
        MemoryHive({"ControlSet001": {}}),
        hive("ControlSet001", Current=1),
        hive("ControlSet001", Current=1, Default=2),
        MemoryHive({"ControlSet001": {}, "Select": {"Default": Data.sz("1")}}),
        MemoryHive({"ControlSet001": {}, "Select": {"Default": Data(4, b"\1\0")}}),
    ],
    ids=["no Select", "no Default", "set missing", "Default is text", "Default is too short"],
)
def test_a_hive_that_does_not_tell_is_refused(system: MemoryHive) -> None:
    with pytest.raises(HiveError) as caught:
        control_sets(system, read_select(system))
    assert caught.value.code == "no-control-set"
    assert caught.value.hint
