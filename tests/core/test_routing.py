"""Changes held against a hive: checked, spelt as there, and sent the right way."""

from __future__ import annotations

import pytest

from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.routing import Routes, route
from p2vprep.core.values import Data
from p2vprep.errors import FailedError, RefusedError, StalePlanError
from testdata.kit.hivewriter import build_hive

SERVICES = "ControlSet001\\Services"
SAMPLE = {
    "Select": {"Default": Data.dword(1)},
    f"{SERVICES}\\Real": {"Type": Data.dword(1), "Start": Data.dword(0)},
    f"{SERVICES}\\Other\\Below": {"x": Data.sz("y")},
    "Big": {"big": Data.binary(bytes(20_000)), "small": Data.dword(1)},
}


def value(key: str, name: str, before: Data | None, after: Data | None) -> ValueChange:
    return ValueChange("SYSTEM", key, name, before, after, "rule", "why")


def made(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, False, True, "rule", "why")


def gone(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, True, False, "rule", "why")


def routed(*changes: ValueChange | KeyChange, **options: object) -> Routes:
    return route(HiveReader(build_hive(SAMPLE, **options)), changes)  # type: ignore[arg-type]


def test_paths_and_names_are_spelt_as_in_the_hive() -> None:
    changes = routed(
        value("controlset001\\SERVICES\\real\\", "START", Data.dword(0), Data.dword(4)),
        made("controlset001\\services\\New"),
        made("CONTROLSET001\\Services\\NEW\\Deep"),
        value("controlset001\\Services\\new", "Start", None, Data.dword(3)),
        gone(f"{SERVICES}\\other\\below"),
    )
    assert changes.hivex == (
        value(f"{SERVICES}\\Real", "Start", Data.dword(0), Data.dword(4)),
        made(f"{SERVICES}\\New"),
        made(f"{SERVICES}\\New\\Deep"),
        value(f"{SERVICES}\\New", "Start", None, Data.dword(3)),
        gone(f"{SERVICES}\\Other\\Below"),
    )
    assert changes.patch == ()
    assert changes.reasons == ()


def test_what_is_the_same_before_and_after_is_left_out() -> None:
    held = Data.dword(1)
    same = KeyChange("SYSTEM", "Select", True, True, "rule", "why")
    assert routed(value("Select", "Default", held, held), same) == Routes((), ())


def test_what_hivex_does_wrongly_is_patched() -> None:
    changes = routed(
        value("Big", "small", Data.dword(1), Data.dword(2)),
        value(f"{SERVICES}\\Real", "Start", Data.dword(0), Data.dword(4)),
        gone(f"{SERVICES}\\Other"),
        lists="li",
    )
    assert [change.key for change in changes.hivex] == [f"{SERVICES}\\Real"]
    assert [change.key for change in changes.patch] == ["Big", f"{SERVICES}\\Other"]
    assert [reason.split(":")[0] for reason in changes.reasons] == ["Big", f"{SERVICES}\\Other"]


def test_what_is_put_into_a_patched_key_is_patched_too() -> None:
    changes = routed(
        made(f"{SERVICES}\\New"),
        value(f"{SERVICES}\\New", "Start", None, Data.dword(3)),
        made(f"{SERVICES}\\New\\Deep"),
        value(f"{SERVICES}\\Real", "Start", Data.dword(0), Data.dword(4)),
        minor=3,
    )
    assert [change.key for change in changes.patch] == [f"{SERVICES}\\New"] * 2 + [f"{SERVICES}\\New\\Deep"]
    assert [change.key for change in changes.hivex] == [f"{SERVICES}\\Real"]


def test_a_name_beside_one_that_was_made_is_ordered_with_care() -> None:
    changes = routed(made(f"{SERVICES}\\n_w"), made(f"{SERVICES}\\new"))
    assert [change.key for change in changes.hivex] == [f"{SERVICES}\\n_w"]
    assert [change.key for change in changes.patch] == [f"{SERVICES}\\new"]


@pytest.mark.parametrize(
    "change",
    [
        value("Select", "Default", Data.dword(2), Data.dword(3)),
        value("Select", "Default", None, Data.dword(3)),
        value("Select", "Absent", Data.dword(1), None),
        value("Absent", "x", None, Data.dword(1)),
        gone("Absent"),
        made(SERVICES),
        made(""),
        made("Absent\\Below"),
    ],
)
def test_a_plan_for_another_state_is_stale(change: ValueChange | KeyChange) -> None:
    with pytest.raises(StalePlanError) as caught:
        routed(change)
    assert caught.value.subject == change.key
    assert caught.value.hint


def test_a_key_is_made_once() -> None:
    with pytest.raises(StalePlanError):
        routed(made(f"{SERVICES}\\New"), made(f"{SERVICES}\\NEW"))


@pytest.mark.parametrize(
    "changes",
    [
        (gone(f"{SERVICES}\\Other"), value(f"{SERVICES}\\Other\\Below", "x", Data.sz("y"), None)),
        (gone(f"{SERVICES}\\Other"), gone(f"{SERVICES}\\Other\\Below")),
        (gone(f"{SERVICES}\\Other"), made(f"{SERVICES}\\Other")),
        (value(f"{SERVICES}\\Other\\Below", "x", Data.sz("y"), None), gone(f"{SERVICES}\\Other")),
        (made(f"{SERVICES}\\Other\\New"), gone(f"{SERVICES}\\Other")),
        (
            value(f"{SERVICES}\\Real", "New", None, Data.dword(1)),
            value(f"{SERVICES}\\Real", "NEW", None, Data.dword(2)),
        ),
    ],
)
def test_changes_that_do_not_go_together_fail(changes: tuple[ValueChange | KeyChange, ...]) -> None:
    with pytest.raises(FailedError) as caught:
        routed(*changes)
    assert caught.value.code == "plan-contradictory"


def test_neighbours_of_a_deleted_key_are_no_contradiction() -> None:
    changes = routed(gone(f"{SERVICES}\\Other"), made(f"{SERVICES}\\Other2"), made(f"{SERVICES}\\Oth"))
    assert len(changes.hivex) == 3


def test_the_guards_are_asked() -> None:
    with pytest.raises(RefusedError):
        routed(gone(f"{SERVICES}\\Real"))
