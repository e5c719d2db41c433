"""Is everything there that a wave needs, and does nothing contradict itself? Nothing is changed.

Every machine costs a few small reads of its images. What a host is asked once (who has which file
open, how much space a file system has, whether a profile is valid) is asked once for all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from p2vprep.core.documents.profile import ProfileKind
from p2vprep.disk import access, inuse
from p2vprep.disk.image import Image, shown
from p2vprep.disk.state import folder_of
from p2vprep.disk.transaction import DEFAULT_SPACE
from p2vprep.engine.options import AUTO
from p2vprep.engine.probing import probe_all
from p2vprep.errors import P2vprepError
from p2vprep.profile_store import ProfileStore
from p2vprep.wave import conflicts
from p2vprep.wave.findings import Checked, Finding
from p2vprep.wave.manifest import Machine, Manifest, summary

SPACE_PER_MACHINE = 8 << 20
"""What a machine leaves on its file system for good: undo data, plan and receipt, generously (bytes)."""
Usable = Callable[[Path], str | None]
"""Why a file must not be written to now; None where nothing speaks against it."""


def check(manifest: Manifest, *, at_once: int, usable: Usable | None = None) -> Checked:
    """Everything that is wrong with a wave, or that will be. ``at_once``: machines that run together."""
    checker = _Checker(manifest.machines, usable or in_use_by_anybody())
    findings: list[Finding] = []
    for machine in manifest.machines:
        findings += checker.machine(machine)
    findings += conflicts.networks(manifest.machines)
    findings += checker.space(at_once)
    order = {machine.name: number for number, machine in enumerate(manifest.machines)}
    findings.sort(key=lambda one: order.get(one.machine, -1))
    counts = summary(manifest.machines)
    return Checked(counts["machines"], counts["disks"], tuple(findings), manifest.notes)


def in_use_by_anybody() -> Usable:
    """Asks the kernel about each file, and all processes once for all files."""
    held = access.all_users()

    def why(file: Path) -> str | None:
        return held.get(str(file)) or inuse.in_use(file)

    return why


@dataclass
class _Room:
    """A file system that machines keep their state on."""

    folder: Path
    machines: int = 0


@dataclass
class _Checker:
    """Remembers what was seen of other machines."""

    machines: Sequence[Machine]
    usable: Usable
    files: conflicts.Files = field(default_factory=conflicts.Files)
    rooms: dict[int, _Room] = field(default_factory=dict)
    stores: dict[tuple[Path, ...], ProfileStore | P2vprepError] = field(default_factory=dict)
    profiles: dict[tuple[tuple[Path, ...], ProfileKind, str], P2vprepError | None] = field(
        default_factory=dict
    )

    def machine(self, machine: Machine) -> Iterator[Finding]:
        yield from self._disks(machine)
        for problem in self._profiles(machine):
            yield _of(machine, problem)

    def _disks(self, machine: Machine) -> Iterator[Finding]:
        try:
            images = probe_all(machine.disks, machine.options)
        except P2vprepError as problem:
            yield _of(machine, problem)
            return
        for image in images:
            yield from self._image(machine, image)
        yield from self._state(machine, images[0])

    def _image(self, machine: Machine, image: Image) -> Iterator[Finding]:
        try:
            access.check_writable(image)
        except P2vprepError as problem:
            yield _of(machine, problem)
        for file in image.files:
            yield from self.files.claim(machine, file)
            why = self.usable(file)
            if why is not None:
                yield Finding(
                    machine.name, "error", "image-in-use", f"the image is in use: {why}", shown(file),
                    machine.place, "Shut the machine down, and end other programs that work with the image.",
                )  # fmt: skip

    def _state(self, machine: Machine, image: Image) -> Iterator[Finding]:
        folder = _existing(folder_of(image.path, machine.options.state_dir).path)
        if not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(
                machine.name, "error", "state-dir-unusable", "the folder for its state cannot be written to",
                shown(folder), machine.place, "Name another place with state-dir.",
            )  # fmt: skip
            return
        self.rooms.setdefault(folder.stat().st_dev, _Room(folder)).machines += 1

    def space(self, at_once: int) -> Iterator[Finding]:
        """File systems that have no room for the overlays and undo data of their machines."""
        for room in self.rooms.values():
            needed = 2 * DEFAULT_SPACE * min(at_once, room.machines) + SPACE_PER_MACHINE * room.machines
            found = os.statvfs(room.folder)
            free = found.f_bavail * found.f_frsize
            if free < needed:
                message = f"{room.machines} machines need about {needed >> 20} MiB, {free >> 20} MiB are free"
                hint = "Make room, or name a folder on another file system with state-dir."
                yield Finding("", "error", "no-space", message, shown(room.folder), "", hint)

    def _profiles(self, machine: Machine) -> Iterable[P2vprepError]:
        options = machine.options
        store = self._store(options.profile_dirs)
        if isinstance(store, P2vprepError):
            return [store]
        kinds: tuple[tuple[ProfileKind, tuple[str, ...]], ...] = (
            ("source", options.sources), ("target", options.targets), ("stage", options.stages),
        )  # fmt: skip
        asked = [(kind, name) for kind, names in kinds for name in names if name != AUTO]
        found = [self._profile(store, options.profile_dirs, kind, name) for kind, name in asked]
        return [problem for problem in found if problem is not None]

    def _store(self, folders: tuple[Path, ...]) -> ProfileStore | P2vprepError:
        if folders not in self.stores:
            try:
                self.stores[folders] = ProfileStore(folders)
            except P2vprepError as problem:
                self.stores[folders] = problem
        return self.stores[folders]

    def _profile(
        self, store: ProfileStore, folders: tuple[Path, ...], kind: ProfileKind, name: str
    ) -> P2vprepError | None:
        key = (folders, kind, name)
        if key not in self.profiles:
            try:
                store.get(name, kind)
                self.profiles[key] = None
            except P2vprepError as problem:
                self.profiles[key] = problem
        return self.profiles[key]


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _of(machine: Machine, problem: P2vprepError) -> Finding:
    return Finding(
        machine.name, "error", problem.code, problem.message, problem.subject or "", machine.place,
        problem.hint or "",
    )  # fmt: skip
