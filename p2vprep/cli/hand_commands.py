"""`p2vprep services`, `drivers`, `registry`: the offline machine by hand. Loaded when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import click
from rich.text import Text

from p2vprep import engine
from p2vprep.cli.hand_running import Shown, change, look, looking_options, writing_options
from p2vprep.cli.output import printable
from p2vprep.cli.placing import PlacedGroup, placed
from p2vprep.cli.render_hand import data_text, hits_view, key_view, rows_view, services_view
from p2vprep.core.hand import places, regfiles
from p2vprep.core.hand.data import TYPE_WORDS, parse_data
from p2vprep.core.hand.listing import AUTOMATIC, Row, Wanted, rows
from p2vprep.core.hand.making import (
    DRIVER_WORDS,
    SERVICE_WORDS,
    key_deletion,
    key_edits,
    service_edits,
    value_deletion,
    value_edits,
)
from p2vprep.core.hand.search import EVERYWHERE, Hit, Where, search
from p2vprep.core.model import Edit, Start
from p2vprep.core.registry import Key
from p2vprep.engine.byhand import Browser
from p2vprep.engine.documents import plain
from p2vprep.errors import HiveError, UsageError

Words = tuple[tuple[Path, ...], tuple[str, ...]]
_STARTS = {
    "boot": Start.BOOT,
    "system": Start.SYSTEM,
    "auto": Start.AUTO,
    "demand": Start.DEMAND,
    "disabled": Start.DISABLED,
}
REG_LIMIT = 64 << 20
"""A .reg file is never longer (bytes)."""


# --- services and drivers ----------------------------------------------------------------------


def _list_options(function: Any) -> Any:
    for option in (
        click.option("--auto", "automatic", is_flag=True, help="Only what starts by itself."),
        click.option(
            "--start", "starts", type=click.Choice(list(_STARTS)), multiple=True, help="Only these."
        ),
        click.option("--third-party", is_flag=True, help="Leave out what is known to come with Windows."),
        click.option("--like", default="", metavar="TEXT", help="Only with this in name, vendor or program."),
    ):
        function = option(function)
    return looking_options(function)


def _listed(kind: Literal["service", "driver"] | None, words: Words, given: dict[str, Any]) -> None:
    starts = {int(_STARTS[word]) for word in given["starts"]} | (AUTOMATIC if given["automatic"] else set())
    wanted = Wanted(kind, frozenset(starts), given["third_party"], given["like"])

    def at(browser: Browser) -> Shown:
        found = [row for row in rows(browser.facts.boot, browser.hive("SYSTEM")) if wanted.meets(row)]
        document: dict[str, object] = {
            "schema": "p2vprep.services/1",
            "control_set": browser.facts.boot_set,
            "services": [_row_json(row) for row in found],
        }
        return document, services_view(found, verbose=given["verbose"])

    look(words[0], given, at)


def _row_json(row: Row) -> dict[str, object]:
    document = plain(row.service)
    assert isinstance(document, dict)
    return {
        **document,
        "start_name": row.service.start_name,
        "needed_by": list(row.needed_by),
        "vendor": row.vendor or None,
        "in_box": row.in_box,
    }


@click.group(cls=PlacedGroup)
def services() -> None:
    """Services of an offline disk: `services IMAGE` lists them, `services IMAGE set NAME --start …`."""


@services.command("list")
@placed(0, 0, "")
@click.option(
    "--kind", type=click.Choice(["service", "driver", "all"]), default="service", help="What to list."
)
@_list_options
def list_services(words: Words, kind: str, **given: Any) -> None:
    """All services, whose they are, what they need and who needs them."""
    _listed("driver" if kind == "driver" else None if kind == "all" else "service", words, given)


@services.command("set")
@placed(1, None, "NAME...")
@click.option("--start", "start", type=click.Choice(SERVICE_WORDS), required=True, help="The start type.")
@writing_options
def set_services(words: Words, start: str, **given: Any) -> None:
    """Give services a start type, in every control set that is edited."""
    change(words[0], given, lambda: _starts(words[1], start, given["why"]))


@click.group(cls=PlacedGroup)
def drivers() -> None:
    """Drivers of an offline disk: `drivers IMAGE` lists them, `drivers IMAGE set NAME --start …`."""


@drivers.command("list")
@placed(0, 0, "")
@_list_options
def list_drivers(words: Words, **given: Any) -> None:
    """All drivers, whose they are, what they need and who needs them."""
    _listed("driver", words, given)


@drivers.command("set")
@placed(1, None, "NAME...")
@click.option("--start", "start", type=click.Choice(DRIVER_WORDS), required=True, help="The start type.")
@writing_options
def set_drivers(words: Words, start: str, **given: Any) -> None:
    """Give drivers a start type, in every control set that is edited."""
    change(words[0], given, lambda: _starts(words[1], start, given["why"]))


def _starts(names: Sequence[str], start: str, why: str) -> list[Edit]:
    return [edit for name in names for edit in service_edits(name, start, why=why)]


# --- registry ----------------------------------------------------------------------------------


class _Registry(PlacedGroup):
    default = "get"


@click.group(cls=_Registry)
def registry() -> None:
    r"""The registry of an offline disk: get, find, set, delete, export, import.

    Keys are written as regedit writes them: HKLM\SYSTEM\CurrentControlSet\…, HKLM\SOFTWARE\…,
    HKU\.DEFAULT\…, HKU\<user>\…. SAM and SECURITY can only be read.
    """


@registry.command("get")
@placed(0, 2, "[KEY [NAME]]")
@looking_options
def get_key(words: Words, **given: Any) -> None:
    """Show a key, or one value of it ("" is the default value); without KEY: the hives there are."""

    def at(browser: Browser) -> Shown:
        if not words[1]:
            return _hives(browser)
        path, name = words[1][0], words[1][1] if len(words[1]) > 1 else None
        key, place = browser.key(path), browser.place(path)
        if name is not None and key.value(name) is None:
            raise UsageError("there is no such value", code="no-such-value", subject=f"{place}: {name}")
        document: dict[str, object] = {
            "schema": "p2vprep.registry-key/1",
            "key": str(place),
            "subkeys": [] if name is not None else [child.name for child in key.subkeys()],
            "values": [
                {"name": held, **data.to_json()}
                for held, data in key.values()
                if name is None or held.lower() == name.lower()
            ],
        }
        return document, key_view(str(place), key, name)

    look(words[0], given, at, first=lambda: _check_place(words[1]))


def _check_place(words: Sequence[str]) -> None:
    if words:
        places.parse(words[0])


def _hives(browser: Browser) -> Shown:
    names = [places.shown(name, "") for name in browser.hive_names()]
    document: dict[str, object] = {"schema": "p2vprep.registry-hives/1", "hives": names}
    return document, rows_view(("Hive",), [(name,) for name in names], "There are none.")


@registry.command("find")
@placed(1, 2, "TEXT [KEY]")
@click.option(
    "--in", "where", type=click.Choice(EVERYWHERE), multiple=True, help="Where to look. [default: all]"
)
@click.option("--exact", is_flag=True, help="The whole name or text, not a part of it.")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Hits at most.")
@looking_options
def find_text(words: Words, where: tuple[Where, ...], exact: bool, limit: int, **given: Any) -> None:
    """Search a key and all below it; without KEY: SYSTEM's control set, SOFTWARE, DEFAULT and all users."""
    text, *tops = words[1]

    def at(browser: Browser) -> Shown:
        hits: list[tuple[str, Hit]] = []
        unreadable: list[str] = []
        for top in tops or _everything(browser):
            hive = browser.place(top).hive
            try:
                key = browser.key(top)
            except HiveError:
                if tops:
                    raise
                unreadable.append(top)
                continue
            found = search(key, text, where=where or EVERYWHERE, whole=exact)
            still = limit + 1 - len(hits)
            hits += [(places.shown(hive, hit.key), hit) for hit in islice(found, still)]
        more, hits = len(hits) > limit, hits[:limit]
        document: dict[str, object] = {
            "schema": "p2vprep.registry-find/1",
            "complete": not more and not unreadable,
            "unreadable": unreadable,
            "hits": [_hit_json(place, hit) for place, hit in hits],
        }
        shown = [(place, hit.where, *_hit_texts(hit)) for place, hit in hits]
        view = hits_view(shown, more=more, unreadable=unreadable)
        return document, view

    look(words[0], given, at, first=lambda: _check_search(text, tops))


