"""Starting, watching and ending the appliance, on a stand-in for libguestfs that fails and hangs at will."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from p2vprep.disk import accel, guestfs_appliance, watch
from p2vprep.disk.accel import Accelerator
from p2vprep.disk.appliance import launch
from p2vprep.disk.guestfs_appliance import GuestfsAppliance, describe_version
from p2vprep.disk.partitions import device_name
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError

KVM = Accelerator("kvm")


class Binding:
    """The module ``guestfs``: every handle starts a process and behaves as the script says."""

    EVENT_APPLIANCE, EVENT_LIBRARY = 1, 2

    def __init__(self) -> None:
        self.handles: list[Handle] = []
        self.launches: dict[str, str] = {}
        """By accelerator: ok, fail, hang."""
        self.calls: dict[str, Callable[..., Any]] = {}

    def GuestFS(self, **_options: object) -> Handle:  # noqa: N802 - libguestfs' name
        self.handles.append(Handle(self))
        return self.handles[-1]


class Handle:
    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.tcg = False
        self.closed = False
        self.settings: list[tuple[object, ...]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.console: Callable[..., None] = print

    def set_backend_setting(self, name: str, value: str) -> None:
        self.tcg = self.tcg or (name, value) == ("force_tcg", "1")

    def set_event_callback(self, callback: Callable[..., None], _events: int) -> None:
        self.console = callback

    def launch(self) -> None:
        self.process = subprocess.Popen(["sleep", "60"])
        how = self.binding.launches.get("tcg" if self.tcg else "kvm", "ok")
        self.console(1, 0, "SeaBIOS\r\nqemu: could not start the machine\n", [])
        if how == "ok":
            return
        if how == "fail":
            self.process.kill()
        self.process.wait()
        raise RuntimeError("guestfs_launch failed")

    def get_pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def close(self) -> None:
        self.closed = True
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def hang(self) -> None:
        assert self.process is not None
        self.process.wait()
        raise RuntimeError("unexpected end of file when reading from daemon")

    def die(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        raise RuntimeError("some call: something odd")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: object, **_named: object) -> Any:
            self.settings.append((name, *arguments))
            return self.binding.calls[name](*arguments) if name in self.binding.calls else None

        return call


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Binding]:
    stand_in = Binding()
    monkeypatch.setattr(guestfs_appliance, "bindings", lambda: stand_in)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield stand_in
    for handle in stand_in.handles:
        assert handle.closed, "every handle is closed, whatever happens"


def start(accelerator: Accelerator = accel.TCG, **options: Any) -> Any:
    return launch([Path("overlay")], **{"read_only": False, "accelerator": accelerator, **options})


def error_of(act: Callable[[], object]) -> P2vprepError:
    with pytest.raises(P2vprepError) as error:
        act()
    return error.value


def enter(**options: Any) -> None:
    with start(**options):
        pass


def settings(binding: Binding) -> dict[object, tuple[object, ...]]:
    return {name: tuple(arguments) for name, *arguments in binding.handles[-1].settings}


def test_device_names_go_beyond_z() -> None:
    assert [device_name(index) for index in (0, 25, 26, 27, 701, 702)] == [
        "/dev/sda", "/dev/sdz", "/dev/sdaa", "/dev/sdab", "/dev/sdzz", "/dev/sdaaa",
    ]  # fmt: skip


def test_the_last_words_are_the_telling_ones() -> None:
    assert watch.last_words(
        ["+ echo error", "kernel panic - not syncing", "Rebooting", "supermin: fail"]
    ) == ("kernel panic - not syncing")
    assert watch.last_words(["hello", ""]) == "hello"
    assert watch.last_words([]) == ""


def test_missing_bindings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "guestfs", None)
    error = error_of(describe_version)
    assert isinstance(error, CannotOpenError)
    assert error.code == "no-libguestfs"


# --- the start


def test_starts_small_without_network_and_with_emulation_where_chosen(binding: Binding) -> None:
    with start() as appliance:
        assert appliance.accelerator == "tcg"
        assert appliance.devices == ("/dev/sda",)
        assert binding.handles[0].tcg
    made = settings(binding)
    assert made["set_backend"] == ("direct",)
    assert made["set_network"] == (False,)
    assert "shutdown" in made


def test_kvm_is_not_forced_away(binding: Binding) -> None:
    with start(KVM) as appliance:
        assert appliance.accelerator == "kvm"
        assert not binding.handles[0].tcg


def test_a_start_that_fails_tells_the_consoles_last_words(binding: Binding) -> None:
    binding.launches["tcg"] = "fail"
    error = error_of(enter)
    assert isinstance(error, CannotOpenError)
    assert error.code == "appliance-launch"
    assert "could not start the machine" in error.message
    assert len(binding.handles) == 1, "emulation is not tried twice"


def test_a_start_that_hangs_is_killed(binding: Binding) -> None:
    binding.launches["tcg"] = "hang"
    began = time.monotonic()
    assert error_of(lambda: enter(limit=0.2)).code == "appliance-timeout"
    assert time.monotonic() - began < 30, "the stand-in would hang for a minute"
    process = binding.handles[0].process
    assert process is not None
    assert not watch.alive(process.pid)


@pytest.mark.parametrize("how", ["fail", "hang"])
def test_kvm_that_fails_after_all_is_tried_once_more_with_emulation(binding: Binding, how: str) -> None:
    binding.launches["kvm"] = how
    heard: list[object] = []
    ran: list[int] = []
    with start(KVM, limit=0.5, sink=heard.append, meanwhile=lambda: ran.append(1)) as appliance:
        assert appliance.accelerator == "tcg"
    assert [handle.tcg for handle in binding.handles] == [False, True]
    assert len(heard) == 1
    assert ran == [1], "what runs meanwhile runs once"
    here = accel.Host.here()
    if accel.fingerprint(here):
        recalled = accel.recall(here.cache.read_text(), accel.fingerprint(here))
        assert recalled is not None
        assert recalled[0] is False


def test_both_failing_is_one_error(binding: Binding) -> None:
    binding.launches.update(kvm="fail", tcg="fail")
    assert error_of(lambda: enter(accelerator=KVM)).code == "appliance-launch"
    assert len(binding.handles) == 2


def test_kvm_that_was_demanded_is_not_replaced(binding: Binding) -> None:
    binding.launches["kvm"] = "fail"
    assert error_of(lambda: enter(accelerator=Accelerator("kvm", demanded=True))).code == "appliance-launch"
    assert len(binding.handles) == 1


def test_disks_that_cannot_be_added_are_a_typed_error(binding: Binding) -> None:
    def refuse(*_arguments: object) -> None:
        raise RuntimeError("overlay: No such file")

    binding.calls["add_drive_opts"] = refuse
    error = error_of(enter)
    assert error.code == "appliance-launch"
    assert error.subject == "overlay"


def test_what_runs_meanwhile_ends_the_start_when_it_fails(binding: Binding) -> None:
    binding.launches["tcg"] = "hang"

    def fail() -> None:
        raise KeyError("in the caller's own work")

    with pytest.raises(KeyError):
        enter(meanwhile=fail)


def test_the_log_holds_the_whole_console(binding: Binding, tmp_path: Path) -> None:
    log = tmp_path / "appliance.log"
    enter(log=log)
    assert "SeaBIOS" in log.read_text()
    assert settings(binding)["set_verbose"] == (True,)


def test_a_log_that_cannot_be_written_is_a_typed_error(binding: Binding, tmp_path: Path) -> None:
    assert error_of(lambda: enter(log=tmp_path / "none" / "log")).subject == str(tmp_path / "none" / "log")


# --- the end


def test_a_body_that_fails_ends_the_appliance_at_once(binding: Binding) -> None:
    def body() -> None:
        with start():
            raise KeyError("in the work")

    with pytest.raises(KeyError):
        body()
    assert "shutdown" not in settings(binding)


def test_a_shutdown_that_fails_is_raised(binding: Binding) -> None:
    def refuse() -> None:
        raise RuntimeError("shutdown: QEMU failed to write")

    binding.calls["shutdown"] = refuse
    assert error_of(enter).code == "appliance-call"


def test_a_writable_mount_is_synced_before_the_end(binding: Binding) -> None:
    with start() as appliance:
        appliance.mount("/dev/sda1", "ntfs", writable=True)
    names = [name for name, *_ in binding.handles[0].settings]
    assert names[-3:] == ["umount_all", "sync", "shutdown"]


# --- calls


def test_a_call_that_hangs_is_killed(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guestfs_appliance, "CALL_LIMIT", 0.2)
    with start() as appliance:
        binding.calls["pread"] = lambda *_arguments: binding.handles[0].hang()
        error = error_of(lambda: appliance.read("/x", 0, 1))
        appliance.kill()
    assert isinstance(error, CannotOpenError)
    assert error.code == "appliance-timeout"


def test_an_appliance_that_dies_is_told(binding: Binding) -> None:
    with start() as appliance:
        binding.calls["pread"] = lambda *_arguments: binding.handles[0].die()
        error = error_of(lambda: appliance.read("/x", 0, 1))
        appliance.kill()
    assert isinstance(error, CannotOpenError)
    assert error.code == "appliance-died"
    assert error.subject == "/x"


def test_after_a_write_an_error_is_a_failure(binding: Binding) -> None:
    with start() as appliance:
        appliance.mkdir("/x")
        binding.calls["pread"] = lambda *_arguments: binding.handles[0].die()
        error = error_of(lambda: appliance.read("/x", 0, 1))
        appliance.kill()
    assert isinstance(error, FailedError)
    assert error.code == "appliance-died"


def test_short_writes_go_on_and_none_at_all_is_an_error(binding: Binding) -> None:
    written: list[tuple[int, bytes]] = []

    def short(_path: str, data: bytes, offset: int) -> int:
        written.append((offset, data[:3]))
        return min(3, len(data))

    with start() as appliance:
        binding.calls["pwrite"] = short
        appliance.write("/x", 10, b"abcdefgh")
        assert written == [(10, b"abc"), (13, b"def"), (16, b"gh")]
        binding.calls["pwrite"] = lambda *_arguments: 0
        assert error_of(lambda: appliance.write("/x", 0, b"a")).code == "appliance-call"


def test_short_reads_go_on_to_the_end(binding: Binding) -> None:
    content = bytes(range(100))
    with start() as appliance:
        binding.calls["pread"] = lambda _path, count, offset: content[offset : offset + min(count, 7)]
        assert appliance.read("/x", 10, 1000) == content[10:]
        assert appliance.read("/x", 10, 20) == content[10:30]


@pytest.mark.parametrize(
    "act",
    [
        lambda it: it.mount("/dev/sda1", "ntfs", writable=True),
        lambda it: it.create("/x", b""),
        lambda it: it.write("/x", 0, b"x"),
        lambda it: it.mkdir("/x"),
        lambda it: it.remove("/x"),
        lambda it: it.chmod("/x", 0o700),
        lambda it: it.chown("/x", 0, 0),
    ],
)  # fmt: skip
def test_writing_through_a_read_only_appliance_is_a_bug(
    binding: Binding, act: Callable[[GuestfsAppliance], object]
) -> None:
    binding.calls["lstatns"] = lambda _path: {"st_mode": 0o100644, "st_size": 0}
    with start(read_only=True) as appliance:
        with pytest.raises(ValueError, match="read-only"):
            act(appliance)
        assert not appliance.writable()


def test_hibernation_is_discarded_only_when_writing(binding: Binding) -> None:
    with start() as appliance:
        appliance.mount("/dev/sda1", "ntfs", discard_hibernation=True)
        assert settings(binding)["mount_vfs"][0] == "ro,permissions"
        appliance.mount("/dev/sda1", "ntfs", writable=True, discard_hibernation=True)
        assert settings(binding)["mount_vfs"][0] == "rw,permissions,remove_hiberfile"
        appliance.mount("/dev/sda1", "fat", writable=True, discard_hibernation=True)
        assert "remove_hiberfile" not in str(settings(binding)["mount_vfs"][0])


def refusing(*answers: str | None) -> Callable[..., None]:
    """A call that fails with each text in turn; None is a success."""
    left = list(answers)

    def call(*_arguments: object) -> None:
        answer = left.pop(0)
        if answer is not None:
            raise RuntimeError(answer)

    return call


CACHED = "mount exited with status 14: Metadata kept in Windows cache, refused to mount."
HIBERNATED = "ntfsfix: /dev/sda1: Windows is hibernated, refused to mount."


@pytest.mark.parametrize("fixed", [None, HIBERNATED])
def test_a_log_left_by_fast_startup_is_reset_where_asked_for(binding: Binding, fixed: str | None) -> None:
    binding.calls["mount_vfs"] = refusing(CACHED, None)
    binding.calls["ntfsfix"] = refusing(fixed)
    with start() as appliance:
        appliance.mount("/dev/sda1", "ntfs", writable=True, discard_hibernation=True)
    names = [name for name, *_ in binding.handles[0].settings]
    assert [name for name in names if name in ("mount_vfs", "ntfsfix")] == [
        "mount_vfs",
        "ntfsfix",
        "mount_vfs",
    ]


@pytest.mark.parametrize(
    ("mounts", "fix", "discard"),
    [
        ([CACHED], [], False),
        (["mount exited with status 32"], [], True),
        ([CACHED], ["ntfsfix: the volume is damaged"], True),
        ([CACHED, CACHED], [None], True),
    ],
)
def test_a_mount_that_fails_for_good_is_an_error(
    binding: Binding, mounts: list[str], fix: list[str | None], discard: bool
) -> None:
    binding.calls["mount_vfs"] = refusing(*mounts)
    binding.calls["ntfsfix"] = refusing(*fix)
    with start() as appliance:
        error = error_of(
            lambda: appliance.mount("/dev/sda1", "ntfs", writable=True, discard_hibernation=discard)
        )
    assert error.code == "appliance-call"


def test_an_error_of_many_lines_keeps_them_as_details(binding: Binding) -> None:
    binding.calls["mount_vfs"] = refusing("mount_vfs: first line\nsecond line")
    with start() as appliance:
        error = error_of(lambda: appliance.mount("/dev/sda1", "ntfs"))
    assert error.message == "the appliance refuses (mount_vfs): first line"
    assert error.details == ("second line",)


def test_without_disks_it_starts_on_a_scratch_one(binding: Binding) -> None:
    with launch([], read_only=True, accelerator=accel.TCG) as appliance:
        assert appliance.devices == ()
    assert "add_drive_scratch" in settings(binding)


# --- watching


def test_children_are_those_of_one_thread() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        alive = watch.alive(process.pid)
        found = watch.children(threading.get_native_id())
        watch.kill([process.pid, 0, -1])
    assert alive
    assert process.pid in found
    assert process.returncode == -9
    assert not watch.alive(process.pid)
    assert watch.children(0) == []


def test_the_watchdog_barks_once_and_only_in_time() -> None:
    barks: list[float] = []
    watchdog = watch.Watchdog(lambda: barks.append(time.monotonic()))
    with watchdog.limit(30):
        pass
    assert barks == []
    with watchdog.limit(0.05):
        time.sleep(0.5)
    assert watchdog.barked
    assert len(barks) == 1
    watchdog.end()


def test_this_test_leaves_nothing_running() -> None:
    assert [pid for pid in watch.children(os.getpid()) if _command(pid).startswith(b"sleep")] == []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
