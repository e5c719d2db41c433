"""Where profiles are read from: the ones that come with the tool and the user's own folders.

A profile's file is ``<name>.yaml`` in a folder of its kind (``sources``,
``targets``, ``stages``) or, in a user's folder, also directly in it. This is
the only module of the profile side that reads files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from p2vprep.core.documents.profile import Profile, ProfileKind, load
from p2vprep.core.profiles import ResolvedProfile, resolve
from p2vprep.errors import DocumentError, UsageError
from p2vprep.profile_files import all_folders, profile_files, unknown

_LARGEST = 4 * 1024 * 1024


class ProfileStore:
    """Profiles by name. A file is read when its profile is first asked for."""

    def __init__(self, folders: Sequence[Path] = (), *, shipped: Path | None = None) -> None:
        """Looks through the shipped profiles, the user's own folder and those given.

        Raises DocumentError where two files carry one name (a user's profile
        extends a shipped one under a name of its own), UsageError for a folder
        that is not there.
        """
        self._files: dict[str, Path] = {}
        self._kinds: dict[str, ProfileKind | None] = {}
        self._read: dict[str, Profile] = {}
        for folder in all_folders(folders, shipped):
            for path, kind in profile_files(folder):
                self._add(path, kind)

    def names(self, kind: ProfileKind | None = None) -> tuple[str, ...]:
        """The names of all profiles, or of one kind, sorted."""
        if kind is None:
            return tuple(sorted(self._files))
        return tuple(name for name in sorted(self._files) if self._kind(name) == kind)

    def path(self, name: str) -> Path:
        """The file of a profile. Raises UsageError for an unknown name."""
        if name not in self._files:
            raise unknown(name, self._files)
        return self._files[name]

    def document(self, name: str) -> Profile:
        """The document of a profile as it stands in its file. Raises UsageError, DocumentError."""
        if name not in self._read:
            path = self.path(name)
            profile = load(_text(path), str(path))
            expected = self._kinds[name]
            if profile.name != name:
                raise DocumentError(f"{path}: the profile is named {profile.name!r}, its file {name!r}")
            if expected is not None and profile.kind != expected:
                raise DocumentError(f"{path}: a {profile.kind} does not belong into {path.parent.name}")
            self._read[name] = profile
        return self._read[name]

    def get(self, name: str, kind: ProfileKind | None = None) -> ResolvedProfile:
        """A profile with what it extends, of ``kind`` where given. Raises UsageError, DocumentError.

        As a source, a hypervisor's name stands for its guests: ``xen`` for ``xen-guest``, since
        ``xen`` itself is the target.
        """
        guest = f"{name}-guest"
        if kind == "source" and self._kinds.get(name) == "target" and guest in self._files:
            name = guest
        profile = resolve(name, self.document)
        if kind is not None and profile.kind != kind:
            raise UsageError(
                f"the profile {name!r} is a {profile.kind}, not a {kind}",
                subject=name,
                hint=f"Use --{profile.kind} {name}.",
            )
        return profile

    def all(self, kind: ProfileKind | None = None) -> tuple[ResolvedProfile, ...]:
        """All profiles, or all of one kind, by name."""
        return tuple(self.get(name) for name in self.names(kind))

    def _kind(self, name: str) -> ProfileKind:
        return self._kinds[name] or self.document(name).kind

    def _add(self, path: Path, kind: ProfileKind | None) -> None:
        if path.stem in self._files:
            raise DocumentError(
                f"two profiles are named {path.stem!r}: {self._files[path.stem]} and {path}",
                subject=str(path),
                hint="Give yours another name and let it extend the other.",
            )
        self._files[path.stem] = path
        self._kinds[path.stem] = kind


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise DocumentError(f"{path} is too large for a profile", subject=str(path))
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise DocumentError(f"{path}: cannot be read: {problem.strerror}", subject=str(path)) from problem
    except UnicodeDecodeError as problem:
        raise DocumentError(f"{path}: is not UTF-8 text", subject=str(path)) from problem
