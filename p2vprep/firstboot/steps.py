"""The steps of the first boot, from the items that rules and the user ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from p2vprep.core.model import (
    ConfigureInterface,
    Facts,
    FirstBootItem,
    OnlineDisks,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RestoreValue,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.core.registry import fold
from p2vprep.errors import P2vprepError, UsageError
from p2vprep.firstboot import giveback, works
from p2vprep.firstboot.adapters import adapter_steps
from p2vprep.firstboot.giveback import REGISTRY_ONLY as REGISTRY_ONLY
from p2vprep.firstboot.giveback import start_word as start_word
from p2vprep.firstboot.quoting import is_plain as is_plain
from p2vprep.firstboot.step import Step as Step

Item = TypeVar("Item")

CARRIED_OUT: tuple[type, ...] = (
    RestoreService,
    RestoreValue,
    ConfigureInterface,
    TuneNetwork,
    RunCommands,
    RunScript,
    RemoveDevice,
    ResetNetwork,
    OnlineDisks,
)
_ROOM = {
    ("before-network", "commands"): (50, 25),
    ("before-network", "script"): (75, 25),
    ("after-network", "commands"): (800, 40),
    ("last", "commands"): (840, 60),
    ("after-network", "script"): (900, 60),
    ("last", "script"): (960, 40),
}
"""First number and how many there may be, by phase and kind."""


def services_of(items: Sequence[FirstBootItem]) -> tuple[RestoreService, ...]:
    """The services to give back, each once; the last word counts."""
    return tuple({fold(item.service): item for item in _all(RestoreService, items)}.values())


def make_steps(items: Sequence[FirstBootItem], facts: Facts, control_sets: Sequence[str]) -> tuple[Step, ...]:
    """The steps for these items, in the order they run; only those that have something to do.

    Raises P2vprepError for an item that nothing here carries out: none is dropped in silence.
    Raises UsageError for one that cannot be carried out on this Windows.
    """
    for item in items:
        if type(item) not in CARRIED_OUT:
            raise P2vprepError(
                "the first boot does not know how to do this",
                code="first-boot-unknown",
                subject=type(item).__name__,
            )
    steps = [*_work(items, facts), *_given_back(items, facts, control_sets)]
    steps += _placed(items)
    return tuple(sorted(steps, key=lambda step: step.name))


def _work(items: Sequence[FirstBootItem], facts: Facts) -> Iterator[Step]:
    resets, disks = _all(ResetNetwork, items), _all(OnlineDisks, items)
    tunings, devices = _all(TuneNetwork, items), _all(RemoveDevice, items)
    if resets:
        yield works.reset_step(resets, facts)
    if disks:
        yield works.disks_step(disks, facts)
    yield from adapter_steps(_all(ConfigureInterface, items), facts)
    if tunings:
        yield works.tune_step(tunings)
    if devices:
        yield works.devices_step(devices, facts)


def _given_back(items: Sequence[FirstBootItem], facts: Facts, control_sets: Sequence[str]) -> Iterator[Step]:
    values, services = _all(RestoreValue, items), services_of(items)
    if values:
        yield giveback.values_step(values, facts, control_sets)
    if services:
        yield giveback.give_back_step(services, facts, control_sets)
    starting = giveback.start_step(services, facts)
    if starting is not None:
        yield starting


def _placed(items: Sequence[FirstBootItem]) -> Iterator[Step]:
    """Commands and scripts, numbered within the room of their phase."""
    used: dict[tuple[str, str], int] = {}
    names: set[str] = set()
    for item in items:
        if not isinstance(item, RunCommands | RunScript):
            continue
        place = (item.phase, "commands" if isinstance(item, RunCommands) else "script")
        first, most = _ROOM[place]
        number = used.get(place, 0)
        if number >= most:
            raise UsageError(
                f"the first boot takes {most} such steps at most ({' '.join(place)})",
                code="first-boot-too-many",
            )
        used[place] = number + 1
        if isinstance(item, RunCommands):
            if fold(item.name) in names:
                raise P2vprepError(
                    "two steps of the first boot have one name", code="first-boot-step", subject=item.name
                )
            names.add(fold(item.name))
            yield works.commands_step(first + number, item)
        else:
            yield works.script_step(first + number, item)


def _all(kind: type[Item], items: Sequence[FirstBootItem]) -> list[Item]:
    return [item for item in items if isinstance(item, kind)]
