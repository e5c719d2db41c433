"""Random machines and every shipped target: nothing starts with Windows that is not there or not known."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.bootdrivers import STORAGE_DRIVERS, starts_with_windows
from p2vprep.core.model import Facts, Plan, Role, Service
from p2vprep.core.planner import draft, finish
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.registry import fold
from p2vprep.core.wishes import Wishes
from p2vprep.profile_store import ProfileStore
from tests.support.machines import DRIVER, SERVICE, Machine, carry_out

STORE = ProfileStore()
TARGETS = [profile.name for profile in STORE.all("target")]
NAMES = [
    "atapi", "intelide", "pciide", "msahci", "storahci", "stornvme", "LSI_SAS", "symmpi", "vmbus", "storvsc",
    "storflt", "pvscsi", "viostor", "vioscsi", "AcmeRaid", "intelppm",
]  # fmt: skip
VERSIONS = [
    (5, 0, 2195),
    (5, 1, 2600),
    (5, 2, 3790),
    (6, 0, 6002),
    (6, 1, 7601),
    (6, 3, 9600),
    (10, 0, 20348),
]


@dataclass(frozen=True)
class Drawn:
    """A driver: how it starts, what its ImagePath is, whether its file is there."""

    start: int
    override: int | None
    path: str
    there: bool
    kind: int


DRAWN = st.builds(
    Drawn,
    st.sampled_from([0, 0, 1, 3, 3, 4]),
    st.sampled_from([None, None, 0, 3]),
    st.sampled_from(
        ["", "{own}", "{own}", r"\SystemRoot\{own}", r"\??\C:\Acme\x.sys", r"System32\drivers\x.sys"]
    ),
    st.booleans(),
    st.sampled_from([DRIVER, DRIVER, DRIVER, SERVICE]),
)
MACHINES = st.dictionaries(st.sampled_from(NAMES), DRAWN, max_size=10)


def file_of(name: str) -> str:
    known = STORAGE_DRIVERS.get(fold(name))
    return f"{name}.sys" if known is None else known.files[0]


def build(drawn: dict[str, Drawn], version: tuple[int, int, int], client: bool) -> Machine:
    machine = Machine().windows(*version, role=Role.CLIENT if client else Role.SERVER)
    for name, one in drawn.items():
        path = one.path.format(own=rf"System32\drivers\{file_of(name)}")
        machine.service(name, one.start, one.kind)
        if path:
            machine.set_value(rf"Services\{name}", "ImagePath", path)
        if one.override is not None:
            machine.set_value(rf"Services\{name}\StartOverride", "0", one.override)
    return machine


def made(machine: Machine, files: frozenset[str], target: ResolvedProfile) -> Plan:
    facts: Facts = replace(machine.facts(), driver_files=files)
    hives = {"SYSTEM": machine.hive}
    return finish(draft(facts, hives, [target], wishes=Wishes(ghosts="keep")), hives)


def starting(machine: Machine) -> dict[str, Service]:
    services = machine.facts().boot.services
    return {one.name: one for one in services if starts_with_windows(machine.hive, one)}


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(TARGETS),
    drawn=MACHINES,
    version=st.sampled_from(VERSIONS),
    client=st.booleans(),
    pciidex=st.booleans(),
)
def test_nothing_new_starts_with_windows_that_is_not_there(
    name: str, drawn: dict[str, Drawn], version: tuple[int, int, int], client: bool, pciidex: bool
) -> None:
    machine, target = build(drawn, version, client), STORE.get(name)
    held = {fold(file_of(driver)) for driver, one in drawn.items() if one.there}
    files = frozenset(held | {"DISK.SYS"} | ({"PCIIDEX.SYS"} if pciidex else set()))
    before = starting(machine)
    plan = made(machine, files, target)
    carry_out(plan.changes, {"SYSTEM": machine.hive})
    after = starting(machine)
    for driver in after.keys() - before.keys():
        known = STORAGE_DRIVERS[fold(driver)]
        assert drawn[driver].there
        assert drawn[driver].kind == DRIVER
        assert {fold(need) for need in known.needs} <= files
        assert "Acme" not in drawn[driver].path
        assert not drawn[driver].path.endswith("x.sys")
    gone = before.keys() - after.keys()
    assert gone <= ({"intelppm"} if version < (6, 0) else set()), f"{gone} started with Windows before"
    assert made(machine, files, target).changes == ()
