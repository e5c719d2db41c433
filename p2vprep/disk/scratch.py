"""Looking at images without touching them: throw-away overlays, and copies where a log has to be replayed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from p2vprep.disk import qemu
from p2vprep.disk.durable import copy_sparse
from p2vprep.disk.image import Image
from p2vprep.disk.run import as_failure


@contextmanager
def scratch(images: Sequence[Image]) -> Iterator[tuple[Path, ...]]:
    """Throw-away overlays to look at a machine: no lock, no state folder, no write access to the images."""
    temporary = Path(tempfile.gettempdir())
    with as_failure("There is no room for a temporary overlay", temporary):
        folder = Path(tempfile.mkdtemp(prefix="p2vprep-look-"))
    try:
        with as_failure("There is no room for a temporary overlay", folder):
            overlays = tuple(
                qemu.create_overlay(readable(image, folder), folder / f"overlay-{number}.qcow2").path
                for number, image in enumerate(images)
            )
        yield overlays
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replayed(image: Image) -> Image:
    """The image after its VHDX log was replayed, which was allowed by name; others as they are."""
    if image.dirty_log:
        qemu.replay_log(image)
    return replace(image, dirty_log=False)


def readable(image: Image, folder: Path) -> Image:
    """The image, or where its VHDX log has to be replayed first a copy of it in the folder."""
    if not image.dirty_log:
        return image
    copy = Path(tempfile.mkdtemp(prefix="replayed-", dir=folder)) / "copy.vhdx"
    copy_sparse(image.path, copy)
    return replayed(replace(image, path=copy, files=(copy,)))
