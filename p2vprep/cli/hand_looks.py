"""`p2vprep files`, `adapters`, `autoruns`, `events`: looking around by hand. Loaded when asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.text import Text

from p2vprep.cli.hand_running import Shown, change, look, looking_options, writing_options
from p2vprep.cli.options import IMAGES
from p2vprep.cli.output import printable
from p2vprep.cli.placing import PlacedGroup, placed
from p2vprep.cli.render_hand import in_box_word, rows_view
from p2vprep.cli.render_inspect import adapter_table
from p2vprep.core.hand.making import guest_path
from p2vprep.engine import hostfiles
from p2vprep.engine.byhand import Browser
from p2vprep.engine.documents import plain

Words = tuple[tuple[Path, ...], tuple[str, ...]]
LEVEL_WORDS = ("error", "warning", "all")


# --- files -------------------------------------------------------------------------------------


class _Files(PlacedGroup):
    default = "ls"


@click.group(cls=_Files)
def files() -> None:
    r"""The files of an offline disk: ls, get, put. Paths are C:\Tools or /Tools."""


@files.command("ls")
@placed(0, 1, "[FOLDER]")
@looking_options
def list_folder(words: Words, **given: Any) -> None:
    """What is in a folder of the Windows volume; links are shown and not followed."""
    path = words[1][0] if words[1] else "/"

    def at(browser: Browser) -> Shown:
        entries = browser.list_dir(path)
        document: dict[str, object] = {
            "schema": "p2vprep.files/1",
            "folder": guest_path(path),
            "entries": [plain(entry) for entry in entries],
        }
        table = [
            (entry.name, "link" if entry.kind == "other" else entry.kind, _size(entry.kind, entry.size))
            for entry in entries
        ]
        return document, rows_view(("Name", "Kind", "Bytes"), table, "The folder is empty.")

    look(words[0], given, at, first=lambda: _checked(path))


def _checked(path: str) -> None:
    guest_path(path)


def _size(kind: str, size: int) -> str:
    return str(size) if kind == "file" else ""


@files.command("get")
@placed(1, 2, "PATH [TARGET]")
@looking_options
def get_file(words: Words, **given: Any) -> None:
    """Copy a file of the guest to the host; nothing there is replaced."""
    path, target = words[1][0], Path(words[1][1]) if len(words[1]) > 1 else None

    def first() -> None:
        guest_path(path)
        hostfiles.place_for(path, target)

    def at(browser: Browser) -> Shown:
        content = browser.read_file(path)
        place = hostfiles.place_for(path, target)
        hostfiles.write(place, content)
        document: dict[str, object] = {
            "schema": "p2vprep.file/1",
            "path": guest_path(path),
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "file": str(place),
        }
        return document, Text(f"{len(content)} bytes written to {printable(str(place))}")

    look(words[0], given, at, first=first)


@files.command("put")
@placed(2, 2, "SOURCE PATH")
@writing_options
def put_file(words: Words, **given: Any) -> None:
    """Put a file, or a folder with all below it, into the guest; PATH/ is the folder to put it into."""
    source, target = words[1]
    change(words[0], given, lambda: hostfiles.edits_for(Path(source), target, why=given["why"]))


# --- adapters ----------------------------------------------------------------------------------


@click.command()
@IMAGES
@looking_options
def adapters(images: tuple[Path, ...], **given: Any) -> None:
    """The network adapters of the source: present and ghost, with their addresses."""

    def at(browser: Browser) -> Shown:
        found = browser.facts.boot.adapters
        document: dict[str, object] = {
            "schema": "p2vprep.adapters/1",
            "control_set": browser.facts.boot_set,
            "adapters": [plain(adapter) for adapter in found],
        }
        return document, adapter_table(found)

    look(images, given, at)


# --- autoruns ----------------------------------------------------------------------------------


@click.command()
@IMAGES
@click.option("--all", "everything", is_flag=True, help="Also what is known to come with Windows.")
@looking_options
def autoruns(images: tuple[Path, ...], everything: bool, **given: Any) -> None:
    """What starts by itself: services, drivers, Run keys, filters, Winsock providers, scheduled tasks."""

    def at(browser: Browser) -> Shown:
        from p2vprep.engine.autoruns import gather

        found = gather(browser)
        shown = [one for one in found if everything or not one.in_box]
        document: dict[str, object] = {
            "schema": "p2vprep.autoruns/1",
            "control_set": browser.facts.boot_set,
            "left_out": len(found) - len(shown),
            "autoruns": [plain(one) for one in shown],
        }
        table = [
            (
                one.kind,
                one.name,
                one.command,
                "" if one.kind in ("service", "driver") else one.where,
                one.vendor,
                "yes" if one.enabled else "no",
                in_box_word(one.in_box),
            )
            for one in shown
        ]
        columns = ("Kind", "Name", "Program", "Where", "Vendor", "Enabled", "In box")
        told = f"{len(found) - len(shown)} that come with Windows are left out; --all shows them"
        view = rows_view(columns, table, "Nothing beside Windows itself.")
        return document, view if everything else Group(view, Text(told, style="dim"))

    look(images, given, at)


# --- events ------------------------------------------------------------------------------------


@click.command()
@IMAGES
@click.option("--log", default="System", show_default=True, metavar="NAME", help="Which log.")
@click.option(
    "--level", type=click.Choice(LEVEL_WORDS), default="error", show_default=True, help="From which level on."
)
@click.option("--last", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many.")
@looking_options
def events(images: tuple[Path, ...], log: str, level: str, last: int, **given: Any) -> None:
    """The last errors of an event log, newest first, with what fills their messages."""

    def at(browser: Browser) -> Shown:
        from p2vprep.engine.eventlog import LEVELS, last_events, shown_time

        found = last_events(browser, log, LEVELS[level], last)
        document: dict[str, object] = {
            "schema": "p2vprep.events/1",
            "log": log,
            "events": [
                {
                    "record": event.record,
                    "time": shown_time(event).replace(" ", "T") + "Z",
                    "level": event.level,
                    "source": event.source,
                    "id": event.id,
                    "texts": list(event.texts),
                }
                for event in found
            ],
        }
        table = [
            (shown_time(event), event.level, event.source, str(event.id), " | ".join(event.texts))
            for event in found
        ]
        columns = ("Time (UTC)", "Level", "Source", "Id", "Texts")
        return document, rows_view(columns, table, f"No {level}s in the log {log}.")

    look(images, given, at)
