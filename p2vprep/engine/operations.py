"""Inspect, plan, apply and verify one machine: each opens the appliance once.

What planning needs (documents, profiles, rules) takes about as long to load as everything
else together; it is imported where it is used, and loaded while the appliance boots.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from p2vprep.core.model import Hazard, Plan
from p2vprep.disk import accel, appliance, recovery, transaction
from p2vprep.disk.appliance import Appliance
from p2vprep.disk.image import Image, shown
from p2vprep.disk.journal import RunState
from p2vprep.disk.signals import interruptible
from p2vprep.engine.options import AUTO, Options
from p2vprep.engine.probing import probe_all
from p2vprep.engine.results import Applied, Inspection, Planned, Verification
from p2vprep.errors import DocumentError, RefusedError, StalePlanError, UsageError
from p2vprep.events import Sink, silent, step
from p2vprep.profile_files import require_known

if TYPE_CHECKING:
    from p2vprep.core.documents.plan_document import PlanDocument
    from p2vprep.disk.doctor import Report as DoctorReport
    from p2vprep.engine.machine import Ahead, Machine
    from p2vprep.profile_store import ProfileStore

Approve = Callable[[Plan], bool]
PLAN_LIMIT = 64 << 20
"""A plan document is never longer (bytes)."""
_REG_MARK = b"\xff\xfe"
"""A .reg file is UTF-16 with a byte order mark."""


def doctor(*, deep: bool, sink: Sink) -> DoctorReport:
    """What this host can do. ``deep`` starts the appliance once."""
    from p2vprep.disk.doctor import examine

    with step(sink, "Examining this host"):
        return examine(deep=deep, sink=sink)


def inspect(paths: Sequence[Path], options: Options, sink: Sink) -> Inspection:
    """Facts and findings of a machine. The images are opened for reading only."""
    warm = WarmUp(options)
    with opened(paths, options, sink, warm) as machine:
        from p2vprep.core.facts.mentions import find_mentions
        from p2vprep.core.profiles import target_hypervisors
        from p2vprep.engine.planning import make_plan

        planned, chosen = make_plan(machine, options, warm.store)
        return Inspection(
            images=machine.images,
            volume=machine.volume,
            facts=replace(machine.facts, evidence=chosen.evidence),
            detections=chosen.detections,
            findings=planned.hazards,
            hives=machine.hive_states,
            hypervisors=target_hypervisors(chosen.profiles),
            mentions=find_mentions(
                machine.hives["SYSTEM"],
                machine.facts.boot_set,
                machine.facts.boot.adapters,
                machine.hives.get("SOFTWARE"),
            ),
        )


def plan(paths: Sequence[Path], options: Options, sink: Sink) -> Planned:
    """What apply would do. The images are opened for reading only."""
    warm = WarmUp(options)
    with opened(paths, options, sink, warm) as machine:
        from p2vprep.engine.planning import document, make_plan

        with step(sink, "Making the plan"):
            planned, _ = make_plan(machine, options, warm.store)
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
    warm = WarmUp(options)
    with interruptible():
        images = probe_all(paths, options)
        warm.look_ahead_in(images, sink)
        outputs = () if output is None else _outputs(images, output)
        accelerator = accel.choose(options.accelerator, sink=sink)
        begun = transaction.begin(images, state_dir=options.state_dir, outputs=outputs, sink=sink)
        with begun as run:
            with _running(run.overlays, accelerator, sink, warm, read_only=False) as running:
                from p2vprep.engine import applying, planning, receipts
                from p2vprep.engine.machine import open_machine

                # A new image is also made of a machine that needs no change: as it is, to the byte.
                machine = open_machine(run.disks, running, options, sink, warm.ahead, writable=not outputs)
                with step(sink, "Making the plan"):
                    planned, _ = planning.make_plan(machine, options, warm.store)
                if held is not None:
                    require_same(held, planned, plan_file)
                refuse(planned, options)
                why_not = None if planned.changes or outputs else "nothing to do"
                if why_not is None and not approve(planned):
                    why_not = "not approved"
                if why_not is not None:
                    run.discard(why_not)
                    return receipts.not_applied(planned, options, images, why_not)
                edits = applying.edit_hives(machine, planned, sink)
                if planned.changes:  # mounting for writing changes a volume
                    applying.write(machine, running, planned, edits, sink)
            made = planning.document(planned, options)
            run.write_document("plan", made)
            done = run.commit(receipts.receipt(planned, options, machine, edits, running.accelerator))
    return receipts.applied(planned, made, run, done, outputs or tuple(image.path for image in images))


def verify(
    paths: Sequence[Path], options: Options, sink: Sink, *, plan_file: Path | None = None
) -> Verification:
    """Holds the last run's plan, or a given one, against the disk as it is now."""
    from p2vprep.engine.verifying import check_plan, read_first_boot

    held = load_plan(plan_file) if plan_file is not None else _last_plan(paths, options)
    looking = options.with_request(held.request)
    with (
        opened(paths, looking, sink, WarmUp()) as machine,
        step(sink, "Checking every planned change"),
    ):
        first_boot = read_first_boot(machine)
        return check_plan(held.plan, machine, first_boot)


