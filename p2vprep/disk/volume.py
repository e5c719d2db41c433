"""Finding the Windows on the disks, and what stands in the way of changing it.

A Windows is a folder at the top of an NTFS or FAT volume (WINDOWS, WINNT, ReactOS,
any name) with ``System32/config/SYSTEM`` in it. Preinstallation and recovery
environments, which have one too, do not count: their hive has ``Control\\MiniNT``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from p2vprep.core import volumes
from p2vprep.core.model import Hazard
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import find, fold
from p2vprep.core.volumes import NtfsState, VolumeKind
from p2vprep.disk import hazards
from p2vprep.disk.appliance import Appliance, FileSystem
from p2vprep.disk.guestfiles import FileSource, GuestFiles
from p2vprep.disk.partitions import ESP, Layout, Partition, Table
from p2vprep.disk.survey import Look, Survey, never_windows, survey
from p2vprep.errors import CannotOpenError, FailedError, HiveError, P2vprepError, RefusedError

DISCARD_HIBERNATION = "discard-hibernation"
"""What ``--allow`` takes to throw a saved session away."""

HIBERNATION_FILE = "/hiberfil.sys"

_HIVES = ("SYSTEM", "SOFTWARE")
_BESIDE = ("LOG", "LOG1", "LOG2", "ALT")
_LIKELY = ("WINDOWS", "WINNT", "REACTOS")


@dataclass(frozen=True)
class Seen:
    """What was found at a place: a partition, or a disk without any; ``what`` in words."""

    disk: int
    device: str
    what: str
    kind: VolumeKind | str = "none"
    """As in :class:`Look`."""

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
    writable: bool = False
    """It is mounted for writing already."""
    state: NtfsState | None = None
    """Of NTFS; None where its structures cannot be read."""
    seen: tuple[Seen, ...] = field(default=(), compare=False)
    """Everything that was looked at, for people."""

    def logs(self, hive: str) -> dict[str, str]:
        """The paths of a hive's transaction logs by ``LOG``, ``LOG1``, ``LOG2``."""
        keys = {suffix: f"{hive}.{suffix}" for suffix in ("LOG", "LOG1", "LOG2")}
        return {suffix: self.hives[key] for suffix, key in keys.items() if key in self.hives}


def find_windows(
    appliance: Appliance,
    *,
    root: int | None = None,
    allow: frozenset[str] = frozenset(),
    surveys: Sequence[Survey] | None = None,
    foreseen: Mapping[str, bytes] | None = None,
    writable: bool = False,
) -> WindowsVolume:
    """Finds the one Windows on all disks and leaves its volume mounted.

    Read-only, or with ``writable``, for one that will most likely be changed, for writing at once:
    only where nothing on it could be lost that way, and the disks are overlays.

    ``surveys`` is what :func:`survey` told of the same disks, where it was asked already, and
    ``foreseen`` what was read of the likely volume.
    ``root`` chooses among several, counted from 1 in the order of disks and partitions. Raises
    CannotOpenError ``no-windows`` (with all that was seen), ``system-hive-missing`` or ``no-such-root``,
    and RefusedError ``several-windows``, ``bitlocker``, ``dynamic-disk``, ``storage-spaces`` or ``refs``.
    """
    if surveys is None:
        surveys = survey([partial(appliance.read_device, device) for device in appliance.devices])
    search = _Search(appliance, surveys, foreseen or {}, _sole(surveys) if writable else None)
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


def _sole(surveys: Sequence[Survey]) -> str | None:
    """The device of the only likely volume, where it is an NTFS that was closed properly."""
    likely = [look for looked in surveys for look in looked.looks if look.likely != ()]
    sure = len(likely) == 1 and likely[0].kind == "ntfs" and likely[0].state == NtfsState(False, "clean")
    return likely[0].partition.device if sure else None


