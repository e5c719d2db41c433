"""Loss of power, simulated by dropping what was not flushed.

What would surely survive is known exactly for the files that the transaction
writes itself: the content at their last fsync, under the names at the last fsync
of their folder. :class:`Survivors` keeps that; at any crash point a *picture* of
the machine's folder can be made in which everything else is lost.

Overlays are written by QEMU. One that was not yet flushed by ``sync-overlay`` is
left empty in the picture. A raw image that was written to since its last flush may
hold any of the new sectors and any of the old: the picture takes each at random. That is honest
for raw images on storage that does not tear sectors; what a container's own
tables look like then depends on QEMU and is not simulated.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import IO

from p2vprep.disk.durable import Durable
from tests.faults.machine import SECTOR, Machine


class Survivors(Durable):
    """Durable file steps that remember what a loss of power would leave."""

    def __init__(self, hook: Callable[[str], None]) -> None:
        super().__init__(hook)
        self.contents: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}

    def sync_open_file(self, stream: IO[bytes], path: Path) -> None:
        super().sync_open_file(stream, path)
        self.contents[os.fstat(stream.fileno()).st_ino] = path.read_bytes()

    def sync_file(self, path: Path) -> None:
        super().sync_file(path)
        self.contents[path.stat().st_ino] = path.read_bytes()

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.names[path] = {entry.name: entry.lstat().st_ino for entry in path.iterdir()}


def picture(
    machine: Machine, pristine: Machine, alive: Survivors, folder: Path, chance: random.Random
) -> Machine:
    """The machine as it would come up after the power went now, in a new folder."""
    folder.mkdir()
    for path, before in zip(machine.paths, pristine.paths, strict=True):
        (folder / path.name).write_bytes(_mixed(before.read_bytes(), path.read_bytes(), chance))
    _copy_survivors(machine.folder, folder, alive)
    return machine.copied_as(folder)


def _mixed(before: bytes, now: bytes, chance: random.Random) -> bytes:
    """Each sector that was written since is there or not."""
    mixed = bytearray(before)
    for start in range(0, len(now), SECTOR):
        sector = now[start : start + SECTOR]
        if sector != before[start : start + SECTOR] and chance.random() < 0.5:
            mixed[start : start + SECTOR] = sector
    return bytes(mixed)


def _copy_survivors(source: Path, target: Path, alive: Survivors) -> None:
    """State folders: names as of the last flush of the folder, contents as of that of the file."""
    for name, inode in alive.names.get(source, {}).items():
        path = source / name
        if path.is_dir():
            (target / name).mkdir(mode=0o700)
            _copy_survivors(path, target / name, alive)
        elif inode in alive.contents:
            (target / name).write_bytes(alive.contents[inode])
        elif not (target / name).exists():
            (target / name).write_bytes(b"")
