"""One apply as a transaction over all disks of a machine: all of it or nothing, and it can be undone.

::

    with begin(images, needed_space=..., sink=sink) as transaction:
        appliance works on transaction.overlays          # the images are not touched
        transaction.write_document("plan", plan)
        transaction.commit(receipt)                      # leaving without it discards everything

The order, every step durable before the next (names of crash points in brackets)::

    lock all disks, refuse an unfinished run, an image in use or read-only, too little space
    journal `editing`            [journal-editing]       from here `recover` knows of the run
    with --output: copy          [copy-N]                the copy takes the image's part below
    overlays created             [create-overlay-N]
      ... the caller edits ...
    receipt                      [receipt]
    undo data, then its index    [undo-data, undo-index] per disk, and read back
    overlays flushed             [sync-overlay-N]
    journal `committing`         [journal-committing]    from here the images may change
    overlay into image, flushed  [commit-N]              per disk, by qemu-img commit
    every range read back        [read-back]             and compared by SHA-256
    journal `committed`          [journal-committed]     from here there is no way but forward
    overlays removed             [remove-overlay-N]
    with --output: final name    [name-output-N]
    journal `done`               [journal-done]

Up to `committing` a crash means that nothing ever happened; after it ``recover``
repeats the commit from the overlays, or goes back with the undo data. An error in
the middle of the commit goes back by itself. SIGINT and SIGTERM are obeyed up to
`committing`; after it the commit, which takes less than a second, is finished first.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from p2vprep.disk import qemu
from p2vprep.disk.access import check_in_use, check_writable
from p2vprep.disk.image import Image, shown
from p2vprep.disk.inuse import refuse_in_use
from p2vprep.disk.journal import PARTIAL_SUFFIX, DiskEntry, Run, RunState, UndoState
from p2vprep.disk.preflight import (
    OUTPUT_SUFFIXES,
    refuse_changed,
    refuse_full,
    refuse_no_space,
    refuse_unfinished,
    targets_of,
)
from p2vprep.disk.run import OpenRun, as_failure, stamps, storage_code
from p2vprep.disk.scratch import readable, replayed, scratch
from p2vprep.disk.signals import deferred, interrupted
from p2vprep.disk.state import (
    README_TEXT,
    Host,
    StateFolder,
    folder_of,
    journal_folder,
    locked,
    unusable,
)
from p2vprep.disk.undo import Undo
from p2vprep.errors import FailedError, NeedsRecoverError, P2vprepError
from p2vprep.events import Sink, silent, step

COMMIT_PATIENCE = 5.0
"""Seconds that a commit waits for the appliance to let go of the overlays."""
DEFAULT_SPACE = 32 << 20
"""How much a run is expected to write to the overlays (bytes) where the caller does not know better."""


@dataclass(frozen=True)
class Committed:
    """What a commit did: the run's number, bytes of the disks that it wrote, bytes of undo data kept."""

    run: int
    changed_bytes: int
    undo_bytes: int


class Transaction:
    """A run in the state `editing`; made by :func:`begin`, used as a context manager.

    ``overlays`` are what the appliance opens, one per disk in the order of the images;
    ``disks`` are the images they lie on (the copies with ``--output``); ``run_dir`` is the
    run's folder and ``number`` its number.
    """

    def __init__(self, opened: OpenRun, locks: ExitStack, sink: Sink) -> None:
        self._opened = opened
        self._locks = locks
        self._sink = sink

    @property
    def number(self) -> int:
        return self._opened.run.number

    @property
    def run_dir(self) -> Path:
        return self._opened.folder.run_folder(self._opened.run)

    @property
    def disks(self) -> tuple[Image, ...]:
        return self._opened.disks

    @property
    def overlays(self) -> tuple[Path, ...]:
        return tuple(self._opened.overlay(number).path for number in range(len(self.disks)))

    def write_document(self, name: str, document: Mapping[str, object]) -> Path:
        """Writes ``NAME.json`` into the run's folder, durably; returns its path."""
        if not name.replace("-", "").isalnum():
            raise ValueError(f"not a document's name: {name!r}")
        path = self.run_dir / f"{name}.json"
        with as_failure(f"{path.name} cannot be written", path):
            self._opened.host.durable.write_document(path, dict(document), name)
        return path

    def commit(self, receipt: Mapping[str, object]) -> Committed:
        """Brings all overlays into their images, or none.

        ``receipt`` becomes ``receipt.json``; numbers in its ``summary`` are shown by
        ``history``. Raises FailedError or RefusedError where the disks are as before,
        NeedsRecoverError where they may not be, Interrupted (with ``changed`` saying so)
        where everything was committed and a signal had asked to stop.
        """
        with step(self._sink, "Saving what will be changed, to be able to undo it"):
            self.write_document("receipt", receipt)
            with as_failure("The commit cannot be prepared", self.run_dir):
                undos = self._ready()
        with deferred() as late:
            with step(self._sink, "Committing the changes"):
                self._commit(undos)
            if late.signal is not None:
                raise interrupted(
                    late.signal, changed="All changes are on the disk; `rollback` takes them back."
                )
        return Committed(
            self.number, sum(data.changed_bytes for data in undos), sum(data.stored_bytes for data in undos)
        )

    def _ready(self) -> tuple[Undo, ...]:
        """Undo data saved, overlays flushed, and nobody disturbed it or will."""
        opened = self._opened
        refuse_changed(opened)
        refuse_in_use(self._files(), patience=COMMIT_PATIENCE)
        undos = opened.record_undo()
        opened.sync_overlays()
        refuse_full(opened, undos)
        refuse_changed(opened)
        refuse_in_use(self._files())
        return undos

    def _files(self) -> list[Path]:
        """Everything that nobody else may have open while it is committed."""
        return [*self.overlays, *(file for disk in self.disks for file in disk.files)]

    def _commit(self, undos: tuple[Undo, ...]) -> None:
        opened = self._opened
        with as_failure("The journal cannot be written", opened.folder.journal_path):
            opened.advance(RunState.COMMITTING, undo_state=UndoState.KEPT)
        try:
            opened.forward(undos)
            opened.advance(RunState.COMMITTED)
        except (P2vprepError, OSError) as problem:
            _go_back(opened, undos, problem)
        try:
            opened.land()
        except (P2vprepError, OSError) as problem:
            raise NeedsRecoverError(
                f"The changes are on the disk, but cleaning up failed: {problem}.",
                code="needs-recover",
                subject=shown(opened.folder.path),
                changed="All changes are on the disk.",
                hint="Run `p2vprep recover` on the image.",
            ) from problem

    def discard(self, note: str) -> None:
        """Forgets the overlays: nothing ever happened to the images. Does nothing after a commit."""
        if self._opened.run.state is not RunState.EDITING:
            return
        with deferred():
            try:
                if self._opened.registered:
                    self._opened.end(RunState.DISCARDED, note)
            except OSError as problem:
                raise _left_behind(self._opened.folder.path, problem) from problem

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, problem: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._locks:
            self.discard("" if problem is None else _words(problem))


