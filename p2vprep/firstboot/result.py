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
from p2vprep.firstboot.reports import AdapterResult, WorkResult, adapter_result, numbered, work_results

State = Literal["absent", "waiting", "running", "again", "finished", "failed", "gave-up"]
"""``waiting``: has not run yet. ``running``: began and was cut short. ``again``: the next boot goes on."""

Outcome = Literal["done", "failed", "late", "restart", "not-run"]
"""``restart``: it goes on after a restart of Windows."""
ServiceOutcome = Literal["given-back", "failed", "gone", "started", "not-started"]

ENGINE_PATH = f"{FOLDER}/firstboot.cmd"
LOG_PATH = f"{FOLDER}/firstboot.log"
NAMES_PATH = f"{FOLDER}/data/names.txt"
RESULTS_FOLDER = f"{FOLDER}/results"
DATA_FOLDER = f"{FOLDER}/data"
"""To be read: these files, and the texts (.txt, .part) in these folders; any of them may be missing."""

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
    adapter: AdapterResult | None = None
    """Of a step that configures an adapter."""
    works: tuple[WorkResult, ...] = ()
    """Its commands, devices, disks and settings, one by one."""

    @property
    def status(self) -> str:
        """For people: ``as planned``, ``differs``, ``not run``, or ``failed because …``."""
        if self.adapter is not None:
            told = self.adapter.why
            return f"failed because {told}" if self.adapter.outcome == "failed" else self.adapter.outcome
        reasons = {
            "done": "as planned",
            "not-run": "not run",
            "late": "failed because it took longer than its time limit",
            "restart": "not run: it goes on after a restart",
            "failed": f"failed because it ended with exit code {self.detail}",
        }
        return reasons[self.outcome]

    def to_json(self) -> dict[str, object]:
        services = [
            {"service": held.service, "outcome": held.outcome, "sc": held.sc, "reg": held.reg}
            for held in self.services
        ]
        return {
            "name": self.name,
            "outcome": self.outcome,
            "status": self.status,
            "detail": self.detail,
            "services": services,
            "adapter": None if self.adapter is None else self.adapter.to_json(),
            "works": [held.to_json() for held in self.works],
            "lines": list(self.lines),
        }


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
    numbers = numbered(files.get(NAMES_PATH, b""))
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
    raw = files.get(f"{RESULTS_FOLDER}/{name}.txt", files.get(f"{RESULTS_FOLDER}/{name}.part", b""))
    lines = tuple(_text(raw).splitlines()) if told else ()
    outcome, detail = _outcome(told)
    adapter = None
    if name.endswith("-adapter"):
        labels = numbered(files.get(f"{DATA_FOLDER}/{name}-checks.txt", b""))
        adapter = adapter_result(lines, labels, ran=bool(told))
    subjects = numbered(files.get(f"{DATA_FOLDER}/{name}.txt", b""))
    subjects |= numbered(files.get(f"{DATA_FOLDER}/{name}-names.txt", b""))
    return StepResult(
        name,
        outcome,
        detail,
        services=tuple(_services(lines, numbers)),
        lines=lines,
        adapter=adapter,
        works=tuple(work_results(lines, subjects)),
    )


def _outcome(told: str) -> tuple[Outcome, str]:
    if not told:
        return "not-run", ""
    for outcome in get_args(Outcome):
        if told == outcome:
            return outcome, ""
    return "failed", told.removeprefix("failed ")


def _services(lines: tuple[str, ...], numbers: Mapping[str, str]) -> Iterator[ServiceResult]:
    for line in lines:
        match = _SERVICE_LINE.fullmatch(line.strip())
        if match is not None:
            told, number, sc, reg, shown = match.groups()
            for outcome in get_args(ServiceOutcome):
                if told == outcome:
                    yield ServiceResult(numbers.get(number, shown), outcome, sc, reg)


def _text(data: bytes) -> str:
    return data.decode("ascii", errors="replace")
