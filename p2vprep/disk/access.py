"""Whether an image may be worked on now: who else uses it, and whether it can be written.

Nothing here changes a byte. The holders are named as far as this host lets us see them.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from p2vprep.disk import inuse
from p2vprep.disk.image import Image, shown
from p2vprep.errors import CannotOpenError, RefusedError

_LOCK_LAYOUT = "hhqqi4x"
_QEMU_WRITE_LOCK = 101
"""QEMU's lock byte for "I write": 100 plus the bit of BLK_PERM_WRITE (QEMU: block/file-posix.c)."""


def check_in_use(image: Image, *, writing: bool = True) -> None:
    """Raises RefusedError ``image-in-use`` where another program uses the image.

    For reading only those count that write to it; another reader does no harm then.
    """
    users = [user for file in image.files for user in _users(file, writing=writing)]
    if not users and writing:
        users = [why for file in image.files if (why := inuse.in_use(file))]
    if users:
        raise RefusedError(
            f"The image is in use: {'; '.join(dict.fromkeys(users))}.",
            code="image-in-use",
            subject=shown(image.path),
            hint="Shut the machine down, and end other programs that work with the image.",
        )


def check_writable(image: Image) -> None:
    """Raises RefusedError where the image cannot be changed in place.

    ``image-format-read-only`` where its format does not allow it, ``image-read-only`` where
    a file, its permissions or its file system do not.
    """
    if image.writable is not None:
        raise RefusedError(
            f"The image cannot be changed in place: {image.writable}.",
            code="image-format-read-only",
            subject=shown(image.path),
            hint="Pass --output NEW to write the result to a new image.",
        )
    for file in image.files:
        _check_file_writable(file)


def _check_file_writable(file: Path) -> None:
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise CannotOpenError(
            "The file has gone.", code="image-missing", subject=shown(file), hint="Check the path."
        ) from error
    except OSError as error:
        raise RefusedError(
            f"The image cannot be written to: {error.strerror}.",
            code="image-read-only",
            subject=shown(file),
            hint="Make it writable, or pass --output NEW to write the result to a new image.",
        ) from error
    os.close(descriptor)


def all_users() -> dict[str, str]:
    """Who writes to which file, in words, by the file's path: all processes and loop devices at one look.

    For many images at a time; for one, :func:`check_in_use` looks closer.
    """
    found = {backing: f"it is attached as /dev/{name}" for backing, name in _loops()}
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        for descriptor in _descriptors(process):
            try:
                target = str(descriptor.readlink())
                if target.startswith(("/dev/", "/proc/")) or not target.startswith("/"):
                    continue
                if _is_for_writing(process, descriptor.name):
                    name = (process / "comm").read_text().strip()
                    found[target] = f"process {process.name} ({name}) has opened it for writing"
            except OSError:
                continue  # the process closed it, or ended, while we looked
    return found


def _loops(devices: Path = Path("/sys/block")) -> Iterator[tuple[str, str]]:
    """Files behind loop devices, each with its device's name."""
    for backing in devices.glob("loop*/loop/backing_file"):
        with suppress(OSError):  # the loop device was taken down while we looked
            yield os.fsdecode(backing.read_bytes().rstrip(b"\n")), backing.parents[1].name


def _users(file: Path, *, writing: bool) -> Iterator[str]:
    yield from _loop_devices(file, writing=writing)
    yield from _writers(file)
    if not writing and _has_writing_qemu(file):
        yield "a virtual machine or QEMU tool writes to it"


def _loop_devices(file: Path, *, writing: bool, devices: Path = Path("/sys/block")) -> Iterator[str]:
    for backing in devices.glob("loop*/loop/backing_file"):
        try:
            name = os.fsdecode(backing.read_bytes().rstrip(b"\n"))
            read_only = (backing.parents[1] / "ro").read_text().strip() == "1"
        except OSError:
            continue  # the loop device was taken down while we looked
        if name == str(file) and (writing or not read_only):
            yield f"it is attached as /dev/{backing.parents[1].name}"


def _writers(file: Path, processes: Path = Path("/proc")) -> Iterator[str]:
    """Other processes that have the file open for writing, as far as we may look at them.

    By name, not by stat: that could wait for a dead network share that a process has open.
    """
    for process in processes.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        for descriptor in _descriptors(process):
            try:
                if str(descriptor.readlink()) != str(file) or not _is_for_writing(process, descriptor.name):
                    continue
                name = (process / "comm").read_text().strip()
            except OSError:
                continue  # the process closed it, or ended, while we looked
            yield f"process {process.name} ({name}) has opened it for writing"
            break


def _descriptors(process: Path) -> Sequence[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:
        return ()  # another user's process, or one that has ended


def _is_for_writing(process: Path, descriptor: str) -> bool:
    for line in (process / "fdinfo" / descriptor).read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _has_writing_qemu(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        question = struct.pack(_LOCK_LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, _QEMU_WRITE_LOCK, 1, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
    except OSError:  # no record locks on this file system
        return False
    finally:
        os.close(descriptor)
    kind: int = struct.unpack(_LOCK_LAYOUT, answer)[0]
    return kind != fcntl.F_UNLCK
