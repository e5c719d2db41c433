"""A machine with two control sets that differ: each is edited by what it has, and no key is made in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import value
from p2vprep.core.values import Data
from tests.support.fake_appliance import FakeAppliance
from tests.support.flow import Shelf, done, inside, sample, sample_machine
from tests.support.guest_disk import fingerprint
from tests.support.machines import dump

NAME = "dl360-2003"
CONFIG = "/WINDOWS/System32/config"
BOTH = ["ControlSet002", "ControlSet001"]
ONLY_IN_THE_LAST = ("CpqNicMgmt", "cpqvcagent", "SysMgmtHp")
AUTO, DISABLED = Data.dword(2), Data.dword(4)


@pytest.fixture
def server(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """Windows Server 2003: ControlSet002 boots next, its newest service is only in the old-format log."""
    return shelf.disk(tmp_path, spec=sample(NAME), name=NAME)


def files(path: Path) -> dict[str, bytes]:
    """SYSTEM and its log."""

    def read(guest: FakeAppliance, name: str) -> bytes:
        return guest.read(f"{CONFIG}/{name}", 0, 1 << 30)

    with inside(path) as guest:
        return {name: read(guest, name) for name in ("SYSTEM", "SYSTEM.LOG")}


def test_both_sets_are_edited_and_a_set_without_a_service_gets_no_key(server: Path) -> None:
    before, found = fingerprint(server), files(server)
    planned = done("plan", server)
    assert planned["control_sets"] == BOTH
    (state,) = planned["hives"]
    assert (state["dirty"], state["replayed_from"]) == (True, ["LOG"])
    applied = done("apply", server, "--yes")
    assert applied["committed"]
    now = files(server)
    assert now["SYSTEM.LOG"] == found["SYSTEM.LOG"]
    assert not BaseBlock.parse(now["SYSTEM"]).dirty
    assert not recover(now["SYSTEM"], {"LOG": now["SYSTEM.LOG"]}).sources

    hive = HiveReader(now["SYSTEM"])
    for control_set in BOTH:
        assert value(hive, rf"{control_set}\Services\CqMgHost", "Start") == DISABLED
    for service in ONLY_IN_THE_LAST:
        assert value(hive, rf"ControlSet002\Services\{service}", "Start") == DISABLED
        assert value(hive, rf"ControlSet001\Services\{service}", "Start") is None
    held, there = dump(sample_machine(NAME).system()), dump(hive)
    made = {change["key"].upper() for change in planned["changes"] if change["kind"] == "key"}
    assert set(there) - set(held) == made
    assert not set(held) - set(there)
    assert not any(service.upper() in key for service in ONLY_IN_THE_LAST for key in made)

    assert done("verify", server)["as_planned"]
    assert done("plan", server)["changes"] == []
    done("rollback", server)
    assert fingerprint(server) == before


def test_where_only_the_one_that_boots_is_asked_for_the_other_stays(server: Path) -> None:
    planned = done("plan", server, "--control-sets", "boot")
    assert planned["control_sets"] == BOTH[:1]
    assert done("apply", server, "--yes", "--control-sets", "boot")["committed"]
    held, there = (
        {key: values for key, values in dump(hive).items() if key.startswith("CONTROLSET001")}
        for hive in (sample_machine(NAME).system(), HiveReader(files(server)["SYSTEM"]))
    )
    assert there == held
    assert value(HiveReader(files(server)["SYSTEM"]), r"ControlSet001\Services\CqMgHost", "Start") == AUTO
