r"""What starts by itself: services, drivers, Run keys, filters, Winsock providers, scheduled tasks.

Sources: "Run and RunOnce registry keys", "Winlogon", "AppInit DLLs" (Microsoft); ``PackedCatalogItem`` is
the provider's path (260 bytes) and a WSAPROTOCOL_INFOW (winsock2.h), as seen in the real hives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.facts.keys import below, children, dword, text
from p2vprep.core.hand.listing import AUTOMATIC, Row, in_windows
from p2vprep.core.hand.places import shown
from p2vprep.core.model import ControlSet
from p2vprep.core.never import in_box_filter
from p2vprep.core.registry import Hive, Key, find, fold, join, value

Kind = Literal["service", "driver", "run", "logon", "startup", "filter", "winsock", "task"]
_CURRENT_VERSION = r"Microsoft\Windows\CurrentVersion"
_RUN_KEYS = tuple(
    join(top, _CURRENT_VERSION, name)
    for top in ("", "Wow6432Node")
    for name in ("Run", "RunOnce", "RunOnceEx", "RunServices", r"Policies\Explorer\Run")
)
_WINLOGON = r"Microsoft\Windows NT\CurrentVersion\Winlogon"
_WINDOWS = r"Microsoft\Windows NT\CurrentVersion\Windows"
_LOGON_VALUES = (
    (_WINLOGON, "Shell", "explorer.exe"),
    (_WINLOGON, "Userinit", r"userinit.exe"),
    (_WINLOGON, "GinaDLL", ""),
    (_WINLOGON, "Taskman", ""),
    (_WINDOWS, "AppInit_DLLs", ""),
    (join("Wow6432Node", _WINDOWS), "AppInit_DLLs", ""),
)
"""Key, value, and what Windows itself has there."""
_USER_VALUES = ((_WINDOWS, "Load"), (_WINDOWS, "Run"), (_WINLOGON, "Shell"))
_PROTOCOLS = r"Services\WinSock2\Parameters\Protocol_Catalog9"
_NAME_SPACES = r"Services\WinSock2\Parameters\NameSpace_Catalog5"
_WINDOWS_PROVIDERS = frozenset(
    {"MSWSOCK", "RSVPSP", "WINRNR", "NLAAPI", "NAPINSP", "PNRPNSP", "WSHBTH", "WSHTCPIP", "WSHIP6", "MSAFD"}
)
"""As found in the hives of XP to 10."""
_PATH_LENGTH = 260
_PROTOCOL_NAME_AT = _PATH_LENGTH + 116
_PROTOCOL_NAME_LENGTH = 512


@dataclass(frozen=True)
class Autorun:
    """One thing that starts by itself. ``in_box``: whether Windows brings it; None where nobody can tell."""

    kind: Kind
    name: str
    command: str
    where: str
    enabled: bool = True
    in_box: bool | None = None
    vendor: str = ""


def of_services(rows: Sequence[Row]) -> Iterator[Autorun]:
    """Services and drivers that start by themselves, or on a trigger."""
    for row in rows:
        service = row.service
        if service.start in AUTOMATIC or (service.triggers and service.start_name != "disabled"):
            command = service.service_dll or service.image_path
            where = shown("SYSTEM", service.key)
            yield Autorun(service.kind, service.name, command, where, True, row.in_box, row.vendor)


def of_machine(software: Hive) -> Iterator[Autorun]:
    """Run keys and the programs of the logon, of the whole machine."""
    yield from _run_keys("SOFTWARE", software, _RUN_KEYS)
    for key, name, usual in _LOGON_VALUES:
        data = value(software, key, name)
        command = "" if data is None else (data.text or "")
        if command.strip():
            plain = fold(command.strip().rstrip(",")).rpartition("\\")[2]
            yield Autorun(
                "logon", name, command, shown("SOFTWARE", key), in_box=bool(usual) and plain == fold(usual)
            )


def of_user(hive: str, held: Hive) -> Iterator[Autorun]:
    """Run keys and the programs of the logon, of one user; ``hive`` is its name."""
    yield from _run_keys(hive, held, [join("Software", key) for key in _RUN_KEYS])
    for key, name in _USER_VALUES:
        data = value(held, join("Software", key), name)
        if data is not None and (data.text or "").strip():
            yield Autorun("logon", name, data.text or "", shown(hive, join("Software", key)))


def _run_keys(hive: str, held: Hive, keys: Sequence[str]) -> Iterator[Autorun]:
    for path in keys:
        key = find(held, path)
        for name, data in () if key is None else key.values():
            command = data.text or ", ".join(data.strings or ())
            if command:
                yield Autorun("run", name or "(default)", command, shown(hive, path))


def of_filters(control_set: ControlSet, rows: Sequence[Row]) -> Iterator[Autorun]:
    """Every driver that a filter list names."""
    known = {fold(row.service.name): row for row in rows}
    for found in control_set.filters:
        for name in found.names:
            row = known.get(fold(name))
            where = f"{shown('SYSTEM', found.key)}: {found.position}"
            command = "(there is no such driver)" if row is None else row.service.image_path
            inside = in_box_filter(name) or (row is not None and row.in_box)
            vendor = "" if row is None else row.vendor
            yield Autorun("filter", name, command, where, row is not None, inside or None, vendor)


def of_winsock(control_set: Key) -> Iterator[Autorun]:
    """Providers of protocols and of name spaces; each program once for every catalogue it is in."""
    for catalogue in ("Catalog_Entries", "Catalog_Entries64"):
        for path in (join(_PROTOCOLS, catalogue), join(_NAME_SPACES, catalogue)):
            entries = below(control_set, path)
            where = shown("SYSTEM", "" if entries is None else entries.path)
            for entry in children(entries):
                name, program = _provider(entry)
                if program:
                    enabled = dword(entry, "Enabled") != 0
                    yield Autorun("winsock", name, program, where, enabled, _is_windows_provider(program))


def _is_windows_provider(program: str) -> bool | None:
    """By its name, in a folder of Windows; others may lie there as well, so it cannot always be told."""
    if not in_windows(program):
        return False
    name = fold(program).rpartition("\\")[2].removesuffix(".DLL")
    return name in _WINDOWS_PROVIDERS or None


def _provider(entry: Key) -> tuple[str, str]:
    """Name and program of a catalogue's entry."""
    packed = entry.value("PackedCatalogItem")
    if packed is None:
        return text(entry, "DisplayString"), text(entry, "LibraryPath")
    raw = packed.raw
    program = raw[:_PATH_LENGTH].split(b"\0", 1)[0].decode("latin-1")
    name = raw[_PROTOCOL_NAME_AT : _PROTOCOL_NAME_AT + _PROTOCOL_NAME_LENGTH]
    return name.decode("utf-16-le", "replace").split("\0", 1)[0], program


