"""Inspect, plan, apply and verify one machine: each opens the appliance once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from p2vprep.core.documents import plan_document
from p2vprep.core.documents.plan_document import PlanDocument
from p2vprep.core.model import Hazard, Plan
from p2vprep.disk import accel, appliance, recovery, transaction
from p2vprep.disk import doctor as examiner
from p2vprep.disk.appliance import Appliance
from p2vprep.disk.image import Image, shown
from p2vprep.disk.journal import RunState
from p2vprep.disk.signals import interruptible
from p2vprep.disk.transaction import Committed, Transaction
from p2vprep.engine import applying
from p2vprep.engine.machine import Machine, open_machine, probe_all
from p2vprep.engine.options import Options
from p2vprep.engine.planning import TOOL, document, make_plan
from p2vprep.engine.results import Applied, DoctorReport, Inspection, Planned, Verification
from p2vprep.engine.verifying import check_plan, read_first_boot
from p2vprep.errors import DocumentError, RefusedError, StalePlanError, UsageError
from p2vprep.events import Sink, step
from p2vprep.profile_store import ProfileStore

Approve = Callable[[Plan], bool]
PLAN_LIMIT = 64 << 20
"""A plan document is never longer (bytes)."""


def doctor(*, deep: bool, sink: Sink) -> DoctorReport:
    """What this host can do. ``deep`` starts the appliance once."""
    with step(sink, "Examining this host"):
        return examiner.examine(deep=deep, sink=sink)


def inspect(paths: Sequence[Path], options: Options, sink: Sink) -> Inspection:
    """Facts and findings of a machine. The images are opened for reading only."""
    with _looking(paths, options, sink) as machine:
        planned, chosen = make_plan(machine, options, ProfileStore(options.profile_dirs))
        return Inspection(
            images=machine.images,
            volume=machine.volume,
            facts=machine.facts,
            detections=chosen.detections,
            findings=planned.hazards,
            hives=machine.hive_states,
        )


def plan(paths: Sequence[Path], options: Options, sink: Sink) -> Planned:
    """What apply would do. The images are opened for reading only."""
    store = ProfileStore(options.profile_dirs)
    with _looking(paths, options, sink) as machine:
        with step(sink, "Making the plan"):
            planned, _ = make_plan(machine, options, store)
        return Planned(planned, document(planned, options))


def apply(
    paths: Sequence[Path],
    options: Options,
    sink: Sink,
    *,
    plan_file: Path | None = None,
    output: Path | None = None,
    approve: Approve,
) -> Applied:
    """Plans, edits an overlay, proves it, commits. ``approve`` is asked before anything is edited.

    With ``plan_file`` exactly that plan is carried out, or StalePlanError is raised. With
    ``output`` the image stays as it is and the prepared disk is a new one.
    """
    held = None if plan_file is None else load_plan(plan_file)
    if held is not None:
        options = options.with_request(held.request)
    store = ProfileStore(options.profile_dirs)
    with interruptible():
        images = probe_all(paths, options)
        outputs = () if output is None else _outputs(images, output)
        accelerator = accel.choose(options.accelerator, sink=sink)
        begun = transaction.begin(images, state_dir=options.state_dir, outputs=outputs, sink=sink)
        with begun as open_transaction:
            with _running(open_transaction.overlays, accelerator, sink, read_only=False) as running:
                machine = open_machine(open_transaction.disks, running, options, sink)
                with step(sink, "Making the plan"):
                    planned, _ = make_plan(machine, options, store)
                if held is not None:
                    require_same(held, planned, plan_file)
                refuse(planned, options)
                nothing_to_do = not planned.changes and not outputs
                if nothing_to_do or not approve(planned):
                    open_transaction.discard("nothing to do" if nothing_to_do else "not approved")
                    return _not_applied(planned, options, images)
                edits = applying.edit_hives(machine, planned, options, sink)
                applying.write(machine, running, planned, edits, sink)
            made = document(planned, options)
            open_transaction.write_document("plan", made)
            committed = open_transaction.commit(receipt(planned, options, machine, edits, accelerator.name))
    return _applied(planned, made, open_transaction, committed, outputs or tuple(one.path for one in images))


def verify(
    paths: Sequence[Path], options: Options, sink: Sink, *, plan_file: Path | None = None
) -> Verification:
    """Holds the last run's plan, or a given one, against the disk as it is now."""
    held = load_plan(plan_file) if plan_file is not None else _last_plan(paths, options)
    looking = options.with_request(held.request)
    with _looking(paths, looking, sink) as machine, step(sink, "Checking every planned change"):
        first_boot = read_first_boot(machine)
        return check_plan(held.plan, machine, first_boot)


