r"""Builds the first-boot job: files in the folder ``/p2vprep`` and a service entry that starts it once.

The entry starts cmd.exe (no program of ours): the direct process hands over to a
shell of its own console with ``start`` and ends at once, so that the service
manager does not wait its 30 seconds for a service that never reports; what it
logs (7000, 7009) is expected. ErrorControl 0 keeps Windows from showing a
message or falling back to another control set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from p2vprep.core.model import (
    ControlSet,
    DeleteKey,
    Edit,
    Facts,
    FirstBootItem,
    PutFile,
    RestoreService,
    RestoreValue,
    SetValue,
    Start,
)
from p2vprep.core.registry import fold, join
from p2vprep.core.values import Data
from p2vprep.errors import P2vprepError
from p2vprep.firstboot import templates
from p2vprep.firstboot.steps import Step, make_steps

RULE = "first-boot"
FOLDER = "/p2vprep"
SERVICE = "p2vprep"
RESULT_KEY = r"p2vprep\Result"
IMAGE_PATH = (
    r'%SystemRoot%\System32\cmd.exe /d /e:on /v:off /c start "" /min '
    r"%SystemRoot%\System32\cmd.exe /d /e:on /v:off /c %SystemDrive%\p2vprep\firstboot.cmd"
)
_OWN_PROCESS = 0x10
_LONGEST_LINE = 2000
"""cmd takes 8191 characters (2047 on Windows 2000); nothing here comes near."""
_WANTED_DEPENDENCIES = ("RpcSs", "nsi")
"""What sc, reg and netsh talk to. Few on purpose: where one of them fails, the job never runs."""


def build(items: Sequence[FirstBootItem], facts: Facts, control_sets: Sequence[str]) -> list[Edit]:
    """The edits that put the first-boot job on the disk; none where there is nothing to do.

    ``control_sets`` are the sets that are edited. The same arguments always give
    the same bytes. Raises P2vprepError where a control set is not in the facts.
    """
    if not items:
        return []
    services = tuple({fold(i.service): i for i in items if isinstance(i, RestoreService)}.values())
    values = tuple(item for item in items if isinstance(item, RestoreValue))
    steps = make_steps(values, services, facts, control_sets)
    edits: list[Edit] = [
        DeleteKey(
            "SYSTEM", RESULT_KEY, RULE, "results of an earlier first boot would be taken for this one's"
        )
    ]
    edits += _files(steps, control_sets)
    waiting = {fold(item.service) for item in services}
    for name in control_sets:
        edits += _entry(_named(facts, name), waiting)
    return edits


def _named(facts: Facts, name: str) -> ControlSet:
    for held in facts.sets:
        if fold(held.name) == fold(name):
            return held
    raise P2vprepError(f"control set {name} is to be edited but is not in the hive", subject=name)


def _files(steps: Iterable[Step], control_sets: Sequence[str]) -> Iterator[PutFile]:
    why = "finishes the preparation inside Windows at its first boot"
    calls = "\n".join(f"call :run {s.name} {s.limit} {'always' if s.always else 'once'}" for s in steps)
    engine = templates.ENGINE.replace(templates.STEPS_MARK, calls)
    engine = engine.replace(templates.SETS_MARK, " ".join(control_sets))
    contents = {"firstboot.cmd": script(engine)}
    for step in steps:
        contents[f"steps/{step.name}.cmd"] = script(step.script)
        contents.update({f"data/{name}": data for name, data in step.data.items()})
    for path in sorted(contents):
        yield PutFile(f"{FOLDER}/{path}", contents[path], RULE, why)


def script(text: str) -> bytes:
    """The text as cmd wants it: ASCII with CRLF. Lines are checked to stay far below cmd's limit."""
    lines = text.splitlines()
    if any(len(line) > _LONGEST_LINE for line in lines):
        raise P2vprepError("a line of a first-boot script is too long for cmd")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _entry(control_set: ControlSet, waiting: set[str]) -> Iterator[SetValue]:
    held: dict[str, Data] = {
        "Type": Data.dword(_OWN_PROCESS),
        "Start": Data.dword(Start.AUTO),
        "ErrorControl": Data.dword(0),
        "ImagePath": Data.expand_sz(IMAGE_PATH),
        "DisplayName": Data.sz("p2vprep first boot"),
        "ObjectName": Data.sz("LocalSystem"),
    }
    needs = _dependencies(control_set, waiting)
    if needs:
        held["DependOnService"] = Data.multi_sz(needs)
    key = join(control_set.name, "Services", SERVICE)
    for name, data in held.items():
        yield SetValue("SYSTEM", key, name, data, RULE, "starts the first-boot job once", create=True)


def _dependencies(control_set: ControlSet, waiting: set[str]) -> tuple[str, ...]:
    """What the job waits for: only what exists, can start, and is not parked itself."""
    startable = {
        fold(service.name): service.name
        for service in control_set.services
        if service.start < Start.DISABLED and not service.deleted
    }
    return tuple(
        startable[fold(name)]
        for name in _WANTED_DEPENDENCIES
        if fold(name) in startable and fold(name) not in waiting
    )
