"""What the runner and whoever carries out jobs say to each other: this host's processes, or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from p2vprep.wave.job import Job, Outcome
from p2vprep.wave.manifest import Machine


@dataclass(frozen=True)
class Begun:
    """A machine is worked on from here on; its clock starts."""

    name: str


@dataclass(frozen=True)
class Step:
    """What is being done, for a machine or (``name`` None) for all of a job."""

    job: int
    name: str | None
    text: str


@dataclass(frozen=True)
class Noted:
    """A line worth telling."""

    text: str


@dataclass(frozen=True)
class Finished:
    """A machine has its outcome."""

    outcome: Outcome


Why = Literal["", "crashed", "killed", "too-slow", "stopped", "unreachable"]


@dataclass(frozen=True)
class Ended:
    """A job is over. Machines that had no outcome are ``lost``; ``why`` and ``words`` say how that came."""

    job: int
    lost: tuple[str, ...] = ()
    why: Why = ""
    words: str = ""
    guilty: str | None = None
    """The machine that was being worked on when it ended otherwise than well."""


Report = Begun | Step | Noted | Finished | Ended


class Executor(Protocol):
    """Carries out jobs, several at a time. Used from one thread."""

    @property
    def capacity(self) -> int:
        """How many jobs it takes at a time."""
        ...

    def place(self, machine: Machine) -> str:
        """Where a machine can be worked on, in any words: those of one job have the same place."""
        ...

    def submit(self, job: Job) -> None:
        """Starts a job. Its end is reported once, however it ends."""
        ...

    def poll(self, seconds: float) -> Sequence[Report]:
        """What happened since the last time; waits up to ``seconds`` where nothing did."""
        ...

    def stop(self) -> None:
        """Asks all jobs to stop cleanly: a commit is finished, everything else discarded."""
        ...

    def close(self) -> None:
        """Ends what still runs, at once. Images are never half changed by that, but may need ``recover``."""
        ...
