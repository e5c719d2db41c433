"""Everything that starts by itself on a machine: from its hives, its tasks and its Startup folders."""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.hand import autoruns, tasks
from p2vprep.core.hand.autoruns import Autorun
from p2vprep.core.hand.listing import rows
from p2vprep.core.registry import find
from p2vprep.engine.byhand import Browser
from p2vprep.errors import HiveError

_TASKS = "System32/Tasks"
_JOBS = "Tasks"
_DEEPEST = 16
_STARTUP = (
    "/ProgramData/Microsoft/Windows/Start Menu/Programs/Startup",
    "/Documents and Settings/All Users/Start Menu/Programs/Startup",
)
_USERS_STARTUP = (
    "AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Startup",
    "Start Menu/Programs/Startup",
)


def gather(browser: Browser) -> tuple[Autorun, ...]:
    """All of it, by kind. A user's hive that cannot be read is one entry that says so."""
    listed = rows(browser.facts.boot, browser.hive("SYSTEM"))
    found = [*autoruns.of_services(listed), *autoruns.of_filters(browser.facts.boot, listed)]
    control_set = find(browser.hive("SYSTEM"), browser.facts.boot_set)
    if control_set is not None:
        found += autoruns.of_winsock(control_set)
    software = browser.hives.get("SOFTWARE")
    if software is not None:
        found += autoruns.of_machine(software)
    found += _users(browser)
    found += _startup(browser)
    cached = () if software is None else tuple(autoruns.cached_tasks(software))
    found += autoruns.of_tasks(_tasks(browser), cached)
    return autoruns.once(iter(found))


def _users(browser: Browser) -> Iterator[Autorun]:
    for name in browser.hive_names():
        if name.startswith("HKU") or name == "DEFAULT":
            try:
                yield from autoruns.of_user(name, browser.hive(name))
            except HiveError as problem:
                yield Autorun("run", "(cannot be read)", problem.message, name, enabled=False)


def _startup(browser: Browser) -> Iterator[Autorun]:
    folders = [*_STARTUP, *(f"{user.folder}/{tail}" for user in browser.users for tail in _USERS_STARTUP)]
    for folder in folders:
        if browser.exists(folder):
            for entry in browser.list_dir(folder):
                if entry.kind == "file" and entry.name.lower() != "desktop.ini":
                    yield Autorun("startup", entry.name, f"{folder}/{entry.name}", folder)


def _tasks(browser: Browser) -> dict[str, Autorun | None]:
    root = browser.facts.guest.system_root
    found: dict[str, Autorun | None] = {}
    for path, place in _files_below(browser, f"{root}/{_TASKS}", "", 0):
        found[path] = tasks.from_xml(path, browser.read_file(place, tasks.TASK_LIMIT))
    if browser.exists(f"{root}/{_JOBS}"):
        for entry in browser.list_dir(f"{root}/{_JOBS}"):
            if entry.kind == "file" and entry.name.lower().endswith(".job"):
                path = f"\\{entry.name}"
                content = browser.read_file(f"{root}/{_JOBS}/{entry.name}", tasks.TASK_LIMIT)
                found[path] = tasks.from_job(path, content)
    return found


def _files_below(browser: Browser, folder: str, path: str, depth: int) -> Iterator[tuple[str, str]]:
    r"""The tasks' paths (``\Folder\Name``) and their files; links are not followed."""
    if depth > _DEEPEST or (depth == 0 and not browser.exists(folder)):
        return
    for entry in browser.list_dir(folder):
        place = f"{folder}/{entry.name}"
        if entry.kind == "folder":
            yield from _files_below(browser, place, f"{path}\\{entry.name}", depth + 1)
        elif entry.kind == "file" and entry.size <= tasks.TASK_LIMIT:
            yield f"{path}\\{entry.name}", place
