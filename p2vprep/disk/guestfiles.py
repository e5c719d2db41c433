"""The guest's files: reading, patching in place, putting, locking and proving.

Paths are absolute, with forward slashes, in any case; where a file or folder
exists its own spelling is used. All calls work on what the appliance has mounted.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2vprep.core import ntfs_security
from p2vprep.core.model import FileState
from p2vprep.core.ntfs_security import SecurityDescriptor
from p2vprep.core.registry import fold
from p2vprep.disk.appliance import Appliance, FileSystem, Stat
from p2vprep.errors import CannotOpenError, FailedError, RefusedError

READ_LIMIT = 1 << 30
"""The largest file that is read whole, in bytes; hives stay far below."""

_PIECE = 3 << 20
_FEW = 64
_ACL = "system.ntfs_acl"
_ATTRIBUTES = "system.ntfs_attrib_be"
ENCRYPTED = 0x4000
COMPRESSED = 0x0800
"""File attributes ([MS-FSCC] 2.6)."""


def parts(path: str) -> tuple[str, ...]:
    """The names of a path. Raises ValueError for one that is relative or climbs up."""
    names = tuple(name for name in path.split("/") if name)
    if not path.startswith("/") or any(name in (".", "..") or "\0" in name for name in names):
        raise ValueError(f"not a path inside the guest: {path!r}")
    return names


def parent(path: str) -> str:
    """The folder that a path lies in."""
    return "/" + "/".join(parts(path)[:-1])


class FileSource:
    """A file that stays in the guest and is read in pieces, each piece once.

    What is fetched is kept, in blocks, since a registry hive is visited in small
    steps. Offers what a lazy hive reader needs: ``size`` and ``fetch``.
    """

    BLOCK = 256 << 10

    def __init__(self, appliance: Appliance, path: str, size: int) -> None:
        self._appliance = appliance
        self._path = path
        self._blocks: dict[int, bytes] = {}
        self.size = size

    def fetch(self, offset: int, length: int) -> bytes:
        """Bytes of the file; shorter only at its end."""
        length = max(0, min(length, self.size - offset))
        if length == 0:
            return b""
        first, last = offset // self.BLOCK, (offset + length - 1) // self.BLOCK
        self._load(first, last)
        joined = b"".join(self._blocks[number] for number in range(first, last + 1))
        start = offset - first * self.BLOCK
        return joined[start : start + length]

    def _load(self, first: int, last: int) -> None:
        missing = [number for number in range(first, last + 1) if number not in self._blocks]
        for start, end in _runs(missing):
            place = start * self.BLOCK
            wanted = min((end - start) * self.BLOCK, self.size - place)
            piece = self._appliance.read(self._path, place, wanted)
            if len(piece) != wanted:
                raise CannotOpenError("the file ends earlier than its size says", subject=self._path)
            for number in range(start, end):
                at = (number - start) * self.BLOCK
                self._blocks[number] = piece[at : at + self.BLOCK]


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Sorted numbers as half-open runs."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs


@dataclass(frozen=True)
class Security:
    """Who may change a path: ``others`` are SIDs that may and should not. FAT knows no owners: None."""

    descriptor: SecurityDescriptor | None
    others: tuple[str, ...]


class GuestFiles:
    """The files of the mounted volume."""

    def __init__(
        self, appliance: Appliance, kind: FileSystem, foreseen: Mapping[str, bytes] | None = None
    ) -> None:
        """``foreseen`` holds contents that were read ahead, by path; nothing of it counts after a write."""
        self._appliance = appliance
        self._kind = kind
        self._foreseen = dict(foreseen or {})

    # --- reading

    def find(self, path: str) -> str | None:
        """The spelling on disk of a path, or None where nothing is there."""
        names = parts(path)
        return self._appliance.resolve("/" + "/".join(names)) if names else "/"

    def size(self, path: str) -> int | None:
        """The size of a file, or None where there is none; a folder in its place is refused."""
        spelt = self.find(path)
        return None if spelt is None else self._file_size(spelt)

    def _file_size(self, spelt: str) -> int | None:
        held = self._appliance.stat(spelt)
        if held is None:
            return None
        if held.kind != "file":
            raise _unexpected(spelt, held.kind)
        return held.size

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """A whole file, or None where there is none. Raises CannotOpenError beyond ``limit`` bytes."""
        spelt = self.find(path)
        size = None if spelt is None else self._file_size(spelt)
        if spelt is None or size is None:
            return None
        if size > limit:
            raise CannotOpenError(
                f"the file is {size} bytes long, more than {limit} are not read",
                code="guest-file-too-large",
                subject=path,
            )
        foreseen = self._foreseen.get(spelt)
        if foreseen is not None and len(foreseen) == size:
            return foreseen
        content = self._appliance.read(spelt, 0, size)
        if len(content) != size:
            raise CannotOpenError("the file ends earlier than its size says", subject=spelt)
        return content

    def read_start(self, path: str, length: int) -> bytes:
        """The first bytes of a file; nothing where there is no such file or it is none."""
        spelt = self.find(path)
        held = None if spelt is None else self._appliance.stat(spelt)
        if spelt is None or held is None or held.kind != "file":
            return b""
        return self._appliance.read(spelt, 0, min(length, held.size))

    def names(self, folder: str) -> tuple[str, ...]:
        """The names in a folder; none where there is no such folder."""
        spelt = self.find(folder)
        held = None if spelt is None else self._appliance.stat(spelt)
        if spelt is None or held is None or held.kind != "folder":
            return ()
        return tuple(sorted(self._appliance.list(spelt)))

    def entries(self, folder: str) -> tuple[tuple[str, Stat], ...]:
        """Names and kinds of what is in a folder, by name; links are told as ``other``.

        Raises CannotOpenError where nothing is there, RefusedError where it is no folder.
        """
        spelt = self._spelt(folder)
        held = self._appliance.stat(spelt)
        if held is None or held.kind != "folder":
            raise _unexpected(spelt, "link" if held is None else held.kind)
        names = sorted(self._appliance.list(spelt), key=fold)
        found = zip(names, self._appliance.stats(spelt, names), strict=True)
        return tuple((name, what) for name, what in found if what is not None)

    def source(self, path: str) -> FileSource | None:
        """A file to be read in pieces, or None where there is none."""
        spelt = self.find(path)
        size = None if spelt is None else self._file_size(spelt)
        return None if spelt is None or size is None else FileSource(self._appliance, spelt, size)

    def state(self, path: str) -> FileState | None:
        """SHA-256 and size of a file; None where there is none.

        The content is read piece by piece and hashed here: under emulation that takes a third of what
        hashing inside the appliance does.
        """
        spelt = self.find(path)
        size = None if spelt is None else self._file_size(spelt)
        if spelt is None or size is None:
            return None
        digest = hashlib.sha256()
        for start in range(0, size, _PIECE):
            digest.update(self._appliance.read(spelt, start, min(_PIECE, size - start)))
        return FileState(digest.hexdigest(), size)

    def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """:meth:`state` of many files. What lies in a folder that is not there costs one look together."""
        absent: set[str] = set()
        found: dict[str, FileState | None] = {}
        for path in paths:
            top = "/" + parts(path)[0]
            if top not in absent and top not in found and self.find(top) is None:
                absent.add(top)
            found[path] = None if top in absent else self.state(path)
        return found

    def _spelt(self, path: str) -> str:
        spelt = self.find(path)
        if spelt is None:
            raise CannotOpenError("the file is not there", code="guest-file-missing", subject=path)
        return spelt

    # --- writing

    def patch(self, path: str, pages: Iterable[tuple[int, bytes]]) -> None:
        """Writes pieces into an existing file, which keeps its place, owner and access list."""
        spelt = self._spelt(path)
        self._foreseen.pop(spelt, None)
        for offset, data in pages:
            self._appliance.write(spelt, offset, data)

    def put(self, path: str, content: bytes, *, locked: bool) -> str:
        """Makes a file or replaces its content; returns its spelling. Missing folders are made.

        ``locked``: only Administrators and SYSTEM may change the file and the folders made on the way.
        What exists must be a plain file, and what leads there plain folders: a link would lead elsewhere.
        """
        folder, _ = self._make_folders(parent(path), locked=locked)
        spelt = self.find(path) or _join(folder, parts(path)[-1])
        held = self._appliance.stat(spelt)
        if held is not None and held.kind != "file":
            raise _unexpected(spelt, held.kind)
        self._foreseen.pop(spelt, None)
        self._appliance.create(spelt, content)
        if locked:
            self._lock(spelt)
        return spelt

    def put_tree(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Makes or replaces many files below a folder of our own, all locked; returns its spelling.

        ``files`` go by their paths from there, like ``steps/a.cmd``. On NTFS they cost one call
        together. Raises as :meth:`ensure_folder` where the folder is not ours alone.
        """
        spelt = self.ensure_folder(folder, locked=True)
        self._foreseen.clear()
        if self._kind == "ntfs":
            self._appliance.unpack(spelt, packed(files))
        else:
            for name, content in files.items():
                self.put(_join(spelt, name), content, locked=True)
        return spelt

    def verify_tree(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Checks what :meth:`put_tree` made: content, and that nobody else may change it.

        Raises FailedError (``verify-failed``), RefusedError (``guest-folder-open``).
        """
        spelt = self._spelt(folder)
        for name, digest in self._digests(spelt, files).items():
            if digest != state_of(files[name]).sha256:
                raise _unproved(_join(spelt, name), "is missing or differs")
        if self._kind != "ntfs":
            return
        by_folder: dict[str, list[str]] = {}
        for name in files:
            above, _, last = name.rpartition("/")
            by_folder.setdefault(above, []).append(last)
        for above, names in by_folder.items():
            where = _join(spelt, above) if above else spelt
            self.require_locked(where)
            for name, raw in zip(names, self._appliance.xattrs(where, names, _ACL), strict=True):
                others = self._judged(_join(where, name), raw).others
                if others:
                    raise _open(_join(where, name), f"other users may change it ({', '.join(others)})")

    def _digests(self, folder: str, files: Mapping[str, bytes]) -> dict[str, str | None]:
        """SHA-256 of the files, None where one is missing.

        A few small files are read one by one: starting a program in the appliance takes longer.
        """
        if len(files) > _FEW or sum(map(len, files.values())) > _PIECE:
            held = {fold(name): digest for name, digest in self._appliance.digests(folder).items()}
            return {name: held.get(fold(name)) for name in files}
        found: dict[str, str | None] = {}
        for name, content in files.items():
            path = _join(folder, name)
            there = self._appliance.stat(path)
            whole = there is not None and there.kind == "file" and there.size == len(content)
            read = self._appliance.read(path, 0, len(content)) if whole else b""
            found[name] = state_of(read).sha256 if whole else None
        return found

    def ensure_folder(self, path: str, *, locked: bool) -> str:
        """Makes a folder and those above it where they are missing; returns its spelling.

        A folder that is there already keeps its access list. One that is to be locked and that others
        may write into, or replace from a folder above (the root is left to :meth:`replaceable`), is
        refused (``guest-folder-open``): somebody may have prepared it.
        """
        spelt, made = self._make_folders(path, locked=locked)
        if locked and not made:
            self.require_locked(spelt)
        if locked:
            self._require_steady(parent(spelt))
        return spelt

    def _require_steady(self, path: str) -> None:
        """Refuses a folder on the way, below the root, whose content others may rename or delete."""
        while path != "/":
            descriptor = self.security(path).descriptor
            if descriptor is not None and ntfs_security.removable_from_parent(descriptor):
                raise _open(path, "other users of the guest may replace what lies in it")
            path = parent(path)

    def _make_folders(self, path: str, *, locked: bool) -> tuple[str, bool]:
        """The folder's spelling, and whether it had to be made."""
        here, made = "/", False
        for name in parts(path):
            spelt = self.find(_join(here, name))
            made = spelt is None
            if spelt is None:
                spelt = _join(here, name)
                self._appliance.mkdir(spelt)
                if locked:
                    self._lock(spelt)
            else:
                held = self._appliance.stat(spelt)
                if held is None or held.kind != "folder":
                    raise _unexpected(spelt, "link" if held is None else held.kind)
            here = spelt
        return here, made

    def _lock(self, path: str) -> None:
        """Owned by Administrators, changed by them and SYSTEM only. FAT has nothing to lock."""
        if self._kind == "ntfs":
            self._appliance.chown(path, 0, 0)
            self._appliance.chmod(path, 0o700)

    def delete(self, path: str) -> None:
        """Removes a file; nothing happens where there is none."""
        if self.size(path) is not None:
            self._foreseen.pop(self._spelt(path), None)
            self._appliance.remove(self._spelt(path))

    # --- proving

    def settle(self) -> None:
        """All writes are on the device, what is read next comes from there, and nothing can be written."""
        self._appliance.reopen()

    def verify(self, path: str, expected: FileState) -> None:
        """Checks a file's content. Raises FailedError (``verify-failed``) where it differs."""
        found = self.state(path)
        if found != expected:
            shown = "is missing" if found is None else f"holds {found.size} bytes, SHA-256 {found.sha256}"
            raise _unproved(path, f"{shown}, expected {expected.size} bytes, SHA-256 {expected.sha256}")

    def security(self, path: str) -> Security:
        """Owner and access list of a path, and who may change it beside Administrators and SYSTEM."""
        if self._kind != "ntfs":
            return Security(None, ())
        spelt = self._spelt(path)
        return self._judged(spelt, self._appliance.xattr(spelt, _ACL))

    def _judged(self, spelt: str, raw: bytes | None) -> Security:
        if raw is None:
            raise CannotOpenError("it has no readable security descriptor", subject=spelt)
        try:
            descriptor = ntfs_security.parse(raw)
        except ValueError as problem:
            raise CannotOpenError(
                f"its security descriptor cannot be read: {problem}", code="guest-security", subject=spelt
            ) from problem
        return Security(descriptor, ntfs_security.granted_to_others(descriptor, ntfs_security.WRITING))

    def require_locked(self, path: str) -> None:
        """Refuses (``guest-folder-open``) a path that others may change: what lies there runs as SYSTEM.

        On FAT nothing can be locked, and nothing is refused.
        """
        others = self.security(path).others
        if others:
            raise _open(path, f"other users of the guest may change it ({', '.join(others)})")

    def replaceable(self, path: str) -> bool:
        """Whether others may rename or delete what lies in a path's folder, as in an open root."""
        descriptor = self.security(parent(path)).descriptor
        return descriptor is not None and ntfs_security.removable_from_parent(descriptor)

    def attributes(self, path: str) -> int:
        """The NTFS file attributes of a path ([MS-FSCC] 2.6); 0 on FAT."""
        if self._kind != "ntfs":
            return 0
        raw = self._appliance.xattr(self._spelt(path), _ATTRIBUTES)
        return int.from_bytes(raw, "big") if raw is not None and len(raw) == 4 else 0


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files and their folders: owner root, which is Administrators, and nobody else's.

    The same files always give the same bytes.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folders = {
            "/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)
        }
        for name in sorted(folders):
            archive.addfile(_member(name, tarfile.DIRTYPE))
        for name, content in sorted(files.items()):
            member = _member(name, tarfile.REGTYPE)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _member(name: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, 0o700
    return member


def state_of(content: bytes) -> FileState:
    """The state of a content that is in memory."""
    return FileState(hashlib.sha256(content).hexdigest(), len(content))


def same_name(one: str, other: str) -> bool:
    """Whether two file names are equal for Windows."""
    return fold(one) == fold(other)


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _open(path: str, why: str) -> RefusedError:
    return RefusedError(
        f"{why}, and what lies there would run as SYSTEM",
        code="guest-folder-open",
        subject=path,
        hint="Look at the folder on the guest; remove it if it is not needed, then run this again.",
    )


def _unproved(path: str, what: str) -> FailedError:
    return FailedError(
        f"a file that was written {what}",
        code="verify-failed",
        subject=path,
        changed="The image was not changed.",
    )


def _unexpected(path: str, kind: str) -> RefusedError:
    return RefusedError(
        f"there is a {kind} where a plain file or folder is expected",
        code="guest-path-unexpected",
        subject=path,
        hint="Look at it on the guest; links and junctions are not followed.",
    )
