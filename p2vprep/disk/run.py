"""The moves that one run's disks can make: forward to what was planned, back to what was, or nowhere.

Shared by the transaction, ``recover`` and ``rollback``. Each move can be repeated
after a crash at any moment and then has the same end. The journal is written by
the callers, except for the last steps that all moves share.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from p2vprep.disk import image as images
from p2vprep.disk import nbd, qemu, undo, vhdfooter
from p2vprep.disk.image import Image, shown
from p2vprep.disk.journal import DiskEntry, FileStamp, Run, RunState, UndoState, change
from p2vprep.disk.state import Host, StateFolder
from p2vprep.errors import CannotOpenError, FailedError, RefusedError

_NO_REASON_TO_STAY_OUT = frozenset(
    {"image-has-snapshots", "image-format-unknown", "image-format-mismatch", "vhdx-dirty-log"}
)
"""Refusals that do not count when a half-done run is finished: it was allowed to begin."""


@dataclass
class OpenRun:
    """A run, its state folder and the images that it writes to."""

    folder: StateFolder
    run: Run
    disks: tuple[Image, ...]
    host: Host

    def advance(
        self, state: RunState, *, note: str | None = None, undo_state: UndoState | None = None
    ) -> None:
        """Puts the next state into the journal, durably."""
        finished = (
            self.host.timestamp()
            if state in (RunState.DONE, RunState.DISCARDED, RunState.ROLLED_BACK)
            else None
        )
        run = change(self.run, state, finished=finished, note=note)
        run = run if undo_state is None else replace(run, undo=undo_state)
        self.folder.save_run(run, self.host)
        self.run = run

    @property
    def registered(self) -> bool:
        """Whether the journal knows of the run."""
        return any(run.number == self.run.number for run in self.folder.read_journal().runs)

    def overlay(self, number: int) -> qemu.Overlay:
        """A disk's overlay, on the image where it lies now."""
        return qemu.Overlay(self.folder.overlay(self.run, number), self.disks[number])

    def load_undo(self, *, verify: bool = True) -> tuple[undo.Undo, ...]:
        """The undo data of all disks, read back and proved. FailedError ``undo-damaged`` otherwise."""
        loaded = tuple(
            undo.load(self.folder.undo_index(self.run, number), self.folder.undo_data(self.run, number))
            for number in range(len(self.disks))
        )
        for data, disk in zip(loaded, self.disks, strict=True):
            if verify:
                data.verify()
            if data.virtual_size != disk.virtual_size:
                raise RefusedError(
                    "The size of the disk has changed since.",
                    code="disk-size-changed",
                    subject=shown(disk.path),
                )
        return loaded

    def record_undo(self) -> tuple[undo.Undo, ...]:
        """Saves what the overlays are about to change; durable and read back when it returns."""
        recorded = []
        for number, disk in enumerate(self.disks):
            with (
                nbd.connect(disk, read_only=True) as base,
                nbd.connect(self.overlay(number), read_only=True) as planned,
            ):
                saved = undo.record(
                    base,
                    planned,
                    disk.virtual_size,
                    planned.allocated(),
                    self.folder.undo_index(self.run, number),
                    self.folder.undo_data(self.run, number),
                    self.host.durable,
                )
            saved.verify()
            recorded.append(saved)
        return tuple(recorded)

    def sync_overlays(self) -> None:
        """What the appliance wrote to the overlays is on the storage: recover commits from them."""
        for number in range(len(self.disks)):
            with self.host.durable.step(f"sync-overlay-{number}"):
                self.host.durable.sync_file(self.overlay(number).path)

    def settle(self) -> None:
        """Lets QEMU finish what a commit that was cut off left in a container's own log or header."""
        for disk in self.disks:
            if disk.format == "vhdx":
                qemu.replay_log(disk)
            vhdfooter.mend(disk)

    def overlays_hold(self, undos: Collection[undo.Undo]) -> bool:
        """Whether all overlays are there and show exactly what was planned."""
        try:
            for number, data in enumerate(undos):
                if not self.overlay(number).path.is_file():
                    return False
                with nbd.connect(self.overlay(number), read_only=True) as planned:
                    if data.differing(planned, after=True):
                        return False
        except (CannotOpenError, FailedError):
            return False
        return True

    def foreign(self, undos: Collection[undo.Undo]) -> tuple[str, ...]:
        """In words, what a disk holds that neither was there before nor was planned."""
        found: list[str] = []
        for number, data in enumerate(undos):
            with (
                nbd.connect(self.disks[number], read_only=True) as base,
                nbd.connect(self.overlay(number), read_only=True) as planned,
            ):
                found += _words(self.disks[number], data.foreign(base, planned))
        return tuple(found)

    def differing(self, undos: Collection[undo.Undo], *, after: bool) -> tuple[str, ...]:
        """In words, which ranges do not hold the content after (or before) the run."""
        found: list[str] = []
        for disk, data in zip(self.disks, undos, strict=True):
            with nbd.connect(disk, read_only=True) as base:
                found += _words(disk, data.differing(base, after=after))
        return tuple(found)

    def forward(self, undos: Collection[undo.Undo]) -> None:
        """Commits all overlays and proves it by reading the images. FailedError otherwise."""
        for number, disk in enumerate(self.disks):
            with self.host.durable.step(f"commit-{number}"):
                qemu.commit(self.overlay(number))
                for file in disk.files:
                    self.host.durable.sync_file(file)
        with self.host.durable.step("read-back"):
            self._expect(undos, after=True)

    def back(self, undos: Collection[undo.Undo]) -> None:
        """Writes the content before into all images and proves it. FailedError otherwise."""
        for number, (disk, data) in enumerate(zip(self.disks, undos, strict=True)):
            with self.host.durable.step(f"write-back-{number}"):
                with nbd.connect(disk, read_only=False) as base:
                    data.write_back(base)
                vhdfooter.mend(disk)
                for file in disk.files:
                    self.host.durable.sync_file(file)
        with self.host.durable.step("read-back"):
            self._expect(undos, after=False)

    def land(self) -> None:
        """From ``committed`` to ``done``: overlays removed, a new image gets its name."""
        self.remove_overlays()
        for number, disk in enumerate(self.run.disks):
            if disk.final is not None:
                self._name_output(number, disk)
        self.advance(RunState.DONE)

    def end(self, state: RunState, note: str) -> None:
        """From anywhere to ``discarded`` or ``rolled-back``: overlays and unfinished copies removed."""
        self.remove_overlays()
        for disk in self.run.disks:
            if disk.final is not None:
                part = self.folder.resolve(disk.path)
                for leftover in (part, part.with_name(f".{part.name}.partial")):
                    self.host.durable.remove(leftover, "remove-copy")
        if state is RunState.DISCARDED:
            self._remove_undo()
        self.advance(state, note=note)

    def _remove_undo(self) -> None:
        for number in range(len(self.run.disks)):
            for path in (self.folder.undo_index(self.run, number), self.folder.undo_data(self.run, number)):
                if path.exists():
                    self.host.durable.remove(path, "remove-undo")

    def remove_overlays(self) -> None:
        """The redo data are gone when this returns, durably; the images are not touched."""
        for leftover in self.folder.run_folder(self.run).glob("replayed-*"):
            shutil.rmtree(leftover)
        if self.folder.run_folder(self.run).is_dir():
            for number in range(len(self.run.disks)):
                self.host.durable.remove(self.folder.overlay(self.run, number), f"remove-overlay-{number}")

    def _name_output(self, number: int, disk: DiskEntry) -> None:
        """Gives the finished copy its name, without ever replacing another file."""
        part, final = self.folder.resolve(disk.path), self.folder.resolve(disk.final or "")
        with self.host.durable.step(f"name-output-{number}"):
            if part.exists():
                _rename_new(part, final)
                self.host.durable.sync_folder(final.parent)

    def _expect(self, undos: Collection[undo.Undo], *, after: bool) -> None:
        wrong = self.differing(undos, after=after)
        if wrong:
            raise FailedError(
                "The image does not hold what was just written to it.",
                code="read-back-differs",
                subject=shown(self.disks[0].path),
                hint="The storage is not reliable: check it before anything else.",
                details=wrong,
            )


