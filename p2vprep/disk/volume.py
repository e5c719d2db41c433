"""Finding the Windows on the disks, and what stands in the way of changing it.

A Windows is a folder at the top of an NTFS or FAT volume (WINDOWS, WINNT, ReactOS,
any name) with ``System32/config/SYSTEM`` in it. Preinstallation and recovery
environments, which have one too, do not count: their hive has ``Control\\MiniNT``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from p2vprep.core import volumes
from p2vprep.core.model import Hazard
from p2vprep.core.ntfs_folders import NtfsFolders
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import find, fold, names
from p2vprep.core.volumes import VolumeKind
from p2vprep.disk import hazards
from p2vprep.disk.appliance import Appliance, FileSystem
from p2vprep.disk.guestfiles import FileSource, GuestFiles
from p2vprep.disk.partitions import (
    ESP,
    LDM_GPT,
    LDM_MBR,
    MICROSOFT_RESERVED,
    RECOVERY,
    STORAGE_SPACES,
    Layout,
    Partition,
    Table,
    read_layout,
)
from p2vprep.errors import CannotOpenError, FailedError, HiveError, P2vprepError, RefusedError

DISCARD_HIBERNATION = "discard-hibernation"
"""What ``--allow`` takes to throw a saved session away."""

HIBERNATION_FILE = "/hiberfil.sys"

_HIVES = ("SYSTEM", "SOFTWARE")
_BESIDE = ("LOG", "LOG1", "LOG2", "ALT")
_LIKELY = ("WINDOWS", "WINNT", "REACTOS")
_NEVER = ("$RECYCLE.BIN", "RECYCLER", "SYSTEM VOLUME INFORMATION", "PROGRAM FILES", "PROGRAM FILES (X86)")


@dataclass(frozen=True)
class Seen:
    """What was found at a place: a partition, or a disk without any; ``what`` in words."""

    disk: int
    device: str
    what: str
    kind: VolumeKind | Literal["dynamic", "storage-spaces", "none"] = "none"

    def __str__(self) -> str:
        return f"disk {self.disk + 1}, {self.device}: {self.what}"


@dataclass(frozen=True)
class WindowsVolume:
    """A Windows and the volume that it lies on. Paths are inside the volume, as spelt there."""

    disk: int
    """The index of the disk."""
    device: str
    kind: FileSystem
    table: Table
    partition: Partition
    root: str
    """The Windows folder: ``/Windows``."""
    config: str
    """The folder of the hives: ``/Windows/System32/config``."""
    hives: Mapping[str, str]
    """Paths by name: ``SYSTEM``, ``SYSTEM.LOG``, ``.LOG1``, ``.LOG2``, ``.ALT``; so ``SOFTWARE``."""
    firmware: Literal["bios", "uefi", "unknown"]
    free: int
    """Bytes free on the volume."""
    hazards: tuple[Hazard, ...] = ()
    discard_hibernation: bool = False
    """Allowed and needed: mounting for writing throws a saved session away."""
    seen: tuple[Seen, ...] = field(default=(), compare=False)
    """Everything that was looked at, for people."""

    def logs(self, hive: str) -> dict[str, str]:
        """The paths of a hive's transaction logs by ``LOG``, ``LOG1``, ``LOG2``."""
        keys = {suffix: f"{hive}.{suffix}" for suffix in ("LOG", "LOG1", "LOG2")}
        return {suffix: self.hives[key] for suffix, key in keys.items() if key in self.hives}


def find_windows(
    appliance: Appliance, *, root: int | None = None, allow: frozenset[str] = frozenset()
) -> WindowsVolume:
    """Finds the one Windows on all disks and leaves its volume mounted read-only.

    ``root`` chooses among several, counted from 1 in the order of disks and partitions. Raises
    CannotOpenError ``no-windows`` (with all that was seen), ``system-hive-missing`` or ``no-such-root``,
    and RefusedError ``several-windows``, ``bitlocker``, ``dynamic-disk``, ``storage-spaces`` or ``refs``.
    """
    search = _Search(appliance)
    found = search.all()
    if not found:
        raise _nothing(search.seen, search.without_hive)
    if root is None and len(found) > 1:
        raise _several(found)
    if root is not None and not 1 <= root <= len(found):
        raise CannotOpenError(
            f"there is no Windows number {root}; there {'is' if len(found) == 1 else 'are'} {len(found)}",
            code="no-such-root",
            hint="Choose one of: " + "; ".join(_numbered(found)),
        )
    chosen = found[(root or 1) - 1]
    if search.mounted != chosen.device:
        appliance.mount(chosen.device, chosen.kind)
    return _examined(appliance, search, chosen, allow)


