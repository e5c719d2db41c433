"""What the engine's operations return: values that the command line shows or prints as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from p2vprep.core.model import Facts, Hazard, HiveState, Plan
from p2vprep.disk.image import Image
from p2vprep.engine.documents import facts_json, plain

if TYPE_CHECKING:  # what is only named here is loaded while the appliance boots
    from p2vprep.core.detect import Detection
    from p2vprep.core.facts.mentions import Mention
    from p2vprep.disk.volume import WindowsVolume

Status = Literal["as planned", "given back", "renewed", "differs"]
"""``given back``: by the first boot, as planned. ``renewed``: cleared, and written anew by Windows since."""


@dataclass(frozen=True)
class Inspection:
    """Facts and findings of one machine."""

    images: tuple[Image, ...]
    volume: WindowsVolume
    facts: Facts
    detections: tuple[Detection, ...]
    findings: tuple[Hazard, ...]
    hives: tuple[HiveState, ...]
    hypervisors: frozenset[str] = frozenset()
    """Of the targets asked for; what becomes of adapters is told for them."""
    mentions: Mapping[str, tuple[Mention, ...]] = field(default_factory=dict)
    """Every place that mentions an adapter, by its folded GUID."""

    def to_json(self) -> dict[str, object]:
        """The document ``p2vprep.inspect/1``."""
        from p2vprep.core.documents.plan_document import guest_to_json

        return {
            "schema": "p2vprep.inspect/1",
            "images": [plain(image) for image in self.images],
            "volume": plain(self.volume),
            "guest": guest_to_json(self.facts.guest),
            "facts": {**facts_json(self.facts), "adapters": self._adapters()},
            "sources": [plain(detection) for detection in self.detections],
            "findings": [finding.to_json() for finding in self.findings],
            "hives": [plain(hive) for hive in self.hives],
        }

    def _adapters(self) -> list[object]:
        """The adapters, each with what becomes of it after the move and where it is mentioned."""
        from p2vprep.core.facts.ghosts import after_move
        from p2vprep.core.registry import fold

        told: list[object] = []
        for adapter in self.facts.boot.adapters:
            document = plain(adapter)
            assert isinstance(document, dict)
            document["after_move"] = plain(after_move(adapter, self.hypervisors))
            document["mentions"] = plain(self.mentions.get(fold(adapter.guid), ()))
            told.append(document)
        return told


@dataclass(frozen=True)
class Planned:
    """A plan and its document ``p2vprep.plan/1``."""

    plan: Plan
    document: dict[str, object]


@dataclass(frozen=True)
class Applied:
    """What an apply did; ``why`` tells where nothing was committed."""

    plan: Plan
    document: dict[str, object]
    committed: bool
    written_bytes: int
    image: str
    why: str = ""


@dataclass(frozen=True)
class Check:
    """One planned change, held against the disk as it is now."""

    subject: str
    status: Status
    told: str
    document: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """Every planned change checked, and what the first boot left."""

    checks: tuple[Check, ...]
    first_boot: dict[str, object]
    first_boot_lines: tuple[str, ...]

    @property
    def as_planned(self) -> bool:
        return all(check.status != "differs" for check in self.checks)

    def to_json(self) -> dict[str, object]:
        """The document ``p2vprep.verify/1``."""
        return {
            "schema": "p2vprep.verify/1",
            "as_planned": self.as_planned,
            "checks": [
                {
                    "status": check.status,
                    "subject": check.subject,
                    "found": check.told,
                    "change": check.document,
                }
                for check in self.checks
            ],
            "first_boot": self.first_boot,
        }
