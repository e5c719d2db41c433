"""What a child process is given to do, and what it tells: values that cross process borders as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from p2vprep.engine.options import Options
from p2vprep.errors import P2vprepError

if TYPE_CHECKING:  # a child process needs no manifest, and begins quicker without
    from p2vprep.wave.manifest import Machine

Mode = Literal["apply", "plan", "verify", "recover"]
State = Literal["applied", "nothing-to-do", "planned", "verified", "failed"]
MEMORY = 8 << 30
"""Address space of a child and of each program it starts (bytes); the appliance's QEMU takes about 2 GiB."""

Told = dict[str, Any]


@dataclass(frozen=True)
class Ticket:
    """One machine of a job.

    ``token`` is written into the receipt: whoever is given the same ticket again, after a crash or on
    another host, recognises by it that the work was done.
    """

    name: str
    disks: tuple[str, ...]
    options: Told
    token: str

    @staticmethod
    def of(machine: Machine, token: str) -> Ticket:
        """The ticket of a machine as the manifest has it."""
        options = machine.options
        held: Told = {
            "request": options.to_request(),
            "state_dir": None if options.state_dir is None else str(options.state_dir),
            "profile_dirs": [str(folder) for folder in options.profile_dirs],
            "accelerator": options.accelerator,
        }
        return Ticket(machine.name, tuple(str(disk) for disk in machine.disks), held, token)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(Path(disk) for disk in self.disks)

    def to_options(self) -> Options:
        """The options of the machine. Raises DocumentError where another version wrote them."""
        state_dir = self.options["state_dir"]
        place = Options(
            state_dir=None if state_dir is None else Path(state_dir),
            profile_dirs=tuple(Path(folder) for folder in self.options["profile_dirs"]),
            accelerator=self.options["accelerator"],
        )
        return place.with_request(self.options["request"])


@dataclass(frozen=True)
class Job:
    """One launch: the machines that share it, in one child process."""

    number: int
    mode: Mode
    wave: str
    tickets: tuple[Ticket, ...]
    time_limit: int
    """Seconds for each machine."""
    memory: int = MEMORY

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(ticket.name for ticket in self.tickets)

    def to_json(self) -> str:
        tickets = [vars(ticket) for ticket in self.tickets]
        return json.dumps({**vars(self), "tickets": tickets})

    @staticmethod
    def from_json(text: str) -> Job:
        held = json.loads(text)
        tickets = tuple(Ticket(**{**one, "disks": tuple(one["disks"])}) for one in held.pop("tickets"))
        return Job(**held, tickets=tickets)


@dataclass(frozen=True)
class Outcome:
    """What came of one machine. ``result`` is small and kept for every machine, ``details`` may be large."""

    name: str
    state: State
    error: Told | None = None
    """The document ``p2vprep.error/1``."""
    result: Told = field(default_factory=dict)
    details: Told = field(default_factory=dict)
    times: tuple[tuple[str, float], ...] = ()
    """Steps and their seconds, in order."""
    host: str = ""

    @property
    def seconds(self) -> float:
        return sum(spent for _, spent in self.times)

    @property
    def code(self) -> str:
        """The code of its error, or empty."""
        return "" if self.error is None else str(self.error.get("code", ""))

    def to_plain(self) -> Told:
        return {**vars(self), "times": [list(one) for one in self.times]}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Outcome:
        times = tuple((str(text), float(spent)) for text, spent in plain["times"])
        return Outcome(**{**plain, "times": times})


def failed(name: str, problem: P2vprepError, **more: Any) -> Outcome:
    """The outcome of a machine that met an error."""
    return Outcome(name, "failed", problem.to_json(), **more)
