"""Small machines to break: disks in every format, a plan of writes, and an apply without an appliance.

The transaction does not care who writes to its overlays; here that is libnbd, so
that a whole apply takes a fifth of a second and can be broken hundreds of times.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from p2vprep.disk import image, nbd, qemu
from p2vprep.disk.durable import Durable, no_hook
from p2vprep.disk.image import Image
from p2vprep.disk.recovery import Recovered, RolledBack, recover, rollback
from p2vprep.disk.state import Host
from p2vprep.disk.transaction import Committed, Transaction, begin

SIZE = 8 << 20
SPACE = 1 << 20
SECTOR = 512

FORMATS: dict[str, tuple[str, str, str]] = {
    "raw": ("raw", "", ".raw"),
    "qcow2": ("qcow2", "", ".qcow2"),
    "vhd": ("vpc", "subformat=dynamic,force_size=on", ".vhd"),
    "vhd-fixed": ("vpc", "subformat=fixed,force_size=on", ".vhd"),
    "vhdx": ("vhdx", "subformat=dynamic,block_size=1M", ".vhdx"),
    "vmdk": ("vmdk", "subformat=monolithicSparse", ".vmdk"),
    "vmdk-flat": ("vmdk", "subformat=monolithicFlat", ".vmdk"),
    "vmdk-split": ("vmdk", "subformat=twoGbMaxExtentSparse", ".vmdk"),
}
"""Our name: QEMU's driver, its creation options, the suffix."""

Write = tuple[int, bytes]


@dataclass(frozen=True)
class Machine:
    """Disks on which nothing was done yet, with the digests of before and of what is planned."""

    folder: Path
    paths: tuple[Path, ...]
    writes: tuple[tuple[Write, ...], ...]
    before: tuple[str, ...]
    planned: tuple[str, ...]
    files: tuple[str, ...]

    def copied(self, folder: Path) -> Machine:
        """The same machine in another (new) folder."""
        shutil.copytree(self.folder, folder)
        return self.copied_as(folder)

    def copied_as(self, folder: Path) -> Machine:
        """The machine that lies in another folder under the same names."""
        return replace(self, folder=folder, paths=tuple(folder / path.name for path in self.paths))

    def side(self) -> str:
        """``before`` or ``planned`` if all disks are on that side bit by bit, else ``torn``."""
        if file_digests(self.paths) == self.files:
            return "before"  # not one byte of the containers has changed
        now = digests(self.paths)
        return {self.before: "before", self.planned: "planned"}.get(now, "torn")

    def images(self) -> tuple[Image, ...]:
        return tuple(image.probe(path) for path in self.paths)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder in memory where there is one: these tests flush files thousands of times."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 256 << 20
    with tempfile.TemporaryDirectory(prefix="p2vprep-faults-", dir=memory if roomy else None) as path:
        yield Path(path)


