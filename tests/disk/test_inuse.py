"""Who else has an image open."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from p2vprep.disk.inuse import in_use, refuse_in_use
from p2vprep.errors import RefusedError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(4096))
    return path


def test_a_file_at_rest_and_one_that_is_read_are_free(image: Path) -> None:
    assert in_use(image) is None
    with image.open("rb"):
        assert in_use(image) is None
        refuse_in_use([image])


def test_a_writer_is_seen(image: Path) -> None:
    with image.open("ab"):
        assert "for writing" in str(in_use(image))
        with pytest.raises(RefusedError) as caught:
            refuse_in_use([image])
    assert caught.value.code == "image-in-use"
    assert caught.value.subject == str(image)
    assert in_use(image) is None


def test_a_lock_is_seen_even_of_a_reader(image: Path) -> None:
    holder = os.open(image, os.O_RDONLY)
    question = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 100, 1, 0)
    fcntl.fcntl(holder, fcntl.F_OFD_SETLK, question)
    assert "locked" in str(in_use(image))
    os.close(holder)
    assert in_use(image) is None


def test_patience_waits_for_the_end_of_the_other_program(image: Path) -> None:
    writer = image.open("ab")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            writer.close()

    refuse_in_use([image], patience=1.0, pause=pause)
    assert len(pauses) == 3


def test_patience_ends(image: Path) -> None:
    pauses: list[float] = []
    with image.open("ab"), pytest.raises(RefusedError):
        refuse_in_use([image], patience=0.5, pause=pauses.append)
    assert sum(pauses) == pytest.approx(0.5)


def test_a_file_system_without_locks_and_leases_says_free(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(fcntl, "fcntl", refused)
    with image.open("ab"):
        assert in_use(image) is None
