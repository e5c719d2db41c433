"""What the console asks of the engine. Whatever keeps these can be shown: a real disk, or a fake one.

Everything here may take long (the appliance starts, a hive is fetched) and is called from one
worker thread only. Errors are those of :mod:`p2vprep.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from p2vprep.core.model import Edit, Facts, Hazard, Plan
from p2vprep.core.registry import Hive
from p2vprep.events import Sink


@dataclass(frozen=True)
class HiveName:
    """A hive of the machine; ``writable`` is False for those that are only shown."""

    name: str
    writable: bool


@dataclass(frozen=True)
class FolderEntry:
    """What lies in a folder of the Windows volume; ``size`` in bytes, of files only."""

    name: str
    kind: Literal["file", "folder", "other"]
    size: int


@dataclass(frozen=True)
class Done:
    """How an apply ended, in words; ``committed`` is False where there was nothing to do."""

    committed: bool
    summary: str


class Browsing(Protocol):
    """A machine that is open for looking."""

    @property
    def facts(self) -> Facts: ...

    @property
    def findings(self) -> tuple[Hazard, ...]:
        """What stands in the way of an apply, or should be known before one."""
        ...

    def hives(self) -> tuple[HiveName, ...]:
        """The hives that are there, SYSTEM first."""
        ...

    def hive(self, name: str) -> Hive:
        """A hive, loaded when it is first asked for. Raises HiveError."""
        ...

    def folder(self, path: str) -> tuple[FolderEntry, ...]:
        """What lies in a folder, folders first. Raises CannotOpenError, RefusedError where it is none."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """A whole file. Raises CannotOpenError where it is gone or longer than ``limit`` bytes."""
        ...

    def plan(self, edits: Sequence[Edit]) -> Plan:
        """Exactly these edits as a plan: every change with before and after, and hazards.

        Raises RefusedError where a guard refuses an edit outright.
        """
        ...


class Backend(Protocol):
    """One machine: looked at, changed, taken back."""

    @property
    def title(self) -> str:
        """The images' names."""
        ...

    def browse(self, sink: Sink) -> AbstractContextManager[Browsing]:
        """Opens the machine for as long as the context lasts; nothing is written to its images."""
        ...

    def apply(self, edits: Sequence[Edit], reviewed: Plan, sink: Sink) -> Done:
        """Carries edits out: overlay, proof, commit. The machine is not open for looking meanwhile.

        ``reviewed`` is what was agreed to: StalePlanError where the disk would now get other changes.
        """
        ...

    def rollback(self, sink: Sink) -> str:
        """Takes the newest run back and says so. Raises UsageError where there is none."""
        ...
