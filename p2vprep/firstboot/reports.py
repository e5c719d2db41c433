"""What the steps wrote line by line, as values: adapters, and everything else that has a number.

All of it is data from a guest: lines that no step of ours writes are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

AdapterOutcome = Literal["as planned", "differs", "not run", "failed"]

_FOUND = re.compile(r"found (mac|only|order) (\{[0-9A-Fa-f-]{36}\}) \"(.*)\"")
_ADAPTER = re.compile(r"adapter ([a-z-]+)(?: (\{[0-9A-Fa-f-]{36}\}))?")
_CHECK = re.compile(r"check (ok|differs) (\d+)")
_WHY: Mapping[str, str] = {
    "not-found": "no adapter with this address appeared in time",
    "several": "there is more than one adapter",
    "count": "there are not as many adapters as the source had, the order tells nothing",
    "too-few": "there are too few adapters",
    "taken": "another part of the network document has taken the same adapter",
    "after-restart": "it goes on after a restart",
    "by-registry": "netsh could not set it; it was written to the registry and counts after a restart",
}
_WORKS: Sequence[tuple[str, re.Pattern[str]]] = (
    ("command", re.compile(r"command (?P<outcome>ok|restart|failed|late) (?P<number>\d+) (?P<detail>\S+)")),
    ("device", re.compile(r"device (?P<outcome>[a-z-]+) (?P<number>\d+) (?P<detail>\S+)")),
    ("tuning", re.compile(r"tune (?P<outcome>ok|failed) (?P<number>\d+)(?: (?P<detail>\S+))?")),
    ("disk", re.compile(r"disk (?P<number>\d+) (?P<outcome>online|failed)(?: (?P<detail>\S+))?")),
    ("disks", re.compile(r"disks (?P<outcome>cluster|not-needed)")),
    ("reset", re.compile(r"reset (?P<number>[a-z0-9]+) (?P<detail>-?\d+)")),
    ("script", re.compile(r"script (?P<outcome>missing)")),
    ("takeover", re.compile(r"takeover (?P<outcome>prepared|failed)")),
)


@dataclass(frozen=True)
class AdapterResult:
    """What became of one adapter. ``why`` says more where it is not as planned."""

    outcome: AdapterOutcome
    why: str = ""
    guid: str = ""
    how: str = ""
    """How it was found: ``mac``, ``only`` or ``order``."""
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    """What was read back as planned, and what was not."""

    def to_json(self) -> dict[str, object]:
        return {
            "outcome": self.outcome,
            "why": self.why,
            "guid": self.guid,
            "found_by": self.how,
            "as_planned": list(self.right),
            "differs": list(self.wrong),
        }


@dataclass(frozen=True)
class WorkResult:
    """What became of one command, device, disk or setting of a step."""

    kind: str
    outcome: str
    subject: str
    detail: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "outcome": self.outcome,
            "subject": self.subject,
            "detail": self.detail,
        }


def adapter_result(lines: Sequence[str], labels: Mapping[str, str], *, ran: bool) -> AdapterResult:
    """The adapter of a step ``…-adapter``; ``labels`` are the checks by their numbers."""
    guid = how = told = ""
    right: list[str] = []
    wrong: list[str] = []
    for line in lines:
        if found := _FOUND.fullmatch(line):
            how, guid = found[1], found[2]
        elif said := _ADAPTER.fullmatch(line):
            told, guid = said[1], said[2] or guid
        elif checked := _CHECK.fullmatch(line):
            label = labels.get(checked[2], f"check {checked[2]}")
            (right if checked[1] == "ok" else wrong).append(label)
    outcome: AdapterOutcome = "failed"
    why = _WHY.get(told, "the step broke off" if ran else "")
    if told == "as-planned" and not wrong:
        outcome, why = "as planned", ""
    elif told == "differs" or wrong:
        outcome, why = "differs", ", ".join(wrong)
    elif told in ("after-restart", "by-registry") or not ran:
        outcome = "not run"
    return AdapterResult(outcome, why, guid, how, tuple(right), tuple(wrong))


def work_results(lines: Sequence[str], subjects: Mapping[str, str]) -> Iterator[WorkResult]:
    """The numbered parts of any other step; ``subjects`` are what the numbers stand for."""
    for line in lines:
        for kind, pattern in _WORKS:
            match = pattern.fullmatch(line)
            if match is None:
                continue
            held = match.groupdict()
            number = held.get("number") or ""
            detail = held.get("detail") or ""
            outcome = held.get("outcome") or ("ok" if detail == "0" else "failed")
            yield WorkResult(kind, outcome, subjects.get(number, number), detail)
            break


def numbered(data: bytes) -> dict[str, str]:
    """A list of numbers and texts, as the builder writes it."""
    found = {}
    for line in data.decode("utf-8", errors="replace").split("\r\n"):
        number, tab, told = line.partition("\t")
        if tab:
            found[number] = told
    return found
