"""Where the fake appliance keeps its disks: in memory, in a raw file, or through a qcow2 overlay."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any, Protocol


class Store(Protocol):
    """A disk's bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes; shorter only at the end."""
        ...

    def write(self, offset: int, data: bytes) -> None: ...
    def close(self) -> None: ...


class MemoryStore:
    """A disk in memory."""

    def __init__(self, content: bytes | bytearray) -> None:
        self.content = bytearray(content)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.content[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        assert offset + len(data) <= len(self.content)
        self.content[offset : offset + len(data)] = data

    def close(self) -> None:
        pass


class FileStore:
    """A raw file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)

    def read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length) or b""

    def write(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        self._file.write(data)

    def close(self) -> None:
        self._file.close()


class QcowStore:
    """A qcow2 overlay with all that lies below it, through a qemu-nbd of its own."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        import nbd

        self._folder = tempfile.TemporaryDirectory(prefix="fake-")
        socket = Path(self._folder.name) / "socket"
        mode = ["--read-only"] if read_only else ["--discard=unmap"]
        command = ["qemu-nbd", "--format=qcow2", f"--socket={socket}", *mode, "--fork", "--", str(path)]
        subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._handle: Any = nbd.NBD()
        self._handle.connect_unix(str(socket))
        self._size: int = self._handle.get_size()

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self._size - offset))
        return bytes(self._handle.pread(length, offset)) if length else b""

    def write(self, offset: int, data: bytes) -> None:
        for start in range(0, len(data), 4 << 20):
            self._handle.pwrite(data[start : start + (4 << 20)], offset + start)

    def close(self) -> None:
        self._handle.flush()
        self._handle.shutdown()
        self._folder.cleanup()


def open_store(path: Path, *, read_only: bool) -> Store:
    """The store for a file, by its first bytes."""
    with path.open("rb") as file:
        magic = file.read(4)
    return QcowStore(path, read_only=read_only) if magic == b"QFI\xfb" else FileStore(path)
