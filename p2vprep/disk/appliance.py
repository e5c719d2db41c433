"""The appliance: a small virtual machine that opens the disks, as a set of plain calls.

``Appliance`` is what the rest of the package sees. There are two that keep it: the
real one (``guestfs_appliance``, the only home of libguestfs) and a fake one for
tests; both pass the same contract tests. ``launch`` starts the real one.

Devices are named ``/dev/sda``, ``/dev/sdb``, … in the order of the disks given,
partitions ``/dev/sda1``. One file system at a time is mounted, at ``/``. Paths
are absolute, use forward slashes and are spelt as on disk; ``resolve`` finds the
spelling.

Every call raises typed errors only: :class:`CannotOpenError` as long as nothing
was written through this appliance, :class:`FailedError` afterwards. Codes:
``appliance-call`` (the appliance refused one call), ``appliance-died`` (it went
away in the middle), ``appliance-timeout`` (it did not answer in time and was
killed), ``appliance-launch`` (it did not start), ``no-libguestfs`` (its bindings
are not installed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from p2vprep.disk.accel import Accelerator, Name, disappointed
from p2vprep.errors import CannotOpenError
from p2vprep.events import Sink, silent

FileSystem = Literal["ntfs", "fat"]

MEMORY = 512
"""Memory of the appliance in MiB: enough for ntfs-3g on any volume, quick to start under emulation."""


@dataclass(frozen=True)
class Stat:
    """What a path is: ``size`` in bytes counts for files only."""

    kind: Literal["file", "folder", "other"]
    size: int


class Appliance(Protocol):
    """The running appliance. Sizes and offsets are in bytes."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each disk, in the order the disks were given."""
        ...

    @property
    def accelerator(self) -> str:
        """``kvm`` or ``tcg``, as the appliance runs now."""
        ...

    @property
    def wrote(self) -> bool:
        """Whether a call that writes was made (successful or not)."""
        ...

    # --- devices

    def read_device(self, device: str, offset: int, length: int) -> bytes:
        """Bytes of a disk or a partition; shorter only at its end."""
        ...

    def mount(
        self, device: str, kind: FileSystem, *, writable: bool = False, discard_hibernation: bool = False
    ) -> None:
        """Mounts a file system at ``/``.

        NTFS is mounted so that permissions count, and a hibernated or otherwise unsafe one may come up
        read-only without an error: :meth:`writable` tells. ``discard_hibernation`` removes a hibernated
        session for good (ntfs-3g's remove_hiberfile) and needs ``writable``.
        """
        ...

    def writable(self) -> bool:
        """Whether what is mounted takes writes."""
        ...

    def umount(self) -> None:
        """Unmounts what is mounted, if anything; all writes have then reached the overlay's device."""
        ...

    def free_space(self) -> int:
        """Bytes free on what is mounted."""
        ...

    # --- reading

    def stat(self, path: str) -> Stat | None:
        """What is at a path, links not followed; None where nothing is."""
        ...

    def stats(self, folder: str, names: Sequence[str]) -> tuple[Stat | None, ...]:
        """:meth:`stat` of many names in a folder, in their order; one call."""
        ...

    def resolve(self, path: str) -> str | None:
        """The spelling on disk of a path given in any case; None where there is no such path."""
        ...

    def list(self, folder: str) -> tuple[str, ...]:
        """The names in a folder, in no promised order."""
        ...

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of a file; shorter only at its end."""
        ...

    def xattr(self, path: str, name: str) -> bytes | None:
        """An extended attribute, None where the path has none of that name."""
        ...

    def xattrs(self, folder: str, names: Sequence[str], name: str) -> tuple[bytes | None, ...]:
        """One extended attribute of many names in a folder, in their order."""
        ...

    def digests(self, folder: str) -> dict[str, str]:
        """The SHA-256 (hex) of every file below a folder, by its path from there; one call."""
        ...

    # --- writing

    def write(self, path: str, offset: int, data: bytes) -> None:
        """Writes bytes into an existing file; the file grows where they go beyond its end."""
        ...

    def create(self, path: str, content: bytes) -> None:
        """Creates a file, or replaces the content of the one that is there."""
        ...

    def unpack(self, folder: str, archive: bytes) -> None:
        """Unpacks a tar archive of plain files and folders into an existing folder, modes and owners kept.

        Many files cost one call; files of the same names are replaced. For NTFS only.
        """
        ...

    def mkdir(self, path: str) -> None:
        """Makes a folder; its parent exists, itself does not."""
        ...

    def remove(self, path: str) -> None:
        """Removes a file or an empty folder."""
        ...

    def chmod(self, path: str, mode: int) -> None:
        """Sets permission bits; on NTFS mounted by :meth:`mount` they become an access list."""
        ...

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Sets owner and group; on NTFS mounted by :meth:`mount` 0 is Administrators."""
        ...

    def sync(self) -> None:
        """Brings all writes to the device."""
        ...

    def reopen(self) -> None:
        """Mounts what is mounted again, read-only: what is read next comes from the device.

        Cheaper than dropping all caches, which under emulation makes every later call slow.
        """
        ...

    def close(self) -> None:
        """Unmounts, syncs and shuts down; raises where that fails. Calling it again does nothing."""
        ...


@contextmanager
def launch(
    disks: Sequence[Path],
    *,
    read_only: bool,
    accelerator: Accelerator,
    sink: Sink = silent,
    network: bool = False,
    memory: int = MEMORY,
    limit: float | None = None,
    log: Path | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Appliance]:
    """Starts the real appliance on qcow2 overlays and always ends it.

    ``limit`` bounds the start in seconds (None: a limit that suits the accelerator). ``log`` takes the
    appliance's whole console, which makes the start slower. ``meanwhile`` runs in the calling thread
    while the appliance boots; what it raises ends the launch and is raised. With KVM that was chosen and
    not demanded, a failed start is tried once more under emulation, and that is remembered.

    When the body ends well the appliance is unmounted, synced and shut down, and a fault in doing so is
    raised; the overlays are then complete, but only the caller fsyncs them. When the body raises, the
    appliance is killed. Raises CannotOpenError when it does not start.
    """
    from p2vprep.disk.guestfs_appliance import GuestfsAppliance

    at_once = _Once(meanwhile)

    def start(name: Name) -> GuestfsAppliance:
        return GuestfsAppliance.start(
            disks,
            name,
            read_only=read_only,
            network=network,
            memory=memory,
            limit=limit,
            log=log,
            meanwhile=at_once,
        )

    try:
        appliance = start(accelerator.name)
    except CannotOpenError as problem:
        broken = problem.code in ("appliance-launch", "appliance-timeout")
        if not broken or not disappointed(accelerator, problem.message, sink=sink):
            raise
        appliance = start("tcg")
    try:
        yield appliance
        appliance.close()
    finally:
        appliance.kill()


class _Once:
    """Runs a function the first time it is called, and does nothing afterwards."""

    def __init__(self, function: Callable[[], None] | None) -> None:
        self._function = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