def _check_search(text: str, tops: Sequence[str]) -> None:
    if not text:
        raise UsageError("there is nothing to search for", code="usage")
    _check_place(tops)


def _everything(browser: Browser) -> list[str]:
    others = (name for name in browser.hive_names() if name not in ("SYSTEM", *places.READ_ONLY))
    return [rf"HKLM\SYSTEM\{places.CURRENT}", *(places.shown(name, "") for name in others)]


def _hit_json(key: str, hit: Hit) -> dict[str, object]:
    data = None if hit.data is None else hit.data.to_json()
    return {"key": key, "where": hit.where, "name": hit.name, "data": data}


def _hit_texts(hit: Hit) -> tuple[str, str]:
    if hit.name is None or hit.data is None:
        return "", ""
    return hit.name or "(default)", data_text(hit.data)


@registry.command("set")
@placed(1, None, "KEY [NAME DATA...]")
@click.option("--type", "kind", type=click.Choice(TYPE_WORDS), help="The type of the value.")
@writing_options
def set_value(words: Words, kind: str | None, **given: Any) -> None:
    """Set a value ("" is the default value), or make a key. A multi-sz takes several DATA."""

    def make() -> Sequence[Edit]:
        path, *rest = words[1]
        if not rest:
            return key_edits(path, why=given["why"])
        if kind is None:
            raise UsageError(f"--type is missing: one of {', '.join(TYPE_WORDS)}", code="usage")
        name, *data = rest
        return value_edits(path, name, parse_data(kind, data), why=given["why"])

    change(words[0], given, make)


