"""The state folder of a machine: where it is, its lock, its journal and its documents.

``<image>.p2vprep/`` lies beside the image, or with ``--state-dir DIR`` it is
``DIR/<image's name>-<12 hex digits of the SHA-256 of its path>/``. The folder of
the machine's first disk owns the journal; the folders of the other disks hold
``owner.json``, which points to it, so that nobody works on one disk of a machine
whose run is unfinished. An operation locks the folders of all its disks.

::

    README.txt        what this is, for a person who finds it
    lock              flock; inside, who holds it (for people; the lock itself counts)
    journal.json      the runs (p2vprep.disk.journal)
    owner.json        instead of a journal: where the machine's state folder is
    runs/0001/        plan.json, receipt.json, overlay-0.qcow2, undo-0.json, undo-0.data

Folders are for their owner alone (0700, files 0600). Nothing here is trusted
because it lies beside an image: a symbolic link in place of a folder is refused,
and a journal cannot name a file to delete.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from p2vprep import __version__
from p2vprep.disk.durable import FILE_MODE, FOLDER_MODE, Durable
from p2vprep.disk.journal import DiskEntry, Journal, Run, damaged
from p2vprep.errors import CannotOpenError, P2vprepError, RefusedError

SUFFIX = ".p2vprep"
_LOCK_PAUSE = 0.05
OWNER_SCHEMA = "p2vprep.owner/1"

README_TEXT = """\
This folder belongs to p2vprep. It holds what is needed to finish or to undo its
work on the disk image of the same name:

  journal.json   how far each run came
  runs/NNNN/     the plan, the receipt and the undo data of a run
  lock           held while p2vprep works on the image

Keep it beside the image, and move the two together. While a run is unfinished
("p2vprep history IMAGE" shows it) do not start the machine: run
"p2vprep recover IMAGE" first. "p2vprep rollback IMAGE" takes the last run back,
"p2vprep forget IMAGE" removes the undo data when you are content.
"""


def utc_now() -> datetime:
    """The present time in UTC."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Host:
    """What the transaction takes from its surroundings; tests bring their own."""

    now: Callable[[], datetime] = utc_now
    pid: int = field(default_factory=os.getpid)
    name: str = field(default_factory=socket.gethostname)
    tool: str = __version__
    durable: Durable = field(default_factory=Durable)

    def timestamp(self) -> str:
        """The present time in ISO 8601, to the second."""
        return self.now().isoformat(timespec="seconds")


