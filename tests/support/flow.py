"""The whole flow in milliseconds: a sample machine's disk, the fake appliance, the command in-process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from p2vprep import profile_store
from p2vprep.cli.main import main
from p2vprep.core.documents.profile import load as load_profile
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover as replay
from p2vprep.core.registry import MemoryHive, fold
from p2vprep.core.values import Data
from p2vprep.disk import accel, appliance
from p2vprep.disk.durable import copy_sparse
from testdata.build import disk_spec, hive_files
from testdata.kit.disks import DiskSpec, VolumeSpec
from testdata.kit.hivewriter import build_hive
from testdata.machines import Machine, load
from tests.faults.machine import FORMATS
from tests.support.fake_appliance import FakeAppliance, fake_disk, fake_launch
from tests.support.fake_stores import FileStore
from tests.support.machines import in_memory

NAME = "proliant-2012r2"
CONFIG = "/Windows/System32/config"
SYSTEM = f"{CONFIG}/SYSTEM"
CONTAINERS = (*FORMATS, "vmdk-stream")
WRITABLE = tuple(FORMATS)
_STREAM = ("vmdk", "subformat=streamOptimized", ".vmdk")
_WINDOWS_MB, _OTHER_MB = 12, 4


# --- the command ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; fails where there is anything else."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


def p2vprep(*arguments: str | Path) -> Ran:
    """Runs the command in this process. What gets out of it would be a traceback, so it is raised."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def as_json(*arguments: str | Path) -> Ran:
    """The command with ``--json``."""
    return p2vprep(*arguments, "--json")


def done(*arguments: str | Path) -> dict[str, Any]:
    """The document of a command that has to end with 0."""
    ran = as_json(*arguments)
    assert ran.status == 0, ran
    return ran.document


def failed(status: int, code: str, *arguments: str | Path) -> dict[str, Any]:
    """The error document of a command that has to end with this status and code."""
    ran = as_json(*arguments)
    document = ran.document
    assert (ran.status, document.get("code")) == (status, code), ran
    assert document["schema"] == "p2vprep.error/1"
    assert document["exit_status"] == status
    assert document["message"]
    assert code in ran.stderr
    assert "Traceback" not in ran.stderr
    return document


def on_fake_appliance(patch: pytest.MonkeyPatch, launch: Callable[..., Any] = fake_launch) -> None:
    """From here on commands start the fake appliance; profiles are parsed once for all of them."""
    patch.setattr(appliance, "launch", launch)
    patch.setattr(accel, "choose", lambda *_wanted, **_more: accel.TCG)
    patch.setattr(profile_store, "load", lru_cache(load_profile))


# --- machines ------------------------------------------------------------------------------------


@lru_cache
def sample_machine(name: str = NAME) -> Machine:
    return load(name)


@lru_cache
def sample(name: str = NAME) -> DiskSpec:
    """The sample machine's disk, as small as it may be."""
    spec = disk_spec(sample_machine(name), container="raw")
    volumes = (replace(one, size=_WINDOWS_MB if _is_windows(one) else _OTHER_MB) for one in spec.volumes)
    return replace(spec, volumes=tuple(volumes))


def _is_windows(volume: VolumeSpec) -> bool:
    return any(fold(path) == fold(SYSTEM) for path in volume.files)


def with_files(spec: DiskSpec, files: Mapping[str, bytes | None]) -> DiskSpec:
    """The disk with files of the Windows volume added, replaced or (None) left out."""

    def changed(volume: VolumeSpec) -> VolumeSpec:
        held = {path: content for path, content in {**volume.files, **files}.items() if content is not None}
        return replace(volume, files=held)

    volumes = (changed(one) if _is_windows(one) else one for one in spec.volumes)
    return replace(spec, volumes=tuple(volumes))


def with_room(spec: DiskSpec, megabytes: int) -> DiskSpec:
    """The disk with a Windows volume so much larger, for hives of real machines."""
    volumes = (replace(one, size=one.size + megabytes) if _is_windows(one) else one for one in spec.volumes)
    return replace(spec, volumes=tuple(volumes))


def with_system(change: Callable[[MemoryHive], object], spec: DiskSpec | None = None) -> DiskSpec:
    """The sample machine with a SYSTEM hive changed in memory, clean and without logs."""
    hive = sample_machine().system()
    change(hive)
    clean = {SYSTEM: build_hive(hive, file_name="SYSTEM")}
    return with_files(spec or sample(), without_logs() | clean)


