"""Where the files of profiles lie, and which there are; nothing is read.

A profile's file is ``<name>.yaml`` in a folder of its kind (``sources``, ``targets``,
``stages``) or, in a user's folder, also directly in it.
"""

from __future__ import annotations

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


def profile_files(folder: Path) -> Iterator[tuple[Path, Kind | None]]:
    """The profiles of a folder; the kind is None for those that lie directly in it."""
    for name, kind in _FOLDERS.items():
        for path in sorted((folder / name).glob("*.yaml")):
            yield path, kind
    for path in sorted(folder.glob("*.yaml")):
        yield path, None


def require_known(names: Iterable[str], folders: Sequence[Path]) -> None:
    """Raises UsageError for a folder or the first name that is not there, before any work is begun."""
    for folder in folders:
        if not folder.is_dir():
            raise no_folder(folder)
    known = {path.stem for folder in (shipped_folder(), *folders) for path, _ in profile_files(folder)}
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