@dataclass(frozen=True)
class StateFolder:
    """The state folder of one machine (or the pointer folder of one of its other disks)."""

    path: Path

    @property
    def journal_path(self) -> Path:
        return self.path / "journal.json"

    @property
    def owner_path(self) -> Path:
        return self.path / "owner.json"

    def run_folder(self, run: Run) -> Path:
        return self.path / "runs" / run.name

    def overlay(self, run: Run, disk: int) -> Path:
        return self.run_folder(run) / f"overlay-{disk}.qcow2"

    def undo_index(self, run: Run, disk: int) -> Path:
        return self.run_folder(run) / f"undo-{disk}.json"

    def undo_data(self, run: Run, disk: int) -> Path:
        return self.run_folder(run) / f"undo-{disk}.data"

    def resolve(self, relative: str) -> Path:
        """The absolute path of a path of the journal."""
        return Path(os.path.normpath(self.path / relative))

    def disk_path(self, run: Run, disk: int) -> Path:
        """Where a run's disk lies now; a copy that was given its final name lies there.

        An only disk is also found after image and state folder were renamed together.
        """
        entry = run.disks[disk]
        path = self.resolve(entry.path)
        if entry.final is not None and not path.exists():
            path = self.resolve(entry.final)
        if len(run.disks) == 1 and not path.exists() and self.path.name.endswith(SUFFIX):
            renamed = self.path.with_name(self.path.name[: -len(SUFFIX)])
            if renamed.exists():
                return renamed
        return path

    def read_journal(self) -> Journal:
        """The journal; an empty one where there is none. Raises NeedsRecoverError ``journal-damaged``."""
        content = _read(self.journal_path)
        if content is None:
            return Journal()
        try:
            document = json.loads(content)
        except ValueError as problem:
            raise damaged(str(self.journal_path), str(problem)) from problem
        return Journal.from_json(document, str(self.journal_path))

    def write_journal(self, journal: Journal, host: Host, name: str) -> None:
        """Makes the journal durable; ``name`` names the crash point."""
        host.durable.write_document(self.journal_path, journal.to_json(), f"journal-{name}")

    def save_run(self, run: Run, host: Host) -> None:
        """Puts a run into the journal, durably; the crash point is named after its state."""
        self.write_journal(self.read_journal().with_run(run), host, run.state.value)

    def read_owner(self) -> StateFolder | None:
        """The state folder that ``owner.json`` points to, where it is still there."""
        content = _read(self.owner_path)
        if content is None:
            return None
        try:
            document = json.loads(content)
            owner = document["owner"] if document["schema"] == OWNER_SCHEMA else None
        except (ValueError, KeyError, TypeError) as problem:
            raise damaged(str(self.owner_path), str(problem)) from problem
        if not isinstance(owner, str):
            raise damaged(str(self.owner_path), "no owner")
        folder = StateFolder(self.resolve(owner))
        return folder if folder.journal_path.exists() else None

    def write_owner(self, owner: StateFolder, host: Host) -> None:
        """Points this folder to the folder that has the machine's journal."""
        document: dict[str, object] = {
            "schema": OWNER_SCHEMA,
            "owner": os.path.relpath(owner.path, self.path),
        }
        host.durable.write_document(self.owner_path, document, "owner")

    def mentions(self, image: Path) -> bool:
        """Whether a run of this folder's journal worked on the image."""
        return any(
            image in (self.disk_path(run, number), _final(self, disk))
            for run in self.read_journal().runs
            for number, disk in enumerate(run.disks)
        )


def folder_of(image: Path, state_dir: Path | None) -> StateFolder:
    """Where the state folder of an image is or would be.

    With a state directory, a folder whose journal names the image is also found
    when images and state directory were moved together (its name holds the hash
    of the old path).
    """
    if state_dir is None:
        return StateFolder(image.with_name(image.name + SUFFIX))
    mark = hashlib.sha256(os.fsencode(image)).hexdigest()[:12]
    expected = StateFolder(state_dir.resolve() / f"{image.name}-{mark}")
    if not expected.path.exists() and state_dir.is_dir():
        for other in sorted(state_dir.resolve().glob("*/journal.json")):
            if StateFolder(other.parent).mentions(image):
                return StateFolder(other.parent)
    return expected


def journal_folder(image: Path, state_dir: Path | None) -> StateFolder:
    """The folder whose journal speaks of an image: its own, else the one its owner.json points to.

    Its own comes first where it holds runs: the disk was then worked on by itself.
    An unfinished run of the owner comes before that.
    """
    own = folder_of(image, state_dir)
    owner = own.read_owner()
    if owner is None:
        return own
    if owner.read_journal().unfinished is not None or not own.read_journal().runs:
        return owner
    return own


@contextmanager
def locked(
    folders: Sequence[StateFolder], host: Host, *, create: bool, patience: float = 0.0
) -> Iterator[None]:
    """Holds the locks of all the folders for the length of the block.

    With ``create`` missing folders are made (and those that stay without any
    journal are taken away at the end); without, missing folders are passed over.
    ``patience`` is how long (seconds) to wait for a lock: a process that is killed while
    it starts a tool leaves a child that still holds the lock for an instant (observed).
    Raises RefusedError ``busy`` where another process holds one, and
    ``state-dir-unusable`` or ``state-dir-unsafe`` where a folder cannot serve.
    """
    with ExitStack() as stack:
        for folder in sorted(set(folders), key=lambda folder: folder.path):
            if create:
                _create(folder, host)
            elif not folder.path.is_dir():
                continue
            stack.enter_context(_lock(folder, host, patience))
        yield