def open_for_writing(appliance: Appliance, volume: WindowsVolume) -> None:
    """Mounts the volume for writing and makes sure that it takes writes.

    Raises RefusedError (``guest-read-only``) where ntfs-3g falls back to read-only.
    """
    if not volume.writable or volume.discard_hibernation:
        appliance.mount(
            volume.device, volume.kind, writable=True, discard_hibernation=volume.discard_hibernation
        )
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
    """Mounts what may hold a Windows, and remembers what it saw."""

    def __init__(
        self,
        appliance: Appliance,
        surveys: Sequence[Survey],
        foreseen: Mapping[str, bytes],
        for_writing: str | None,
    ) -> None:
        """``for_writing`` is the device to mount for writing, where there is one."""
        self.appliance = appliance
        self.surveys = surveys
        self.foreseen = foreseen
        self.for_writing = for_writing
        self.seen: list[Seen] = []
        self.without_hive: list[str] = []
        self.mounted: str | None = None

    def all(self) -> list[WindowsVolume]:
        found: list[WindowsVolume] = []
        for disk, looked in enumerate(self.surveys):
            if looked.layout.problem:
                self.seen.append(Seen(disk, looked.device, looked.layout.problem))
            for look in looked.looks:
                found += self._look(looked.layout, look)
        return found

    def _saw(self, look: Look, what: str) -> list[WindowsVolume]:
        self.seen.append(Seen(look.partition.disk, look.partition.device, what, look.kind))
        return []

    def _look(self, layout: Layout, look: Look) -> list[WindowsVolume]:
        partition = look.partition
        if look.kind not in ("ntfs", "fat"):
            return self._saw(look, look.what)
        if look.likely == ():
            return self._saw(look, f"{look.what} without Windows")
        file_system: FileSystem = "ntfs" if look.kind == "ntfs" else "fat"
        writable = partition.device == self.for_writing
        try:
            self.appliance.mount(partition.device, file_system, writable=writable)
        except (CannotOpenError, FailedError) as problem:
            if problem.code != "appliance-call":
                raise
            return self._saw(look, f"{look.what} that cannot be mounted ({problem.message.splitlines()[0]})")
        self.mounted = partition.device
        roots = self._roots(look.likely)
        folders = ", ".join(root for root, _ in roots)
        self._saw(look, f"{look.what} with {folders}" if roots else f"{look.what} without Windows")
        free = self.appliance.free_space()
        return [
            WindowsVolume(
                partition.disk, partition.device, file_system, layout.table, partition, root, config,
                _hive_files(config, self.appliance.list(config)), "unknown", free,
                state=look.state, writable=writable,
            )
            for root, config in roots
        ]  # fmt: skip

    def _roots(self, likely: tuple[str, ...] | None) -> list[tuple[str, str]]:
        """The Windows folders of what is mounted, each with its config folder."""
        roots = []
        for name in sorted(self.appliance.list("/") if likely is None else likely, key=_likely_first):
            if never_windows(name):
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
            elif not _is_preinstallation(self._hive(hive, held.size)):
                roots.append((f"/{name}", config))
        return roots

    def _hive(self, path: str, size: int) -> FileSource | bytes:
        foreseen = self.foreseen.get(path, b"")
        return foreseen if len(foreseen) == size else FileSource(self.appliance, path, size)


def _likely_first(name: str) -> tuple[bool, str]:
    return (fold(name) not in _LIKELY, fold(name))


def _is_preinstallation(source: FileSource | bytes) -> bool:
    """Whether a SYSTEM hive is of Windows PE or RE. A hive that cannot be read is taken for a Windows:

    what is wrong with it is for the hive's loader to say.
    """
    try:
        hive = HiveReader(source)
        return find(hive, r"ControlSet001\Control\MiniNT") is not None
    except HiveError:
        return False


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
        found += hazards.of_state(volume.state)
        saved = volume.state is not None and volume.state.log == "cached"
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
        firmware=_firmware([looked.layout for looked in search.surveys]),
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
