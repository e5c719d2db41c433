"""A machine for the console's tests: the sample one, held in memory, with a few files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from p2vprep.console.ports import Done, FolderEntry, HiveName
from p2vprep.core.facts import gather
from p2vprep.core.hand import places
from p2vprep.core.model import (
    Change,
    DeleteFile,
    DeleteKey,
    DeleteValue,
    Edit,
    Facts,
    FileChange,
    FileState,
    Hazard,
    KeyChange,
    MakeKey,
    Plan,
    PutFile,
    SetValue,
    ValueChange,
)
from p2vprep.core.registry import Hive, MemoryHive, find, value
from p2vprep.core.values import Data
from p2vprep.errors import CannotOpenError, P2vprepError
from p2vprep.events import Sink, step
from testdata.machines import load

MANY = 700
README = "Bring the tools.\r\n"


@lru_cache
def system() -> MemoryHive:
    hive = load("proliant-2012r2").system()
    many = hive.root.make("ControlSet001\\Enum\\Many")
    for number in range(MANY):
        many.make(f"Child{number:04}")
    return hive


@lru_cache
def software() -> MemoryHive:
    return load("proliant-2012r2").software()


@lru_cache
def facts() -> Facts:
    return gather(system(), software(), system_root="/Windows")


@dataclass
class FakeBackend:
    """Says what it was asked for; ``slow`` holds the opening up until it is set."""

    title: str = "srv-erp01.vhd"
    opened: int = 0
    applied: list[tuple[Edit, ...]] = field(default_factory=list)
    rolled_back: int = 0
    fail: P2vprepError | None = None
    """Raised by the next apply."""
    gate: threading.Event | None = None
    """Opening, applying and taking back wait for this."""
    findings: tuple[Hazard, ...] = ()
    closed: int = 0

    @contextmanager
    def browse(self, sink: Sink) -> Iterator[FakeOpened]:
        with step(sink, "Starting the appliance") as outcome:
            self._wait()
            outcome("TCG")
        self.opened += 1
        try:
            yield FakeOpened(self.findings)
        finally:
            self.closed += 1

    def apply(self, edits: Sequence[Edit], reviewed: Plan, sink: Sink) -> Done:
        assert self.closed == self.opened, "the machine is still open"
        with step(sink, "Committing the changes"):
            self._wait()
            if self.fail is not None:
                problem, self.fail = self.fail, None
                raise problem
        assert reviewed.changes
        self.applied.append(tuple(edits))
        return Done(True, f"{len(reviewed.changes)} changes. r takes this back.")

    def rollback(self, sink: Sink) -> str:
        with step(sink, "Writing the undo data back"):
            self._wait()
        self.rolled_back += 1
        return "Run 1 was taken back."

    def _wait(self) -> None:
        if self.gate is not None:
            assert self.gate.wait(20)


FILES: dict[str, bytes] = {
    "/Tools/readme.txt": README.encode(),
    "/Tools/setup.log": README.encode("utf-16"),
    "/Tools/agent.bin": bytes(range(64)),
    "/autoexec.bat": b"",
}


class FakeOpened:
    def __init__(self, findings: tuple[Hazard, ...]) -> None:
        self.findings = findings
        self.facts = facts()

    def hives(self) -> tuple[HiveName, ...]:
        return (HiveName("SYSTEM", True), HiveName("SOFTWARE", True), HiveName("SAM", False))

    def hive(self, name: str) -> Hive:
        if name == "SAM":
            return MemoryHive({"SAM\\Domains": {"F": Data.binary(b"\1")}})
        return system() if name == "SYSTEM" else software()

    def folder(self, path: str) -> tuple[FolderEntry, ...]:
        top = path.rstrip("/") + "/"
        below = [name.removeprefix(top) for name in FILES if name.startswith(top)]
        if not below:
            raise CannotOpenError("the folder is not there", code="guest-file-missing", subject=path)
        folders = sorted({name.split("/")[0] for name in below if "/" in name})
        files = sorted(name for name in below if "/" not in name)
        return (
            *(FolderEntry(name, "folder", 0) for name in folders),
            *(FolderEntry(name, "file", len(FILES[top + name])) for name in files),
        )

    def read(self, path: str, limit: int) -> bytes:
        assert len(FILES[path]) <= limit
        return FILES[path]

    def plan(self, edits: Sequence[Edit]) -> Plan:
        changes = tuple(change for edit in edits if (change := _change(edit)) is not None)
        return Plan(facts().guest, ("ControlSet001",), (), changes, (), (), (), ())


def _change(edit: Edit) -> Change | None:
    if isinstance(edit, PutFile | DeleteFile):
        old = FILES.get(edit.path)
        before = None if old is None else FileState("", len(old))
        after = FileState("", len(edit.content)) if isinstance(edit, PutFile) else None
        return FileChange(edit.path, before, after, edit.rule, edit.why)
    hive = software() if edit.hive == "SOFTWARE" else system()
    key = places.in_set(edit.key, "ControlSet001") if places.is_current(edit.key) else edit.key
    if isinstance(edit, MakeKey | DeleteKey):
        there = find(hive, key) is not None
        return KeyChange(edit.hive, key, there, isinstance(edit, MakeKey), edit.rule, edit.why)
    assert isinstance(edit, SetValue | DeleteValue)
    before_data = value(hive, key, edit.name)
    after_data = edit.data if isinstance(edit, SetValue) else None
    if before_data == after_data:
        return None
    return ValueChange(edit.hive, key, edit.name, before_data, after_data, edit.rule, edit.why)


def host_file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


Check = Callable[[], bool]
