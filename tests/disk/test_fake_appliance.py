"""The fake appliance writes for real: through an overlay, whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from p2vprep.disk import accel
from p2vprep.errors import CannotOpenError, FailedError
from testdata.kit.disks import windows_disk
from tests.support.fake_appliance import fake_disk, fake_launch, faulty_launch

pytestmark = pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="qemu-utils is not installed")


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    base = fake_disk(windows_disk("fake", {"SYSTEM": b"regf"}, size=8), tmp_path / "base.img")
    command = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        str(base),
        "-F",
        "raw",
        str(tmp_path / "overlay"),
    ]
    subprocess.run(command, check=True)
    return tmp_path / "overlay"


def test_what_is_written_lands_in_the_overlay_and_not_in_the_base(overlay: Path) -> None:
    base = overlay.with_name("base.img")
    before = base.read_bytes()
    with fake_launch([overlay], read_only=False, accelerator=accel.TCG) as appliance:
        appliance.mount("/dev/sda1", "ntfs", writable=True)
        appliance.create("/new", b"content")
    assert base.read_bytes() == before
    with fake_launch([overlay], read_only=True, accelerator=accel.TCG) as appliance:
        appliance.mount("/dev/sda1", "ntfs")
        assert appliance.read("/new", 0, 10) == b"content"
    subprocess.run(["qemu-img", "commit", "-q", str(overlay)], check=True)
    with fake_launch([base], read_only=True, accelerator=accel.TCG) as appliance:
        appliance.mount("/dev/sda1", "ntfs")
        assert appliance.read("/new", 0, 10) == b"content"


def test_a_body_that_fails_leaves_a_sound_file_system(overlay: Path) -> None:
    def body() -> None:
        with fake_launch([overlay], read_only=False, accelerator=accel.TCG) as appliance:
            appliance.mount("/dev/sda1", "ntfs", writable=True)
            appliance.create("/lost", b"content")
            raise KeyError("in the work")

    with pytest.raises(KeyError):
        body()
    with fake_launch([overlay], read_only=True, accelerator=accel.TCG) as appliance:
        appliance.mount("/dev/sda1", "ntfs")
        assert appliance.stat("/lost") is None


def test_the_nth_call_fails_and_the_calls_are_counted(overlay: Path) -> None:
    launch, calls = faulty_launch(0)
    with launch([overlay], read_only=False, accelerator=accel.TCG) as appliance:
        appliance.mount("/dev/sda1", "ntfs", writable=True)
        appliance.create("/one", b"")
    assert calls == ["mount", "create", "close"]


@pytest.mark.parametrize(("number", "kind"), [(1, CannotOpenError), (2, CannotOpenError), (3, FailedError)])
def test_a_fault_before_the_first_write_cannot_open_and_one_after_it_fails(
    overlay: Path, number: int, kind: type[Exception]
) -> None:
    launch, calls = faulty_launch(number, "appliance-died")

    def body() -> None:
        with launch([overlay], read_only=False, accelerator=accel.TCG) as appliance:
            appliance.mount("/dev/sda1", "ntfs", writable=True)
            appliance.create("/one", b"")

    with pytest.raises(kind):
        body()
    assert len(calls) == number