def begin(
    images: Sequence[Image],
    *,
    state_dir: Path | None = None,
    outputs: Sequence[Path] = (),
    needed_space: int = DEFAULT_SPACE,
    host: Host | None = None,
    sink: Sink = silent,
) -> Transaction:
    """Locks the machine's disks and puts an empty overlay on each; the images are not touched.

    ``outputs`` (one new name per image, or none) writes the result to new images and
    leaves the sources alone; their state folder lies beside the new image. ``needed_space``
    is what will be written to the overlays at most (bytes).

    Raises RefusedError with code ``unfinished-run``, ``busy``, ``image-in-use``,
    ``image-read-only``, ``no-space``, ``output-exists``, ``state-dir-unusable`` or
    ``state-dir-unsafe``, UsageError for names that make no sense, FailedError where copying
    or creating an overlay fails. Nothing was changed in any of these cases.
    """
    host = host or Host()
    targets = targets_of(images, outputs)
    folders = [folder_of(target, state_dir) for target in targets]
    owners = [journal_folder(target, state_dir) for target in targets]
    # The same disks named in another order are still the same machine.
    home = owners[0] if len(set(owners)) == 1 else folders[0]
    if len(targets) == 1:
        home = folders[0]
    locks = ExitStack()
    try:
        locks.enter_context(locked([*folders, *owners], host, create=True))
        for target in targets:
            refuse_unfinished(journal_folder(target, state_dir))
        for image in images:
            if not outputs:
                check_writable(image)
            check_in_use(image, writing=not outputs)
        refuse_no_space(home.path, 2 * needed_space)
        images = images if outputs else [replayed(image) for image in images]
        run = _new_run(home, targets, images, copied=bool(outputs), host=host)
        transaction = Transaction(OpenRun(home, run, tuple(images), host), locks.pop_all(), sink)
    except BaseException:
        locks.close()
        raise
    try:
        _register(transaction._opened, folders)
        _prepare(transaction._opened, images, bool(outputs), sink)
    except BaseException as problem:
        transaction.__exit__(type(problem), problem, None)
        raise
    return transaction


# --- the parts ---------------------------------------------------------------------------------------


def _new_run(
    home: StateFolder, targets: Sequence[Path], images: Sequence[Image], *, copied: bool, host: Host
) -> Run:
    return Run(
        number=home.read_journal().next_number,
        state=RunState.EDITING,
        started=host.timestamp(),
        tool=host.tool,
        pid=host.pid,
        host=host.name,
        disks=tuple(
            _entry(home, target, image, copied) for target, image in zip(targets, images, strict=True)
        ),
    )


def _register(opened: OpenRun, folders: Sequence[StateFolder]) -> None:
    """Makes the run's folder and tells the journal, durably; from here `recover` knows of the run."""
    home = opened.folder
    try:
        _make_folders(home, opened.run, opened.host)
        for other in folders:
            if other != home:
                other.write_owner(home, opened.host)
        home.save_run(opened.run, opened.host)
    except OSError as problem:
        raise unusable(home.path, problem) from problem


