"""The real appliance, through libguestfs: the only place that imports its bindings.

libguestfs knows no time limits, and a call into it cannot be interrupted. So the
launch runs in a thread of its own, and a watchdog kills the appliance's QEMU
when it, or any later call, takes too long: the call then fails at once.
"""

from __future__ import annotations

import os
import stat as modes
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from p2vprep.disk import accel
from p2vprep.disk.appliance import FileSystem, Stat
from p2vprep.disk.partitions import device_name
from p2vprep.disk.signals import undisturbed
from p2vprep.disk.watch import Console, Watchdog, alive, children, kill, last_words
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError

LAUNCH_LIMITS = {"kvm": 60.0, "tcg": 300.0}
"""Seconds for the start; usual are 2-5 with KVM and 10-20 under emulation on an idle host."""

CALL_LIMIT = 300.0
"""Seconds for one call; mounting under emulation takes about 1, and 10 on a very busy host."""

_SCRATCH = 1 << 20

_CHUNK = 3 << 20
"""Bytes per read or write: below the protocol's limit of 4 MiB, and the quickest of those measured."""

# The appliance speaks English whatever the host speaks.
_NO_PATH = ("No such file or directory", "Not a directory")
_NO_XATTR = ("No data available", "Operation not supported")
_CACHED = "Metadata kept in Windows cache"
_GONE = (
    "appliance closed the connection",
    "unexpected end of file",
    "guestfs_launch has not been called",
    "call launch before",
    "Broken pipe",
)


def bindings() -> Any:
    """The guestfs module. Raises CannotOpenError (``no-libguestfs``) where it cannot be imported."""
    try:
        import guestfs
    except ImportError as problem:
        raise CannotOpenError(
            f"the Python bindings of libguestfs cannot be imported: {problem}",
            code="no-libguestfs",
            hint="Install python3-guestfs of your distribution, and let the environment see it "
            "(python3 -m venv --system-site-packages); `p2vprep doctor` tells more.",
        ) from problem
    return guestfs