def build(folder: Path, formats: Sequence[str], seed: int = 1) -> Machine:
    """A machine with one disk per format name, half full of noise, and scattered writes planned for each."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    paths, writes, before, planned = [], [], [], []
    for number, name in enumerate(formats):
        path = create(folder / f"disk{number}{FORMATS[name][2]}", name)
        content = _content(chance)
        _fill(image.probe(path), content)
        changes = _writes(chance)
        paths.append(path)
        writes.append(changes)
        before.append(hashlib.sha256(content).hexdigest())
        for offset, data in changes:
            content[offset : offset + len(data)] = data
        planned.append(hashlib.sha256(content).hexdigest())
    assert digests(paths) == tuple(before)
    return Machine(folder, tuple(paths), tuple(writes), tuple(before), tuple(planned), file_digests(paths))


def create(path: Path, name: str, size: int = SIZE) -> Path:
    """An empty disk in one of the FORMATS."""
    driver, options, _suffix = FORMATS[name]
    chosen = ("-o", options) if options else ()
    qemu._qemu_img("create", "-q", "-f", driver, *chosen, "--", str(path), str(size), subject=path)
    return path


def _content(chance: random.Random) -> bytearray:
    content = bytearray(SIZE)
    for start in range(0, SIZE, 1 << 20):
        if chance.random() < 0.5 or start == 0:
            content[start : start + (256 << 10)] = chance.randbytes(256 << 10)
    content[:SECTOR] = b"\x33\xc0" + content[2:510] + b"\x55\xaa"
    return content


def _fill(disk: Image, content: bytearray) -> None:
    with nbd.connect(disk, read_only=False) as target:
        for start in range(0, SIZE, 64 << 10):
            piece = bytes(content[start : start + (64 << 10)])
            if piece.count(0) != len(piece):
                target.pwrite(start, piece)
        target.flush()


def _writes(chance: random.Random) -> tuple[Write, ...]:
    """Scattered writes as an apply makes them: some pages, a larger file, the last sector."""
    found = [(chance.randrange(SIZE // 4096 - 1) * 4096, chance.randbytes(4096)) for _number in range(24)]
    found += [
        (chance.randrange(SIZE // SECTOR - 1) * SECTOR, chance.randbytes(SECTOR)) for _number in range(8)
    ]
    found.append((chance.randrange(SIZE // 2 // SECTOR) * SECTOR, chance.randbytes(300 << 10)))
    found.append((SIZE - SECTOR, chance.randbytes(SECTOR)))
    return tuple(found)


def digests(paths: Sequence[Path]) -> tuple[str, ...]:
    """SHA-256 of each whole virtual disk."""
    found = []
    for path in paths:
        with nbd.connect(image.probe(path), read_only=True) as disk:
            found.append(disk.sha256())
    return tuple(found)


def file_digests(paths: Sequence[Path]) -> tuple[str, ...]:
    """SHA-256 of all host files of the disks."""
    files = [file for path in paths for file in sorted(path.parent.glob(f"{path.stem}*.*")) if file.is_file()]
    return tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


def host(hook: Callable[[str], None] = no_hook) -> Host:
    return Host(durable=Durable(hook))


def edit(transaction: Transaction, machine: Machine) -> None:
    """The part of the appliance: writes the plan into the overlays."""
    for overlay, disk, writes in zip(transaction.overlays, transaction.disks, machine.writes, strict=True):
        with nbd.connect(qemu.Overlay(overlay, disk), read_only=False) as target:
            for offset, data in writes:
                target.pwrite(offset, data)
            target.flush()


def apply(
    machine: Machine,
    hook: Callable[[str], None] = no_hook,
    *,
    outputs: Sequence[Path] = (),
    state_dir: Path | None = None,
) -> Committed:
    """A whole apply on a machine."""
    return apply_with(host(hook), machine, outputs=outputs, state_dir=state_dir, hook=hook)


def apply_with(
    surroundings: Host,
    machine: Machine,
    *,
    outputs: Sequence[Path] = (),
    state_dir: Path | None = None,
    hook: Callable[[str], None] = no_hook,
) -> Committed:
    with begin(
        machine.images(), host=surroundings, outputs=outputs, state_dir=state_dir, needed_space=SPACE
    ) as transaction:
        hook("edit:before")
        edit(transaction, machine)
        hook("edit:after")
        transaction.write_document("plan", {"changes": []})
        return transaction.commit({"summary": {"changes": sum(map(len, machine.writes))}})


def mended(machine: Machine, hook: Callable[[str], None] = no_hook, *, abort: bool = False) -> Recovered:
    """``recover`` on the machine, by its first disk alone."""
    return recover(machine.paths[:1], host=host(hook), abort=abort)


def taken_back(machine: Machine, hook: Callable[[str], None] = no_hook) -> RolledBack:
    """``rollback`` on the machine, by its first disk alone."""
    return rollback(machine.paths[:1], host=host(hook))


def points_of(action: Callable[[Callable[[str], None]], object]) -> list[str]:
    """The crash points that an action passes, in order."""
    seen: list[str] = []
    action(seen.append)
    return seen
