"""Reading ahead: what an apply will need from the disks, read on the host while the appliance boots.

Under emulation the appliance takes its time to boot and to hand over a hive, on a
processor of its own. What is read here comes from the image's bytes by our own
reading of NTFS, and is only ever a shortcut: it is used where the appliance sees a
file of the same name and size, and the proof after writing compares the whole file
as the appliance reads it. Wherever something is odd, nothing is foreseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from p2vprep.core.ntfs_folders import ROOT, Entry, NtfsFolders
from p2vprep.core.registry import fold
from p2vprep.core.volumes import Fetch
from p2vprep.disk import nbd
from p2vprep.disk.image import Image
from p2vprep.disk.survey import Look, Survey, survey

LIMIT = 64 << 20
"""Larger files are left to the appliance (bytes)."""
NEEDED = ("SYSTEM", "SYSTEM.LOG", "SYSTEM.LOG1", "SYSTEM.LOG2", "SOFTWARE")
"""What is read. SYSTEM.ALT, and the logs of SOFTWARE, are seldom there or seldom needed."""


@dataclass(frozen=True)
class Foresight:
    """What was read ahead: every disk surveyed, and files by device and path as spelt in the volume."""

    surveys: tuple[Survey, ...]
    device: str = ""
    """The volume that was read, empty where none was."""
    root: str = ""
    """Its Windows folder: ``/Windows``."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    drivers: tuple[str, ...] = field(default=(), repr=False)
    """The names in its ``System32/drivers``; empty where they cannot be told."""

    def of(self, device: str) -> Mapping[str, bytes]:
        """The files of one volume."""
        return self.files if device == self.device else {}

    def hive(self, name: str) -> tuple[str, bytes] | None:
        """Path and content of a file of the config folder, by its name in upper case."""
        found = [path for path in self.files if fold(path.rpartition("/")[2]) == name]
        return (found[0], self.files[found[0]]) if found else None


def foresee(images: Sequence[Image]) -> Foresight:
    """Surveys the disks and reads the SYSTEM hive with its logs, where there is just one likely Windows.

    Raises what opening the images for reading raises; a volume that is odd is only left out.
    """
    with ExitStack() as stack:
        fetches = [_fetch(stack.enter_context(nbd.connect(image, read_only=True))) for image in images]
        surveys = survey(fetches)
        likely = [
            (fetches[number], look)
            for number, surveyed in enumerate(surveys)
            for look in surveyed.looks
            if look.likely
        ]
        if len(likely) != 1 or len(likely[0][1].likely or ()) != 1:
            return Foresight(surveys)
        fetch, look = likely[0]
        files = _hive_files(fetch, look)
        root = "/" + (look.likely or ("",))[0]
        return Foresight(surveys, look.partition.device, root, files, _driver_names(fetch, look))


def _fetch(disk: nbd.NbdDisk) -> Fetch:
    def fetch(offset: int, length: int) -> bytes:
        length = max(0, min(length, disk.size - offset))
        return disk.pread(offset, length) if length else b""

    return fetch


def _hive_files(fetch: Fetch, look: Look) -> dict[str, bytes]:
    """The hive and its logs, all or none: a hive without a log that is there would be another state."""
    start = look.partition.start
    try:
        folders = NtfsFolders(lambda offset, length: fetch(start + offset, length))
        config, path = ROOT, ""
        for name in (*(look.likely or ()), "System32", "config"):
            entry = _require(folders.lookup(config, name))
            config, path = entry.record, f"{path}/{entry.name}"
        found = [folders.lookup(config, name) for name in NEEDED]
        return {
            f"{path}/{entry.name}": folders.content(entry.record, LIMIT)
            for entry in found
            if entry is not None
        }
    except ValueError:
        return {}


def _driver_names(fetch: Fetch, look: Look) -> tuple[str, ...]:
    """The names in the folder of drivers; none where there is no such folder or it is odd."""
    start = look.partition.start
    try:
        folders = NtfsFolders(lambda offset, length: fetch(start + offset, length))
        here = ROOT
        for name in (*(look.likely or ()), "System32", "drivers"):
            here = _require(folders.lookup(here, name)).record
        return tuple(entry.name for entry in folders.children(here))
    except ValueError:
        return ()


def _require(entry: Entry | None) -> Entry:
    if entry is None:
        raise ValueError("a folder that is not there any more")
    return entry
