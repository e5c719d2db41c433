"""Facts and findings as JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath

from p2vprep.core.model import ControlSet, Facts, Service
from p2vprep.core.values import Data


def plain(value: object) -> object:
    """A frozen value of the model as JSON: dataclasses become objects, enums their values."""
    if isinstance(value, Data):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def facts_json(facts: Facts) -> dict[str, object]:
    """The facts of the control set that boots next, and what is common to all."""
    boot = facts.boot
    return {
        "control_sets": {
            "present": [control_set.name for control_set in facts.sets],
            "boot": facts.boot_set,
            "select": dict(facts.select),
        },
        "services": [_service(service) for service in _of_kind(boot, "service")],
        "drivers": [_service(service) for service in _of_kind(boot, "driver")],
        "filters": [plain(item) for item in boot.filters],
        "adapters": [plain(item) for item in boot.adapters],
        "addresses": [plain(item) for item in boot.interfaces],
        "evidence": [plain(item) for item in facts.evidence],
        "products": [plain(item) for item in facts.products],
        "parked": [plain(item) for item in facts.parked],
        "bios": dict(facts.bios),
    }


def _of_kind(control_set: ControlSet, kind: str) -> list[Service]:
    return [service for service in control_set.services if service.kind == kind]


def _service(service: Service) -> dict[str, object]:
    document = plain(service)
    assert isinstance(document, dict)
    return {**document, "start_name": service.start_name}
