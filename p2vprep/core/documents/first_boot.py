"""The items of the first boot as parts of the plan document: flat objects with their ``kind``."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from p2vprep.core.model import (
    ConfigureInterface,
    FirstBootItem,
    OnlineDisks,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RestoreValue,
    RunCommands,
    RunScript,
    TuneNetwork,
)

PlainItem = (
    ConfigureInterface | TuneNetwork | RunCommands | RunScript | RemoveDevice | ResetNetwork | OnlineDisks
)
"""The items whose fields are all that the document holds of them."""
KIND_OF: dict[type[PlainItem], str] = {
    ConfigureInterface: "configure-interface",
    TuneNetwork: "tune-network",
    RunCommands: "run-commands",
    RunScript: "run-script",
    RemoveDevice: "remove-device",
    ResetNetwork: "reset-network",
    OnlineDisks: "online-disks",
}


def to_plain(item: FirstBootItem) -> dict[str, Any]:
    """The item as plain values, ready for JSON."""
    if isinstance(item, RestoreService):
        return {
            "kind": "restore-service",
            "service": item.service,
            "start": item.start,
            "delayed": item.delayed,
            "why": item.why,
        }
    if isinstance(item, RestoreValue):
        return {
            "kind": "restore-value",
            "key": item.key,
            "name": item.name,
            "data": None if item.data is None else item.data.to_json(),
            "why": item.why,
        }
    fields: dict[str, Any] = TypeAdapter(type(item)).dump_python(item, mode="json")
    return {"kind": KIND_OF[type(item)], **fields}


def from_plain(plain: Any) -> PlainItem:
    """The inverse of :func:`to_plain` for the items of KIND_OF; an item itself is handed through.

    Raises ValueError for anything that :func:`to_plain` would not have written.
    """
    if isinstance(plain, PlainItem):
        return plain
    shape = next((shape for shape, kind in KIND_OF.items() if kind == kind_of(plain)), None)
    if shape is None:
        raise ValueError("is no item of the first boot")
    fields = {name: held for name, held in plain.items() if name != "kind"}
    try:
        item: PlainItem = TypeAdapter(shape).validate_json(json.dumps(fields), strict=True)
    except ValidationError as problem:
        fault = problem.errors()[0]
        raise ValueError(f"{'/'.join(map(str, fault['loc']))}: {fault['msg']}") from problem
    if to_plain(item) != plain:
        raise ValueError("has more than belongs to it")
    return item


def kind_of(plain: Any) -> str | None:
    """The kind that plain values, or an item, claim to be; None where they claim none."""
    if isinstance(plain, dict):
        kind = plain.get("kind")
        return kind if isinstance(kind, str) else None
    return KIND_OF.get(type(plain)) or getattr(plain, "kind", None)
