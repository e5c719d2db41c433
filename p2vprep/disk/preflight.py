"""What has to be true before a run begins, and again before its commit: refusals, each with a stable code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from p2vprep.disk.image import Image, shown
from p2vprep.disk.journal import PARTIAL_SUFFIX, RunState
from p2vprep.disk.run import OpenRun, stamps
from p2vprep.disk.state import StateFolder, no_space
from p2vprep.disk.undo import Undo
from p2vprep.errors import FailedError, RefusedError, UsageError

_MARGIN = 1 << 20

OUTPUT_SUFFIXES = {
    ".vhd": "vhd",
    ".vhdx": "vhdx",
    ".vmdk": "vmdk",
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".img": "raw",
}
"""The formats of ``--output`` by the suffix of the new name."""


def refuse_unfinished(folder: StateFolder) -> None:
    """Raises RefusedError ``unfinished-run`` where a run of this journal needs ``recover``."""
    run = folder.read_journal().unfinished
    if run is not None:
        raise RefusedError(
            f"Run {run.number} on this machine was cut off while {_PHASES[run.state]}.",
            code="unfinished-run",
            subject=shown(folder.path),
            hint="Run `p2vprep recover` on the image first; do not start the machine before.",
        )


_PHASES = {
    RunState.EDITING: "it was being prepared",
    RunState.COMMITTING: "its changes were being written to the disks",
    RunState.COMMITTED: "it was cleaning up",
    RunState.ROLLING_BACK: "it was being taken back",
}


def targets_of(images: Sequence[Image], outputs: Sequence[Path]) -> tuple[Path, ...]:
    """The files that will hold the result, checked for being different ones."""
    files = [file for image in images for file in image.files]
    if not images or len(set(files)) != len(files):
        raise UsageError(
            "The disks of a machine have to be different images, and at least one.", code="same-image"
        )
    if not outputs:
        return tuple(image.path for image in images)
    if len(outputs) != len(images):
        raise UsageError("There have to be as many new names as images.", code="output-count")
    targets = tuple(Path(os.path.realpath(output)) for output in outputs)
    if len(set(targets)) != len(targets):
        raise UsageError("The new images have to have different names.", code="output-count")
    for target in targets:
        if target.suffix.lower() not in OUTPUT_SUFFIXES:
            raise UsageError(
                f"The format cannot be told from the suffix {target.suffix!r}.",
                code="output-format",
                subject=shown(target),
                hint=f"Use one of {' '.join(OUTPUT_SUFFIXES)}.",
            )
        if os.path.lexists(target) or os.path.lexists(f"{target}{PARTIAL_SUFFIX}"):
            raise RefusedError(
                "There is a file of that name already; it is not overwritten.",
                code="output-exists",
                subject=shown(target),
                hint="Name another file, or move this one away; `recover` removes an unfinished copy.",
            )
    return targets


def refuse_no_space(folder: Path, needed: int) -> None:
    free = _free(folder)
    if free < needed:
        raise no_space(folder, f"{needed >> 20} MiB are needed here and {free >> 20} MiB are free")


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def refuse_changed(opened: OpenRun) -> None:
    """Somebody wrote to an image since the run began: its overlay no longer fits."""
    for disk, entry in zip(opened.disks, opened.run.disks, strict=True):
        try:
            same = stamps(disk, opened.folder) == entry.files
        except FileNotFoundError:
            same = False
        if not same:
            raise FailedError(
                "The image was changed, moved or replaced by somebody else while it was being prepared.",
                code="image-changed",
                subject=shown(disk.path),
                changed="Nothing was changed by this run.",
                hint="Find out who uses the image, then begin again.",
            )


def refuse_full(opened: OpenRun, undos: Sequence[Undo]) -> None:
    """An image that grows needs room beside it before the commit begins."""
    for disk, data in zip(opened.disks, undos, strict=True):
        found = [file.stat() for file in disk.files]
        full = sum(entry.st_blocks * 512 for entry in found) >= max(disk.virtual_size, 1)
        if not full:
            refuse_no_space(disk.path.parent, data.changed_bytes + _MARGIN)
