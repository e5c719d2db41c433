"""After a run: finish what a crash cut off, take a run back, tell and forget its story.

Images are given by path, not probed: a crash can leave a container that our own
reading refuses (a VHD without its footer), and mending it is what this is for.
One image of a machine is enough; its other disks are found through the journal as
long as they lie in the same folder, and have to be named otherwise, so that a
journal that came with an image cannot lead to a file elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from p2vprep.disk import undo
from p2vprep.disk.access import check_in_use, check_writable
from p2vprep.disk.image import shown
from p2vprep.disk.inuse import refuse_in_use
from p2vprep.disk.journal import FINISHED, Journal, Run, RunState, UndoState
from p2vprep.disk.preflight import refuse_unfinished
from p2vprep.disk.run import OpenRun, as_failure, reopen
from p2vprep.disk.signals import deferred, interrupted
from p2vprep.disk.state import Host, StateFolder, folder_of, journal_folder, locked
from p2vprep.errors import FailedError, NeedsRecoverError, RefusedError, UsageError
from p2vprep.events import Sink, silent, step

_HALF_CHANGED = "The disk may be partly changed. Do not start the machine."
CHANGED_SINCE = "disk-changed-since"
_LOCK_PATIENCE = 2.0
_ORPHAN_PATIENCE = 15.0
"""Seconds that recover waits for programs which a killed p2vprep has left behind."""


class Outcome(str, Enum):
    """How a run ended that ``recover`` looked at."""

    NOTHING = "nothing-to-do"
    DISCARDED = "discarded"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True)
class Recovered:
    """What ``recover`` did; ``run`` is None where nothing was unfinished."""

    outcome: Outcome
    run: int | None = None


@dataclass(frozen=True)
class RolledBack:
    """What ``rollback`` did: the run taken back, the bytes written, whether by force."""

    run: int
    written_bytes: int
    forced: bool


@dataclass(frozen=True)
class RunSummary:
    """One run for ``history``: times are ISO 8601 UTC, ``summary`` is the receipt's, sizes are bytes."""

    number: int
    state: RunState
    undo: UndoState
    started: str
    finished: str | None
    tool: str
    note: str
    disks: tuple[Path, ...]
    undo_bytes: int
    summary: dict[str, Any]
    folder: Path

    @property
    def unfinished(self) -> bool:
        """Whether ``recover`` has something to do."""
        return self.state not in FINISHED


def recover(
    images: Sequence[Path],
    *,
    state_dir: Path | None = None,
    abort: bool = False,
    allow: Collection[str] = frozenset(),
    host: Host | None = None,
    sink: Sink = silent,
) -> Recovered:
    """Finishes or discards what a crash left; can be repeated, and be cut off itself.

    Before the commit had begun the run is discarded. After it the commit is repeated
    from the overlays, or with ``abort``, or where an overlay is missing or damaged, the
    content before is written back to all disks. A rollback that was cut off is finished.

    Raises RefusedError ``disk-changed-since`` (liftable) where a disk holds something
    that the run did not write, ``image-in-use`` or ``busy``; NeedsRecoverError
    ``journal-damaged`` or ``undo-damaged`` (liftable by name where the overlays are
    whole); CannotOpenError ``image-missing``. Nothing was changed in these cases.
    """
    host = host or Host()
    with _machine(images, state_dir, host) as folder:
        run = folder.read_journal().unfinished
        if run is None:
            return Recovered(Outcome.NOTHING)
        with deferred() as late, step(sink, f"Recovering run {run.number}"), _still_unfinished(folder, run):
            outcome = _finish(folder, run, _named(images), abort, allow, host)
        if late.signal is not None:
            raise interrupted(late.signal, changed=f"Run {run.number} is finished: {outcome.value}.")
        return Recovered(outcome, run.number)


def rollback(
    images: Sequence[Path],
    *,
    state_dir: Path | None = None,
    allow: Collection[str] = frozenset(),
    host: Host | None = None,
    sink: Sink = silent,
) -> RolledBack:
    """Takes the newest run back: the disks are, bit for bit, what the guest saw before it.

    Raises UsageError ``nothing-to-undo``; RefusedError ``unfinished-run``, ``busy``,
    ``image-in-use``, ``disk-size-changed``, ``image-replaced``, ``disk-changed-since``
    (liftable: the disk was used since, and going back would mix two states); FailedError
    ``undo-damaged``. Nothing was changed in these cases. NeedsRecoverError where writing failed.
    """
    host = host or Host()
    with _machine(images, state_dir, host) as folder:
        refuse_unfinished(folder)
        run = _undoable(folder.read_journal(), folder)
        _refuse_unnamed(folder, run, _named(images))
        with (
            step(sink, f"Checking that the disk is as run {run.number} left it"),
            as_failure("The image cannot be read", folder.path),
        ):
            opened = OpenRun(folder, run, reopen(folder, run), host)
            for disk in opened.disks:
                check_writable(disk)
                check_in_use(disk)
            undos = opened.load_undo()
            forced = _refuse_changed_since(opened.differing(undos, after=True), folder, allow)
        with deferred() as late, step(sink, f"Taking run {run.number} back"):
            _roll_back(opened, undos, "forced: the disk had been used since" if forced else "")
        if late.signal is not None:
            raise interrupted(late.signal, changed=f"Run {run.number} was taken back.")
        return RolledBack(run.number, sum(data.changed_bytes for data in undos), forced)


