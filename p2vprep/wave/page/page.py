"""Makes the page. The only home of Jinja2; everything that is filled in is escaped by it.

A guest can call a service what it likes, so the page also forbids by its own policy every script but
its own one (told by its SHA-256), and everything that would be fetched from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from p2vprep import __version__
from p2vprep.disk.state import utc_now
from p2vprep.wave.job import Told
from p2vprep.wave.ledger import Entry, Ledger
from p2vprep.wave.told import why_not

BUDGET = 24 << 20
"""From this size on (bytes) machines are shown without their single changes: browsers get slow."""
_SHOWN = 200
"""The longest before or after that is shown (characters)."""
_COLOURS = 6


def pieces(ledger: Ledger, chosen: Callable[[str], bool]) -> Iterator[str]:
    """The page in pieces of text, a machine at a time."""
    environment = Environment(
        loader=PackageLoader("p2vprep.wave.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.loader.get_source(environment, "page.js")[0] if environment.loader else ""
    style = environment.loader.get_source(environment, "page.css")[0] if environment.loader else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    names = [entry.name for entry in ledger.entries() if chosen(entry.name)]
    head = _head(ledger, chosen) | {"script": script, "style": style, "digest": digest}
    yield environment.get_template("head.html").render(head)
    machine = environment.get_template("machine.html")
    written = 0
    for number, name in enumerate(names):
        entry = ledger.entry(name)
        details = ledger.details(name) if written < BUDGET else {}
        text = machine.render(_machine(number, entry, details, whole=written < BUDGET))
        written += len(text)
        yield text
    yield environment.get_template("foot.html").render({"script": script, "version": __version__})


def _head(ledger: Ledger, chosen: Callable[[str], bool]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    boots: dict[str, int] = {}
    codes: dict[str, int] = {}
    for entry in ledger.entries():
        if not chosen(entry.name):
            continue
        counts[entry.state] = counts.get(entry.state, 0) + 1
        if entry.first_boot:
            boots[entry.first_boot] = boots.get(entry.first_boot, 0) + 1
        if entry.state == "failed" and entry.outcome is not None:
            codes[entry.outcome.code] = codes.get(entry.outcome.code, 0) + 1
    return {
        "wave": ledger.name,
        "made": utc_now().strftime("%Y-%m-%d %H:%M UTC"),
        "counts": counts,
        "boots": boots,
        "codes": codes,
        "total": sum(counts.values()),
        "sessions": ledger.sessions(),
    }


def _machine(number: int, entry: Entry, details: Told, *, whole: bool) -> dict[str, Any]:
    outcome, checked = entry.outcome, entry.verification
    result: Told = {} if outcome is None else outcome.result
    seconds = 0.0 if outcome is None else outcome.seconds
    return {
        "number": number,
        "entry": entry,
        "seconds": seconds,
        "result": result,
        "windows": str(result.get("guest", {}).get("product") or ""),
        "error": None if outcome is None else outcome.error,
        "why_not": "" if outcome is None else why_not(outcome),
        "bars": [] if outcome is None else _bars(outcome.times),
        "changes": [_change(one) for one in details.get("changes", ())],
        "skips": details.get("skips", ()),
        "left_out": not whole,
        "boot_lines": () if checked is None else checked.result.get("first_boot_lines", ()),
        "search": " ".join([entry.name, entry.state, str(result.get("guest", {}).get("product") or "")]),
    }


def _bars(times: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
    """The steps with their share of the longest one, in percent."""
    spent: dict[str, float] = {}
    for text, seconds in times:
        spent[text] = spent.get(text, 0.0) + seconds
    longest = max(spent.values(), default=0.0) or 1.0
    return [
        {
            "text": text,
            "seconds": seconds,
            "share": round(100 * seconds / longest, 1),
            "colour": at % _COLOURS,
        }
        for at, (text, seconds) in enumerate(spent.items())
    ]


def _change(plain: Told) -> Told:
    where = str(plain["path"]) if plain["kind"] == "file" else f"{plain['hive']}\\{plain['key']}"
    if plain["kind"] == "value":
        where += f"\\{plain['name'] or '(default)'}"
    return {
        "where": where,
        "before": _state(plain["before"]),
        "after": _state(plain["after"]),
        "rule": plain["rule"],
        "why": plain["why"],
    }


def _state(plain: Any) -> str:
    """A state before or after, for people."""
    if plain is None:
        return "absent"
    if "sha256" in plain:
        return f"{plain['size']} bytes"
    if plain.get("type") == "key":
        return "key"
    held = plain.get("data")
    text = ", ".join(map(str, held)) if isinstance(held, list) else str(held)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
