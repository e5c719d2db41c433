from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from p2vprep.core.model import FileState, Product
from p2vprep.core.profile_check import ActionReport, Met, examine
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.registry import MemoryHive
from p2vprep.errors import UsageError
from tests.support.machines import DRIVER, Machine, carry_out
from tests.support.profiles import actions, profile

PRODUCT = Product(r"U\{8B7A6C5D-1234-4321-ABCD-000000000001}", "Acme Agent", "Acme", "1", "x", msi=True)


def nothing(paths: Sequence[str]) -> dict[str, FileState | None]:
    """A guest that has none of these files."""
    return dict.fromkeys(paths)


def everything(paths: Sequence[str]) -> dict[str, FileState | None]:
    return {path.upper(): FileState("0" * 64, 1) for path in paths}


def machine() -> Machine:
    return (
        Machine()
        .service("AcmeAgent", 2, ImagePath=r"C:\Acme\agent.exe")
        .service("AcmeLog", 3)
        .service("Other", 4)
    )


def reports(found: ResolvedProfile, on: Machine | None = None, **overrides: str) -> dict[str, ActionReport]:
    held = on or machine()
    facts = replace(held.facts(), products=(PRODUCT,))
    hives = {"SYSTEM": held.hive, "SOFTWARE": MemoryHive()}
    return {one.id: one for one in examine(found, facts, hives, nothing, overrides)}


def one(line: str, on: Machine | None = None, **overrides: str) -> ActionReport:
    return reports(actions(line), on, **overrides)["a0"]


def test_names_that_are_there_and_names_that_are_not() -> None:
    found = one("disable: [AcmeAgent, Nobody, Other]")
    assert found.met == (Met("AcmeAgent", ("AcmeAgent",)), Met("Other", ("Other",)))
    assert found.absent == ("Nobody",)
    assert found.changes == 1  # Other is disabled already
    assert not found.idle
    assert found.reason == ""


def test_a_wildcard_is_reported_with_what_it_means() -> None:
    found = one("disable: 'acme*'")
    assert found.met == (Met("acme*", ("AcmeAgent", "AcmeLog")),)
    assert found.changes == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("disable: Nobody", "nothing it names is on this disk"),
        ("disable: Other", "nothing would change"),
        ("disable: AcmeAgent, when: {windows: '<6.0'}", "for Windows <6.0; this is 6.1.7601"),
        ("disable: {names: AcmeAgent, image-path: Elsewhere}", "nothing it names is on this disk"),
        ("demand: AcmeLog", "nothing would change"),
        ("filter-remove: acmeflt", "nothing it names is on this disk"),
        ("value-delete: {key: 'Setup\\A', name: V}", "nothing would change"),
        ("key-delete: {key: 'Setup\\A'}", "nothing would change"),
        ("file-delete: {path: /a.txt}", "nothing would change"),
        ("uninstall: {products: ^Nobody}", "nothing it names is on this disk"),
        ("value: {key: 'Nowhere\\A', name: V, type: REG_DWORD, data: 1}", "nothing would change"),
    ],
)
def test_an_action_that_does_nothing_says_why(line: str, reason: str) -> None:
    found = one(line)
    assert found.idle
    assert found.reason == reason


@pytest.mark.parametrize(
    ("line", "changes", "steps"),
    [
        ("park: AcmeAgent", 1, 0),
        ("demand: AcmeAgent", 1, 0),
        ("value: {key: 'Setup\\A', name: V, type: REG_DWORD, data: 1, create: true}", 3, 0),
        ("file: {path: /a.txt, content: x}", 1, 0),
        ("first-boot: {commands: [ver, dir]}", 0, 1),
    ],
)
def test_what_an_action_would_do_is_counted(line: str, changes: int, steps: int) -> None:
    found = one(line)
    assert (found.changes, found.steps) == (changes, steps)
    assert not found.idle


def test_files_are_looked_for_in_the_guest() -> None:
    held = machine()
    hives = {"SYSTEM": held.hive}
    (found,) = examine(actions("file-delete: {path: /a.txt}"), held.facts(), hives, everything)
    assert found.changes == 1


def test_filters_are_looked_for_in_every_list() -> None:
    held = machine().service("acmeflt", 3, DRIVER)
    held.put(r"Control\Class\{4d36e967-e325-11ce-bfc1-08002be10318}", UpperFilters=["PartMgr", "acmeflt"])
    found = one("filter-remove: 'acmef*'", held)
    assert found.met == (Met("acmef*", ("acmeflt",)),)
    assert found.changes == 1


def test_programs_are_named_and_only_removed_where_asked_for() -> None:
    kept = one("uninstall: {products: ^Acme}")
    assert kept.met == (Met("/^Acme/", ("Acme Agent",)),)
    assert kept.idle
    assert "kept; with --set uninstall=first-boot" in kept.notes[0]
    removed = one("uninstall: {products: ^Acme}", uninstall="first-boot")
    assert removed.steps == 1


def test_what_the_guard_refuses_is_told() -> None:
    held = machine().service("RpcSs", 2, Group="COM Infrastructure")
    found = one("disable: [RpcSs, AcmeAgent]", held)
    assert found.changes == 1
    assert any(note.startswith("RpcSs: ") for note in found.notes)


def test_one_action_frees_what_another_disables() -> None:
    """Base is needed by AcmeAgent; together both may go."""
    held = machine().service("Base", 2).service("User", 2, DependOnService=["Base"])
    alone = reports(actions("disable: Base"), held)["a0"]
    both = reports(actions("disable: Base", "disable: User"), held)
    assert alone.changes == 0
    assert alone.notes
    assert (both["a0"].changes, both["a1"].changes) == (1, 1)


def test_parameters_and_settings_count_and_unknown_ones_are_refused() -> None:
    found = profile(
        """\
        parameters:
          more: {default: keep, values: [keep, disable], help: More is disabled.}
        actions:
          - {id: a, why: a good reason, source: a test, disable: AcmeAgent,
             when: {parameter: {more: disable}}}
        """
    )
    assert reports(found)["a"].reason == "off: needs --set more=disable (it is keep)"
    assert reports(found, more="disable")["a"].changes == 1
    with pytest.raises(UsageError, match="nothing is called 'other'"):
        reports(found, other="x")


def test_a_disk_that_is_prepared_already_has_nothing_to_do() -> None:
    held, wanted = machine(), actions("disable: AcmeAgent", "park: AcmeLog", "demand: Other")
    carry_out(held.plan(wanted).changes, {"SYSTEM": held.hive})
    assert all(report.idle for report in reports(wanted, held).values())


def test_the_document_says_the_same() -> None:
    assert one("disable: ['acme*', Nobody]").to_json() == {
        "id": "a0",
        "kind": "disable",
        "idle": False,
        "reason": "",
        "met": {"acme*": ["AcmeAgent", "AcmeLog"]},
        "absent": ["Nobody"],
        "changes": 2,
        "steps": 0,
        "notes": [],
    }


def test_boot_paths_tell_only_which_drivers_are_there() -> None:
    held = machine().service("storahci", 0, DRIVER)
    wanted = actions("boot-path: {controller: SATA, drivers: [storahci, msahci]}", kind="target")
    found = reports(wanted, held)["a0"]
    assert found.met == (Met("storahci", ("storahci",)),)
    assert found.absent == ("msahci",)
    assert found.notes == ()
