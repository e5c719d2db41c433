"""Second names for files whose own name a tool cannot take.

QEMU's ``json:`` names have to be UTF-8 and a qcow2 header has room for 1023 bytes of
them; libguestfs refuses colons. Such files get a symbolic link in a private temporary
folder that lives as long as this process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

_folder: Path | None = None


def is_plain(path: str | os.PathLike[str], *, avoid: str = "") -> bool:
    """True where a path is UTF-8 and holds none of the characters to avoid."""
    try:
        text = os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(char in text for char in avoid)


def plain(files: Sequence[Path], *, avoid: str = "") -> str:
    """The first file's path, or an alias of it beside aliases of the others.

    The aliases of the others keep their own names, because a VMDK names its extents.
    """
    return str(files[0]) if is_plain(files[0], avoid=avoid) else short(files)


def short(files: Sequence[Path]) -> str:
    """An alias of the first file, short and of ASCII only, beside aliases of the others."""
    folder = Path(tempfile.mkdtemp(prefix="", dir=_alias_folder()))
    for extent in files[1:]:
        (folder / extent.name).symlink_to(extent)
    taken = {extent.name for extent in files[1:]}
    name = next(name for number in count() if (name := f"image-{number}") not in taken)
    (folder / name).symlink_to(files[0])
    return str(folder / name)


def _alias_folder() -> Path:
    global _folder
    if _folder is None or not _folder.is_dir():
        where = tempfile.gettempdir()
        _folder = Path(tempfile.mkdtemp(prefix="p2vprep-", dir=where if is_plain(where) else "/tmp"))  # noqa: S108
        atexit.register(_remove, _folder, os.getpid())
    return _folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
