"""The guest-visible disk through a private qemu-nbd: every format the same."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd, qemu
from p2vprep.errors import CannotOpenError, FailedError

MIB = 1 << 20
SIZE = 8 * MIB


@pytest.fixture
def raw(tmp_path: Path) -> image.Image:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(3 * MIB + 5)
        file.write(b"somewhere")
    return image.probe(path)


def test_the_overlay_holds_exactly_what_was_written_to_it(raw: image.Image, tmp_path: Path) -> None:
    overlay = qemu.create_overlay(raw, tmp_path / "overlay.qcow2")
    before = hashlib.sha256(raw.path.read_bytes()).hexdigest()
    with nbd.connect(overlay, read_only=False) as disk:
        assert disk.size == SIZE
        assert list(disk.allocated()) == []
        disk.pwrite(4096, b"a" * 4096)
        disk.pwrite(8192, b"b" * 100)
        disk.pwrite(SIZE - 512, b"\0" * 512)
        disk.flush()
        assert list(disk.allocated()) == [(4096, 8192), (SIZE - 4096, 4096)]
        assert disk.pread(3 * MIB, 32) == b"\0" * 5 + b"somewhere" + b"\0" * 18
    assert hashlib.sha256(raw.path.read_bytes()).hexdigest() == before
    qemu.commit(overlay)
    qemu.commit(overlay)
    content = raw.path.read_bytes()
    assert content[4096:8192] == b"a" * 4096
    assert content[8192:8292] == b"b" * 100


def test_sha256_is_that_of_the_whole_disk_although_holes_are_not_read(raw: image.Image) -> None:
    seen: list[tuple[int, int]] = []
    with nbd.connect(raw, read_only=True) as disk:
        assert disk.sha256(lambda done, size: seen.append((done, size))) == (
            hashlib.sha256(raw.path.read_bytes()).hexdigest()
        )
        assert sum(length for _, length in disk.data()) < MIB
    assert seen
    assert all(0 <= done <= size == SIZE for done, size in seen)


def test_the_fingerprint_knows_content_not_allocation(raw: image.Image, tmp_path: Path) -> None:
    dense = tmp_path / "dense.raw"
    dense.write_bytes(raw.path.read_bytes())
    qcow2 = qemu.convert(raw, tmp_path / "same.qcow2", "qcow2")
    digests = set()
    for each in (raw, image.probe(dense), qcow2):
        with nbd.connect(each, read_only=True) as disk:
            digests.add(disk.fingerprint())
    assert len(digests) == 1
    with nbd.connect(image.probe(dense), read_only=False) as disk:
        disk.pwrite(SIZE - 1, b"\1")
        disk.flush()
        assert disk.fingerprint() not in digests


def test_ranges_equal_compares_just_the_ranges(raw: image.Image, tmp_path: Path) -> None:
    other = qemu.convert(raw, tmp_path / "other.raw", "raw")
    with nbd.connect(raw, read_only=True) as one, nbd.connect(other, read_only=False) as two:
        assert one.ranges_equal(two, [(0, SIZE)])
        two.pwrite(100, b"x")
        assert not one.ranges_equal(two, [(0, SIZE)])
        assert not one.ranges_equal(two, [(4096, 512), (100, 1)])
        assert one.ranges_equal(two, [(0, 100), (101, SIZE - 101)])
        assert one.ranges_equal(two, [])


def test_reading_outside_the_disk_is_a_typed_error(raw: image.Image) -> None:
    with nbd.connect(raw, read_only=True) as disk:
        for offset, length in ((SIZE, 1), (SIZE - 1, 2), (-1, 1), (0, -1)):
            with pytest.raises(FailedError) as caught:
                disk.pread(offset, length)
            assert caught.value.code == "nbd-failed"


def test_a_read_only_disk_takes_no_write(raw: image.Image) -> None:
    with nbd.connect(raw, read_only=True) as disk, pytest.raises(FailedError) as caught:
        disk.pwrite(0, b"x")
    assert caught.value.code == "nbd-failed"
    assert raw.path.read_bytes()[0] == 0


def test_a_server_that_dies_is_a_typed_error(raw: image.Image) -> None:
    with qemu.serve(raw, read_only=True) as server:
        server.kill()
    with nbd.connect(raw, read_only=True) as disk:
        disk._server.kill()
        with pytest.raises(FailedError) as caught:
            disk.pread(0, 512)
    assert caught.value.code == "nbd-failed"


def test_an_image_that_vanished_is_a_typed_error(raw: image.Image) -> None:
    raw.path.unlink()
    with pytest.raises(CannotOpenError) as caught, nbd.connect(raw, read_only=True):
        pass
    assert "No such file" in caught.value.message


def test_the_server_has_ended_when_the_context_is_left(raw: image.Image) -> None:
    with nbd.connect(raw, read_only=True) as disk:
        process = disk._server.process
        assert process.poll() is None
    assert process.poll() == 0


def test_the_server_has_ended_when_an_exception_leaves_the_context(raw: image.Image) -> None:
    processes = []

    def fail() -> None:
        with nbd.connect(raw, read_only=True) as disk:
            processes.append(disk._server.process)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [process.poll() for process in processes] == [0]


@pytest.mark.parametrize("output_format", ["raw", "vhdx"])
def test_any_byte_can_be_read_and_written_also_where_the_format_takes_only_sectors(
    raw: image.Image, tmp_path: Path, output_format: str
) -> None:
    disk = qemu.convert(raw, tmp_path / "disk", output_format)
    expected = bytearray(raw.path.read_bytes())
    with nbd.connect(disk, read_only=False) as opened:
        for offset, data in (
            (MIB - 3, b"across"),
            (510, b"ab"),
            (5, b""),
            (SIZE - 1, b"z"),
            (1024, b"x" * 512),
        ):
            opened.pwrite(offset, data)
            expected[offset : offset + len(data)] = data
        opened.flush()
        assert opened.pread(0, SIZE) == expected
        assert opened.pread(511, 3) == expected[511:514]
        assert opened.pread(7, 0) == b""


def test_a_missing_binding_is_named(raw: image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nbd", None)
    with pytest.raises(CannotOpenError) as caught, nbd.connect(raw, read_only=True):
        pass
    assert (caught.value.code, caught.value.subject) == ("tool-missing", "libnbd")


def test_a_server_that_does_not_answer_for_a_context_is_no_endless_loop(raw: image.Image) -> None:
    with nbd.connect(raw, read_only=True) as disk, pytest.raises(FailedError) as caught:
        list(disk._status("qemu:no-such-context"))
    assert "no-such-context" in caught.value.message


def test_a_server_that_hangs_is_stopped(raw: image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    real = qemu._start

    def hang(command: Sequence[str], **streams: int) -> subprocess.Popen[bytes]:
        assert command
        return real(["/bin/sleep", "60"], **streams)

    monkeypatch.setattr(qemu, "_start", hang)
    monkeypatch.setattr(qemu, "_STOP_GRACE", 0.1)
    monkeypatch.setattr(nbd, "_CONNECT_TIMEOUT", 0.2)
    with pytest.raises(CannotOpenError) as caught, nbd.connect(raw, read_only=True):
        pass
    assert caught.value.code == "qemu-failed"


def test_the_fingerprint_tells_its_progress(raw: image.Image) -> None:
    seen: list[int] = []
    with nbd.connect(raw, read_only=True) as disk:
        disk.fingerprint(lambda done, _size: seen.append(done))
    assert seen == sorted(seen)
    assert seen
