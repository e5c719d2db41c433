"""The journal document: which runs there were on a machine's disks and how far each came.

Pure values and their JSON. Paths are relative to the state folder, so that images
and state folder can be moved together. One machine has one journal; a run names
the disks it worked on, because they are committed together or not at all.

A run goes through these states; only the last three need no ``recover``::

    editing ──────────────► discarded        (nothing ever reached the disks)
       │
    committing ──► committed ──► done        (the changes are on the disks)
       │                          │
       └──► rolling-back ◄────────┘
                 │
             rolled-back                     (the disks are as before the run)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from p2vprep.errors import NeedsRecoverError

SCHEMA = "p2vprep.journal/1"
PARTIAL_SUFFIX = ".partial"


class RunState(str, Enum):
    """How far a run came."""

    EDITING = "editing"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    DISCARDED = "discarded"
    ROLLED_BACK = "rolled-back"


FINISHED = frozenset({RunState.DONE, RunState.DISCARDED, RunState.ROLLED_BACK})


class UndoState(str, Enum):
    """What there is to undo a run with."""

    NONE = "none"
    KEPT = "kept"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class FileStamp:
    """How a host file looked when the run began: enough to notice that somebody wrote to it."""

    path: str
    size: int
    mtime_ns: int
    inode: int

    @staticmethod
    def take(file: Path, folder: Path) -> FileStamp:
        """The present stamp of a file; its path is written relative to the folder."""
        found = file.stat()
        return FileStamp(os.path.relpath(file, folder), found.st_size, found.st_mtime_ns, found.st_ino)


@dataclass(frozen=True)
class DiskEntry:
    """One disk of a run: the image that is written to.

    With ``--output`` that is a copy, ``final`` plus ``.partial``, which becomes ``final`` at the end.
    """

    path: str
    format: str
    kind: str
    virtual_size: int
    files: tuple[FileStamp, ...]
    final: str | None = None


@dataclass(frozen=True)
class Run:
    """One apply. ``started`` and ``finished`` are UTC in ISO 8601; ``note`` tells people what happened."""

    number: int
    state: RunState
    started: str
    tool: str
    pid: int
    host: str
    disks: tuple[DiskEntry, ...]
    finished: str | None = None
    undo: UndoState = UndoState.NONE
    note: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether ``recover`` has something to do."""
        return self.state not in FINISHED

    @property
    def undoable(self) -> bool:
        """Whether ``rollback`` can take this run back."""
        return self.state is RunState.DONE and self.undo is UndoState.KEPT

    @property
    def name(self) -> str:
        """The run's folder below ``runs``."""
        return f"{self.number:04d}"


@dataclass(frozen=True)
class Journal:
    """All runs, oldest first."""

    runs: tuple[Run, ...] = field(default=())

    @property
    def next_number(self) -> int:
        return self.runs[-1].number + 1 if self.runs else 1

    @property
    def unfinished(self) -> Run | None:
        """The run that needs ``recover``; there is never more than one."""
        return next((run for run in reversed(self.runs) if run.unfinished), None)

    @property
    def undoable(self) -> Run | None:
        """The newest run that changed the disks and was not taken back; None where that cannot be undone."""
        newest = next((run for run in reversed(self.runs) if run.state is RunState.DONE), None)
        return newest if newest is not None and newest.undoable else None

    def with_run(self, run: Run) -> Journal:
        """The journal with this run added, or put in the place of the one of the same number."""
        if any(known.number == run.number for known in self.runs):
            return Journal(tuple(run if known.number == run.number else known for known in self.runs))
        return Journal((*self.runs, run))

    def to_json(self) -> dict[str, object]:
        return {"schema": SCHEMA, "runs": [_run_to_json(run) for run in self.runs]}

    @staticmethod
    def from_json(document: object, subject: str) -> Journal:
        """The journal of a document. Raises NeedsRecoverError ``journal-damaged``."""
        try:
            return Journal(tuple(_run_from_json(run) for run in _runs_of(document)))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise damaged(subject, f"{type(problem).__name__}: {problem}") from problem


def damaged(subject: str, why: str) -> NeedsRecoverError:
    """The error for a journal that cannot be understood: nobody may guess what it said."""
    return NeedsRecoverError(
        "The journal cannot be read, so it is not known whether a change is half done.",
        code="journal-damaged",
        subject=subject,
        changed="Unknown; this command changed nothing.",
        hint="Do not start the machine. Restore journal.json from a backup of the state folder, or restore"
        " the image itself. If the image is known to be whole, move the state folder away.",
        details=(why,),
    )


def change(run: Run, state: RunState, *, finished: str | None = None, note: str | None = None) -> Run:
    """The run in its next state."""
    return replace(
        run, state=state, finished=finished or run.finished, note=run.note if note is None else note
    )


def _runs_of(document: object) -> Sequence[object]:
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"not a {SCHEMA} document")
    runs = document["runs"]
    if not isinstance(runs, list):
        raise TypeError("runs is not a list")
    return runs


def _run_to_json(run: Run) -> dict[str, object]:
    return {
        "number": run.number,
        "state": run.state.value,
        "started": run.started,
        "finished": run.finished,
        "tool": run.tool,
        "pid": run.pid,
        "host": run.host,
        "undo": run.undo.value,
        "note": run.note,
        "disks": [_disk_to_json(disk) for disk in run.disks],
    }


def _disk_to_json(disk: DiskEntry) -> dict[str, object]:
    return {
        "path": disk.path,
        "final": disk.final,
        "format": disk.format,
        "kind": disk.kind,
        "virtual_size": disk.virtual_size,
        "files": [vars(stamp) for stamp in disk.files],
    }


def _run_from_json(document: object) -> Run:
    if not isinstance(document, dict):
        raise TypeError("a run is not an object")
    return Run(
        number=_number(document["number"]),
        state=RunState(document["state"]),
        started=_text(document["started"]),
        tool=_text(document["tool"]),
        pid=_number(document["pid"]),
        host=_text(document["host"]),
        disks=tuple(_disk_from_json(disk) for disk in document["disks"]),
        finished=None if document["finished"] is None else _text(document["finished"]),
        undo=UndoState(document["undo"]),
        note=_text(document["note"]),
    )


def _disk_from_json(document: object) -> DiskEntry:
    if not isinstance(document, dict):
        raise TypeError("a disk is not an object")
    path = _text(document["path"])
    final = None if document["final"] is None else _text(document["final"])
    if final is not None and path != final + PARTIAL_SUFFIX:
        raise ValueError(f"{path} is not the unfinished copy of {final}")
    return DiskEntry(
        path=path,
        format=_text(document["format"]),
        kind=_text(document["kind"]),
        virtual_size=_number(document["virtual_size"]),
        files=tuple(_stamp_from_json(stamp) for stamp in document["files"]),
        final=final,
    )


def _stamp_from_json(document: object) -> FileStamp:
    if not isinstance(document, dict):
        raise TypeError("a file is not an object")
    return FileStamp(
        _text(document["path"]),
        _number(document["size"]),
        _number(document["mtime_ns"]),
        _number(document["inode"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"not a number: {value!r}")
    return value
