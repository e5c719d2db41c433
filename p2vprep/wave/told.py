"""From what the engine returns, or what a receipt says, to the outcome of a machine.

Documents are loaded where they are needed: a child process begins quicker without them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from p2vprep.core.model import FileChange, KeyChange, Plan
from p2vprep.disk import recovery
from p2vprep.disk.image import shown
from p2vprep.disk.journal import RunState
from p2vprep.disk.recovery import RunSummary
from p2vprep.engine.results import Planned, Verification
from p2vprep.engine.several import Result
from p2vprep.errors import P2vprepError, UsageError
from p2vprep.wave.job import Outcome, Ticket, Told, failed


def of_result(ticket: Ticket, result: Result) -> Outcome:
    """The outcome of a machine that was worked on."""
    if isinstance(result, P2vprepError):
        return failed(ticket.name, result)
    if isinstance(result, Verification):
        return _of_verification(ticket.name, result)
    plan = result.plan
    found = _of_plan(plan)
    if isinstance(result, Planned):
        return Outcome(ticket.name, "planned", result=found, details=_details(plan))
    if not result.committed:
        return Outcome(ticket.name, "nothing-to-do", result=found, details=_details(plan))
    told = result.document
    found |= {key: told[key] for key in ("run", "written_bytes", "undo_bytes", "state")}
    return Outcome(ticket.name, "applied", result=found, details=_details(plan))


def recognised(ticket: Ticket) -> Outcome | None:
    """The outcome of a ticket whose work is on the disk already; None where it is not.

    The receipt of the machine's newest finished run says for which ticket it was.
    """
    done = _newest_done(ticket.paths, ticket.to_options().state_dir)
    if done is None:
        return None
    try:
        receipt = json.loads((done.folder / "receipt.json").read_text(encoding="utf-8"))
        token = receipt.get("wave", {}).get("token")
    except (OSError, ValueError, AttributeError):
        return None  # without a readable receipt it is not known whose work it was: it is done again
    if token != ticket.token:
        return None
    from p2vprep.engine.operations import load_plan

    plan = load_plan(done.folder / "plan.json").plan
    found = _of_plan(plan) | {
        "run": done.number, "undo_bytes": done.undo_bytes, "state": str(done.folder), "recognised": True,
    }  # fmt: skip
    return Outcome(ticket.name, "applied", result=found, details=_details(plan))


def last_plan_file(paths: tuple[Path, ...], state_dir: Path | None) -> Path:
    """The plan of the newest finished run. Raises UsageError ``nothing-to-verify`` where there is none."""
    done = _newest_done(paths, state_dir)
    if done is None:
        raise UsageError(
            "there is no run to verify",
            code="nothing-to-verify",
            subject=shown(paths[0]),
            hint="Apply the machine first.",
        )
    return done.folder / "plan.json"


def _newest_done(paths: tuple[Path, ...], state_dir: Path | None) -> RunSummary | None:
    """The newest run, where it is finished and was not taken back."""
    runs = recovery.history(paths, state_dir=state_dir)
    kept = [run for run in runs if run.state is not RunState.DISCARDED]
    return kept[-1] if kept and kept[-1].state is RunState.DONE else None


def _of_plan(plan: Plan) -> Told:
    from p2vprep.core.documents import plan_document

    files = [change for change in plan.changes if isinstance(change, FileChange)]
    keys = [change for change in plan.changes if isinstance(change, KeyChange)]
    return {
        "guest": plan_document.guest_to_json(plan.guest),
        "profiles": list(plan.profiles),
        "hazards": [hazard.to_json() for hazard in plan.hazards],
        "values": len(plan.changes) - len(files) - len(keys),
        "keys": len(keys),
        "files": len(files),
        "skips": len(plan.skips),
        "rules": counted(change.rule for change in plan.changes),
    }


def counted(names: Iterable[str]) -> dict[str, int]:
    """How often each name is there, most frequent first."""
    return dict(Counter(names).most_common())


def _details(plan: Plan) -> Told:
    from p2vprep.core.documents import plan_document

    return {
        "changes": [plan_document.change_to_json(change) for change in plan.changes],
        "skips": [skip.to_json() for skip in plan.skips],
    }


def _of_verification(name: str, found: Verification) -> Outcome:
    statuses = counted(check.status for check in found.checks)
    differing: list[Mapping[str, Any]] = [
        {"subject": check.subject, "found": check.told, "change": check.document}
        for check in found.checks
        if check.status == "differs"
    ]
    return Outcome(
        name,
        "verified",
        result={
            "as_planned": found.as_planned,
            "checks": statuses,
            "first_boot": found.first_boot.get("state", "absent"),
            "first_boot_lines": list(found.first_boot_lines),
        },
        details={"differing": differing, "first_boot": found.first_boot},
    )


def why_not(outcome: Outcome) -> str:
    """In a line, why a machine failed."""
    if outcome.error is None:
        return ""
    return f"{outcome.error['message']} [{outcome.error['code']}]"