def once(found: Iterator[Autorun]) -> tuple[Autorun, ...]:
    """Each entry once, in order: catalogues of Winsock name one program for many protocols."""
    return tuple(dict.fromkeys(found))


# --- scheduled tasks as the registry knows them -------------------------------------------------

TASK_TREE = r"Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree"


def cached_tasks(software: Hive) -> Iterator[str]:
    r"""The paths of the tasks that the scheduler's cache knows: ``\Microsoft\Windows\Defrag\…``."""
    top = find(software, TASK_TREE)
    stack = [] if top is None else [(top, "")]
    while stack:
        key, path = stack.pop()
        if key.value("Id") is not None:
            yield path
        stack += [(child, f"{path}\\{child.name}") for child in key.subkeys()]


def of_tasks(files: Mapping[str, Autorun | None], cached: Sequence[str]) -> Iterator[Autorun]:
    """The tasks that lie as files, and those that only the cache knows. ``files`` go by the task's path."""
    seen = {fold(path) for path in files}
    for path in sorted(files):
        task = files[path]
        if task is None:
            yield Autorun("task", path, "(cannot be read)", "file")
        else:
            yield task
    for path in sorted(cached):
        if fold(path) not in seen:
            yield Autorun("task", path, "(its file is missing)", shown("SOFTWARE", TASK_TREE + path))


def is_windows_task(path: str) -> bool:
    r"""Whether a task lies in the folder of Windows' own tasks."""
    return fold(path).startswith(r"\MICROSOFT" + "\\")
