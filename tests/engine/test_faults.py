"""Every call to the appliance fails once in turn: a typed error each time, and a disk as before."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.model import FileChange, FileState, Guest, Plan, Role, WindowsVersion
from p2vprep.disk import appliance
from p2vprep.disk.guestfiles import GuestFiles
from p2vprep.engine import applying
from p2vprep.errors import CannotOpenError, FailedError
from tests.support.fake_appliance import FakeAppliance, faulty_launch
from tests.support.flow import SYSTEM, as_json, done, inside

CODES = (
    "appliance-died",
    pytest.param("appliance-call", marks=pytest.mark.long),
    pytest.param("appliance-timeout", marks=pytest.mark.long),
)
PARTS = 4
QUICK_PARTS = 2
GUEST = Guest("Windows", WindowsVersion(6, 3, 9600), Role.SERVER, "x64", "Server", "SRV", "/Windows", True)


def parts() -> list[Any]:
    """Each takes every fourth call of the appliance; the default suite half of them."""
    return [pytest.param(one, marks=() if one < QUICK_PARTS else pytest.mark.long) for one in range(PARTS)]


def digest(disk: Path) -> str:
    """Of the container: nothing at all may have been written to it."""
    return hashlib.sha256(disk.read_bytes()).hexdigest()


def calls_of(disk: Path, *arguments: str | Path) -> list[str]:
    """The calls that a command makes; an apply is taken back."""
    with pytest.MonkeyPatch.context() as patch:
        launch, calls = faulty_launch(0)
        patch.setattr(appliance, "launch", launch)
        done(arguments[0], disk, *arguments[1:])
    if arguments[0] == "apply":
        done("rollback", disk)
        done("forget", disk)
    return calls


def with_fault(number: int, code: str, disk: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """The command, its ``number``-th call failing."""
    with pytest.MonkeyPatch.context() as patch:
        launch, _calls = faulty_launch(number, code)
        patch.setattr(appliance, "launch", launch)
        ran = as_json(arguments[0], disk, *arguments[1:])
    assert "Traceback" not in ran.stderr
    return ran.status, ran.document


def is_partition_without_windows(call: str, code: str, status: int, document: dict[str, Any]) -> bool:
    """A partition that the appliance cannot mount is no reason to stop: Windows may be on another one."""
    return (call, code) == ("mount", "appliance-call") and (status == 0 or document["code"] == "no-windows")


@pytest.mark.parametrize("part", parts())
@pytest.mark.parametrize("code", CODES)
def test_a_call_fails_during_an_apply(disk: Path, code: str, part: int) -> None:
    calls = calls_of(disk, "apply", "--yes")
    assert {"mount", "read", "close"} <= set(calls)
    before = digest(disk)
    statuses: Counter[int] = Counter()
    for number in range(part + 1, len(calls) + 1, PARTS):
        status, document = with_fault(number, code, disk, "apply", "--yes")
        what = f"{number}: {calls[number - 1]}: {document}"
        if is_partition_without_windows(calls[number - 1], code, status, document):
            assert status != 0 or done("rollback", disk)["written_bytes"], what
            assert digest(disk) == before, what
            continue
        assert status in (6, 8), what
        assert document["code"] == code, what
        assert document["changed"] == "Nothing was changed.", what
        assert digest(disk) == before, what
        statuses[status] += 1
    runs = [run for run in done("history", disk)["runs"] if code in run["note"]]
    assert [run["state"] for run in runs] == ["discarded"] * sum(statuses.values())
    assert list(disk.parent.rglob("overlay-*")) == []
    assert set(statuses) == {6, 8}
    assert done("recover", disk)["outcome"] == "nothing-to-do"
    assert done("apply", disk, "--yes")["committed"]


@pytest.mark.long
@pytest.mark.parametrize("code", ["appliance-died", "appliance-call", "appliance-timeout"])
@pytest.mark.parametrize("command", ["inspect", "plan", "verify"])
def test_a_call_fails_during_a_look(disk: Path, command: str, code: str) -> None:
    if command == "verify":
        done("apply", disk, "--yes")
    before = digest(disk)
    for number, call in enumerate(calls_of(disk, command), 1):
        status, document = with_fault(number, code, disk, command)
        if not is_partition_without_windows(call, code, status, document):
            assert (status, document["code"]) == (6, code), f"{number}: {call}: {document}"
    assert digest(disk) == before


@pytest.mark.parametrize("code", ["appliance-launch", "appliance-timeout", "no-libguestfs"])
@pytest.mark.parametrize(
    "arguments", [["inspect"], ["plan"], ["apply", "--yes"]], ids=lambda one: str(one[0])
)
def test_the_appliance_does_not_start(
    disk: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: str
) -> None:
    @contextmanager
    def launch(*_disks: Any, **_options: Any) -> Iterator[Any]:
        if code:
            raise CannotOpenError("the appliance does not start", code=code)
        yield

    monkeypatch.setattr(appliance, "launch", launch)
    before = digest(disk)
    ran = as_json(arguments[0], disk, *arguments[1:])
    assert (ran.status, ran.document["code"]) == (6, code)
    assert digest(disk) == before
    assert all(run["state"] == "discarded" for run in done("history", disk)["runs"])


@pytest.mark.parametrize("path", ["/p2vprep/firstboot.cmd", "/p2vprep/steps/500-give-back.cmd", SYSTEM])
@pytest.mark.parametrize("loss", ["a bit", "all"])
def test_what_was_written_is_read_back(
    disk: Path, monkeypatch: pytest.MonkeyPatch, path: str, loss: str
) -> None:
    """A volume that does not keep what was written is noticed before anything is committed."""
    honest = FakeAppliance.reopen

    def reopen(self: FakeAppliance) -> None:
        volume = self._mounted()
        node = volume.nodes[path]
        if loss == "all":
            del volume.nodes[path]
        else:
            volume.write(node, node.size - 1, bytes([volume.read(node, node.size - 1, 1)[0] ^ 1]))
        honest(self)

    monkeypatch.setattr(FakeAppliance, "reopen", reopen)
    before = digest(disk)
    ran = as_json("apply", disk, "--yes")
    assert (ran.status, ran.document["code"]) == (8, "verify-failed")
    assert path in str(ran.document["subject"])
    assert ran.document["changed"] == "The image was not changed."
    assert digest(disk) == before


def test_a_file_that_is_still_there_after_its_deletion_is_noticed(disk: Path) -> None:
    """The same for what the plan deletes."""
    deletion = FileChange("/bootmgr", FileState("00" * 32, 1), None, "files", "to see")
    plan = Plan(GUEST, (), (), (deletion,), (), (), (), ())
    with inside(disk) as guest, pytest.raises(FailedError) as caught:
        applying._require_absent(GuestFiles(guest, "ntfs"), plan)
    assert (caught.value.code, caught.value.subject) == ("verify-failed", "/bootmgr")
