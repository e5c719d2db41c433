"""The last entries of a Windows event log: .evtx through the library ``evtx``, .evt by our own reader."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from p2vprep.core.hand import evt
from p2vprep.core.hand.evt import Event, Level
from p2vprep.engine.byhand import Browser
from p2vprep.errors import CannotOpenError, UsageError

LOG_LIMIT = 512 << 20
"""A longer log is not read (bytes)."""
LEVELS: dict[str, frozenset[Level]] = {
    "error": frozenset({"critical", "error"}),
    "warning": frozenset({"critical", "error", "warning"}),
    "all": frozenset({"critical", "error", "warning", "information"}),
}
_NUMBERS: dict[int, Level] = {1: "critical", 2: "error", 3: "warning"}
_FOLDER = "System32/winevt/Logs"
_OLD_FOLDER = "System32/config"
_OLD_NAMES = {"SYSTEM": "SysEvent", "APPLICATION": "AppEvent", "SECURITY": "SecEvent"}


def last_events(browser: Browser, log: str, levels: frozenset[Level], most: int) -> tuple[Event, ...]:
    """The newest entries of a log (``System``, ``Application``, …) with these levels, newest first.

    Raises CannotOpenError ``no-event-log``, ``event-log-damaged``, UsageError ``no-evtx`` where the
    library is not installed.
    """
    path, content = _find(browser, log)
    found = evt.records(content) if path.upper().endswith(".EVT") else _from_evtx(path, content)
    wanted = [event for event in found if event.level in levels]
    return tuple(sorted(wanted, key=lambda event: (event.seconds, event.record), reverse=True)[:most])


def shown_time(event: Event) -> str:
    """When it was written, in UTC: ``2016-03-02 18:04:11``."""
    return datetime.fromtimestamp(event.seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _find(browser: Browser, log: str) -> tuple[str, bytes]:
    if not log or any(letter in log for letter in '/\\:*?"<>|'):
        raise UsageError("not the name of an event log", code="usage", subject=log)
    root = browser.facts.guest.system_root
    old = _OLD_NAMES.get(log.upper(), log)
    paths = (f"{root}/{_FOLDER}/{log.replace('/', '%4')}.evtx", f"{root}/{_OLD_FOLDER}/{old}.Evt")
    for path in paths:
        if browser.exists(path):
            return path, browser.read_file(path, LOG_LIMIT)
    raise CannotOpenError(
        f"there is no event log {log}",
        code="no-event-log",
        subject=paths[0],
        hint="System, Application and Security are there on most machines; `p2vprep files` lists others.",
    )


def _from_evtx(path: str, content: bytes) -> Iterator[Event]:
    try:
        from evtx import PyEvtxParser
    except ImportError as problem:
        raise UsageError(
            "reading .evtx logs needs the library evtx, which is not installed",
            code="no-evtx",
            hint="Install it with: pip install 'p2vprep[events]'",
        ) from problem
    try:
        records = PyEvtxParser(io.BytesIO(content), number_of_threads=1).records_json()
    except (RuntimeError, OSError, ValueError) as problem:
        raise CannotOpenError(
            f"the event log cannot be read: {problem}", code="event-log-damaged", subject=path
        ) from problem
    while True:
        try:
            record = next(records, None)
        except (RuntimeError, OSError, ValueError):
            continue  # one damaged record; the library goes on behind it
        if record is None:
            return
        event = _event(record)
        if event is not None:
            yield event


def _event(record: dict[str, Any]) -> Event | None:
    """An event of the library's form; None where it is not one of Windows' own shape."""
    try:
        held = json.loads(record["data"])["Event"]
        system = held["System"]
        when = system["TimeCreated"]["#attributes"]["SystemTime"]
        seconds = _seconds(when)
        source = system["Provider"]["#attributes"]["Name"]
        level = _NUMBERS.get(int(system.get("Level") or 0), "information")
        texts = tuple(_texts({name: held[name] for name in held if name in ("EventData", "UserData")}))
        return Event(int(record["event_record_id"]), seconds, level, str(source), _id(system), texts)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _seconds(when: str) -> float:
    """``2016-03-02T18:04:11.1234567Z`` in seconds since 1970; Python of 3.10 takes six digits at most."""
    whole, _, fraction = when.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _id(system: dict[str, Any]) -> int:
    held = system["EventID"]
    return int(held["#text"] if isinstance(held, dict) else held)


def _texts(held: object) -> Iterator[str]:
    """Every text in the event's own data, attributes left out."""
    if isinstance(held, dict):
        for name, inside in held.items():
            if name != "#attributes":
                yield from _texts(inside)
    elif isinstance(held, list):
        for inside in held:
            yield from _texts(inside)
    elif held not in (None, ""):
        yield str(held)
