"""The steps that give back what was borrowed: registry values, start types, running services."""

from __future__ import annotations

from collections.abc import Sequence

from p2vprep.core import regtext
from p2vprep.core.facts.services import dependency_order
from p2vprep.core.model import Facts, RestoreService, RestoreValue, Start
from p2vprep.core.registry import fold, join, split
from p2vprep.core.values import Data
from p2vprep.firstboot import templates
from p2vprep.firstboot.quoting import is_plain, lines
from p2vprep.firstboot.step import Step

_LOCAL_MACHINE = "HKEY_LOCAL_MACHINE"
_RUNNING_SET = r"SYSTEM\CurrentControlSet"
_PARKED = r"SYSTEM\p2vprep\Parked"
_VISTA = (6, 0)
_START_WORDS = {0: "boot", 1: "system", 2: "auto", 3: "demand", 4: "disabled"}
REGISTRY_ONLY = "registry-only"


def start_word(item: RestoreService, nt: tuple[int, int]) -> str:
    """The word for ``sc config … start=``; REGISTRY_ONLY where a command line cannot say it."""
    word = _START_WORDS.get(item.start)
    if word is None or not is_plain(item.service):
        return REGISTRY_ONLY
    return "delayed-auto" if word == "auto" and item.delayed and nt >= _VISTA else word


def service_values(item: RestoreService) -> tuple[tuple[str, Data | None], ...]:
    """The values of the service's key as they were."""
    held: list[tuple[str, Data | None]] = [("Start", Data.dword(item.start))]
    if item.delayed is not None:
        held.append(("DelayedAutostart", Data.dword(int(item.delayed))))
    return tuple(held)


def values_step(values: Sequence[RestoreValue], facts: Facts, control_sets: Sequence[str]) -> Step:
    """Writes the values back that were changed only for the first boot."""
    sections = [
        regtext.Section(join(_LOCAL_MACHINE, place), ((value.name, value.data),))
        for value in values
        for place in places(value.key, facts, control_sets)
    ]
    data = {"values.reg": regtext.encode(regtext.render(sections))}
    return Step("400-values", templates.VALUES_STEP, 120, always=True, data=data)


def give_back_step(services: Sequence[RestoreService], facts: Facts, control_sets: Sequence[str]) -> Step:
    """Gives every parked service its start type back."""
    data: dict[str, bytes] = {}
    listed, names = [], []
    for number, item in enumerate(services, start=1):
        word = start_word(item, facts.guest.version.nt)
        shown = item.service if word != REGISTRY_ONLY else f"see names.txt, {number:03d}"
        listed.append(f"{number:03d} {word} {shown}")
        names.append(f"{number:03d}\t{item.service}")
        key = join(_RUNNING_SET, "Services", item.service)
        sections = [
            regtext.Section(join(_LOCAL_MACHINE, place), service_values(item))
            for place in places(key, facts, control_sets)
        ]
        forget = regtext.Section(join(_LOCAL_MACHINE, _PARKED, item.service), delete=True)
        data[f"{number:03d}.reg"] = regtext.encode(regtext.render(sections))
        data[f"{number:03d}-forget.reg"] = regtext.encode(regtext.render([forget]))
    data["services.txt"] = lines(listed)
    data["names.txt"] = "".join(f"{line}\r\n" for line in names).encode("utf-8", errors="surrogatepass")
    return Step("500-give-back", templates.GIVE_BACK_STEP, 600, always=True, data=data)


def start_step(services: Sequence[RestoreService], facts: Facts) -> Step | None:
    """Starts the automatic ones; None where there are none."""
    starting = _starting(services, facts)
    if not starting:
        return None
    listed = lines(f"{number:03d} {name}" for number, name in starting)
    return Step("600-start", templates.START_STEP, 900, always=False, data={"start.txt": listed})


def _starting(services: Sequence[RestoreService], facts: Facts) -> list[tuple[int, str]]:
    """Numbers and names of the automatic services: what others need first, delayed ones last."""
    numbered = {fold(item.service): (number, item) for number, item in enumerate(services, start=1)}
    ordered = dependency_order(facts.boot.services, [item.service for item in services])
    automatic = [
        (number, item)
        for number, item in (numbered[fold(name)] for name in ordered)
        if item.start == Start.AUTO and is_plain(item.service)
    ]
    automatic.sort(key=lambda pair: bool(pair[1].delayed))
    return [(number, item.service) for number, item in automatic]


def places(key: str, facts: Facts, control_sets: Sequence[str]) -> tuple[str, ...]:
    """The key in the running set, and in every edited set that holds its service.

    A fall-back to the last known good set (2008 R2 and older) must not find
    services that are still parked.
    """
    parts = split(key)
    if fold(join(*parts[:2])) != fold(_RUNNING_SET) or len(parts) < 4 or fold(parts[2]) != "SERVICES":
        return (key,)
    wanted = {fold(name) for name in control_sets}
    others = (
        join("SYSTEM", held.name, *parts[2:])
        for held in facts.sets
        if fold(held.name) in wanted and any(fold(s.name) == fold(parts[3]) for s in held.services)
    )
    return (key, *others)
