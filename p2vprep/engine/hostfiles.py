"""Host files and folders of `p2vprep files`: what goes into the guest, and where what comes out may go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from p2vprep.core.hand.making import WHY, file_edits
from p2vprep.core.model import Edit
from p2vprep.disk.image import shown
from p2vprep.errors import UsageError

PUT_LIMIT = 32 << 20
"""Bytes of all files of one `files put`: they become part of the plan and its receipt."""
_MOST_FILES = 2000


def edits_for(source: Path, target: str, *, why: str = WHY) -> tuple[Edit, ...]:
    """The edits that put a host file, or a folder with all below it, at a path of the guest.

    A ``target`` that ends with a slash is the folder to put it into. Raises UsageError for what
    cannot be read, is no file, or is too much; links on the host are not followed.
    """
    if target.endswith(("/", "\\")):
        target += source.resolve().name
    edits: list[Edit] = []
    total = 0
    for path, below in _files(source):
        content = _read(path, PUT_LIMIT - total)
        total += len(content)
        edits += file_edits(target + below, content, why=why)
        if len(edits) > _MOST_FILES:
            raise _too_much(source, f"more than {_MOST_FILES} files")
    if not edits:
        raise UsageError("there is no file in it", code="nothing-to-put", subject=shown(source))
    return tuple(edits)


def _files(source: Path) -> Iterator[tuple[Path, str]]:
    """Files and their paths below the source, with a slash in front; a file alone has none."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise UsageError("it is neither a file nor a folder", code="not-a-file", subject=shown(path))
            if path.is_file():
                yield path, "/" + path.relative_to(source).as_posix()
    elif source.is_file():
        yield source, ""
    else:
        raise UsageError("there is no such file", code="not-a-file", subject=shown(source))


def _read(path: Path, left: int) -> bytes:
    try:
        if path.stat().st_size > left:
            raise _too_much(path, f"more than {PUT_LIMIT >> 20} MiB")
        return path.read_bytes()
    except OSError as problem:
        raise UsageError(f"the file cannot be read: {problem.strerror}", subject=shown(path)) from problem


def _too_much(path: Path, what: str) -> UsageError:
    return UsageError(
        f"it is too much to put by hand: {what}",
        code="too-much-to-put",
        subject=shown(path),
        hint="Give a folder of tools with `p2vprep apply --add-files DIR`.",
    )


def place_for(path: str, target: Path | None) -> Path:
    """Where a guest file goes on the host: the given path, in the given folder, or here.

    Raises UsageError where something is there already: nothing of the host is replaced.
    """
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    place = Path(name) if target is None else target / name if target.is_dir() else target
    if place.exists() or place.is_symlink():
        raise UsageError("it is there already and is not replaced", code="file-exists", subject=shown(place))
    if not place.absolute().parent.is_dir():
        raise UsageError("there is no folder for this file", code="no-such-folder", subject=shown(place))
    return place


def write(place: Path, content: bytes) -> None:
    """Writes a new file. Raises UsageError where that is impossible, or something is there meanwhile."""
    try:
        with place.open("xb") as opened:
            opened.write(content)
    except OSError as problem:
        raise UsageError(f"the file cannot be written: {problem.strerror}", subject=shown(place)) from problem
