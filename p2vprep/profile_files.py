"""Where the files of profiles lie, and which there are; nothing is read.

A profile's file is ``<name>.yaml`` in a folder of its kind (``sources``, ``targets``,
``stages``) or, in a user's folder, also directly in it. Besides the folders that a command names,
the user's own folder is always looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from p2vprep.errors import UsageError

Kind = Literal["source", "target", "stage"]
_FOLDERS: dict[str, Kind] = {"sources": "source", "targets": "target", "stages": "stage"}
_PACKAGE = Path(__file__).resolve().parent


def shipped_folder() -> Path:
    """The folder of the profiles that come with the tool: installed, or beside the package in a checkout."""
    installed = _PACKAGE / "profiles"
    return installed if installed.is_dir() else _PACKAGE.parent / "profiles"


def user_folder() -> Path | None:
    """The folder of the user's own profiles, there or not: ``$XDG_CONFIG_HOME/p2vprep/profiles``.

    Without the variable, or where it names no absolute path, ``$HOME/.config`` takes its place (XDG Base
    Directory Specification); None where there is no home either.
    """
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or "-")
    home = Path(os.environ.get("HOME") or "-")
    for base in (configuration, home / ".config"):
        if base.is_absolute():
            return base / "p2vprep" / "profiles"
    return None


def all_folders(asked: Sequence[Path], shipped: Path | None = None) -> tuple[Path, ...]:
    """Where profiles are looked for: the shipped ones, the user's own folder, and those asked for.

    A folder that is there in two of these ways is one. Raises UsageError for one asked for and not there.
    """
    folders = [shipped or shipped_folder()]
    own = user_folder()
    if own is not None and own.is_dir():
        folders.append(own)
    for folder in asked:
        if not folder.is_dir():
            raise no_folder(folder)
        if not any(folder.samefile(one) for one in folders):
            folders.append(folder)
    return tuple(folders)


def profile_files(folder: Path) -> Iterator[tuple[Path, Kind | None]]:
    """The profiles of a folder; the kind is None for those that lie directly in it."""
    for name, kind in _FOLDERS.items():
        for path in sorted((folder / name).glob("*.yaml")):
            yield path, kind
    for path in sorted(folder.glob("*.yaml")):
        yield path, None


def require_known(names: Iterable[str], folders: Sequence[Path]) -> None:
    """Raises UsageError for a folder or the first name that is not there, before any work is begun."""
    known = {path.stem for folder in all_folders(folders) for path, _ in profile_files(folder)}
    for name in names:
        if name not in known:
            raise unknown(name, known)


def no_folder(folder: Path) -> UsageError:
    """The error for a folder of profiles that is not there."""
    return UsageError("it is not a folder of profiles", code="no-such-folder", subject=str(folder))


def unknown(name: str, known: Iterable[str]) -> UsageError:
    """The error for a profile that is not there."""
    return UsageError(
        f"there is no profile {name!r}",
        code="no-such-profile",
        subject=name,
        hint=f"There are: {', '.join(sorted(known)) or 'none'}.",
    )