def history(images: Sequence[Path], *, state_dir: Path | None = None) -> tuple[RunSummary, ...]:
    """All runs on a machine, oldest first; empty where there was none. Takes no lock, writes nothing."""
    folder = journal_folder(_first(images), state_dir)
    return tuple(_summary(folder, run) for run in folder.read_journal().runs)


def forget(images: Sequence[Path], *, state_dir: Path | None = None, host: Host | None = None) -> int:
    """Removes all undo data of a machine and returns how many bytes that freed; receipts stay.

    Raises RefusedError ``unfinished-run`` where ``recover`` may need them.
    """
    host = host or Host()
    with (
        _machine(images, state_dir, host) as folder,
        as_failure("The undo data cannot be removed", folder.path),
    ):
        refuse_unfinished(folder)
        journal = folder.read_journal()
        kept = [run for run in journal.runs if run.undo is UndoState.KEPT]
        for run in kept:
            journal = journal.with_run(replace(run, undo=UndoState.FORGOTTEN))
        if kept:
            folder.write_journal(journal, host, "forgotten")
        freed = 0
        for run in journal.runs:
            for path in _undo_files(folder, run):
                freed += path.stat().st_size
                host.durable.remove(path, "forget")
        return freed


# --- the machine ---------------------------------------------------------------------------------


@contextmanager
def _machine(images: Sequence[Path], state_dir: Path | None, host: Host) -> Iterator[StateFolder]:
    """The locked state folder that speaks of the images; all of them have to be of one machine."""
    named = _named(images)
    folders = {journal_folder(image, state_dir) for image in named}
    if len(folders) != 1:
        raise UsageError(
            "These images are not the disks of one machine.",
            code="several-machines",
            details=tuple(shown(image) for image in named),
            hint="Name the disks of one machine.",
        )
    all_folders = [*folders, *(folder_of(image, state_dir) for image in named)]
    with locked(all_folders, host, create=False, patience=_LOCK_PATIENCE):
        yield folders.pop()


