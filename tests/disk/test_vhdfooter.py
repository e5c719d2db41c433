"""A dynamic VHD that lost its footer gets it back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd
from p2vprep.disk.image import Image
from p2vprep.disk.vhdfooter import mend
from p2vprep.errors import CannotOpenError, FailedError
from tests.faults.machine import build, create, digests


def as_it_was(path: Path) -> Image:
    return Image(path, "vpc", "VHD (dynamic)", 8 << 20, (path,))


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("loss", ["overwritten by a bitmap", "cut off"])
def test_a_lost_footer_is_put_back(tmp_path: Path, filled: bool, loss: str) -> None:
    path = build(tmp_path / "m", ["vhd"]).paths[0] if filled else create(tmp_path / "empty.vhd", "vhd")
    whole, before = path.read_bytes(), digests([path])
    if loss == "cut off":
        os.truncate(path, len(whole) - 512)
    else:
        path.write_bytes(whole[:-512] + b"\xff" * 512 + bytes(4096))
    with pytest.raises(CannotOpenError):
        image.probe(path)
    assert mend(as_it_was(path)) is True
    assert path.read_bytes() == whole
    assert digests([path]) == before
    assert mend(as_it_was(path)) is False


@pytest.mark.parametrize("name", ["raw", "vhd-fixed", "vhdx", "vhd"])
def test_images_that_lost_nothing_are_left_alone(tmp_path: Path, name: str) -> None:
    (path,) = build(tmp_path / "m", [name]).paths
    whole = path.read_bytes()
    assert mend(image.probe(path)) is False
    assert path.read_bytes() == whole


def test_a_footer_of_511_bytes_is_a_footer(tmp_path: Path) -> None:
    path = create(tmp_path / "old.vhd", "vhd")
    path.write_bytes(path.read_bytes()[:-1])
    assert mend(as_it_was(path)) is False


@pytest.mark.parametrize(
    ("offset", "content"), [(512, b"X" * 8), (512 + 32, bytes(4)), (512 + 28, b"\xff" * 4)]
)
def test_a_table_that_makes_no_sense_is_named(tmp_path: Path, offset: int, content: bytes) -> None:
    path = create(tmp_path / "odd.vhd", "vhd")
    broken = bytearray(path.read_bytes()[:-512])
    broken[offset : offset + len(content)] = content
    path.write_bytes(broken)
    with pytest.raises(FailedError) as caught:
        mend(as_it_was(path))
    assert caught.value.code == "image-damaged"
    assert path.read_bytes() == bytes(broken)


def test_a_table_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = create(tmp_path / "odd.vhd", "vhd")
    os.truncate(path, 1536)
    with pytest.raises(FailedError) as caught:
        mend(as_it_was(path))
    assert "cut off" in caught.value.message


def test_a_new_block_goes_behind_the_mended_end(tmp_path: Path) -> None:
    (path,) = build(tmp_path / "m", ["vhd"]).paths
    os.truncate(path, path.stat().st_size - 512)
    mend(as_it_was(path))
    with nbd.connect(image.probe(path), read_only=False) as disk:
        disk.pwrite(7 << 20, b"new" * 512)
        disk.flush()
    with nbd.connect(image.probe(path), read_only=True) as disk:
        assert disk.pread(7 << 20, 6) == b"newnew"
