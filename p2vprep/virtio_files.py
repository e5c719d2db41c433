"""The drivers of a virtio-win folder or ISO of the host, read for one Windows.

Nothing is unpacked and nothing is taken that the Windows does not need. Sizes and numbers are
bounded: the kit is the user's, but it may be the wrong file.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from p2vprep.core.inf import LARGEST as INF_LIMIT
from p2vprep.core.inf import DriverInf, read_inf
from p2vprep.core.model import Guest
from p2vprep.core.virtio import (
    BY_NAME,
    DRIVERS,
    Certificate,
    DriverKit,
    DriverPackage,
    any_folder,
    folder_of,
    folders,
)
from p2vprep.errors import DocumentError, UsageError

if TYPE_CHECKING:
    from pycdlib import PyCdlib

MOST_FILES = 20_000
"""A virtio-win ISO has about 2,000."""
FILE_LIMIT = 32 << 20
"""No driver file is longer (bytes); the largest have less than one MiB."""
_MOST_CERTIFICATES = 4
_CERTIFICATE_LIMIT = 64 << 10
_HINT = "Name the virtio-win ISO, or the folder that its files were copied to."


def load_kit(path: Path, guest: Guest) -> DriverKit:
    """The drivers that a virtio-win folder or ISO has for this Windows; none is no error here.

    Raises UsageError: ``virtio-win-unreadable``, ``no-virtio-drivers`` where it holds none for any Windows.
    """
    with _opened(path) as tree:
        kit = _Kit(tree, guest)
        if not kit.infs:
            raise UsageError(
                "there are no virtio drivers in it", code="no-virtio-drivers", subject=str(path), hint=_HINT
            )
        packages = tuple(package for name in BY_NAME if (package := kit.package(name)) is not None)
        certificates = tuple(kit.certificates())
        found = {name for inf in kit.infs if (name := any_folder(inf)) is not None}
        return DriverKit(
            source=path.name or str(path),
            wanted=folders(guest),
            packages=packages,
            unfit=tuple(kit.unfit),
            others=tuple(sorted(found)),
            certificates=certificates,
        )


class _Tree(Protocol):
    """The files of a folder or an ISO by their paths with forward slashes."""

    @property
    def paths(self) -> tuple[str, ...]: ...

    def read(self, path: str, limit: int) -> bytes:
        """The content. Raises UsageError where it cannot be read or is longer than ``limit`` bytes."""
        ...


class _Kit:
    """The search for the packages of one Windows."""

    def __init__(self, tree: _Tree, guest: Guest) -> None:
        self._tree = tree
        self._guest = guest
        self.infs = tuple(path for path in tree.paths if _driver_of(path) is not None)
        self.unfit: list[str] = []

    def package(self, name: str) -> DriverPackage | None:
        """The best package of a driver that can be used; why others cannot goes to ``unfit``."""
        for index, folder in enumerate(folders(self._guest)):
            for path in self.infs:
                if _driver_of(path) == name and folder_of(path, self._guest.architecture) == folder:
                    try:
                        return self._read(path, exact=index == 0)
                    except DocumentError as problem:
                        self.unfit.append(f"{path}: {problem.message}")
        return None

    def _read(self, path: str, *, exact: bool) -> DriverPackage:
        content = self._tree.read(path, INF_LIMIT)
        inf = read_inf(content, self._guest.version, self._guest.architecture, self._guest.role)
        where, _, inf_name = path.rpartition("/")
        siblings = self._siblings(where)
        files = {inf_name: content}
        for name in _needed(inf):
            spelt = siblings.get(name.lower())
            if spelt is None:
                raise DocumentError(f"its file {name} is missing", code="driver-file-missing")
            files[spelt] = self._tree.read(f"{where}/{spelt}" if where else spelt, FILE_LIMIT)
        driver = BY_NAME[inf_name.lower().removesuffix(".inf")]
        return DriverPackage(driver, where, exact, inf_name, inf, tuple(sorted(files.items())))

    def _siblings(self, where: str) -> Mapping[str, str]:
        above = f"{where}/" if where else ""
        names = (path[len(above) :] for path in self._tree.paths if path.startswith(above))
        return {name.lower(): name for name in names if "/" not in name}

    def certificates(self) -> Iterator[Certificate]:
        """The publisher's certificates: the ``.cer`` files of a folder ``cert``."""
        places = [path for path in self._tree.paths if path.lower().endswith(".cer")]
        for path in [path for path in places if "cert" in path.lower().split("/")[:-1]][:_MOST_CERTIFICATES]:
            content = self._tree.read(path, _CERTIFICATE_LIMIT)
            if content.startswith(b"-----BEGIN CERTIFICATE"):
                try:
                    content = ssl.PEM_cert_to_DER_cert(content.decode("ascii"))
                except ValueError:
                    self.unfit.append(f"{path}: is no certificate")
                    continue
            thumbprint = hashlib.sha1(content, usedforsecurity=False).hexdigest().upper()
            yield Certificate(path.rpartition("/")[2], content, thumbprint)


