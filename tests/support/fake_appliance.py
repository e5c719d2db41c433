"""A fake appliance: the same calls as the real one, in milliseconds, on disks of its own file system.

The disks have real partition tables and boot sectors, and real ``$Volume`` and
``$LogFile`` structures; the file tree lies behind them in a format of our own,
every file at a fixed place, so that what is written really reaches the overlay
and a commit, an undo or a crash can be shown without libguestfs. The contract
tests run on this one and on the real one.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from p2vprep.core.registry import fold
from p2vprep.core.volumes import FIRST_BYTES, identify, is_hibernated, ntfs_state
from p2vprep.disk.accel import Accelerator
from p2vprep.disk.appliance import MEMORY, FileSystem, Stat
from p2vprep.disk.partitions import Partition, device_name, read_layout
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError
from p2vprep.events import Sink, silent
from testdata.kit.disks import DiskSpec, VolumeSpec, make_blank, slots
from tests.support.fake_stores import FileStore, Store, open_store
from tests.support.ntfs_image import SIZE as HEAD_SIZE
from tests.support.ntfs_image import fat_head, ntfs_head

_MAGIC = b"P2VPFAKE"
_INDEX_AT = HEAD_SIZE
_INDEX_ROOM = (1 << 20) - HEAD_SIZE
_DATA_AT = 1 << 20
_SLACK = 2 << 20
"""Room behind a file of more than a MiB, so that a hive may grow in place."""

_OPEN, _LOCKED = "open", "locked"


@dataclass
class _Node:
    kind: str
    size: int = 0
    place: int = 0
    room: int = 0
    lock: str = _OPEN
    owner: int = 0
    attributes: int = 0x20


class _Volume:
    """A mounted file system."""

    def __init__(self, store: Store, partition: Partition, size: int) -> None:
        self.store = store
        self.start = partition.start
        self.size = size
        raw = store.read(self.start + _INDEX_AT, _INDEX_ROOM)
        if raw[:8] != _MAGIC:
            raise ValueError("not a fake file system")
        (length,) = struct.unpack_from("<Q", raw, 8)
        self.nodes = {path: _Node(**held) for path, held in json.loads(raw[16 : 16 + length]).items()}

    @staticmethod
    def format(store: Store, start: int, volume: VolumeSpec, *, dirty: bool, log: str) -> None:
        head = ntfs_head(dirty=dirty, log=log) if volume.fs == "ntfs" else fat_head()
        store.write(start, head)
        store.write(start + _INDEX_AT, _pack({"/": _Node("folder", lock=_LOCKED)}))
        made = _Volume(store, Partition(0, 1, "", start, 0, ""), volume.size << 20)
        for folder in [*volume.folders, *(path.rpartition("/")[0] for path in volume.files)]:
            made.make_folders(folder)
        for path, content in volume.files.items():
            made.create(path, content)
        made.flush()

    def flush(self) -> None:
        self.store.write(self.start + _INDEX_AT, _pack(self.nodes))

    def make_folders(self, path: str) -> None:
        here = ""
        for name in filter(None, path.split("/")):
            here = f"{here}/{name}"
            self.nodes.setdefault(here, _Node("folder"))

    @property
    def end(self) -> int:
        return max([_DATA_AT, *(node.place + node.room for node in self.nodes.values())])

    def reserve(self, node: _Node, size: int) -> None:
        """Makes room for a size, moving the content where it does not fit."""
        if size > node.room:
            content = self.read(node, 0, node.size)
            room = -(-size // 4096) * 4096 + (_SLACK if size > 1 << 20 else 0)
            if self.end + room > self.size:
                room = -(-size // 4096) * 4096
            if self.end + room > self.size:
                raise OSError("No space left on device")
            node.place, node.room = self.end, room
            self.store.write(self.start + node.place, content)

    def create(self, path: str, content: bytes) -> None:
        node = self.nodes.setdefault(path, _Node("file"))
        node.size = 0
        self.write(node, 0, content)

    def write(self, node: _Node, offset: int, data: bytes) -> None:
        self.reserve(node, offset + len(data))
        if offset > node.size:
            self.store.write(self.start + node.place + node.size, bytes(offset - node.size))
        self.store.write(self.start + node.place + offset, data)
        node.size = max(node.size, offset + len(data))

    def read(self, node: _Node, offset: int, length: int) -> bytes:
        length = max(0, min(length, node.size - offset))
        return self.store.read(self.start + node.place + offset, length) if length else b""


def _pack(nodes: dict[str, _Node]) -> bytes:
    text = json.dumps({path: asdict(node) for path, node in nodes.items()}).encode()
    raw = _MAGIC + struct.pack("<Q", len(text)) + text
    assert len(raw) <= _INDEX_ROOM
    return raw


def fake_disk(spec: DiskSpec, path: Path, *, dirty: bool = False, log: str = "clean") -> Path:
    """Writes a raw disk for the fake appliance from the specification that the real builder takes.

    ``dirty`` and ``log`` (see :func:`ntfs_head`) are the state of its NTFS volumes.
    """
    make_blank(spec, path)
    store = FileStore(path)
    places = [0] if spec.table == "none" else [slot.start * 512 for slot in slots(spec)]
    for volume, start in zip(spec.volumes, places, strict=True):
        if volume.fs != "none":
            _Volume.format(store, start, volume, dirty=dirty, log=log)
    store.close()
    return path


class FakeAppliance:
    """Keeps the contract of :class:`p2vprep.disk.appliance.Appliance` on fake disks."""

    def __init__(self, stores: Sequence[Store], *, read_only: bool = False, accelerator: str = "tcg") -> None:
        self._stores = list(stores)
        self._read_only = read_only
        self._volume: _Volume | None = None
        self._kind: FileSystem = "ntfs"
        self._writable = False
        self._device = ""
        self._closed = False
        self.devices = tuple(device_name(index) for index in range(len(stores)))
        self.accelerator = accelerator
        self.wrote = False

    # --- devices

    def _partition(self, device: str) -> tuple[Store, Partition]:
        for disk, (name, store) in enumerate(zip(self.devices, self._stores, strict=True)):
            for partition in read_layout(store.read, disk, name).partitions:
                if partition.device == device:
                    return store, partition
            if name == device:
                return store, Partition(disk, 0, name, 0, 0, "")
        raise self._refused(f"{device}: No such file or directory")

    def read_device(self, device: str, offset: int, length: int) -> bytes:
        store, partition = self._partition(device)
        if partition.size:
            length = max(0, min(length, partition.size - offset))
        return store.read(partition.start + offset, length)

    def mount(
        self, device: str, kind: FileSystem, *, writable: bool = False, discard_hibernation: bool = False
    ) -> None:
        self.umount()
        if writable and self._read_only:
            raise ValueError("mount on an appliance that was launched read-only")
        store, partition = self._partition(device)

        def fetch(offset: int, length: int) -> bytes:
            return store.read(partition.start + offset, length)

        if identify(fetch(0, FIRST_BYTES)) != kind:
            raise self._refused(f"mount: {device}: wrong fs type")
        try:
            volume = _Volume(store, partition, partition.size or 1 << 40)
        except ValueError as problem:
            raise self._refused(f"mount: {device}: {problem}") from problem
        self._volume, self._kind, self._writable, self._device = volume, kind, writable, device
        if kind == "ntfs" and writable:
            self._writable = self._clear_session(volume, fetch, discard=discard_hibernation)

    @staticmethod
    def _clear_session(volume: _Volume, fetch: Callable[[int, int], bytes], *, discard: bool) -> bool:
        """As ntfs-3g: a saved session makes the mount read-only, or is removed where asked for."""
        session = volume.nodes.get("/hiberfil.sys")
        hibernated = session is not None and is_hibernated(volume.read(session, 0, 4))
        cached = ntfs_state(fetch).log == "cached"
        if not discard:
            return not (hibernated or cached)
        if hibernated:
            del volume.nodes["/hiberfil.sys"]
        if cached:
            volume.store.write(volume.start, ntfs_head(log="emptied"))
        return True

    def writable(self) -> bool:
        return self._writable

    def umount(self) -> None:
        if self._volume is not None and self._writable:
            self._volume.flush()
        self._volume = None

    def free_space(self) -> int:
        volume = self._mounted()
        return volume.size - volume.end

    # --- reading

    def _mounted(self) -> _Volume:
        if self._closed:
            raise self._refused("the appliance is closed", code="appliance-died")
        if self._volume is None:
            raise self._refused("you must call 'mount' first to mount the root filesystem")
        return self._volume

    def _node(self, path: str, kind: str | None = None) -> _Node:
        node = self._mounted().nodes.get(path.rstrip("/") or "/")
        if node is None:
            raise self._refused(f"{path}: No such file or directory")
        if kind is not None and node.kind != kind:
            raise self._refused(f"{path}: is a {node.kind}")
        return node

    def stat(self, path: str) -> Stat | None:
        node = self._mounted().nodes.get(path.rstrip("/") or "/")
        if node is None:
            return None
        return Stat(
            "file" if node.kind == "file" else "folder" if node.kind == "folder" else "other", node.size
        )

    def stats(self, folder: str, names: Sequence[str]) -> tuple[Stat | None, ...]:
        self._node(folder, "folder")
        return tuple(self.stat(f"{folder.rstrip('/')}/{name}") for name in names)

    def resolve(self, path: str) -> str | None:
        wanted = fold(path.rstrip("/") or "/")
        exact = path.rstrip("/") or "/"
        spelt = [name for name in self._mounted().nodes if fold(name) == wanted]
        return exact if exact in spelt else spelt[0] if spelt else None

    def list(self, folder: str) -> tuple[str, ...]:
        self._node(folder, "folder")
        base = folder.rstrip("/") + "/"
        below = (path[len(base) :] for path in self._mounted().nodes if path.startswith(base))
        return tuple(name for name in below if name and "/" not in name)

    def read(self, path: str, offset: int, length: int) -> bytes:
        return self._mounted().read(self._node(path, "file"), offset, length)

    def xattr(self, path: str, name: str) -> bytes | None:
        node = self._node(path)
        if self._kind != "ntfs":
            return None
        if name == "system.ntfs_attrib_be":
            return node.attributes.to_bytes(4, "big")
        return descriptor(locked=node.lock == _LOCKED) if name == "system.ntfs_acl" else None

    def _sha256(self, path: str) -> str:
        node = self._node(path, "file")
        return hashlib.sha256(self._mounted().read(node, 0, node.size)).hexdigest()

    def digests(self, folder: str) -> dict[str, str]:
        self._node(folder, "folder")
        prefix = folder.rstrip("/") + "/"
        files = [path for path, node in self._mounted().nodes.items() if node.kind == "file"]
        return {path.removeprefix(prefix): self._sha256(path) for path in files if path.startswith(prefix)}

    def xattrs(self, folder: str, names: Sequence[str], name: str) -> tuple[bytes | None, ...]:
        return tuple(self.xattr(f"{folder.rstrip('/')}/{one}", name) for one in names)

    # --- writing

    def _changing(self, path: str) -> _Volume:
        if self._read_only:
            raise ValueError("a write on an appliance that was launched read-only")
        volume = self._mounted()
        self.wrote = True
        if not self._writable:
            raise self._refused(f"{path}: Read-only file system")
        return volume

    def _parent_must_exist(self, path: str) -> None:
        self._node(path.rpartition("/")[0] or "/", "folder")

    def write(self, path: str, offset: int, data: bytes) -> None:
        volume = self._changing(path)
        try:
            volume.write(self._node(path, "file"), offset, data)
        except OSError as problem:
            raise self._refused(f"{path}: {problem}") from problem

    def create(self, path: str, content: bytes) -> None:
        volume = self._changing(path)
        self._parent_must_exist(path)
        if path in volume.nodes:
            self._node(path, "file")
        try:
            volume.create(path, content)
        except OSError as problem:
            raise self._refused(f"{path}: {problem}") from problem

    def unpack(self, folder: str, archive: bytes) -> None:
        self._node(folder, "folder")
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            for member in packed.getmembers():
                path = f"{folder.rstrip('/')}/{member.name}"
                if member.isdir():
                    if path not in self._changing(path).nodes:
                        self.mkdir(path)
                else:
                    content = packed.extractfile(member)
                    assert content is not None
                    self.create(path, content.read())
                self.chmod(path, member.mode)
                self.chown(path, member.uid, member.gid)

    def mkdir(self, path: str) -> None:
        volume = self._changing(path)
        self._parent_must_exist(path)
        if path in volume.nodes:
            raise self._refused(f"{path}: File exists")
        volume.nodes[path] = _Node("folder", attributes=0x10)

    def remove(self, path: str) -> None:
        volume = self._changing(path)
        if self._node(path).kind == "folder" and self.list(path):
            raise self._refused(f"{path}: Directory not empty")
        del volume.nodes[path]

    def chmod(self, path: str, mode: int) -> None:
        self._changing(path)
        self._node(path).lock = _LOCKED if not mode & 0o077 else _OPEN

    def chown(self, path: str, uid: int, gid: int) -> None:
        self._changing(path)
        self._node(path).owner = uid

    def set_attributes(self, path: str, attributes: int) -> None:
        """For tests only: NTFS file attributes as Windows would have set them."""
        self._node(path).attributes = attributes

    def make_link(self, path: str) -> None:
        """For tests only: something that is neither file nor folder."""
        self._mounted().nodes[path] = _Node("other")

    def sync(self) -> None:
        if self._volume is not None and self._writable:
            self._volume.flush()

    def reopen(self) -> None:
        self._mounted()
        self.mount(self._device, self._kind)

    def close(self) -> None:
        if not self._closed:
            self.umount()
            self.kill()

    def kill(self) -> None:
        """Ends it without flushing; never raises for what was done before."""
        if not self._closed:
            self._closed = True
            self._volume = None
            for store in self._stores:
                store.close()

    def _refused(self, text: str, code: str = "appliance-call") -> P2vprepError:
        kind = FailedError if self.wrote else CannotOpenError
        return kind(f"the appliance refuses: {text}", code=code)


def descriptor(*, locked: bool) -> bytes:
    """A security descriptor as ntfs-3g makes it: of Administrators, open to Everyone or locked."""

    def sid(authority: int, *parts: int) -> bytes:
        return struct.pack(f"<BB6s{len(parts)}I", 1, len(parts), authority.to_bytes(6, "big"), *parts)

    admins, system, everyone = sid(5, 32, 544), sid(5, 18), sid(1, 0)
    granted = [(admins, 0x1F01FF), (system, 0x1F01FF), (everyone, 0x120088 if locked else 0x1F01FF)]
    entries = b"".join(struct.pack("<BBHI", 0, 0, 8 + len(who), mask) + who for who, mask in granted)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(granted), 0) + entries
    owner = 20 + len(acl)
    head = struct.pack("<BBHIIII", 1, 0, 0x8004, owner, owner + len(admins), 0, 20)
    return head + acl + admins + admins


@contextmanager
def fake_launch(
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
) -> Iterator[FakeAppliance]:
    """As ``p2vprep.disk.appliance.launch``, on disks made by :func:`fake_disk` or overlays on them."""
    stores = [open_store(disk, read_only=read_only) for disk in disks]
    appliance = FakeAppliance(stores, read_only=read_only, accelerator=accelerator.name)
    try:
        if meanwhile is not None:
            meanwhile()
        yield appliance
        appliance.close()
    finally:
        appliance.kill()


class Faulty:
    """An appliance whose N-th call fails; ``calls`` counts, so a first run without a fault tells N's range.

    ``appliance-died`` and ``appliance-timeout`` make every later call fail too.
    """

    def __init__(self, appliance: Any, fail_at: int = 0, code: str = "appliance-call") -> None:
        self._appliance = appliance
        self._fail_at = fail_at
        self._code = code
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        held = getattr(self._appliance, name)
        if not callable(held) or name == "kill":
            return held

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            gone = self._code != "appliance-call" and len(self.calls) > self._fail_at
            if self._fail_at and (len(self.calls) == self._fail_at or gone):
                kind = FailedError if self._appliance.wrote else CannotOpenError
                raise kind(f"a fault was injected into {name}", code=self._code)
            return held(*arguments, **named)

        return call


def faulty_launch(fail_at: int, code: str = "appliance-call") -> tuple[Callable[..., Any], list[str]]:
    """A launch whose appliance fails at its N-th call (0: never), and the list of the calls made."""
    calls: list[str] = []

    @contextmanager
    def launch(disks: Sequence[Path], **options: Any) -> Iterator[Any]:
        with fake_launch(disks, **options) as appliance:
            faulty = Faulty(appliance, fail_at, code)
            faulty.calls = calls
            yield faulty
            faulty.close()

    return launch, calls
