"""Disk images as they come: what they are, whether they may be opened, and how QEMU is told.

An image is untrusted. Its format is what its own bytes say by our reading, never what
QEMU guesses: QEMU takes a fixed VHD for a raw disk that is 512 bytes too long, and a
differencing VHD for a whole one (measured with QEMU 7.2). Only regular files in the
image's own folder are opened, whatever the image says.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from p2vprep.disk import alias
from p2vprep.disk.containers import qcow2, raw, vhd, vhdx, vmdk
from p2vprep.disk.containers.base import Concern, Container, Extent, Source, damaged, refused, truncated
from p2vprep.errors import CannotOpenError, P2vprepError, RefusedError

_HEAD = 64 * 1024
_RAW_SUFFIXES = (".raw", ".dd", ".img")
_SURELY_RAW_SUFFIXES = (".raw", ".dd")
_CONTAINER_SUFFIXES = {
    ".vhd": "VHD", ".vhdx": "VHDX", ".avhd": "VHD", ".avhdx": "VHDX", ".qcow2": "qcow2",
}  # fmt: skip
_LONGEST_BACKING_NAME = 1023
"""The longest backing file name that a qcow2 header can hold (bytes)."""


@dataclass(frozen=True)
class Image:
    """A disk image that may be opened.

    ``path`` is absolute without symbolic links, ``format`` the name of QEMU's driver,
    ``kind`` words for people, ``virtual_size`` what the guest sees (bytes), ``files`` every
    host file it consists of (``path`` first), ``writable`` None or the reason why it cannot
    be changed in place, ``lifted`` the refusals that were lifted by name. With ``dirty_log``
    the VHDX log has to be replayed (``qemu.replay_log``) before anything can be read.
    """

    path: Path
    format: str
    kind: str
    virtual_size: int
    files: tuple[Path, ...]
    writable: str | None = None
    dirty_log: bool = False
    lifted: tuple[str, ...] = ()
    description: dict[str, Any] = field(default_factory=dict, compare=False)


def shown(path: str | os.PathLike[str]) -> str:
    """A path for people: bytes that are no UTF-8 and control characters are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def probe(path: str | os.PathLike[str], allow: Collection[str] = frozenset()) -> Image:
    """The image at a path, if it may be opened; nothing is written, no tool is started.

    Symbolic links in the path itself are followed (the person named them). Raises
    RefusedError where opening it would risk the disk or the host, CannotOpenError where it
    is missing, damaged or in no known format; both with a stable ``code``. ``allow`` names
    the codes of liftable refusals that do not count.
    """
    try:
        real = _resolved(path)
        with _opened(real) as source:
            container = _read(real, source, allow)
        lifted = _settle(container.concerns, allow)
        files = (real, *(_check_extent(real.parent, extent) for extent in container.extents))
        if len({(state.st_dev, state.st_ino) for state in map(os.stat, files)}) != len(files):
            raise damaged("Two parts of the VMDK are the same file")
    except P2vprepError as error:
        error.subject = error.subject or shown(path)
        raise
    return Image(
        path=real,
        format=container.format,
        kind=container.kind,
        virtual_size=container.virtual_size,
        files=files,
        writable=container.read_only,
        dirty_log=container.dirty_log,
        lifted=lifted,
        description=_describe(container, files),
    )


def blockdev(image: Image, read_only: bool) -> dict[str, Any]:
    """QEMU's block device options of an image: driver and protocol explicit, no backing file.

    The extents of a split VMDK are opened by QEMU itself, beside the descriptor; ``probe``
    has made sure that they are plain files there.
    """
    return {**_layers(image, alias.plain(image.files)), "read-only": read_only}


def json_filename(image: Image) -> str:
    """The image as one ``json:`` file name, for qemu-img and as the backing file of an overlay.

    It fits the 1023 bytes that a qcow2 header has for it; for longer ones, and for names
    that are not UTF-8, it goes through an alias that lives as long as this process.
    """
    name = as_json(_layers(image, alias.plain(image.files)))
    if len(name.encode()) > _LONGEST_BACKING_NAME:
        name = as_json(_layers(image, alias.short(image.files)))
    return name


def as_json(options: dict[str, Any]) -> str:
    """Block device options as a ``json:`` file name."""
    return "json:" + json.dumps(options, separators=(",", ":"), ensure_ascii=False)


def _layers(image: Image, filename: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "driver": image.format,
        "file": {"driver": "file", "filename": filename},
    }
    if image.format in ("qcow2", "vmdk"):
        options["backing"] = None
    if image.format == "vpc":
        # By default QEMU trusts the CHS geometry of some creators and loses the last sectors.
        options["force_size_calc"] = "current_size"
    return options


def stored_ranges(image: Image) -> tuple[tuple[int, int], ...] | None:
    """Where a disk may hold anything but zeros, where we know that better than QEMU; else None.

    As (offset, length) in bytes, in order; only for VHDX.
    """
    if image.format != "vhdx":
        return None
    with _opened(image.path) as source:
        return vhdx.stored_ranges(source)


# --- reading -------------------------------------------------------------------------------------


