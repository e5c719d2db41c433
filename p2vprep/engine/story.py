"""What comes after a run: rollback, recover, history, forget. No appliance is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from p2vprep.disk import recovery
from p2vprep.disk.recovery import Outcome
from p2vprep.disk.signals import interruptible
from p2vprep.engine.documents import plain
from p2vprep.engine.options import Options
from p2vprep.events import Sink

_RECOVERED = {
    Outcome.NOTHING: "Nothing was unfinished.",
    Outcome.DISCARDED: "The unfinished run was discarded: nothing ever happened to the disk.",
    Outcome.COMMITTED: "The unfinished run was finished: all its changes are on the disk.",
    Outcome.ROLLED_BACK: "The unfinished run was taken back: the disk is as it was before it.",
}


def rollback(images: Sequence[Path], options: Options, sink: Sink) -> dict[str, object]:
    """Undoes the newest run bit for bit. Returns the document ``p2vprep.rollback/1``."""
    with interruptible():
        done = recovery.rollback(images, state_dir=options.state_dir, allow=options.allow, sink=sink)
    return {
        "schema": "p2vprep.rollback/1",
        "run": done.run,
        "written_bytes": done.written_bytes,
        "forced": done.forced,
        "summary": f"Run {done.run} was taken back: the disk is, bit for bit, what it was before it.",
    }


def recover(images: Sequence[Path], options: Options, sink: Sink, *, abort: bool) -> dict[str, object]:
    """Finishes or discards what a crash left. Returns the document ``p2vprep.recover/1``."""
    done = recovery.recover(images, state_dir=options.state_dir, abort=abort, allow=options.allow, sink=sink)
    return {
        "schema": "p2vprep.recover/1",
        "outcome": done.outcome.value,
        "run": done.run,
        "summary": _RECOVERED[done.outcome],
    }


def history(images: Sequence[Path], options: Options) -> dict[str, object]:
    """All runs on a machine, oldest first. Returns the document ``p2vprep.history/1``."""
    runs = []
    for run in recovery.history(images, state_dir=options.state_dir):
        document = plain(run)
        assert isinstance(document, dict)
        counts = run.summary
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if isinstance(count, int))
        runs.append({**document, "counts": counts, "summary": told or run.note})
    return {"schema": "p2vprep.history/1", "runs": runs}


def forget(images: Sequence[Path], options: Options) -> dict[str, object]:
    """Removes the undo data. Returns the document ``p2vprep.forget/1``."""
    freed = recovery.forget(images, state_dir=options.state_dir)
    return {
        "schema": "p2vprep.forget/1",
        "freed_bytes": freed,
        "summary": f"Undo data removed: {freed} bytes. Rollback is no longer possible; receipts stay."
        if freed
        else "There were no undo data.",
    }
