"""What a run leaves in writing: its receipt, and the document of the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from p2vprep.core.documents import plan_document
from p2vprep.core.model import Plan
from p2vprep.disk.image import Image
from p2vprep.disk.transaction import Committed, Transaction
from p2vprep.engine.applying import HiveEdit, file_changes, registry_changes
from p2vprep.engine.machine import Machine
from p2vprep.engine.options import Options
from p2vprep.engine.planning import TOOL, document
from p2vprep.engine.results import Applied


def receipt(
    planned: Plan,
    options: Options,
    machine: Machine,
    edits: Sequence[HiveEdit],
    accelerator: str,
) -> dict[str, object]:
    """The document ``p2vprep.receipt/1``: what was done to which bytes, and what was allowed."""
    registry = registry_changes(planned)
    values = sum(change.to_json()["kind"] == "value" for change in registry)
    return {
        "schema": "p2vprep.receipt/1",
        "tool": TOOL,
        "images": [{"name": image.path.name, **image.description} for image in machine.images],
        "guest": plan_document.guest_to_json(planned.guest),
        "request": options.to_request(),
        "profiles": list(planned.profiles),
        "accelerator": accelerator,
        "hives": [
            {
                "name": edit.loaded.name,
                "path": edit.loaded.path,
                "dirty": edit.loaded.state.dirty,
                "replayed_pages": edit.loaded.state.replayed_pages,
                "before": edit.loaded.state.primary,
                "recovered": edit.loaded.state.recovered,
                "after": edit.edited.state.primary,
            }
            for edit in edits
        ],
        "allowed": sorted(options.allow),
        "summary": {
            "values": values,
            "keys": len(registry) - values,
            "files": len(file_changes(planned)),
        },
    }


def not_applied(planned: Plan, options: Options, images: Sequence[Image], why: str) -> Applied:
    """What an apply returns that changed nothing: there was ``nothing to do``, or it was ``not approved``."""
    made = {
        "schema": "p2vprep.apply/1",
        "committed": False,
        "why": why,
        "run": None,
        "written_bytes": 0,
        "images": [str(image.path) for image in images],
        "plan": document(planned, options),
    }
    return Applied(planned, made, committed=False, written_bytes=0, image=str(images[0].path), why=why)


def applied(
    planned: Plan, made: dict[str, object], done: Transaction, committed: Committed, paths: Sequence[Path]
) -> Applied:
    told = {
        "schema": "p2vprep.apply/1",
        "committed": True,
        "run": committed.run,
        "written_bytes": committed.changed_bytes,
        "undo_bytes": committed.undo_bytes,
        "images": [str(path) for path in paths],
        "state": str(done.run_dir),
        "plan": made,
    }
    return Applied(planned, told, committed=True, written_bytes=committed.changed_bytes, image=str(paths[0]))