def _make_folders(home: StateFolder, run: Run, host: Host) -> None:
    (home.path / "README.txt").write_text(README_TEXT)
    host.durable.make_folder(home.path / "runs")
    if not host.durable.make_folder(home.run_folder(run)):
        # A crash came between making this folder and telling the journal: nothing points to it.
        shutil.rmtree(home.run_folder(run))
        host.durable.make_folder(home.run_folder(run))


def _entry(folder: StateFolder, target: Path, image: Image, copied: bool) -> DiskEntry:
    path = os.path.relpath(target, folder.path)
    if not copied:
        return DiskEntry(path, image.format, image.kind, image.virtual_size, stamps(image, folder))
    driver = qemu.OUTPUT_FORMATS[OUTPUT_SUFFIXES[target.suffix.lower()]][0]
    return DiskEntry(path + PARTIAL_SUFFIX, driver, driver, image.virtual_size, (), final=path)


def _prepare(opened: OpenRun, images: Sequence[Image], copied: bool, sink: Sink) -> None:
    """Copies where asked for, then creates the overlays."""
    durable = opened.host.durable
    if copied:
        copies = []
        for number, (image, entry) in enumerate(zip(images, opened.run.disks, strict=True)):
            part = opened.folder.resolve(entry.path)
            with (
                as_failure("The new image cannot be written", part),
                durable.step(f"copy-{number}"),
                step(sink, f"Copying {image.path.name} to a new image"),
            ):
                copies.append(_copy(image, part, entry, opened.folder.run_folder(opened.run)))
        opened.disks = tuple(copies)
        disks = tuple(
            replace(entry, kind=copy.kind, files=stamps(copy, opened.folder))
            for entry, copy in zip(opened.run.disks, copies, strict=True)
        )
        opened.run = replace(opened.run, disks=disks)
        with as_failure("The journal cannot be written", opened.folder.journal_path):
            opened.folder.save_run(opened.run, opened.host)
    for number, disk in enumerate(opened.disks):
        path = opened.overlay(number).path
        with as_failure("The overlay cannot be created", path), durable.step(f"create-overlay-{number}"):
            qemu.create_overlay(disk, path)


def _copy(image: Image, part: Path, entry: DiskEntry, folder: Path) -> Image:
    source = readable(image, folder)
    copy = qemu.convert(source, part, OUTPUT_SUFFIXES[Path(entry.final or "").suffix.lower()])
    if source != image:
        source.path.unlink()
    if (copy.format, copy.virtual_size) != (entry.format, entry.virtual_size):
        raise FailedError(
            f"The copy is a {copy.kind} of {copy.virtual_size} bytes instead of {entry.virtual_size}.",
            code="copy-differs",
            subject=shown(image.path),
            hint="Choose another format for --output.",
        )
    return copy


# --- around the commit ---------------------------------------------------------------------------


def _go_back(opened: OpenRun, undos: tuple[Undo, ...], problem: P2vprepError | OSError) -> None:
    """After a failed commit: puts everything back and raises FailedError, or NeedsRecoverError."""
    try:
        _write_back(opened, undos)
        opened.end(RunState.ROLLED_BACK, f"The commit failed: {_words(problem)}")
    except (P2vprepError, OSError) as second:
        raise NeedsRecoverError(
            f"The commit failed ({_words(problem)}), and so did going back ({_words(second)}).",
            code="needs-recover",
            subject=shown(opened.disks[0].path),
            changed="The disk may be partly changed. Do not start the machine.",
            hint="Mend the cause, then run `p2vprep recover` on the image.",
        ) from problem
    code = problem.code if isinstance(problem, P2vprepError) else storage_code(problem)
    raise FailedError(
        f"The commit failed: {_words(problem)}",
        code=code,
        subject=shown(opened.disks[0].path),
        changed="The disk is as it was before.",
        hint=problem.hint if isinstance(problem, P2vprepError) else "Check the storage and its free space.",
    ) from problem


def _write_back(opened: OpenRun, undos: tuple[Undo, ...]) -> None:
    """Goes back; on a full storage once more with the room that the overlays took."""
    try:
        opened.settle()
        opened.back(undos)
    except (P2vprepError, OSError):
        opened.remove_overlays()
        opened.settle()
        opened.back(undos)


def _left_behind(path: Path, problem: OSError) -> NeedsRecoverError:
    return NeedsRecoverError(
        "Nothing happened to the disk, but the state folder could not be cleaned up:"
        f" {problem.strerror or problem}.",
        code="needs-recover",
        subject=shown(path),
        hint="Run `p2vprep recover` on the image before the next run.",
    )


def _words(problem: BaseException) -> str:
    if isinstance(problem, P2vprepError):
        return f"{problem.message} ({problem.code})"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return f"{type(problem).__name__}: {problem}"


__all__ = [
    "DEFAULT_SPACE",
    "OUTPUT_SUFFIXES",
    "Committed",
    "Transaction",
    "begin",
    "refuse_unfinished",
    "scratch",
]