def reopen(folder: StateFolder, run: Run) -> tuple[Image, ...]:
    """The images of a run where they lie now, as what they were when it began.

    Raw disks and VHDs are taken as the journal says, because a crash can leave a VHD
    without its footer; neither names other files. All others are read again.
    """
    return tuple(_reopen(folder.disk_path(run, number), entry) for number, entry in enumerate(run.disks))


def _reopen(path: Path, entry: DiskEntry) -> Image:
    if not path.is_file():
        raise CannotOpenError(
            "The image is not where it was.",
            code="image-missing",
            subject=shown(path),
            hint="Images and their .p2vprep folders have to be moved together.",
        )
    if entry.format in ("raw", "vpc"):
        return Image(path, entry.format, entry.kind, entry.virtual_size, (path,))
    found = images.probe(path, _NO_REASON_TO_STAY_OUT)
    if (found.format, found.virtual_size) != (entry.format, entry.virtual_size):
        raise RefusedError(
            f"This is not the image of then: it is a {found.kind} of {found.virtual_size} bytes,"
            f" and was a {entry.kind} of {entry.virtual_size}.",
            code="disk-size-changed" if found.format == entry.format else "image-replaced",
            subject=shown(path),
            hint="Put the right image back in its place.",
        )
    return found


def stamps(disk: Image, folder: StateFolder) -> tuple[FileStamp, ...]:
    """How the files of an image look now."""
    return tuple(FileStamp.take(file, folder.path) for file in disk.files)


@contextmanager
def as_failure(what: str, subject: Path) -> Iterator[None]:
    """Turns OSErrors of our own file work into a FailedError."""
    try:
        yield
    except OSError as problem:
        raise FailedError(
            f"{what}: {problem.strerror or problem}.",
            code=storage_code(problem),
            subject=shown(problem.filename or subject),
            hint="Check the storage and its free space, then try again.",
        ) from problem


def storage_code(problem: OSError) -> str:
    """The stable code for a failure of the storage."""
    return "no-space" if problem.errno in (errno.ENOSPC, errno.EDQUOT) else "storage-failed"


def _words(disk: Image, ranges: Collection[undo.Range]) -> list[str]:
    return [f"{shown(disk.path)}: {item.length} bytes at {item.offset}" for item in ranges]


def _rename_new(old: Path, new: Path) -> None:
    """Renames to a name that must be free: a hard link cannot replace anything."""
    try:
        os.link(old, new)
    except FileExistsError:
        if not new.samefile(old):
            raise
    except OSError:  # a file system without hard links
        if os.path.lexists(new):
            raise
        old.rename(new)
        return
    old.unlink()