def _create(folder: StateFolder, host: Host) -> None:
    try:
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        host.durable.make_folder(folder.path)
    except OSError as problem:
        raise unusable(folder.path, problem) from problem


@contextmanager
def _lock(folder: StateFolder, host: Host, patience: float) -> Iterator[None]:
    descriptor = _open_lock(folder, patience)
    try:
        text = f"pid {host.pid} on {host.name} since {host.timestamp()}\n".encode(errors="surrogateescape")
        with contextlib.suppress(OSError):  # on a full file system: the text is for people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text, 0)
        yield
    finally:
        with contextlib.suppress(OSError):  # the text is for people only
            os.ftruncate(descriptor, 0)
        _tidy(folder)
        os.close(descriptor)


def _open_lock(folder: StateFolder, patience: float) -> int:
    """Opens and locks the lock file; once more where its holder tidied it away meanwhile."""
    path = folder.path / "lock"
    for _attempt in range(8):
        try:
            _refuse_links(folder)
            folder.path.mkdir(mode=FOLDER_MODE, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise unusable(folder.path, problem) from problem
        if _take(descriptor, path, folder, patience):
            return descriptor
        os.close(descriptor)
    raise unusable(folder.path, OSError(errno.EAGAIN, "the lock file keeps vanishing"))


def _take(descriptor: int, path: Path, folder: StateFolder, patience: float) -> bool:
    """Locks an open lock file; False where it is no longer the one at its path."""
    try:
        for _attempt in range(round(patience / _LOCK_PAUSE)):
            if _is_mine(descriptor):
                break
            time.sleep(_LOCK_PAUSE)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
    except BlockingIOError as problem:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise RefusedError(
            "Another p2vprep is working on this image.",
            code="busy",
            subject=str(folder.path),
            hint="Wait until it has finished.",
            details=(holder,) if holder else (),
        ) from problem
    except OSError as problem:
        os.close(descriptor)
        raise unusable(folder.path, problem) from problem


def _is_mine(descriptor: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_links(folder: StateFolder) -> None:
    """A stranger's link must not lead our files elsewhere."""
    for path in (folder.path, folder.path / "runs"):
        if path.is_symlink():
            raise RefusedError(
                "The state folder is a symbolic link.",
                code="state-dir-unsafe",
                subject=str(path),
                hint="Remove the link, or name another place with --state-dir.",
            )


def _tidy(folder: StateFolder) -> None:
    """Takes the folder away where it holds nothing but the lock (the work was refused before it began)."""
    with contextlib.suppress(OSError):  # a folder left behind harms nobody
        if [entry.name for entry in folder.path.iterdir()] == ["lock"]:
            (folder.path / "lock").unlink()
            folder.path.rmdir()


def unusable(path: Path, problem: OSError) -> P2vprepError:
    """The error for a state folder that cannot be created, locked or written."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(path, problem.strerror or "no space")
    return RefusedError(
        f"The state folder cannot be used: {problem.strerror or problem}.",
        code="state-dir-unusable",
        subject=str(path),
        hint="Name a folder you may write to with --state-dir.",
    )


def no_space(path: Path, why: str) -> RefusedError:
    """The error for a file system without room for the overlay or the undo data."""
    return RefusedError(
        f"There is not enough space: {why}.",
        code="no-space",
        subject=str(path),
        hint="Make room, or name a folder on another file system with --state-dir.",
    )


def _final(folder: StateFolder, disk: DiskEntry) -> Path | None:
    return None if disk.final is None else folder.resolve(disk.final)


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise CannotOpenError(
            f"{path.name} cannot be read: {problem.strerror or problem}.",
            code="state-dir-unreadable",
            subject=str(path),
        ) from problem