def load_plan(path: Path) -> PlanDocument:
    """A plan document from a file. Raises DocumentError, UsageError where it cannot be read."""
    try:
        if path.stat().st_size > PLAN_LIMIT:
            raise DocumentError("it is too large for a plan", subject=str(path))
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"the plan cannot be read: {problem.strerror}", subject=shown(path)) from problem
    except UnicodeDecodeError as problem:
        raise DocumentError("the plan is not UTF-8 text", subject=shown(path)) from problem
    return plan_document.load(text, str(path))


def write_new_file(path: Path, content: bytes) -> None:
    """Writes a document for the user: whole or not at all. Raises UsageError where that is impossible."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise UsageError(f"the file cannot be written: {problem.strerror}", subject=shown(path)) from problem


def refuse(planned: Plan, options: Options) -> None:
    """Raises RefusedError for the first refusal that is not lifted by its code; details list all."""
    standing = [
        hazard for hazard in planned.refusals if not (hazard.liftable and hazard.code in options.allow)
    ]
    if not standing:
        return
    first = standing[0]
    raise RefusedError(
        first.message,
        code=first.code,
        hint=_way_out(first),
        details=tuple(f"{hazard.code}: {hazard.message}" for hazard in standing[1:]),
        liftable=first.liftable,
    )


def require_same(held: PlanDocument, planned: Plan, path: Path | None) -> None:
    """Raises StalePlanError where planning again does not give the plan that was shown."""
    found = plan_document.differences(held, planned)
    if found:
        raise StalePlanError(
            "the disk, the profiles or this tool are no longer what the plan was made for",
            subject=None if path is None else shown(path),
            details=found[:10],
            hint="Make a new plan, read it, and apply that one.",
        )


def receipt(
    planned: Plan,
    options: Options,
    machine: Machine,
    edits: Sequence[applying.HiveEdit],
    accelerator: str,
) -> dict[str, object]:
    """The document ``p2vprep.receipt/1``: what was done to which bytes, and what was allowed."""
    registry = applying.registry_changes(planned)
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
            "files": len(applying.file_changes(planned)),
        },
    }


@contextmanager
def _looking(paths: Sequence[Path], options: Options, sink: Sink) -> Iterator[Machine]:
    """The machine opened through throw-away overlays; nothing is written to the images."""
    with interruptible():
        images = probe_all(paths, options)
        accelerator = accel.choose(options.accelerator, sink=sink)
        with (
            transaction.scratch(images) as overlays,
            _running(overlays, accelerator, sink, read_only=True) as running,
        ):
            yield open_machine(images, running, options, sink)


@contextmanager
def _running(
    overlays: Sequence[Path], accelerator: accel.Accelerator, sink: Sink, *, read_only: bool
) -> Iterator[Appliance]:
    """The appliance, its start told as a step."""
    with ExitStack() as stack:
        with step(sink, "Starting the appliance") as outcome:
            running = stack.enter_context(
                appliance.launch(
                    overlays, read_only=read_only, accelerator=accelerator, sink=sink, meanwhile=_warm_up
                )
            )
            outcome(running.accelerator.upper())
        yield running


def _warm_up() -> None:
    """Loads what planning needs while the appliance boots on another processor."""
    ProfileStore().all()


def _outputs(images: Sequence[Image], output: Path) -> tuple[Path, ...]:
    if len(images) > 1:
        raise UsageError("--output names one new image; this machine has several disks", code="one-output")
    return (output,)


def _way_out(hazard: Hazard) -> str | None:
    lift = f"--allow {hazard.code} lifts this" if hazard.liftable else ""
    return ". ".join(part for part in (hazard.cure.rstrip("."), lift) if part) or None


def _last_plan(paths: Sequence[Path], options: Options) -> PlanDocument:
    runs = recovery.history(paths, state_dir=options.state_dir)
    done = [run for run in runs if run.state is RunState.DONE]
    if not done:
        raise UsageError(
            "there is no run to verify",
            code="nothing-to-verify",
            subject=shown(paths[0]),
            hint="Name the plan with --plan, or the state folder with --state-dir.",
        )
    return load_plan(done[-1].folder / "plan.json")


def _not_applied(planned: Plan, options: Options, images: Sequence[Image]) -> Applied:
    made = {
        "schema": "p2vprep.apply/1",
        "committed": False,
        "run": None,
        "written_bytes": 0,
        "images": [str(image.path) for image in images],
        "plan": document(planned, options),
    }
    return Applied(planned, made, committed=False, written_bytes=0, image=str(images[0].path))


def _applied(
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
