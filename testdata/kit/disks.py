"""Small disks with a file tree that looks like Windows, in every container, made in one appliance launch.

``build_disks`` keeps what it made in a folder, by a hash of what was asked for:
asked again, it starts nothing. What it returns is never to be written to; use
``copy_disk``. The volumes hold just the files given, so a SYSTEM hive can be a
real one or a few bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from testdata.kit.tables import Slot, write_gpt, write_mbr

_VERSION = "2"
"""Part of every hash: raise it when the same specification gives another disk."""

Container = Literal[
    "raw", "qcow2", "vpc", "vpc-fixed", "vhdx", "vhdx-fixed", "vmdk", "vmdk-flat", "vmdk-stream"
]
Table = Literal["mbr", "gpt", "none"]
FileSystem = Literal["ntfs", "fat32", "none"]

_SUFFIX = {"raw": ".img", "qcow2": ".qcow2"} | {
    "vpc": ".vhd", "vpc-fixed": ".vhd", "vhdx": ".vhdx", "vhdx-fixed": ".vhdx",
    "vmdk": ".vmdk", "vmdk-flat": ".vmdk", "vmdk-stream": ".vmdk",
}  # fmt: skip
_CONVERT = {
    "qcow2": ("-O", "qcow2"),
    "vpc": ("-O", "vpc", "-o", "subformat=dynamic,force_size=on"),
    "vpc-fixed": ("-O", "vpc", "-o", "subformat=fixed,force_size=on"),
    "vhdx": ("-O", "vhdx", "-o", "subformat=dynamic"),
    "vhdx-fixed": ("-O", "vhdx", "-o", "subformat=fixed"),
    "vmdk": ("-O", "vmdk", "-o", "subformat=monolithicSparse"),
    "vmdk-flat": ("-O", "vmdk", "-o", "subformat=monolithicFlat"),
    "vmdk-stream": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
}

_GPT_TYPES = {
    "data": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "recovery": "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC",
    "msr": "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",
    "storage-spaces": "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D",
}
_MBR_TYPES = {"ntfs": 0x07, "fat32": 0x0C, "none": 0x83}

FAT32_MB = 520
"""The size from which a FAT volume is made as FAT32; nearly all of it is a hole in the file."""

_MB = 1 << 20


@dataclass(frozen=True)
class VolumeSpec:
    """One volume. Folders of the files are made; ``folders`` adds empty ones. Sizes in MB."""

    fs: FileSystem = "ntfs"
    files: Mapping[str, bytes] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    size: int = 64
    label: str = ""
    active: bool = False
    role: Literal["data", "esp", "recovery", "msr", "storage-spaces"] = "data"
    logical: bool = False
    """In an MBR table: inside an extended partition."""


@dataclass(frozen=True)
class DiskSpec:
    """One disk; ``name`` becomes part of the file's name."""

    name: str
    volumes: tuple[VolumeSpec, ...]
    container: Container = "raw"
    table: Table = "mbr"

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self._digest()}{_SUFFIX[self.container]}"

    @property
    def content(self) -> str:
        """A digest of what the guest sees: equal for disks that differ in name and container only."""
        state = hashlib.sha256(f"{_VERSION} {self.table}".encode())
        for volume in self.volumes:
            state.update(repr(replace(volume, files={})).encode())
            for path, content in sorted(volume.files.items()):
                state.update(repr((path, len(content))).encode())
                state.update(hashlib.sha256(content).digest())
        return state.hexdigest()

    def _digest(self) -> str:
        return hashlib.sha256(f"{self.container} {self.content}".encode()).hexdigest()[:16]


def windows_disk(
    name: str,
    files: Mapping[str, bytes],
    *,
    container: Container = "raw",
    table: Table = "mbr",
    fs: Literal["ntfs", "fat32"] = "ntfs",
    folder: str = "Windows",
    size: int = 64,
    junk: bool = False,
) -> DiskSpec:
    """A disk with one Windows volume.

    ``files`` without a leading slash lie in ``/<folder>/System32/config`` ("SYSTEM"), the others where
    they say. ``junk`` adds what real disks have beside it: System Reserved, or with GPT an ESP and the
    Microsoft reserved partition, and a data volume.
    """
    config = f"/{folder}/System32/config/"
    tree = {path if path.startswith("/") else config + path: content for path, content in files.items()}
    size = max(size, FAT32_MB) if fs == "fat32" else size
    windows = VolumeSpec(fs, tree, (f"/{folder}/System32/drivers", "/Users/Public"), size, active=not junk)
    if not junk or table == "none":
        return DiskSpec(name, (windows,), container, table)
    data = VolumeSpec("ntfs", {"/data/readme.txt": b"A data volume.\r\n"}, size=20, label="DATA")
    if table == "gpt":
        esp = VolumeSpec("fat32", {"/EFI/Microsoft/Boot/bootmgfw.efi": b"MZ"}, size=40, role="esp")
        return DiskSpec(name, (esp, VolumeSpec("none", size=16, role="msr"), windows, data), container, table)
    reserved = VolumeSpec(
        "ntfs", {"/bootmgr": b"\xeb", "/Boot/BCD": b"regf"}, size=16, label="System Reserved", active=True
    )
    return DiskSpec(name, (reserved, windows, data), container, table)


