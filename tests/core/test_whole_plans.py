"""Plans for random machines: what must start still starts, and the second plan is empty."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.model import Service, Start
from p2vprep.core.never import never
from p2vprep.core.profiles import ResolvedProfile
from tests.support.machines import DRIVER, SERVICE, Machine, carry_out
from tests.support.profiles import actions

NAMES = ["a1", "a2", "a3", "a4", "a5", "RpcSs", "Netman"]
GROUPS = ["", "G1", "G2"]


@dataclass(frozen=True)
class Drawn:
    """A service with what it needs, and what the profiles want of it."""

    name: str
    start: int
    kind: int
    needs: frozenset[str]
    group: str
    needs_group: str
    wish: str


def drawn(name: str) -> st.SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        st.just(name),
        st.sampled_from([0, 2, 2, 3, 3, 4]),
        st.sampled_from([SERVICE, SERVICE, DRIVER]),
        st.frozensets(st.sampled_from(NAMES), max_size=2),
        st.sampled_from(GROUPS),
        st.sampled_from(["", "", *GROUPS]),
        st.sampled_from(["", "disable", "park", "rest", "demand"]),
    )


MACHINES = st.tuples(*(drawn(name) for name in NAMES))
LINES = {
    "disable": "disable: [{}]",
    "park": "park: [{}]",
    "rest": "park: {{names: [{}], start: disabled}}",
    "demand": "demand: [{}]",
}


def build(services: tuple[Drawn, ...]) -> tuple[Machine, ResolvedProfile]:
    machine = Machine()
    for one in services:
        needs_group = [one.needs_group] if one.needs_group else []
        machine.service(
            one.name,
            one.start,
            one.kind,
            DependOnService=sorted(one.needs),
            DependOnGroup=needs_group,
            Group=one.group,
        )
    wished = {
        wish: ", ".join(one.name for one in services if one.wish == wish)
        for wish in LINES
        if any(one.wish == wish for one in services)
    }
    return machine, actions(*(LINES[wish].format(names) for wish, names in wished.items()))


def startable(services: dict[str, Service]) -> set[str]:
    """Who can start: not disabled, and all it needs can start. Circles count as startable, as here before."""
    able = {name for name, one in services.items() if one.start != Start.DISABLED}
    while True:
        groups = {one.group: {n for n in able if services[n].group == one.group} for one in services.values()}
        members = {one.group for one in services.values()}
        failing = {
            name
            for name in able
            if any(needed in services and needed not in able for needed in services[name].depends_on_services)
            or any(
                group in members and not groups[group] - {name} and _others(services, group, name)
                for group in services[name].depends_on_groups
            )
        }
        if not failing:
            return able
        able -= failing


def _others(services: dict[str, Service], group: str, name: str) -> bool:
    return any(one.group == group and one.name != name for one in services.values())


@settings(max_examples=80, deadline=None)
@given(MACHINES)
def test_what_must_start_still_starts_and_the_second_plan_is_empty(services: tuple[Drawn, ...]) -> None:
    machine, profile = build(services)
    facts = machine.facts()
    before = {one.name: one for one in facts.boot.services}
    plan = machine.plan(profile)
    carry_out(plan.changes, {"SYSTEM": machine.hive})
    after = {one.name: one for one in machine.facts().boot.services}
    lost = startable(before) - startable(after)
    waiting = {one.name for one in services if one.wish in {"park", "rest", "demand"}}
    for name in lost:
        if after[name].start == Start.DISABLED:
            assert never(before[name], facts.guest) is None
            assert before[name].kind != "driver" or before[name].start > Start.SYSTEM
            continue
        assert before[name].start == Start.DEMAND or name in waiting, f"{name} starts by itself"
        assert never(before[name], facts.guest) is None
    second = machine.plan(profile)
    assert second.changes == ()
    assert second.first_boot == plan.first_boot


@settings(max_examples=40, deadline=None)
@given(MACHINES)
def test_everything_asked_for_is_done_or_skipped(services: tuple[Drawn, ...]) -> None:
    machine, profile = build(services)
    plan = machine.plan(profile)
    skipped = {skip.subject for skip in plan.skips}
    carry_out(plan.changes, {"SYSTEM": machine.hive})
    after = {one.name: one.start for one in machine.facts().boot.services}
    for one in services:
        if one.wish and one.name not in skipped:
            rest = Start.DISABLED if one.wish in {"disable", "rest"} else Start.DEMAND
            assert after[one.name] >= rest
        else:
            assert after[one.name] == one.start
