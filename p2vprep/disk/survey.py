"""A first look at the disks by their bytes alone: tables, file systems, their state, likely Windows folders.

It needs no appliance, only something that reads the disk, so it can be done on
the host while the appliance boots. Through the appliance it costs 0.2 s per read
under emulation, whatever the size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from p2vprep.core import volumes
from p2vprep.core.ntfs_folders import NtfsFolders
from p2vprep.core.registry import fold
from p2vprep.core.volumes import Fetch, NtfsState, VolumeKind
from p2vprep.disk.partitions import (
    ESP,
    LDM_GPT,
    LDM_MBR,
    MICROSOFT_RESERVED,
    RECOVERY,
    STORAGE_SPACES,
    Layout,
    Partition,
    device_name,
    read_layout,
)

_NEVER = ("$RECYCLE.BIN", "RECYCLER", "SYSTEM VOLUME INFORMATION", "PROGRAM FILES", "PROGRAM FILES (X86)")
_BLOCK = 1 << 20
_KEPT_BLOCKS = 16


@dataclass(frozen=True)
class Look:
    """What one partition is. ``what`` in words; the rest is for NTFS and FAT."""

    partition: Partition
    kind: VolumeKind | str
    """A kind of volume, or ``dynamic``, ``storage-spaces``, ``none`` for partitions told by their type."""
    what: str
    likely: tuple[str, ...] | None = None
    """The top folders with System32/config in them; None where only mounting can tell."""
    state: NtfsState | None = None
    """Of NTFS; None where its structures cannot be read."""


@dataclass(frozen=True)
class Survey:
    """What one disk is."""

    device: str
    layout: Layout
    looks: tuple[Look, ...]


def survey(fetches: Sequence[Fetch]) -> tuple[Survey, ...]:
    """Surveys disks, each given by a function that reads it (offset, length; shorter at its end)."""
    return tuple(_survey_disk(fetch, disk) for disk, fetch in enumerate(fetches))


def never_windows(name: str) -> bool:
    """Whether a top folder of this name is never a Windows."""
    return fold(name) in _NEVER or name.startswith("$") or name == "."


def _survey_disk(fetch: Fetch, disk: int) -> Survey:
    device = device_name(disk)
    kept = _Kept(fetch)
    layout = read_layout(kept, disk, device)
    return Survey(device, layout, tuple(_look(kept, partition) for partition in layout.partitions))


def _look(fetch: Fetch, partition: Partition) -> Look:
    special = _told_by_type(partition)
    if special is not None:
        return Look(partition, *special)

    def inside(offset: int, length: int) -> bytes:
        if partition.size:
            length = max(0, min(length, partition.size - offset))
        return fetch(partition.start + offset, length) if length else b""

    kind = volumes.identify(inside(0, volumes.FIRST_BYTES))
    if kind != "ntfs":
        return Look(partition, kind, volumes.WORDS[kind])
    return Look(partition, kind, volumes.WORDS[kind], _likely_roots(inside), _state(inside))


def _state(fetch: Fetch) -> NtfsState | None:
    try:
        return volumes.ntfs_state(fetch)
    except ValueError:
        return None


def _likely_roots(fetch: Fetch) -> tuple[str, ...] | None:
    """The top folders with System32/config in them, told without mounting; None where that fails."""
    try:
        folders = NtfsFolders(fetch)
        likely = []
        for top in folders.children():
            system = (
                folders.lookup(top.record, "System32") if top.folder and not never_windows(top.name) else None
            )
            if system is not None and folders.lookup(system.record, "config") is not None:
                likely.append(top.name)
        return tuple(likely)
    except ValueError:
        return None


def _told_by_type(partition: Partition) -> tuple[str, str] | None:
    """Kind and words of partitions that never hold a Windows that can be changed."""
    if partition.type == LDM_MBR or partition.type in LDM_GPT:
        return "dynamic", "part of a dynamic disk (LDM)"
    if partition.type == STORAGE_SPACES:
        return "storage-spaces", "part of Storage Spaces"
    if partition.type == ESP:
        return "none", "the EFI system partition"
    if partition.type == MICROSOFT_RESERVED:
        return "none", "the Microsoft reserved partition"
    if partition.type in RECOVERY:
        return "none", "a recovery partition"
    return None


class _Kept:
    """Reads a disk in large blocks and keeps some: what is asked for lies close together."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def __call__(self, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        if last - first >= _KEPT_BLOCKS:
            return self._fetch(offset, length)
        for number in range(first, last + 1):
            if number not in self._blocks:
                self._blocks[number] = self._fetch(number * _BLOCK, _BLOCK)
            self._blocks.move_to_end(number)
        joined = b"".join(self._blocks[number] for number in range(first, last + 1))
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return joined[offset - first * _BLOCK :][:length]