def _named(images: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(Path(os.path.realpath(image)) for image in images)


def _first(images: Sequence[Path]) -> Path:
    if not images:
        raise UsageError("Name an image.", code="no-image")
    return _named(images)[0]


def _refuse_unnamed(folder: StateFolder, run: Run, named: tuple[Path, ...]) -> None:
    """Disks that lie elsewhere are touched only if the person named them."""
    disks = [folder.disk_path(run, number) for number in range(len(run.disks))]
    finals = [folder.resolve(disk.final) for disk in run.disks if disk.final is not None]
    foreign = [image for image in named if image not in disks and image not in finals]
    if foreign:
        raise UsageError(
            f"Run {run.number} did not work on this image.", code="not-of-this-run", subject=shown(foreign[0])
        )
    near = {image.parent for image in named}
    unnamed = [disk for disk in disks if disk not in named and disk.parent not in near]
    if unnamed:
        raise UsageError(
            f"Run {run.number} also worked on disks in other folders; name them all.",
            code="disk-not-named",
            details=tuple(shown(disk) for disk in unnamed),
        )


# --- recover -------------------------------------------------------------------------------------


def _finish(
    folder: StateFolder, run: Run, named: tuple[Path, ...], abort: bool, allow: Collection[str], host: Host
) -> Outcome:
    _refuse_unnamed(folder, run, named)
    if run.state is RunState.EDITING:
        OpenRun(folder, run, (), host).end(RunState.DISCARDED, "cut off before the commit")
        return Outcome.DISCARDED
    if run.state is RunState.COMMITTED:
        OpenRun(folder, run, (), host).land()
        return Outcome.COMMITTED
    for number in range(len(run.disks)):
        path = folder.disk_path(run, number)
        refuse_in_use([path] if path.exists() else [], patience=_ORPHAN_PATIENCE)
    opened = OpenRun(folder, run, reopen(folder, run), host)
    if run.state is RunState.ROLLING_BACK:
        _write_back(opened, opened.load_undo(), run.note)
        return Outcome.ROLLED_BACK
    return _finish_commit(opened, abort, allow)


def _finish_commit(opened: OpenRun, abort: bool, allow: Collection[str]) -> Outcome:
    """Forward where all overlays are whole and nobody asked otherwise, else back."""
    undos = _load_undo(opened, allow, abort)
    opened.settle()
    whole = opened.overlays_hold(undos)
    if whole and "undo-damaged" not in allow:
        _refuse_changed_since(opened.foreign(undos), opened.folder, allow)
    if whole and not abort:
        opened.forward(undos)
        opened.advance(RunState.COMMITTED)
        opened.land()
        return Outcome.COMMITTED
    for data in undos:
        data.verify()
    why = "aborted by hand" if abort else "an overlay was missing or damaged"
    _roll_back(opened, undos, f"The commit was cut off; {why}")
    return Outcome.ROLLED_BACK


def _load_undo(opened: OpenRun, allow: Collection[str], abort: bool) -> tuple[undo.Undo, ...]:
    """The undo data; where their damage was allowed by name only the index, enough to go forward."""
    if "undo-damaged" in allow and not abort:
        return opened.load_undo(verify=False)
    return opened.load_undo()


@contextmanager
def _still_unfinished(folder: StateFolder, run: Run) -> Iterator[None]:
    """A failure leaves the run as unfinished as it was, and says so."""
    try:
        yield
    except (FailedError, OSError) as problem:
        half = run.state in (RunState.COMMITTING, RunState.ROLLING_BACK)
        failure = problem if isinstance(problem, FailedError) else None
        raise NeedsRecoverError(
            f"Run {run.number} could not be finished: {failure.message if failure else problem}",
            code=failure.code if failure else "storage-failed",
            subject=(failure.subject if failure else None) or shown(folder.path),
            changed=_HALF_CHANGED if half else "No disk was changed.",
            hint=(failure.hint if failure else None) or "Mend the cause, then run `p2vprep recover` again.",
            details=failure.details if failure else (),
        ) from problem


# --- back ----------------------------------------------------------------------------------------


def _undoable(journal: Journal, folder: StateFolder) -> Run:
    run = journal.undoable
    if run is not None:
        return run
    forgotten = any(item.undo is UndoState.FORGOTTEN and item.state is RunState.DONE for item in journal.runs)
    raise UsageError(
        "There is nothing to undo" + (": the undo data were removed by `forget`." if forgotten else "."),
        code="nothing-to-undo",
        subject=shown(folder.path),
        hint="`p2vprep history` shows what was done.",
    )


def _roll_back(opened: OpenRun, undos: tuple[undo.Undo, ...], note: str) -> None:
    """Journal `rolling-back`, the content before written and proved, journal `rolled-back`."""
    with as_failure("The journal cannot be written", opened.folder.path):
        opened.advance(RunState.ROLLING_BACK, note=note)
    with _still_unfinished(opened.folder, opened.run):
        _write_back(opened, undos, note)


def _write_back(opened: OpenRun, undos: tuple[undo.Undo, ...], note: str) -> None:
    opened.settle()
    opened.back(undos)
    opened.end(RunState.ROLLED_BACK, note)


def _refuse_changed_since(found: tuple[str, ...], folder: StateFolder, allow: Collection[str]) -> bool:
    """Raises RefusedError unless nothing was found (False) or it was allowed by name (True)."""
    if found and CHANGED_SINCE not in allow:
        raise RefusedError(
            "The disk was changed by somebody else since: probably the machine was started.",
            code=CHANGED_SINCE,
            liftable=True,
            subject=shown(folder.path),
            hint="Going on would mix two states of the disk and can destroy it. If you are sure that it has"
            f" to be, pass `--allow {CHANGED_SINCE}`.",
            details=found[:20],
        )
    return bool(found)


# --- story ---------------------------------------------------------------------------------------


def _summary(folder: StateFolder, run: Run) -> RunSummary:
    return RunSummary(
        number=run.number,
        state=run.state,
        undo=run.undo,
        started=run.started,
        finished=run.finished,
        tool=run.tool,
        note=run.note,
        disks=tuple(folder.disk_path(run, number) for number in range(len(run.disks))),
        undo_bytes=sum(path.stat().st_size for path in _undo_files(folder, run)),
        summary=_receipt_summary(folder.run_folder(run) / "receipt.json"),
        folder=folder.run_folder(run),
    )


def _receipt_summary(receipt: Path) -> dict[str, Any]:
    """The receipt's ``summary``; empty where the run did not come to a receipt, or it cannot be read."""
    try:
        document = json.loads(receipt.read_bytes())
    except (OSError, ValueError):
        return {}
    summary = document.get("summary") if isinstance(document, dict) else None
    return summary if isinstance(summary, dict) else {}


def _undo_files(folder: StateFolder, run: Run) -> list[Path]:
    candidates = [
        path
        for number in range(len(run.disks))
        for path in (folder.undo_index(run, number), folder.undo_data(run, number))
    ]
    return [path for path in candidates if path.is_file()]
