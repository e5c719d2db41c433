"""Edits made by hand as plain values: a part of the plan's request, and of a file of collected edits."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from p2vprep.core.model import DeleteFile, DeleteKey, DeleteValue, Edit, MakeKey, PutFile, SetValue
from p2vprep.core.values import Data
from p2vprep.errors import DocumentError

_KINDS: dict[str, tuple[type[Edit], dict[str, type]]] = {
    "set-value": (
        SetValue,
        {"hive": str, "key": str, "name": str, "data": dict, "rule": str, "why": str, "create": bool},
    ),
    "delete-value": (DeleteValue, {"hive": str, "key": str, "name": str, "rule": str, "why": str}),
    "delete-key": (DeleteKey, {"hive": str, "key": str, "rule": str, "why": str}),
    "make-key": (MakeKey, {"hive": str, "key": str, "rule": str, "why": str}),
    "put-file": (PutFile, {"path": str, "content": str, "rule": str, "why": str, "locked": bool}),
    "delete-file": (DeleteFile, {"path": str, "rule": str, "why": str}),
}


SCHEMA = "p2vprep.edits/1"


def to_document(edits: Sequence[Edit]) -> dict[str, object]:
    """The document ``p2vprep.edits/1``: edits collected by hand, in their order."""
    return {"schema": SCHEMA, "edits": to_plain(edits)}


def from_document(text: str, source: str) -> tuple[Edit, ...]:
    """The inverse of :func:`to_document`, from JSON. Raises DocumentError naming ``source``."""
    try:
        document = json.loads(text)
    except ValueError as problem:
        raise DocumentError(f"it is not JSON: {problem}", subject=source) from problem
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DocumentError(f"it is no document of edits ({SCHEMA})", subject=source)
    if set(document) != {"schema", "edits"}:
        raise DocumentError("a document of edits has exactly schema and edits", subject=source)
    try:
        return from_plain(document["edits"])
    except DocumentError as problem:
        raise DocumentError(problem.message, subject=source) from problem


def to_plain(edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """The edits as a list of objects with their ``kind``; contents of files in base64."""
    return [_plain(edit) for edit in edits]


def from_plain(document: object) -> tuple[Edit, ...]:
    """The inverse of :func:`to_plain`. Raises DocumentError naming the first faulty edit."""
    if not isinstance(document, list):
        raise DocumentError("edits is not a list")
    return tuple(_edit(plain, number) for number, plain in enumerate(document))


def _plain(edit: Edit) -> dict[str, Any]:
    kind = next(name for name, (shape, _) in _KINDS.items() if isinstance(edit, shape))
    plain: dict[str, Any] = {"kind": kind}
    for field in _KINDS[kind][1]:
        held = getattr(edit, field)
        if isinstance(held, Data):
            held = held.to_json()
        elif isinstance(held, bytes):
            held = base64.b64encode(held).decode("ascii")
        plain[field] = held
    return plain


def _edit(plain: object, number: int) -> Edit:
    where = f"/edits/{number}"
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if not isinstance(plain, dict) or kind not in _KINDS:
        raise DocumentError(f"{where}: is not an edit; its kind is one of {', '.join(_KINDS)}")
    shape, fields = _KINDS[kind]
    if set(plain) != {"kind", *fields}:
        raise DocumentError(f"{where}: an edit of kind {kind} has exactly {', '.join(fields)}")
    held: dict[str, Any] = {}
    for name, wanted in fields.items():
        if not isinstance(plain[name], wanted):
            raise DocumentError(f"{where}/{name}: is not a {wanted.__name__}")
        held[name] = plain[name]
    if "data" in held:
        held["data"] = Data.from_json(held["data"])
    if "content" in held:
        try:
            held["content"] = base64.b64decode(held["content"], validate=True)
        except (binascii.Error, ValueError) as problem:
            raise DocumentError(f"{where}/content: is not base64") from problem
    return shape(**held)