def open_for_writing(appliance: Appliance, volume: WindowsVolume) -> None:
    """Mounts the volume for writing and makes sure that it takes writes.

    Raises RefusedError (``guest-read-only``) where ntfs-3g falls back to read-only.
    """
    appliance.mount(volume.device, volume.kind, writable=True, discard_hibernation=volume.discard_hibernation)
    if not appliance.writable():
        raise RefusedError(
            "the Windows volume can only be mounted read-only: it is hibernated, was shut down by Fast "
            "Startup, or is damaged",
            code="guest-read-only",
            subject=volume.device,
            hint=hazards.SHUT_DOWN_FULLY + f" Or throw the saved session away: --allow {DISCARD_HIBERNATION}",
        )
    if volume.discard_hibernation and volume.kind == "fat":
        GuestFiles(appliance, volume.kind).delete(HIBERNATION_FILE)


class _Search:
    """Looks at every partition of every disk, and remembers what it saw."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.seen: list[Seen] = []
        self.without_hive: list[str] = []
        self.mounted: str | None = None
        self.layouts: list[Layout] = []

    def all(self) -> list[WindowsVolume]:
        found: list[WindowsVolume] = []
        for disk, device in enumerate(self.appliance.devices):
            layout = read_layout(self._fetch(device), disk, device)
            self.layouts.append(layout)
            if layout.problem:
                self.seen.append(Seen(disk, device, layout.problem))
            for partition in layout.partitions:
                found += self._look(device, layout, partition)
        return found

    def _fetch(self, device: str, start: int = 0) -> volumes.Fetch:
        return lambda offset, length: self.appliance.read_device(device, start + offset, length)

    def fetch_from(self, volume: WindowsVolume) -> volumes.Fetch:
        """Bytes of a volume, by way of its disk."""
        return self._fetch(self.appliance.devices[volume.disk], volume.partition.start)

    def _look(self, device: str, layout: Layout, partition: Partition) -> list[WindowsVolume]:
        special = _special(partition)
        if special is not None:
            self.seen.append(special)
            return []
        kind = volumes.identify(self._fetch(device, partition.start)(0, volumes.FIRST_BYTES))
        what = volumes.WORDS[kind]
        if kind not in ("ntfs", "fat"):
            self.seen.append(Seen(partition.disk, partition.device, what, kind))
            return []
        file_system: FileSystem = "ntfs" if kind == "ntfs" else "fat"
        likely = _likely_roots(self._fetch(device, partition.start)) if kind == "ntfs" else None
        if likely == ():
            self.seen.append(Seen(partition.disk, partition.device, f"{what} without Windows", kind))
            return []
        try:
            self.appliance.mount(partition.device, file_system)
        except (CannotOpenError, FailedError) as problem:
            if problem.code != "appliance-call":
                raise
            self.seen.append(
                Seen(
                    partition.disk,
                    partition.device,
                    f"{what} that cannot be mounted ({problem.message.splitlines()[0]})",
                )
            )
            return []
        self.mounted = partition.device
        roots = self._roots(likely)
        words = f"{what} with {', '.join(root for root, _ in roots)}" if roots else f"{what} without Windows"
        self.seen.append(Seen(partition.disk, partition.device, words, kind))
        free = self.appliance.free_space()
        return [
            WindowsVolume(
                partition.disk, partition.device, file_system, layout.table, partition, root, config,
                _hive_files(config, self.appliance.list(config)), "unknown", free,
            )
            for root, config in roots
        ]  # fmt: skip

    def _roots(self, likely: tuple[str, ...] | None) -> list[tuple[str, str]]:
        """The Windows folders of what is mounted, each with its config folder."""
        roots = []
        for name in sorted(self.appliance.list("/") if likely is None else likely, key=_likely_first):
            if _never(name):
                continue
            held = self.appliance.stat(f"/{name}")
            if held is None or held.kind != "folder":
                continue
            config = self.appliance.resolve(f"/{name}/System32/config")
            if config is None:
                continue
            hive = self.appliance.resolve(f"{config}/SYSTEM")
            held = None if hive is None else self.appliance.stat(hive)
            if hive is None or held is None or held.kind != "file":
                self.without_hive.append(config)
            elif not _is_preinstallation(FileSource(self.appliance, hive, held.size)):
                roots.append((f"/{name}", config))
        return roots


def _likely_roots(fetch: volumes.Fetch) -> tuple[str, ...] | None:
    """The top folders with System32/config in them, told without mounting; None where that fails.

    Mounting costs about a second under emulation, and most volumes hold no Windows.
    """
    try:
        folders = NtfsFolders(fetch)
        likely = []
        for top in folders.children():
            system = folders.lookup(top.record, "System32") if top.folder and not _never(top.name) else None
            if system is not None and folders.lookup(system.record, "config") is not None:
                likely.append(top.name)
        return tuple(likely)
    except ValueError:
        return None


def _never(name: str) -> bool:
    """Whether a top folder of this name is never a Windows."""
    return fold(name) in _NEVER or name.startswith("$") or name == "."


def _likely_first(name: str) -> tuple[bool, str]:
    return (fold(name) not in _LIKELY, fold(name))


def _is_preinstallation(source: FileSource) -> bool:
    """Whether a SYSTEM hive is of Windows PE or RE. A hive that cannot be read is taken for a Windows:

    what is wrong with it is for the hive's loader to say.
    """
    try:
        hive = HiveReader(source)
        sets = [name for name in names(hive.root.subkeys()) if fold(name).startswith("CONTROLSET")]
        return any(find(hive, rf"{name}\Control\MiniNT") is not None for name in sets)
    except HiveError:
        return False


def _special(partition: Partition) -> Seen | None:
    """Partitions that are told by their type and never hold a Windows that can be changed."""

    def seen(what: str, kind: Literal["dynamic", "storage-spaces", "none"] = "none") -> Seen:
        return Seen(partition.disk, partition.device, what, kind)

    if partition.type == LDM_MBR or partition.type in LDM_GPT:
        return seen("part of a dynamic disk (LDM)", "dynamic")
    if partition.type == STORAGE_SPACES:
        return seen("part of Storage Spaces", "storage-spaces")
    if partition.type == ESP:
        return seen("the EFI system partition")
    if partition.type == MICROSOFT_RESERVED:
        return seen("the Microsoft reserved partition")
    if partition.type in RECOVERY:
        return seen("a recovery partition")
    return None


def _hive_files(config: str, listed: Sequence[str]) -> dict[str, str]:
    wanted = [*_HIVES, *(f"{hive}.{suffix}" for hive in _HIVES for suffix in _BESIDE)]
    spelt = {fold(name): name for name in listed}
    return {name: f"{config}/{spelt[name]}" for name in wanted if name in spelt}


def _examined(
    appliance: Appliance, search: _Search, volume: WindowsVolume, allow: frozenset[str]
) -> WindowsVolume:
    """The volume with its hazards, its firmware and all that was seen."""
    found: list[Hazard] = []
    saved = False
    files = GuestFiles(appliance, volume.kind)
    if volume.kind == "ntfs":
        state = hazards.state_of(search.fetch_from(volume))
        found += hazards.of_state(state)
        saved = state is not None and state.log == "cached"
        found += hazards.of_hive_attributes(files, volume.hives)
    session = files.read_start(HIBERNATION_FILE, 4)
    saved = saved or volumes.is_hibernated(session)
    discard = saved and DISCARD_HIBERNATION in allow
    if saved:
        found.append(hazards.saved_session(session, DISCARD_HIBERNATION, discarding=discard))
    found += hazards.of_free_space(volume.free)
    return replace(
        volume,
        hazards=tuple(found),
        discard_hibernation=discard,
        firmware=_firmware(search.layouts),
        seen=tuple(search.seen),
    )


def _firmware(layouts: Sequence[Layout]) -> Literal["bios", "uefi", "unknown"]:
    """How the machine boots, by its disks: an EFI system partition, or an active partition."""
    partitions = [partition for layout in layouts for partition in layout.partitions]
    if any(partition.type in (ESP, "EF") for partition in partitions):
        return "uefi"
    if any(partition.active for partition in partitions):
        return "bios"
    return "unknown"


def _numbered(found: Sequence[WindowsVolume]) -> list[str]:
    return [
        f"--root {number}: {volume.root} on disk {volume.disk + 1}, {volume.device}"
        for number, volume in enumerate(found, 1)
    ]


def _several(found: Sequence[WindowsVolume]) -> RefusedError:
    return RefusedError(
        f"there are {len(found)} Windows on the disks, and one must be chosen",
        code="several-windows",
        hint="Choose one with --root N.",
        details=tuple(_numbered(found)),
    )


def _nothing(seen: Sequence[Seen], without_hive: Sequence[str]) -> P2vprepError:
    details = tuple(map(str, seen))
    kinds = {place.kind for place in seen}
    if without_hive:
        return CannotOpenError(
            "there is a Windows folder, but its SYSTEM hive is missing",
            code="system-hive-missing",
            subject=without_hive[0],
            details=details,
            hint="Check that the conversion was complete and that the volume has no errors (chkdsk).",
        )
    for kind, refusal in hazards.REFUSALS.items():
        if kind in kinds:
            places = ", ".join(place.device for place in seen if place.kind == kind)
            return RefusedError(
                f"no Windows can be opened: {refusal.message}",
                code=refusal.code,
                subject=places,
                hint=refusal.cure,
                details=details,
            )
    return CannotOpenError(
        "no Windows was found on the disks",
        code="no-windows",
        details=details or ("there are no disks",),
        hint="Check that all disks of the machine were named. A Windows is a folder with "
        "System32/config/SYSTEM at the top of an NTFS or FAT volume.",
    )
