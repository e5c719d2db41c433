"""One machine's share of an appliance that several machines were given to.

Whoever holds a share sees its own disks only, named from ``/dev/sda`` on as if the appliance
had been launched for them alone. One share is used at a time; :meth:`Share.close` unmounts, so
that nothing of one machine is mounted while another is worked on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from p2vprep.disk.appliance import Appliance, FileSystem, Stat
from p2vprep.disk.partitions import device_name
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError

_DEVICE = re.compile(r"(/dev/[a-z]+)([0-9]*)")


class Share:
    """An :class:`~p2vprep.disk.appliance.Appliance` that knows some disks of another one."""

    def __init__(self, appliance: Appliance, first: int, count: int) -> None:
        """``count`` disks of the appliance, from the index ``first`` on."""
        theirs = appliance.devices[first : first + count]
        if len(theirs) != count:
            raise ValueError(f"the appliance has no disks {first} to {first + count - 1}")
        self._appliance = appliance
        self.devices = tuple(device_name(index) for index in range(count))
        self._theirs = dict(zip(self.devices, theirs, strict=True))
        self._ours = dict(zip(theirs, self.devices, strict=True))
        self.wrote = False

    @property
    def accelerator(self) -> str:
        return self._appliance.accelerator

    @contextmanager
    def _own(self, *, writing: bool = False) -> Iterator[Appliance]:
        """The appliance for one call; its errors are told as of an appliance of our own."""
        self.wrote = self.wrote or writing
        try:
            yield self._appliance
        except (CannotOpenError, FailedError) as problem:
            raise self._as_own(problem) from problem

    def _as_own(self, problem: P2vprepError) -> P2vprepError:
        """The same error with our device's name, and as of an appliance that only we may have written to."""
        kind = type(problem)
        if isinstance(problem, FailedError) and not self.wrote:
            kind = CannotOpenError
        return kind(
            problem.message,
            code=problem.code,
            subject=None if problem.subject is None else _renamed(problem.subject, self._ours),
            hint=problem.hint,
            changed=problem.changed,
            details=problem.details,
        )

    def _device(self, device: str) -> str:
        """The appliance's name of a device of ours; ValueError for one that is not ours."""
        renamed = _renamed(device, self._theirs)
        if _base(device) not in self._theirs:
            raise ValueError(f"{device} is no device of this machine")
        return renamed

    # --- devices

    def read_device(self, device: str, offset: int, length: int) -> bytes:
        with self._own() as appliance:
            return appliance.read_device(self._device(device), offset, length)

    def mount(
        self, device: str, kind: FileSystem, *, writable: bool = False, discard_hibernation: bool = False
    ) -> None:
        theirs = self._device(device)
        with self._own() as appliance:
            appliance.mount(theirs, kind, writable=writable, discard_hibernation=discard_hibernation)

    def writable(self) -> bool:
        with self._own() as appliance:
            return appliance.writable()

    def umount(self) -> None:
        with self._own() as appliance:
            appliance.umount()

    def free_space(self) -> int:
        with self._own() as appliance:
            return appliance.free_space()

    # --- reading

    def stat(self, path: str) -> Stat | None:
        with self._own() as appliance:
            return appliance.stat(path)

    def stats(self, folder: str, names: Sequence[str]) -> tuple[Stat | None, ...]:
        with self._own() as appliance:
            return appliance.stats(folder, names)

    def resolve(self, path: str) -> str | None:
        with self._own() as appliance:
            return appliance.resolve(path)

    def list(self, folder: str) -> tuple[str, ...]:
        with self._own() as appliance:
            return appliance.list(folder)

    def read(self, path: str, offset: int, length: int) -> bytes:
        with self._own() as appliance:
            return appliance.read(path, offset, length)

    def xattr(self, path: str, name: str) -> bytes | None:
        with self._own() as appliance:
            return appliance.xattr(path, name)

    def xattrs(self, folder: str, names: Sequence[str], name: str) -> tuple[bytes | None, ...]:
        with self._own() as appliance:
            return appliance.xattrs(folder, names, name)

    def digests(self, folder: str) -> dict[str, str]:
        with self._own() as appliance:
            return appliance.digests(folder)

    # --- writing

    def write(self, path: str, offset: int, data: bytes) -> None:
        with self._own(writing=True) as appliance:
            appliance.write(path, offset, data)

    def create(self, path: str, content: bytes) -> None:
        with self._own(writing=True) as appliance:
            appliance.create(path, content)

    def unpack(self, folder: str, archive: bytes) -> None:
        with self._own(writing=True) as appliance:
            appliance.unpack(folder, archive)

    def mkdir(self, path: str) -> None:
        with self._own(writing=True) as appliance:
            appliance.mkdir(path)

    def remove(self, path: str) -> None:
        with self._own(writing=True) as appliance:
            appliance.remove(path)

    def chmod(self, path: str, mode: int) -> None:
        with self._own(writing=True) as appliance:
            appliance.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        with self._own(writing=True) as appliance:
            appliance.chown(path, uid, gid)

    def sync(self) -> None:
        with self._own() as appliance:
            appliance.sync()

    def reopen(self) -> None:
        with self._own() as appliance:
            appliance.reopen()

    def close(self) -> None:
        """Unmounts; the appliance runs on for the other machines."""
        self.umount()


def _base(device: str) -> str:
    match = _DEVICE.fullmatch(device)
    return match.group(1) if match else device


def _renamed(device: str, names: dict[str, str]) -> str:
    """A disk's or partition's name with its disk renamed; anything else as it is."""
    match = _DEVICE.fullmatch(device)
    if match is None or match.group(1) not in names:
        return device
    return names[match.group(1)] + match.group(2)
