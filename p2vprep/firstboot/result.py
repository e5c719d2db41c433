r"""What the first boot reported: read from the disk afterwards, for ``p2vprep verify``.

Two witnesses: the key ``SYSTEM\p2vprep\Result`` and the files below
``/p2vprep``. The key decides; files alone may be left from an earlier run.
Everything is data from a guest and is read as such: nothing here fails on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from p2vprep.core.facts.keys import text
from p2vprep.core.registry import Hive, Key, find
from p2vprep.firstboot.builder import FOLDER, RESULT_KEY, SERVICE

State = Literal["absent", "waiting", "running", "again", "finished", "failed", "gave-up"]
"""``waiting``: has not run yet. ``running``: began and was cut short. ``again``: the next boot goes on."""

Outcome = Literal["done", "failed", "late", "not-run"]
ServiceOutcome = Literal["given-back", "failed", "gone", "started", "not-started"]

ENGINE_PATH = f"{FOLDER}/firstboot.cmd"
LOG_PATH = f"{FOLDER}/firstboot.log"
NAMES_PATH = f"{FOLDER}/data/names.txt"
RESULTS_FOLDER = f"{FOLDER}/results"
"""To be read: these files, and all in this folder; any of them may be missing."""

_MOST_BOOTS = 3
_CALL = re.compile(r"call :run (\S+) \d+ (?:always|once)", re.ASCII)
_SERVICE_LINE = re.compile(r"(\S+) (\d{3}) sc (\S+) reg (\S+) \"(.*)\"")


@dataclass(frozen=True)
class ServiceResult:
    """What became of one parked service. ``sc`` and ``reg`` are exit codes, ``-`` where not called."""

    service: str
    outcome: ServiceOutcome
    sc: str
    reg: str


@dataclass(frozen=True)
class StepResult:
    """What became of one step; ``detail`` is its exit code where it failed, ``lines`` what it wrote."""

    name: str
    outcome: Outcome
    detail: str = ""
    services: tuple[ServiceResult, ...] = ()
    lines: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        services = [
            {"service": held.service, "outcome": held.outcome, "sc": held.sc, "reg": held.reg}
            for held in self.services
        ]
        return {"name": self.name, "outcome": self.outcome, "detail": self.detail, "services": services}


@dataclass(frozen=True)
class FirstBootResult:
    """The report of the first boot as a whole."""

    state: State
    boots: int
    """In how many boots it has run; at most three."""
    steps: tuple[StepResult, ...]
    log: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Everything was done: finished, and no step failed."""
        return self.state == "finished" and all(step.outcome == "done" for step in self.steps)

    def to_json(self) -> dict[str, object]:
        """The report as a part of the ``p2vprep.verify/1`` document."""
        return {
            "state": self.state,
            "ok": self.ok,
            "boots": self.boots,
            "steps": [step.to_json() for step in self.steps],
            "log": list(self.log),
        }


def read_result(system: Hive, boot_set: str, files: Mapping[str, bytes]) -> FirstBootResult:
    """The report, from the SYSTEM hive and the files that exist, by their paths in the volume."""
    key = find(system, RESULT_KEY)
    entry = find(system, rf"{boot_set}\Services\{SERVICE}")
    numbers = dict(_names(files.get(NAMES_PATH, b"")))
    planned = tuple(_CALL.findall(_text(files.get(ENGINE_PATH, b""))))
    return FirstBootResult(
        state=_state(key, entry),
        boots=sum(text(key, f"Boot{number}") != "" for number in range(1, _MOST_BOOTS + 1)),
        steps=tuple(_step(key, name, files, numbers) for name in planned) if key or entry else (),
        log=tuple(_text(files.get(LOG_PATH, b"")).splitlines()),
    )


def _state(key: Key | None, entry: Key | None) -> State:
    told = text(key, "State")
    for state in get_args(State):
        if told == state:
            known: State = state
            return known
    if key is not None and text(key, "Boot1"):
        return "running"
    return "absent" if entry is None else "waiting"


def _step(key: Key | None, name: str, files: Mapping[str, bytes], numbers: Mapping[str, str]) -> StepResult:
    told = text(key, name)
    if not told:
        return StepResult(name, "not-run")
    lines = tuple(_text(files.get(f"{RESULTS_FOLDER}/{name}.txt", b"")).splitlines())
    services = tuple(_services(lines, numbers))
    if told == "done":
        return StepResult(name, "done", "", services, lines)
    if told == "late":
        return StepResult(name, "late", "", services, lines)
    return StepResult(name, "failed", told.removeprefix("failed "), services, lines)


def _services(lines: tuple[str, ...], numbers: Mapping[str, str]) -> Iterator[ServiceResult]:
    for line in lines:
        match = _SERVICE_LINE.fullmatch(line.strip())
        if match is not None:
            told, number, sc, reg, shown = match.groups()
            for outcome in get_args(ServiceOutcome):
                if told == outcome:
                    yield ServiceResult(numbers.get(number, shown), outcome, sc, reg)


def _names(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8", errors="replace").split("\r\n"):
        number, tab, name = line.partition("\t")
        if tab:
            yield number, name


def _text(data: bytes) -> str:
    return data.decode("ascii", errors="replace")