def build_disks(specs: Sequence[DiskSpec], cache: Path) -> dict[str, Path]:
    """Builds what is not in the cache folder yet, in one launch; returns the disks by their names.

    Several processes may ask at once: they wait for each other. Raises RuntimeError of libguestfs.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / ".lock"):
        missing = {spec.file_name: spec for spec in specs if not (cache / spec.file_name).is_file()}
        if missing:
            _build(list(missing.values()), cache)
    return {spec.name: cache / spec.file_name for spec in specs}


def copy_disk(built: Path, folder: Path, name: str | None = None) -> Path:
    """A copy to write to, with holes kept; a flat VMDK brings its extent."""
    target = folder / (name or built.name)
    _sparse_copy(built, target)
    extent = built.with_name(f"{built.stem}-flat.vmdk")
    if built.suffix == ".vmdk" and extent.is_file():
        _sparse_copy(extent, folder / extent.name)
    return target


def _sparse_copy(source: Path, target: Path) -> None:
    subprocess.run(
        ["cp", "--sparse=always", "--reflink=auto", "--", str(source), str(target)], check=True, timeout=120
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(specs: Sequence[DiskSpec], cache: Path) -> None:
    """Fills one raw disk for each content, then makes the containers of it."""
    with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as text:
        work = Path(text)
        contents = {spec.content: spec for spec in specs}
        raws = {content: work / f"{number}.img" for number, content in enumerate(contents)}
        for content, spec in contents.items():
            make_blank(spec, raws[content])
        _fill(list(contents.values()), list(raws.values()))
        for spec in specs:
            made = work / spec.file_name
            if spec.container == "raw":
                _sparse_copy(raws[spec.content], made)
            else:
                options = _CONVERT[spec.container]
                command = ["qemu-img", "convert", "-f", "raw", *options, str(raws[spec.content]), str(made)]
                subprocess.run(command, check=True, timeout=300)
            extent = made.with_name(f"{made.stem}-flat.vmdk")
            if extent.is_file():
                extent.rename(cache / extent.name)
            made.rename(cache / made.name)


def _disk_size(spec: DiskSpec) -> int:
    """The volumes, a MB before each (alignment, extended partition) and two for the tables."""
    if spec.table == "none":
        return spec.volumes[0].size * _MB
    return sum((volume.size + 1) * _MB for volume in spec.volumes) + 2 * _MB


def _fill(specs: Sequence[DiskSpec], raws: Sequence[Path]) -> None:
    import guestfs

    handle: Any = guestfs.GuestFS(python_return_dict=True, close_on_exit=False)
    try:
        handle.set_backend("direct")
        if not os.access("/dev/kvm", os.R_OK | os.W_OK) or os.environ.get("P2VPREP_TEST_ACCEL") == "tcg":
            handle.set_backend_setting("force_tcg", "1")
        handle.set_memsize(512)
        handle.set_autosync(False)
        for raw in raws:
            handle.add_drive_opts(str(raw), format="raw", cachemode="unsafe")
        handle.launch()
        for spec, device in zip(specs, handle.list_devices(), strict=True):
            for volume, place in zip(spec.volumes, _places(spec, device), strict=True):
                _make_volume(handle, place, volume)
        handle.sync()
        handle.shutdown()
    finally:
        handle.close()


def slots(spec: DiskSpec) -> list[Slot]:
    """Where each volume lies: a MB apart, the first at 1 MB."""
    slots, sector = [], 2048
    for volume in spec.volumes:
        sectors = volume.size * 2048
        kind: int | str = _GPT_TYPES[volume.role] if spec.table == "gpt" else _MBR_TYPES[volume.fs]
        kind = 0x27 if spec.table == "mbr" and volume.role == "recovery" else kind
        slots.append(Slot(sector, sectors, kind, volume.active, volume.logical))
        sector += sectors + 2048
    return slots


def make_blank(spec: DiskSpec, raw: Path) -> None:
    """A raw disk with its partition table and nothing on the volumes."""
    size = _disk_size(spec)
    with raw.open("wb") as file:
        file.truncate(size)
        if spec.table == "mbr":
            write_mbr(file, slots(spec))
        elif spec.table == "gpt":
            write_gpt(file, slots(spec), size // 512)


def _places(spec: DiskSpec, device: str) -> list[str]:
    """The device of each volume."""
    if spec.table == "none":
        return [device]
    primary, logical, places = 0, 4, []
    for volume in spec.volumes:
        if volume.logical:
            logical += 1
            places.append(f"{device}{logical}")
        else:
            primary += 1
            places.append(f"{device}{primary}")
    return places


def _make_volume(handle: Any, device: str, volume: VolumeSpec) -> None:
    if volume.fs == "none":
        return
    label = {"label": volume.label} if volume.label else {}
    handle.mkfs("ntfs" if volume.fs == "ntfs" else "vfat", device, **label)
    handle.mount_vfs("rw", "ntfs-3g" if volume.fs == "ntfs" else "vfat", device, "/")
    for folder in volume.folders:
        handle.mkdir_p(folder)
    for folder in sorted({path.rpartition("/")[0] or "/" for path in volume.files}):
        handle.mkdir_p(folder)
    for path, content in volume.files.items():
        _put(handle, path, content)
    handle.umount_all()


def _put(handle: Any, path: str, content: bytes) -> None:
    piece = 3 * _MB
    handle.write(path, content[:piece])
    for start in range(piece, len(content), piece):
        handle.write_append(path, content[start : start + piece])
