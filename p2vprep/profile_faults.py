"""The faults of profile files, with file, line and column, as `p2vprep profile check` tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from p2vprep.core.documents.positions import Positions
from p2vprep.core.documents.profile import Profile, load
from p2vprep.core.documents.yamltext import parse
from p2vprep.core.profiles import ResolvedProfile, resolve
from p2vprep.core.rules import SETTINGS
from p2vprep.errors import DocumentError, UsageError
from p2vprep.profile_store import ProfileStore

_LARGEST = 4 << 20


@dataclass(frozen=True)
class Checked:
    """A file, the profile in it where it is sound, and its faults."""

    path: Path
    profile: ResolvedProfile | None
    faults: tuple[str, ...]


def check_files(paths: Sequence[Path], store: ProfileStore) -> tuple[Checked, ...]:
    """Checks profile files; they may extend each other and the profiles of the store.

    Raises UsageError for a file that cannot be read.
    """
    read = {path: _read(path) for path in paths}
    given = {held[0].name: held[0] for held in read.values() if isinstance(held, tuple)}

    def lookup(name: str) -> Profile:
        return given[name] if name in given else store.document(name)

    return tuple(
        Checked(path, None, tuple(held))
        if isinstance(held, list)
        else _checked(path, *held, lookup=lookup, store=store, given=given)
        for path, held in read.items()
    )


def _read(path: Path) -> tuple[Profile, Positions] | list[str]:
    """The document and where everything in it stands, or its faults."""
    try:
        if path.stat().st_size > _LARGEST:
            return [f"{path}: is too large for a profile"]
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"the file cannot be read: {problem.strerror}", subject=str(path)) from problem
    except UnicodeDecodeError:
        return [f"{path}: is not UTF-8 text"]
    try:
        return load(text, str(path)), parse(text, str(path))[1]
    except DocumentError as problem:
        return list(problem.details) or [problem.message]


def _checked(
    path: Path,
    profile: Profile,
    positions: Positions,
    *,
    lookup: Callable[[str], Profile],
    store: ProfileStore,
    given: Mapping[str, Profile],
) -> Checked:
    faults = list(_faults(path, profile, positions, store, given))
    if faults:
        return Checked(path, None, tuple(faults))
    try:
        return Checked(path, resolve(profile.name, lookup), ())
    except DocumentError as problem:
        return Checked(path, None, (f"{positions.place(('extends',))}: {problem.message}",))


def _faults(
    path: Path, profile: Profile, positions: Positions, store: ProfileStore, given: Mapping[str, Profile]
) -> Iterator[str]:
    """What a document alone cannot know: its file's name, its namesakes, its parents, the rules' settings."""
    if path.name != f"{profile.name}.yaml":
        yield (
            f"{positions.place(('name',))}: the profile {profile.name!r} belongs into a file "
            f"{profile.name}.yaml"
        )
    names = store.names()
    if profile.name in names and store.path(profile.name).resolve() != path.resolve():
        yield (
            f"{positions.place(('name',))}: {store.path(profile.name)} is named {profile.name!r} as well; "
            "give yours another name and let it extend the other"
        )
    for number, parent in enumerate(profile.extends):
        if parent not in given and parent not in names:
            place = positions.place(("extends", number))
            yield f"{place}: there is no profile {parent!r}; there are: {', '.join(names)}"
    known = {setting.name: setting.values for setting in SETTINGS}
    for name, value in profile.settings.items():
        place = positions.place(("settings", name))
        if name not in known:
            yield f"{place}: there is no setting {name!r}; there are: {', '.join(sorted(known))}"
        elif value not in known[name]:
            yield f"{place}: {name} takes {', '.join(known[name])}, not {value!r}"