def without_logs() -> dict[str, bytes | None]:
    """To leave the logs of SYSTEM out: it is dirty then and cannot be mended."""
    return {f"{CONFIG}/{name}": None for name in hive_files(sample_machine()) if "LOG" in name}


def data_disk() -> DiskSpec:
    """A second disk without any Windows."""
    files = {"/data/readme.txt": b"A data volume.\r\n"}
    return DiskSpec("data", (VolumeSpec("ntfs", files, size=_OTHER_MB),), "raw", "mbr")


class Shelf:
    """Disks built once, and copies of them to work on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[tuple[str, str, bool, str], Path] = {}

    def disk(
        self,
        folder: Path,
        container: str = "raw",
        spec: DiskSpec | None = None,
        *,
        name: str = "disk",
        dirty: bool = False,
        log: str = "clean",
    ) -> Path:
        """A new copy of a disk: by default of the sample machine, in one of the CONTAINERS."""
        spec = spec or sample()
        key = (spec.file_name, f"{container}-{name}", dirty, log)
        if key not in self._built:
            self._built[key] = self._build(spec, container, name, dirty, log)
        built = self._built[key]
        for part in built.parent.iterdir():
            copy_sparse(part, folder / part.name)
        return folder / built.name

    def _build(self, spec: DiskSpec, container: str, name: str, dirty: bool, log: str) -> Path:
        driver, options, suffix = _STREAM if container == "vmdk-stream" else FORMATS[container]
        home = self._folder / str(len(self._built))
        home.mkdir()
        raw = fake_disk(spec, self._folder / "raw", dirty=dirty, log=log)
        path = home / f"{name}{suffix}"
        if container == "raw":
            return raw.rename(path)
        chosen = ("-o", options) if options else ()
        command = ["qemu-img", "convert", "-f", "raw", "-O", driver, *chosen, str(raw), str(path)]
        subprocess.run(command, check=True, timeout=60)
        raw.unlink()
        return path


# --- what happens to a guest in between ----------------------------------------------------------


@contextmanager
def inside(path: Path, device: str = "/dev/sda2") -> Iterator[FakeAppliance]:
    """The Windows volume of a raw disk, as somebody else changes it."""
    running = FakeAppliance([FileStore(path)])
    try:
        running.mount(device, "ntfs", writable=True)
        yield running
        running.close()
    finally:
        running.kill()


def read_system(path: Path) -> MemoryHive:
    """The SYSTEM hive of a raw disk as Windows would load it."""
    with inside(path) as guest:
        return _system(guest)


def change_system(path: Path, change: Callable[[MemoryHive], object]) -> None:
    """Changes the SYSTEM hive of a raw disk, as a Windows that ran would, and leaves it clean."""
    with inside(path) as guest:
        hive = _system(guest)
        change(hive)
        for name in _logs(guest):
            guest.remove(name)
        guest.create(SYSTEM, build_hive(hive, file_name="SYSTEM"))


def _system(guest: FakeAppliance) -> MemoryHive:
    logs = {name.rpartition(".")[2]: guest.read(name, 0, 1 << 30) for name in _logs(guest)}
    return in_memory(HiveReader(replay(guest.read(SYSTEM, 0, 1 << 30), logs).data))


def _logs(guest: FakeAppliance) -> Sequence[str]:
    names = (f"{SYSTEM}.{suffix}" for suffix in ("LOG", "LOG1", "LOG2"))
    return [name for name in names if guest.stat(name) is not None]


def set_value(hive: MemoryHive, key: str, name: str, data: Data | None) -> None:
    """Sets or (None) deletes one value; the keys on the way are made."""
    found = hive.root.make(key)
    if data is None:
        found.data.pop(name.upper(), None)
    else:
        found.set(name, data)


# --- fixtures: imported by the conftest of the folders that use them -----------------------------


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Disks are built once in a run of the suite."""
    return Shelf(tmp_path_factory.mktemp("disks"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands start the fake appliance."""
    on_fake_appliance(monkeypatch)


@pytest.fixture
def disk(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """A raw disk of the sample machine, and commands that start the fake appliance."""
    return shelf.disk(tmp_path)
