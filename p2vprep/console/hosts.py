"""The host's files that the console reads and writes: what goes into the guest, what is taken out."""

from __future__ import annotations

from pathlib import Path

from p2vprep.errors import UsageError

LARGEST = 64 << 20
"""A file for the guest is never larger (bytes): it travels in the plan document."""
LARGEST_OUT = 256 << 20
"""A file of the guest that is taken out is never larger (bytes)."""


def read_host_file(path: Path) -> bytes:
    """A whole file of the host. Raises UsageError where it cannot be read or is too large."""
    try:
        if not path.is_file():
            raise UsageError("there is no such file", code="no-such-file", subject=str(path))
        if path.stat().st_size > LARGEST:
            raise UsageError(
                f"the file is larger than {LARGEST >> 20} MiB", code="file-too-large", subject=str(path)
            )
        return path.read_bytes()
    except OSError as problem:
        raise UsageError(f"the file cannot be read: {problem.strerror}", subject=str(path)) from problem


def write_host_file(path: Path, content: bytes) -> None:
    """A new file of the host; nothing is replaced. Raises UsageError."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as problem:
        raise UsageError(
            "there is a file of this name; it is not replaced", code="file-exists", subject=str(path)
        ) from problem
    except OSError as problem:
        raise UsageError(f"the file cannot be written: {problem.strerror}", subject=str(path)) from problem