class GuestfsAppliance:
    """The running libguestfs appliance; see :class:`p2vprep.disk.appliance.Appliance` for the calls."""

    def __init__(
        self, handle: Any, console: Console, disks: int, accelerator: str, *, read_only: bool
    ) -> None:
        self._handle = handle
        self._console = console
        self._read_only = read_only
        self._mounted: tuple[str, FileSystem] | None = None
        self._unsynced = False
        self._thread = 0
        self._pid = 0
        self._watchdog = Watchdog(self._kill_processes)
        self.devices = tuple(device_name(index) for index in range(disks))
        self.accelerator = accelerator
        self.wrote = False

    # --- start and end

    @classmethod
    def start(
        cls,
        disks: Sequence[Path],
        name: accel.Name,
        *,
        read_only: bool,
        network: bool,
        memory: int,
        limit: float | None,
        log: Path | None,
        meanwhile: Callable[[], None] | None,
    ) -> GuestfsAppliance:
        """Starts it with the accelerator of this name; see ``p2vprep.disk.appliance.launch``."""
        appliance = cls._prepare(disks, name, read_only=read_only, network=network, memory=memory, log=log)
        try:
            appliance._boot(limit or LAUNCH_LIMITS[name], meanwhile)
        except BaseException:
            appliance.kill()
            raise
        return appliance

    @classmethod
    def _prepare(
        cls,
        disks: Sequence[Path],
        name: str,
        *,
        read_only: bool,
        network: bool,
        memory: int,
        log: Path | None,
    ) -> GuestfsAppliance:
        guestfs = bindings()
        try:
            console = Console(log)
        except OSError as problem:
            raise CannotOpenError(
                f"cannot write the appliance's log: {problem}", subject=str(log)
            ) from problem
        handle = guestfs.GuestFS(python_return_dict=True, close_on_exit=False)
        appliance = cls(handle, console, len(disks), name, read_only=read_only)
        try:
            handle.set_backend("direct")
            if name == "tcg":
                handle.set_backend_setting("force_tcg", "1")
            handle.set_memsize(memory)
            handle.set_smp(1)
            handle.set_network(network)
            handle.set_autosync(False)
            handle.set_pgroup(True)  # a Ctrl-C in the terminal reaches us, not its QEMU
            handle.set_verbose(log is not None)
            handle.set_event_callback(console, guestfs.EVENT_APPLIANCE | guestfs.EVENT_LIBRARY)
            if not disks:
                handle.add_drive_scratch(_SCRATCH)  # libguestfs does not start without any disk
            for disk in disks:
                # Unsafe only means that QEMU itself never fsyncs: whoever owns the overlay does, at the end.
                handle.add_drive_opts(
                    os.fspath(disk), format="qcow2", readonly=read_only, cachemode="unsafe", discard="disable"
                )
        except RuntimeError as problem:
            appliance.kill()
            raise CannotOpenError(
                f"the appliance cannot take the disks: {problem}",
                code="appliance-launch",
                subject=", ".join(map(str, disks)),
            ) from problem
        return appliance

    def _boot(self, limit: float, meanwhile: Callable[[], None] | None) -> None:
        problems: list[BaseException] = []

        def run() -> None:
            self._thread = threading.get_native_id()
            try:
                self._handle.launch()
                self._pid = self._handle.get_pid()
            except RuntimeError as problem:
                problems.append(problem)

        booting = threading.Thread(target=run, name="appliance-launch", daemon=True)
        started = time.monotonic()
        booting.start()
        try:
            if meanwhile is not None:
                meanwhile()
            booting.join(max(0.0, started + limit - time.monotonic()))
        except BaseException:
            self._stop_boot(booting)
            raise
        if booting.is_alive():
            self._stop_boot(booting)
            raise self._timeout(f"the appliance did not start within {limit:.0f} s")
        if problems:
            raise self._launch_error(problems[0]) from problems[0]

    def _stop_boot(self, booting: threading.Thread) -> None:
        """Kills what the launch has started until the launch returns (it may be about to start more)."""
        for _ in range(100):
            self._kill_processes()
            booting.join(0.1)
            if not booting.is_alive():
                return

    def _launch_error(self, problem: BaseException) -> CannotOpenError:
        why = last_words(list(self._console.lines))
        return CannotOpenError(
            f"the libguestfs appliance does not start: {problem}" + (f" ({why})" if why else ""),
            code="appliance-launch",
            hint="Run `p2vprep doctor`; with -v the appliance's whole log is kept.",
            details=tuple(self._console.lines)[-20:],
        )

    def _timeout(self, message: str) -> P2vprepError:
        kind = FailedError if self.wrote else CannotOpenError
        why = last_words(list(self._console.lines))
        return kind(
            message + (f" (its last words: {why})" if why else ""),
            code="appliance-timeout",
            hint="It was killed. Try again when the host is less busy, or with another --accel; "
            "with -v the appliance's log is kept.",
        )

    def close(self) -> None:
        """Unmounts, syncs and shuts down; raises where that fails. Calling it again does nothing."""
        if self._handle is None:
            return
        try:
            self.umount()
            if self._unsynced:
                self._call("sync")
            self._call("shutdown")
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the appliance however it is; never raises, never waits for the guest."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        self._kill_processes()
        self._watchdog.end()
        with suppress(RuntimeError):  # there is nothing more to do for an appliance that is gone
            handle.close()
        self._console.close()

    def _kill_processes(self) -> None:
        started = children(self._thread) if self._thread else []
        kill({self._pid, *started})

    # --- calls

    def _call(self, name: str, *arguments: object) -> Any:
        if self._handle is None:
            raise self._error(name, arguments, "the appliance is closed", code="appliance-died")
        try:
            with self._watchdog.limit(CALL_LIMIT), undisturbed():
                return getattr(self._handle, name)(*arguments)
        except RuntimeError as problem:
            text = str(problem)
            if self._watchdog.barked:
                raise self._timeout(f"the appliance did not answer within {CALL_LIMIT:.0f} s") from problem
            if any(word in text for word in _GONE) or not alive(self._pid):
                why = last_words(list(self._console.lines))
                raise self._error(name, arguments, why or text, code="appliance-died") from problem
            raise self._error(name, arguments, text, code="appliance-call") from problem

    def _error(self, name: str, arguments: tuple[object, ...], text: str, *, code: str) -> P2vprepError:
        kind = FailedError if self.wrote else CannotOpenError
        first, *more = text.splitlines() or [""]
        subject = next((item for item in arguments if isinstance(item, str) and item.startswith("/")), None)
        what = (
            "the appliance went away in the middle" if code == "appliance-died" else "the appliance refuses"
        )
        return kind(
            f"{what} ({name}): {first.removeprefix(f'{name}: ')}",
            code=code,
            subject=subject,
            details=tuple(more),
            changed="The image was not changed." if self.wrote else "Nothing was changed.",
            hint="Run the command again; with -v the appliance's log is kept.",
        )

    def _write_call(self, name: str, *arguments: object) -> Any:
        self._must_be_writable(name)
        self.wrote = True
        return self._call(name, *arguments)

    def _must_be_writable(self, name: str) -> None:
        if self._read_only:
            raise ValueError(f"{name} on an appliance that was launched read-only")

    def _absent_is_none(self, absent: tuple[str, ...], name: str, *arguments: object) -> Any:
        """The call's answer, or None where it fails with one of the texts: it asks for what is not there."""
        try:
            return self._call(name, *arguments)
        except (CannotOpenError, FailedError) as problem:
            if problem.code == "appliance-call" and problem.message.endswith(absent):
                return None
            raise

    def read_device(self, device: str, offset: int, length: int) -> bytes:
        return self._pieces("pread_device", device, offset, length)

    def _pieces(self, name: str, path: str, offset: int, length: int) -> bytes:
        pieces: list[bytes] = []
        while length > 0:
            piece: bytes = self._call(name, path, min(length, _CHUNK), offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def mount(
        self, device: str, kind: FileSystem, *, writable: bool = False, discard_hibernation: bool = False
    ) -> None:
        self.umount()
        if writable:
            self._must_be_writable("mount")
            self._unsynced = True
        discard = discard_hibernation and writable and kind == "ntfs"
        try:
            self._mount(device, kind, writable=writable, discard=discard)
        except (CannotOpenError, FailedError) as problem:
            if not discard or _CACHED not in problem.message:
                raise
            self._reset_log(device)
            self._mount(device, kind, writable=writable, discard=True)

    def _mount(self, device: str, kind: FileSystem, *, writable: bool, discard: bool) -> None:
        options = ["rw" if writable else "ro"]
        if kind == "ntfs":
            options += ["permissions", *(["remove_hiberfile"] if discard else [])]
        else:
            options += ["utf8", "shortname=mixed"]
        self._call("mount_vfs", ",".join(options), "ntfs-3g" if kind == "ntfs" else "vfat", device, "/")
        self._mounted = (device, kind)

    def _reset_log(self, device: str) -> None:
        """Empties ``$LogFile`` and marks the volume dirty, so that Windows checks it.

        remove_hiberfile alone does not lift a log of version 2.0. While a hiberfil.sys is there too,
        ntfsfix empties the log and then fails; whether it did is for the mount that follows to tell.
        """
        try:
            self._call("ntfsfix", device)
        except (CannotOpenError, FailedError) as problem:
            if problem.code != "appliance-call" or "hibernated" not in problem.message:
                raise

    def writable(self) -> bool:
        if self._read_only:
            return False
        flags: int = self._call("statvfs", "/")["flag"]
        return not flags & os.ST_RDONLY

    def umount(self) -> None:
        if self._mounted is not None:
            self._mounted = None
            self._call("umount_all")

    def free_space(self) -> int:
        held = self._call("statvfs", "/")
        return int(held["bavail"]) * int(held["frsize"])

    def stat(self, path: str) -> Stat | None:
        held = self._absent_is_none(_NO_PATH, "lstatns", path)
        return None if held is None else _as_stat(held)

    def stats(self, folder: str, names: Sequence[str]) -> tuple[Stat | None, ...]:
        found = self._call("lstatnslist", folder, list(names)) if names else []
        # What cannot be looked at has the inode -1.
        return tuple(None if held["st_ino"] == -1 else _as_stat(held) for held in found)

    def resolve(self, path: str) -> str | None:
        spelt: str | None = self._absent_is_none((*_NO_PATH, ": not found"), "case_sensitive_path", path)
        return spelt if spelt is not None and self.stat(spelt) is not None else None

    def list(self, folder: str) -> tuple[str, ...]:
        return tuple(self._call("ls", folder))

    def read(self, path: str, offset: int, length: int) -> bytes:
        return self._pieces("pread", path, offset, length)

    def xattr(self, path: str, name: str) -> bytes | None:
        value: bytes | None = self._absent_is_none(_NO_XATTR, "lgetxattr", path, name)
        return value

    def xattrs(self, folder: str, names: Sequence[str], name: str) -> tuple[bytes | None, ...]:
        # ntfs-3g does not list its own attributes, so lxattrlist would not tell them.
        return tuple(self.xattr(f"{folder.rstrip('/')}/{one}", name) for one in names)

    def digests(self, folder: str) -> dict[str, str]:
        with tempfile.NamedTemporaryFile(prefix="p2vprep-digests-") as sums:
            self._call("checksums_out", "sha256", folder, sums.name)
            lines = sums.read().decode("utf-8", "surrogateescape").splitlines()
        pairs = (line.split("  ", 1) for line in lines if not line.startswith("\\"))
        return {path.removeprefix("./"): digest for digest, path in pairs}

    def write(self, path: str, offset: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            count = int(self._write_call("pwrite", path, data[done : done + _CHUNK], offset + done))
            if count <= 0:
                raise self._error("pwrite", (path,), "no byte could be written", code="appliance-call")
            done += count

    def create(self, path: str, content: bytes) -> None:
        self._write_call("write", path, content[:_CHUNK])
        self.write(path, _CHUNK, content[_CHUNK:])

    def unpack(self, folder: str, archive: bytes) -> None:
        with tempfile.NamedTemporaryFile(prefix="p2vprep-files-", suffix=".tar") as packed:
            packed.write(archive)
            packed.flush()
            self._write_call("tar_in", packed.name, folder)

    def mkdir(self, path: str) -> None:
        self._write_call("mkdir", path)

    def remove(self, path: str) -> None:
        held = self.stat(path)
        self._write_call("rmdir" if held is not None and held.kind == "folder" else "rm", path)

    def chmod(self, path: str, mode: int) -> None:
        self._write_call("chmod", mode, path)

    def chown(self, path: str, uid: int, gid: int) -> None:
        self._write_call("chown", uid, gid, path)

    def sync(self) -> None:
        self._call("sync")

    def reopen(self) -> None:
        held = self._mounted
        if held is None:
            raise self._error("reopen", (), "nothing is mounted", code="appliance-call")
        self.mount(*held)


def describe_version() -> str:
    """The version of libguestfs, like ``1.48.6``. Raises CannotOpenError (``no-libguestfs``)."""
    version = bindings().GuestFS(python_return_dict=True).version()
    return f"{version['major']}.{version['minor']}.{version['release']}{version['extra']}"


def _as_stat(held: Any) -> Stat:
    mode = held["st_mode"]
    kind: Literal["file", "folder", "other"] = "other"
    if modes.S_ISREG(mode):
        kind = "file"
    elif modes.S_ISDIR(mode):
        kind = "folder"
    return Stat(kind, int(held["st_size"]))
