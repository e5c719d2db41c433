"""Looks at a disk without libguestfs: the virtual disk through qemu-img, NTFS by ntfscat, FAT by mtools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd, qemu
from p2vprep.disk.partitions import read_layout


def fingerprint(path: Path) -> str:
    """The SHA-256 of the whole virtual disk."""
    with nbd.connect(image.probe(path), read_only=True) as disk:
        return disk.sha256()


def guest_file(path: Path, name: str, folder: Path) -> bytes:
    """A file of the guest's Windows volume, by its path there. Skips where the readers are missing."""
    raw = folder / f"{path.name}.look.img"
    if raw.exists():
        raw.unlink()
    qemu.convert(image.probe(path), raw, "raw")
    try:
        with raw.open("rb") as opened:

            def fetch(offset: int, length: int) -> bytes:
                opened.seek(offset)
                return opened.read(length)

            partitions = read_layout(fetch, 0, "/dev/sda").partitions
        for partition in partitions:
            content = _from_volume(raw, partition.start, partition.size, name, folder)
            if content is not None:
                return content
    finally:
        raw.unlink()
    raise FileNotFoundError(f"{name} is on no volume of {path}")


def _from_volume(raw: Path, start: int, size: int, name: str, folder: Path) -> bytes | None:
    with raw.open("rb") as opened:
        opened.seek(start)
        boot = opened.read(512)
    if boot[3:11] == b"NTFS    ":
        return _from_ntfs(raw, start, size, name, folder)
    if boot[510:512] == b"\x55\xaa" and (boot[82:87] == b"FAT32" or boot[54:57] == b"FAT"):
        return _from_fat(raw, start, name)
    return None


def _from_ntfs(raw: Path, start: int, size: int, name: str, folder: Path) -> bytes | None:
    if shutil.which("ntfscat") is None:
        pytest.skip("ntfscat (ntfs-3g) is not installed")
    volume = folder / "volume.img"
    count = (size or raw.stat().st_size) // 512
    copy = [
        "dd",
        f"if={raw}",
        f"of={volume}",
        "bs=512",
        f"skip={start // 512}",
        f"count={count}",
        "conv=sparse",
    ]
    subprocess.run([*copy, "status=none"], check=True)
    try:
        done = subprocess.run(["ntfscat", "-f", str(volume), name], capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None
    finally:
        volume.unlink()


def _from_fat(raw: Path, start: int, name: str) -> bytes | None:
    if shutil.which("mcopy") is None:
        pytest.skip("mcopy (mtools) is not installed")
    done = subprocess.run(
        ["mcopy", "-n", "-i", f"{raw}@@{start}", f"::{name}", "-"], capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
