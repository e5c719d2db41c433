"""What a check of a wave found: values for the table, the documents and the exit status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2vprep.wave.job import Told

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that stands in the way of a machine, or (``machine`` empty) of the wave."""

    machine: str
    severity: Severity
    code: str
    message: str
    subject: str = ""
    place: str = ""
    """Where the manifest speaks of it."""
    hint: str = ""

    def to_json(self) -> Told:
        return dict(vars(self))


@dataclass(frozen=True)
class Checked:
    """The findings of a whole check, in the order of the manifest."""

    machines: int
    disks: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.severity == "error")

    def to_json(self) -> Told:
        """The document ``p2vprep.wave-check/1``."""
        return {
            "schema": "p2vprep.wave-check/1",
            "machines": self.machines,
            "disks": self.disks,
            "errors": len(self.errors),
            "findings": [one.to_json() for one in self.findings],
            "notes": list(self.notes),
        }