def _needed(inf: DriverInf) -> tuple[str, ...]:
    """The files that belong to a package; a driver whose INF forgets to list it is one as well."""
    if not inf.services:
        raise DocumentError("it installs no driver", code="bad-inf")
    names = (*inf.files, inf.service.binary)
    if strange := [name for name in names if not name or set(name) & set('/\\:"%')]:
        raise DocumentError(f"it names a strange file: {strange[0]!r}", code="bad-inf")
    return tuple({name.lower(): name for name in names}.values())


def _driver_of(path: str) -> str | None:
    name = path.rpartition("/")[2].lower()
    return next((driver.name for driver in DRIVERS if name == f"{driver.name}.inf"), None)


# --- folders and ISOs --------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[_Tree]:
    if path.is_dir():
        yield _Folder(path)
        return
    with _iso(path) as iso:
        yield _Iso(path, iso)


class _Folder:
    """A folder of the host; links to folders are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        found: list[str] = []
        for folder, folders_below, files in os.walk(root, onerror=_cannot_be_read):
            folders_below.sort()
            below = Path(folder).relative_to(root)
            found += ((below / name).as_posix() for name in sorted(files))
            _require_few(found, root)
        self.paths = tuple(found)

    def read(self, path: str, limit: int) -> bytes:
        place = self._root / path
        try:
            if place.stat().st_size > limit:
                raise _too_long(str(place), limit)
            return place.read_bytes()
        except OSError as problem:
            raise _unreadable(str(place), problem.strerror or "it cannot be read") from problem


class _Iso:
    """An ISO 9660 image, by its Joliet or Rock Ridge names where it has them."""

    def __init__(self, path: Path, iso: PyCdlib) -> None:
        self._path = path
        self._iso = iso
        self._names = "joliet_path" if iso.has_joliet() else "rr_path" if iso.has_rock_ridge() else "iso_path"
        found: list[str] = []
        with _iso_faults(path):
            for folder, _, files in iso.walk(**{self._names: "/"}):
                found += (f"{folder.strip('/')}/{name}".lstrip("/") for name in files)
                _require_few(found, path)
        self._spelt = {name.partition(";")[0]: name for name in sorted(found)}
        self.paths = tuple(self._spelt)

    def read(self, path: str, limit: int) -> bytes:
        place = {self._names: f"/{self._spelt[path]}"}
        with _iso_faults(self._path):
            length = self._iso.get_record(**place).get_data_length()
            if length > limit:
                raise _too_long(f"{self._path}: {path}", limit)
            content = BytesIO()
            self._iso.get_file_from_iso_fp(content, **place)
        if len(content.getvalue()) != length:
            raise _unreadable(f"{self._path}: {path}", "the ISO image is cut short")
        return content.getvalue()


@contextmanager
def _iso(path: Path) -> Iterator[PyCdlib]:
    try:
        from pycdlib import PyCdlib
    except ModuleNotFoundError as missing:
        raise UsageError(
            "reading an ISO needs the Python package pycdlib",
            code="pycdlib-missing",
            subject=str(path),
            hint="Install pycdlib, or mount the ISO and name the folder.",
        ) from missing
    iso = PyCdlib()
    try:
        with path.open("rb") as held:
            with _iso_faults(path):
                iso.open_fp(held)
            try:
                yield iso
            finally:
                iso.close()
    except OSError as problem:
        raise _unreadable(str(path), problem.strerror or "it cannot be read") from problem


@contextmanager
def _iso_faults(path: Path) -> Iterator[None]:
    """What the library raises for a file that is no ISO, or a damaged one, as an error of ours."""
    from pycdlib.pycdlibexception import PyCdlibException

    try:
        yield
    except (PyCdlibException, struct.error, ValueError, IndexError, KeyError, RecursionError) as problem:
        raise _unreadable(str(path), f"it is no readable ISO image: {problem}") from problem


def _cannot_be_read(problem: OSError) -> None:
    raise _unreadable(str(problem.filename), problem.strerror or "it cannot be read") from problem


def _require_few(found: list[str], root: Path) -> None:
    if len(found) > MOST_FILES:
        raise _unreadable(str(root), f"it holds more than {MOST_FILES} files, so it is no virtio-win")


def _unreadable(subject: str, why: str) -> UsageError:
    return UsageError(why, code="virtio-win-unreadable", subject=subject, hint=_HINT)


def _too_long(subject: str, limit: int) -> UsageError:
    return _unreadable(subject, f"the file is longer than {limit} bytes")
