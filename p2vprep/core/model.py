r"""The types to read first: guest, facts, edits, changes, hazards, skips, plan.

The flow of values::

    hives -> Facts -> rules -> Edits, Hazards, Skips, FirstBootItems -> planner -> Plan (Changes)

An *edit* is what a rule wants to be true. The planner looks at the hive, drops
edits that are true already, and turns the others into *changes* with what was
before and what is after. All types are frozen; none knows how it is stored.

Real paths only: ``ControlSet001\...``, never ``CurrentControlSet``. Files are
named by their path inside the Windows volume with forward slashes:
``/p2vprep/firstboot.cmd``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from p2vprep.core.model_facts import (
    Adapter as Adapter,
)
from p2vprep.core.model_facts import (
    ClassFilter as ClassFilter,
)
from p2vprep.core.model_facts import (
    ControlSet as ControlSet,
)
from p2vprep.core.model_facts import (
    Evidence as Evidence,
)
from p2vprep.core.model_facts import (
    Facts as Facts,
)
from p2vprep.core.model_facts import (
    Guest as Guest,
)
from p2vprep.core.model_facts import (
    Interface as Interface,
)
from p2vprep.core.model_facts import (
    Parked as Parked,
)
from p2vprep.core.model_facts import (
    PciDevice as PciDevice,
)
from p2vprep.core.model_facts import (
    Product as Product,
)
from p2vprep.core.model_facts import (
    Role as Role,
)
from p2vprep.core.model_facts import (
    Service as Service,
)
from p2vprep.core.model_facts import (
    Start as Start,
)
from p2vprep.core.model_facts import (
    WindowsVersion as WindowsVersion,
)
from p2vprep.core.model_firstboot import (
    ConfigureInterface as ConfigureInterface,
)
from p2vprep.core.model_firstboot import (
    FirstBootItem as FirstBootItem,
)
from p2vprep.core.model_firstboot import (
    OnlineDisks as OnlineDisks,
)
from p2vprep.core.model_firstboot import (
    RemoveDevice as RemoveDevice,
)
from p2vprep.core.model_firstboot import (
    ResetNetwork as ResetNetwork,
)
from p2vprep.core.model_firstboot import (
    RestoreService as RestoreService,
)
from p2vprep.core.model_firstboot import (
    RestoreValue as RestoreValue,
)
from p2vprep.core.model_firstboot import (
    RunCommands as RunCommands,
)
from p2vprep.core.model_firstboot import (
    RunScript as RunScript,
)
from p2vprep.core.model_firstboot import (
    TuneNetwork as TuneNetwork,
)
from p2vprep.core.values import Data

Severity = Literal["warn", "refuse"]


# --- what rules yield --------------------------------------------------------------------------


@dataclass(frozen=True)
class SetValue:
    """This value shall hold this data. Keys that are absent are made only with ``create``."""

    hive: str
    key: str
    name: str
    data: Data
    rule: str
    why: str
    create: bool = False


@dataclass(frozen=True)
class DeleteValue:
    """This value shall be absent."""

    hive: str
    key: str
    name: str
    rule: str
    why: str


@dataclass(frozen=True)
class DeleteKey:
    """This key and all below it shall be absent."""

    hive: str
    key: str
    rule: str
    why: str


@dataclass(frozen=True)
class MakeKey:
    """This key shall be there; what it holds stays as it is."""

    hive: str
    key: str
    rule: str
    why: str


@dataclass(frozen=True)
class PutFile:
    """This file shall have this content; ``locked``: only Administrators and SYSTEM may change it."""

    path: str
    content: bytes
    rule: str
    why: str
    locked: bool = True


@dataclass(frozen=True)
class DeleteFile:
    """This file shall be absent."""

    path: str
    rule: str
    why: str


Edit = SetValue | DeleteValue | DeleteKey | MakeKey | PutFile | DeleteFile


@dataclass(frozen=True)
class Hazard:
    """Something the operator must know. ``refuse`` stops an apply unless allowed by its code."""

    code: str
    severity: Severity
    message: str
    evidence: tuple[str, ...] = ()
    cure: str = ""
    liftable: bool = True

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "evidence": list(self.evidence),
            "cure": self.cure,
        }


@dataclass(frozen=True)
class Skip:
    """Something asked for and not done, and why."""

    rule: str
    subject: str
    reason: str

    def to_json(self) -> dict[str, object]:
        return {"rule": self.rule, "subject": self.subject, "reason": self.reason}


RuleYield = Edit | Hazard | Skip | FirstBootItem


# --- the plan ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileState:
    """A file's content in short: SHA-256 (hex) and size in bytes."""

    sha256: str
    size: int

    def to_json(self) -> dict[str, object]:
        return {"sha256": self.sha256, "size": self.size}


@dataclass(frozen=True)
class ValueChange:
    """A registry value is set (``after``) or deleted (``after`` None)."""

    hive: str
    key: str
    name: str
    before: Data | None
    after: Data | None
    rule: str
    why: str

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "value",
            "hive": self.hive,
            "key": self.key,
            "name": self.name,
            "before": None if self.before is None else self.before.to_json(),
            "after": None if self.after is None else self.after.to_json(),
            "rule": self.rule,
            "why": self.why,
        }


@dataclass(frozen=True)
class KeyChange:
    """A registry key is made (``before`` None) or deleted with all below it (``after`` None)."""

    hive: str
    key: str
    exists_before: bool
    exists_after: bool
    rule: str
    why: str

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "key",
            "hive": self.hive,
            "key": self.key,
            "name": None,
            "before": {"type": "key", "data": None} if self.exists_before else None,
            "after": {"type": "key", "data": None} if self.exists_after else None,
            "rule": self.rule,
            "why": self.why,
        }


@dataclass(frozen=True)
class FileChange:
    """A file is written or deleted. ``content`` is not part of the document; its SHA-256 is."""

    path: str
    before: FileState | None
    after: FileState | None
    rule: str
    why: str
    content: bytes | None = field(default=None, compare=False, repr=False)
    locked: bool = True

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "file",
            "path": self.path,
            "before": None if self.before is None else self.before.to_json(),
            "after": None if self.after is None else self.after.to_json(),
            "sha256": None if self.after is None else self.after.sha256,
            "rule": self.rule,
            "why": self.why,
        }


Change = ValueChange | KeyChange | FileChange


@dataclass(frozen=True)
class HiveState:
    """Which bytes of a hive a plan was made for.

    ``primary`` and ``logs`` are SHA-256 of the files as found, ``recovered`` of
    the hive after its logs were replayed (equal to ``primary`` where clean).
    """

    name: str
    path: str
    primary: str
    recovered: str
    dirty: bool
    logs: dict[str, str] = field(default_factory=dict)
    replayed_pages: int = 0
    replayed_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that will be done to one machine, with what was before and why."""

    guest: Guest
    control_sets: tuple[str, ...]
    """The control sets that are edited, the one that boots next first."""
    profiles: tuple[str, ...]
    """Names with versions of the resolved profiles: ``hpe-proliant 1``."""
    changes: tuple[Change, ...]
    hazards: tuple[Hazard, ...]
    skips: tuple[Skip, ...]
    first_boot: tuple[FirstBootItem, ...]
    hives: tuple[HiveState, ...]

    @property
    def refusals(self) -> tuple[Hazard, ...]:
        return tuple(hazard for hazard in self.hazards if hazard.severity == "refuse")