class WarmUp:
    """Loads what planning needs while the appliance boots; an invalid profile ends the boot at once.

    Raises UsageError for a profile that is not there, before anything is begun. Without
    options no profile is needed.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options
        self._store: ProfileStore | None = None
        self._images: tuple[Image, ...] = ()
        self._sink: Sink = silent
        self.ahead: Ahead | None = None
        if options is None:
            return
        asked = (*options.sources, *options.targets, *options.stages)
        require_known((name for name in asked if name != AUTO), options.profile_dirs)

    def __call__(self) -> None:
        from p2vprep.engine import ahead, applying, machine, planning, receipts, verifying  # noqa: F401

        if self._options is None:
            return
        self._store = planning.open_store(self._options)
        if self._images and not any(image.dirty_log for image in self._images):
            self.ahead = ahead.look_ahead(self._images, self._options, self._store, self._sink)

    def look_ahead_in(self, images: tuple[Image, ...], sink: Sink) -> None:
        """These images are also read on the host while the appliance boots."""
        self._images, self._sink = images, sink

    @property
    def store(self) -> ProfileStore:
        """The profiles; there as soon as the appliance runs."""
        assert self._store is not None
        return self._store


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
    from p2vprep.core.documents import plan_document

    return plan_document.load(text, str(path))


def write_new_file(path: Path, content: bytes) -> None:
    """Writes a document for the user: whole or not at all.

    Raises UsageError where that is impossible, or where something else than a document is there.
    """
    require_place(path)
    path = path.resolve()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as problem:
        with suppress(OSError):  # the first fault is the one to report
            partial.unlink()
        raise UsageError(f"the file cannot be written: {problem.strerror}", subject=shown(path)) from problem


def require_place(path: Path) -> None:
    """Raises UsageError where a document cannot be written, or would replace what is none: an image."""
    if not path.parent.is_dir():
        raise UsageError("there is no folder for this file", code="no-such-folder", subject=shown(path))
    if path.exists() and not path.is_file():
        raise UsageError(
            "it is no regular file",
            code="not-a-document",
            subject=shown(path),
            hint="Without -o, `--format json` writes the plan to the standard output.",
        )
    try:
        with path.open("rb") as held:
            start = held.read(len(_REG_MARK))
    except FileNotFoundError:
        return
    except OSError as problem:
        raise UsageError(f"the file cannot be replaced: {problem.strerror}", subject=shown(path)) from problem
    if start and not start.startswith((b"{", _REG_MARK)):
        raise UsageError(
            "there is a file that is no plan; it is not replaced",
            code="not-a-document",
            subject=shown(path),
            hint="Name another file.",
        )


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
    from p2vprep.core.documents import plan_document

    found = plan_document.differences(held, planned)
    if found:
        raise StalePlanError(
            "the disk, the profiles or this tool are no longer what the plan was made for",
            subject=None if path is None else shown(path),
            details=found[:10],
            hint="Make a new plan, read it, and apply that one.",
        )


@contextmanager
def opened(paths: Sequence[Path], options: Options, sink: Sink, warm: WarmUp) -> Iterator[Machine]:
    """The machine, opened through throw-away overlays: nothing is written to the images."""
    with interruptible():
        images = probe_all(paths, options)
        accelerator = accel.choose(options.accelerator, sink=sink)
        with (
            transaction.scratch(images) as overlays,
            _running(overlays, accelerator, sink, warm, read_only=True) as running,
        ):
            from p2vprep.engine.machine import open_machine

            yield open_machine(images, running, options, sink)


@contextmanager
def _running(
    overlays: Sequence[Path],
    accelerator: accel.Accelerator,
    sink: Sink,
    warm: WarmUp,
    *,
    read_only: bool,
) -> Iterator[Appliance]:
    """The appliance, its start told as a step."""
    with ExitStack() as stack:
        with step(sink, "Starting the appliance") as outcome:
            running = stack.enter_context(
                appliance.launch(
                    overlays, read_only=read_only, accelerator=accelerator, sink=sink, meanwhile=warm
                )
            )
            outcome(running.accelerator.upper())
        yield running


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