def _resolved(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    """The bytes of a regular file; nothing else is ever opened, not even for a moment."""
    descriptor = _open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            raise CannotOpenError(
                "The file is empty.",
                code="image-empty",
                subject=shown(path),
                hint="The copy or conversion did not work: repeat it.",
            )

        def read(offset: int, length: int) -> bytes:
            try:
                return os.pread(descriptor, length, offset)
            except OSError as error:
                raise _unreadable(path, error) from error

        yield Source(size, read)
    finally:
        os.close(descriptor)


def _open_regular(path: Path) -> int:
    try:
        _require_regular(path, path.lstat().st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise CannotOpenError(
            "There is no such file.", code="image-missing", subject=shown(path), hint="Check the path."
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISBLK(mode):
        raise RefusedError(
            "This is a block device, not an image file; undo and recovery are made for files.",
            code="image-is-device",
            subject=shown(path),
            hint="Make an image of it first: qemu-img convert -O qcow2 DEVICE NEW.",
        )
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a symbolic link that leads to itself"),
             (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))  # fmt: skip
    what = next((words for test, words in kinds if test(mode)), "a device")
    raise RefusedError(
        f"This is {what}, not an image file.",
        code="image-not-a-file",
        subject=shown(path),
        hint="Name the image file itself.",
    )


def _unreadable(path: str | os.PathLike[str], error: Exception) -> CannotOpenError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CannotOpenError(
        f"The file cannot be read: {reason}.",
        code="image-unreadable",
        subject=shown(path),
        hint="Check its permissions and the storage it lies on.",
    )


def _read(path: Path, source: Source, allow: Collection[str]) -> Container:
    """The container by its own bytes; the name only decides where they contradict it."""
    head = source.up_to(0, _HEAD)
    suffix = path.suffix.lower()
    container = _read_container(source, head)
    if container is not None:
        if suffix in _SURELY_RAW_SUFFIXES:
            mismatch = Concern(
                "image-format-mismatch",
                f"The name says raw disk, the content is a {container.kind}.",
                "Give the file the name of its format, or pass `--allow image-format-mismatch` to open it "
                "as what its content says.",
            )
            _settle((mismatch,), allow)
            container = _with_concern(container, mismatch)
        return container
    if suffix in _CONTAINER_SUFFIXES:
        raise truncated(
            f"The file is named like a {_CONTAINER_SUFFIXES[suffix]} but does not carry its signature"
        )
    if suffix == ".vmdk":
        raise refused(
            "image-is-extent",
            "This is not a VMDK itself; it may be the data of one (its -flat part).",
            "Name the small descriptor file instead, or name this *.raw if it is a raw disk.",
        )
    return raw.read(source, named_raw=suffix in _RAW_SUFFIXES)


def _read_container(source: Source, head: bytes) -> Container | None:
    if head.startswith(qcow2.MAGIC):
        return qcow2.read(source)
    if head.startswith(vhdx.SIGNATURE):
        return vhdx.read(source)
    if vmdk.is_sparse(head) or vmdk.is_descriptor(head):
        return vmdk.read(source)
    if head.startswith(vhd.COOKIE) or vhd.has_footer(source):
        return vhd.read(source)
    other = raw.foreign(source)
    if other is not None:
        raise refused("image-format-unsupported", f"This is {other.name}.", other.hint)
    return None


def _with_concern(container: Container, concern: Concern) -> Container:
    return replace(container, concerns=(*container.concerns, concern))


def _settle(concerns: tuple[Concern, ...], allow: Collection[str]) -> tuple[str, ...]:
    """The codes that were lifted; RefusedError for the first that was not."""
    for concern in concerns:
        if concern.code not in allow:
            raise RefusedError(concern.message, code=concern.code, hint=concern.hint, liftable=True)
    return tuple(concern.code for concern in concerns)


def _check_extent(folder: Path, extent: Extent) -> Path:
    """The real path of an extent: a regular file in the same folder, as large as it has to be."""
    named = folder / os.fsdecode(extent.name)
    path = Path(os.path.realpath(named))
    if path.parent != folder:
        raise refused(
            "vmdk-extent-outside",
            f"An extent of the VMDK leads out of its folder: {shown(named)} is {shown(path)}.",
            "Only files in the folder of the VMDK are opened. Replace the link by the file itself.",
        )
    if not path.exists():
        raise CannotOpenError(
            "A part of this split VMDK is missing.",
            code="vmdk-extent-missing",
            subject=shown(named),
            hint="Copy all files of the VMDK into one folder.",
        )
    with _opened(path) as source:
        if extent.sparse:
            if vmdk.sparse_extent_size(source) != extent.length:
                raise damaged(f"The extent {shown(named)} has another size than the descriptor says")
            return path
        if source.size < extent.offset + extent.length:
            raise truncated(f"The extent {shown(named)} is shorter than the descriptor says")
        if source.up_to(0, 4) in (qcow2.MAGIC, vmdk.SPARSE_MAGIC) or source.up_to(0, 8) == vhdx.SIGNATURE:
            raise refused(
                "image-format-mismatch",
                f"The extent {shown(named)} should be raw, but is an image of its own.",
                "The descriptor does not belong to this file: check where it came from.",
            )
    return path


def _describe(container: Container, files: tuple[Path, ...]) -> dict[str, Any]:
    """What ``inspect`` shows of an image, ready for JSON."""
    sizes = [file.stat() for file in files]
    return {
        "format": container.format,
        "kind": container.kind,
        "virtual_size": container.virtual_size,
        "file_size": sum(entry.st_size for entry in sizes),
        "allocated_size": sum(entry.st_blocks * 512 for entry in sizes),
        "files": [shown(file) for file in files],
        **container.details,
    }
