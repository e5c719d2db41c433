r"""Files of the host for the guest: the folder of ``--add-files``, the scripts of ``--first-boot-step``.

They are read when a plan is made, and again when it is applied; a plan is stale where one changed.
In the guest they lie in the locked folder of the first-boot job: ``\p2vprep\files`` and
``\p2vprep\user``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from p2vprep.core.model import FirstBootItem, PutFile, RunScript
from p2vprep.core.model_firstboot import Phase
from p2vprep.core.registry import fold
from p2vprep.errors import UsageError
from p2vprep.firstboot import FOLDER
from p2vprep.firstboot.works import KINDS_OF_SCRIPTS

RULE = "host-files"
MOST_FILES = 5000
MOST_BYTES = 256 << 20
"""All files together; they pass through memory, and the guest's disk has to hold them."""
STEP_BYTES = 64 << 20
STEP_TIMEOUT = 1800
"""Seconds that a step of the user's may take before the job goes on without it."""
_LONGEST_PATH = 200
"""Signs of a path below the folder: Windows takes 259 for the whole."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_BAD_SIGNS = re.compile(r'[<>:"|?*\\\x00-\x1f]')
_PHASES: tuple[tuple[str, Phase], ...] = (("before-network", "before-network"), ("last", "last"))


# --- --add-files -------------------------------------------------------------------------------


def added_files(folder: Path) -> tuple[PutFile, ...]:
    """The files of a host folder and all below it, to be put into the guest.

    Raises UsageError (``add-files``) for a folder that cannot be read, for links and other things that
    are no files, for names that Windows cannot spell or would take for one, and for too much.
    """
    if not folder.is_dir():
        raise UsageError("it is no folder", code="add-files", subject=str(folder))
    found: dict[str, str] = {}
    edits, size = [], 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        _require_spellable(name)
        other = found.setdefault(fold(name), name)
        if other != name:
            raise UsageError(
                f"for Windows {name!r} and {other!r} are one file", code="add-files", subject=str(folder)
            )
        content = _read(path, MOST_BYTES - size, "add-files")
        size += len(content)
        edits.append(PutFile(f"{FOLDER}/files/{name}", content, RULE, "added by --add-files"))
        if len(edits) > MOST_FILES:
            raise UsageError(f"there are more than {MOST_FILES} files", code="add-files", subject=str(folder))
    return tuple(edits)


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below the folder, sorted; raises UsageError for what is neither file nor folder."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        raise UsageError(
            f"the folder cannot be read: {problem.strerror}", code="add-files", subject=str(folder)
        ) from problem
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() or not (entry.is_file(follow_symlinks=False) or entry.is_dir()):
            raise UsageError(
                "it is a link or a device; only files and folders are taken",
                code="add-files",
                subject=str(path),
                hint="Copy what it points to into the folder.",
            )
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path)
        else:
            yield path


def _require_spellable(name: str) -> None:
    for part in name.split("/"):
        try:
            part.encode("utf-8")
        except UnicodeEncodeError as problem:
            raise UsageError("a file name is no text", code="add-files", subject=ascii(name)) from problem
        if _BAD_SIGNS.search(part) or part != part.rstrip(" .") or _RESERVED.fullmatch(part):
            raise UsageError("Windows takes no such file name", code="add-files", subject=name)
    if len(name) > _LONGEST_PATH:
        raise UsageError(f"the path has more than {_LONGEST_PATH} signs", code="add-files", subject=name)


# --- --first-boot-step -------------------------------------------------------------------------


def steps(files: Sequence[Path]) -> tuple[tuple[PutFile, ...], tuple[FirstBootItem, ...]]:
    """The files and the steps that run them, in this order.

    A file whose name begins with ``before-network`` runs before adapters are configured, one with
    ``last`` at the very end, every other after the network. Raises UsageError (``first-boot-step``) for
    a file that cannot be read or that Windows could not run as it is.
    """
    puts, items = [], []
    for number, file in enumerate(files, start=1):
        kind = file.suffix.lower().removeprefix(".")
        if kind not in KINDS_OF_SCRIPTS:
            raise UsageError(
                f"the first boot can run {', '.join(KINDS_OF_SCRIPTS)}, not this",
                code="first-boot-step",
                subject=str(file),
                hint="Call it from a .cmd file, and bring it along with --add-files.",
            )
        stem = re.sub(r"[^A-Za-z0-9]+", "-", file.stem).strip("-")[:40].strip("-") or "step"
        path = f"user/{number:03d}-{stem}.{kind}"
        content = _read(file, STEP_BYTES, "first-boot-step")
        if kind in ("cmd", "bat"):
            content = _batch(content, file)
        why = f"--first-boot-step {file.name}"
        puts.append(PutFile(f"{FOLDER}/{path}", content, RULE, why))
        items.append(RunScript(path, _phase(file.name), STEP_TIMEOUT, why))
    return tuple(puts), tuple(items)


def _phase(name: str) -> Phase:
    for start, phase in _PHASES:
        if name.lower().startswith(start):
            return phase
    return "after-network"


def _batch(content: bytes, file: Path) -> bytes:
    """The script with the line ends that cmd needs: with bare line feeds it misses labels."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        raise UsageError(
            "the script begins with a byte order mark, cmd would take it for a command",
            code="first-boot-step",
            subject=str(file),
            hint="Save it as plain text without a byte order mark.",
        )
    if b"\x00" in content:
        raise UsageError("it is no script", code="first-boot-step", subject=str(file))
    return content if b"\r\n" in content else content.replace(b"\n", b"\r\n")


def _read(path: Path, limit: int, code: str) -> bytes:
    """A whole regular file of at most ``limit`` bytes."""
    try:
        # Without blocking: opening a pipe would wait for its other end.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as held:
            if not stat.S_ISREG(os.fstat(held.fileno()).st_mode):
                raise UsageError("it is no regular file", code=code, subject=str(path))
            content = held.read(limit + 1)
    except OSError as problem:
        raise UsageError(
            f"the file cannot be read: {problem.strerror}", code=code, subject=str(path)
        ) from problem
    if len(content) > limit:
        raise UsageError("it is too much for the guest", code=code, subject=str(path))
    return content
