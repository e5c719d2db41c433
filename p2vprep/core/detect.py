"""Which source a disk came from, told from evidence and explained.

Points: a service whose name belongs to one vendor counts 2 (its agents are
there, whatever the machine is), a driver 1 (drivers travel with images), a
BIOS string 3, an installed program 2, PCI devices of the maker's boards 1, or
2 where there are several; devices that only such a machine has count the same.
From two points on a profile is used by ``auto`` (some ask for fewer, see
``detect.enough``); using one is harmless where nothing of it is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from p2vprep.core.documents.patterns import any_name_matches, regex
from p2vprep.core.documents.profile import Detect
from p2vprep.core.model import Evidence, Facts, Service
from p2vprep.core.profiles import ResolvedProfile

THRESHOLD = 2
_SURE = 5
_POINTS = {"service": 2, "driver": 1, "bios": 3, "product": 2}
_HINT, _STRONG, _PROOF = 1, 2, 3
_SHOWN = 3


@dataclass(frozen=True)
class Detection:
    """What speaks for a profile. ``strength`` adds up the points of the evidence."""

    profile: str
    strength: int
    evidence: tuple[Evidence, ...]
    words: str
    hypervisors: tuple[str, ...] = ()
    """Whose guest a disk of this source was."""
    enough: int = THRESHOLD

    @property
    def applies(self) -> bool:
        """Whether ``--source auto`` uses the profile."""
        return self.strength >= self.enough


def detect(profiles: Iterable[ResolvedProfile], facts: Facts) -> tuple[Detection, ...]:
    """Every profile for which anything speaks, the strongest first."""
    found = (_detection(profile, tuple(_evidence(profile, facts))) for profile in profiles)
    return tuple(sorted((one for one in found if one.evidence), key=lambda one: (-one.strength, one.profile)))


def choose_sources(
    detections: Sequence[Detection], target_hypervisors: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The names that ``--source auto`` stands for; several may apply at once.

    The guest tools of the hypervisor that the machine goes to are no left-overs.
    """
    at_home = guests_at_home(detections, target_hypervisors)
    return tuple(found.profile for found in detections if found.applies and found.profile not in at_home)


def guests_at_home(detections: Sequence[Detection], target_hypervisors: frozenset[str]) -> Mapping[str, str]:
    """The sources that were found and are guests of the target's own hypervisor, with that as the reason."""
    return {
        found.profile: f"was found, and the target is {name} as well: its guest tools stay"
        for found in detections
        if found.applies
        for name in found.hypervisors
        if name in target_hypervisors
    }


def _detection(profile: ResolvedProfile, evidence: tuple[Evidence, ...]) -> Detection:
    strength = sum(_POINTS.get(found.kind, 0) for found in evidence)
    for kind in ("pci", "device"):
        strength += min(sum(found.kind == kind for found in evidence), _STRONG)
    words = _words(profile, strength, evidence)
    return Detection(profile.name, strength, evidence, words, profile.hypervisors, profile.detect.enough)


def _words(profile: ResolvedProfile, strength: int, evidence: Sequence[Evidence]) -> str:
    """``hpe-proliant: sure (services CqMgHost, sysdown; BIOS string …)``."""
    enough = profile.detect.enough
    sureness = "sure" if strength >= _SURE else "likely" if strength >= enough else "a hint only"
    kinds = {
        "service": "services",
        "driver": "drivers",
        "bios": "BIOS",
        "pci": "PCI devices",
        "device": "devices",
        "product": "programs",
    }
    parts = []
    for kind, title in kinds.items():
        subjects = list(dict.fromkeys(found.subject for found in evidence if found.kind == kind))
        if subjects:
            more = f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else ""
            parts.append(f"{title} {', '.join(subjects[:_SHOWN])}{more}")
    return f"{profile.name}: {sureness} ({'; '.join(parts)})"


def _evidence(profile: ResolvedProfile, facts: Facts) -> Iterator[Evidence]:
    wanted, name = profile.detect, profile.name
    yield from _services(wanted, name, facts.boot.services)
    for key, text in facts.bios.items():
        if any(regex(pattern).search(text) for pattern in wanted.bios):
            yield Evidence(name, "bios", text, key, _PROOF)
    makers = {maker.upper() for maker in wanted.pci_subsystems}
    for device in facts.pci:
        if device.subsystem_vendor.upper() in makers:
            subject = f"{device.vendor}:{device.device} of {device.subsystem_vendor}"
            yield Evidence(name, "pci", subject, device.instance, _HINT)
    for device_id in facts.devices:
        if any(regex(pattern).search(device_id) for pattern in wanted.devices):
            yield Evidence(name, "device", device_id, "Enum", _HINT)
    for product in facts.products:
        if any(regex(pattern).search(product.display_name) for pattern in wanted.products):
            yield Evidence(name, "product", product.display_name, product.key, _STRONG)


def _services(wanted: Detect, name: str, services: Iterable[Service]) -> Iterator[Evidence]:
    for service in services:
        if service.instance or service.deleted:
            continue
        driver = service.kind == "driver"
        patterns = wanted.drivers if driver else wanted.services
        if any_name_matches(patterns, service.name):
            where = service.key
            kind_strength = _HINT if driver else _STRONG
            yield Evidence(name, "driver" if driver else "service", service.name, where, kind_strength)
