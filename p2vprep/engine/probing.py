"""The images of one machine, as the user names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from p2vprep.disk.image import Image, probe
from p2vprep.engine.options import Options
from p2vprep.errors import UsageError


def probe_all(paths: Sequence[Path], options: Options) -> tuple[Image, ...]:
    """The images of one machine. Raises UsageError where one is named twice, and what ``probe`` raises."""
    images = tuple(probe(path, options.allow) for path in paths)
    seen: set[Path] = set()
    for image in images:
        for file in image.files:
            if file in seen:
                raise UsageError(
                    "The same file was named twice.",
                    code="image-named-twice",
                    subject=str(file),
                    hint="Name each disk of the machine once.",
                )
            seen.add(file)
    return images