@registry.command("delete")
@placed(1, 2, "KEY [NAME]")
@writing_options
def delete_value(words: Words, **given: Any) -> None:
    """Delete a value, or a key with all below it."""

    def make() -> Sequence[Edit]:
        if len(words[1]) == 2:
            return value_deletion(*words[1], why=given["why"])
        return key_deletion(words[1][0], why=given["why"])

    change(words[0], given, make)


@registry.command("export")
@placed(1, 2, "KEY [FILE.reg]")
@looking_options
def export_key(words: Words, **given: Any) -> None:
    """A key and all below it as a .reg file; without FILE: on the standard output."""
    path, target = words[1][0], Path(words[1][1]) if len(words[1]) > 1 else None

    def at(browser: Browser) -> Shown:
        key: Key = browser.key(path)
        content = regfiles.export(key, str(places.parse(path)))
        document: dict[str, object] = {"schema": "p2vprep.registry-export/1", "key": str(places.parse(path))}
        if target is None:
            text = content.decode("utf-16")
            return {**document, "text": text}, Text(text.replace("\r\n", "\n"))
        engine.write_new_file(target, content)
        told = Text(f"written to {printable(str(target))}")
        return {**document, "file": str(target), "bytes": len(content)}, told

    def first() -> None:
        places.parse(path)
        if target is not None:
            engine.require_place(target)

    look(words[0], given, at, first=first)


@registry.command("import")
@placed(1, None, "FILE.reg...")
@click.option("--encoding", metavar="NAME", help="The code page of a REGEDIT4 file, for example cp1252.")
@click.option("--user", metavar="NAME", help="Whose HKEY_CURRENT_USER is.")
@writing_options
def import_file(words: Words, encoding: str | None, user: str | None, **given: Any) -> None:
    """Make the changes of .reg files, in their order."""

    def make() -> Sequence[Edit]:
        edits: list[Edit] = []
        for name in words[1]:
            sections = regfiles.read(_host_file(Path(name)), name, encoding=encoding)
            edits += regfiles.to_edits(sections, user=user, why=given["why"])
        return edits

    change(words[0], given, make)


def _host_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > REG_LIMIT:
            raise UsageError("it is too large for a .reg file", subject=str(path))
        return path.read_bytes()
    except OSError as problem:
        raise UsageError(f"the file cannot be read: {problem.strerror}", subject=str(path)) from problem
