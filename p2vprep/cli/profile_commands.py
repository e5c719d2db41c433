"""`p2vprep profile`: which profiles there are, what they say, whether yours are valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from p2vprep.cli.options import appliance_options, output_options, to_options
from p2vprep.cli.output import Output, printable
from p2vprep.cli.render_profile import checked_files, explanation, on_disk
from p2vprep.cli.running import run
from p2vprep.core.documents.actions import Action
from p2vprep.core.documents.profile import json_schema
from p2vprep.core.profile_words import what, when
from p2vprep.core.profiles import OwnedAction, ResolvedProfile
from p2vprep.engine.profile_checking import OnDisk, check_on_image
from p2vprep.errors import ExitStatus
from p2vprep.events import Sink
from p2vprep.profile_faults import Checked, check_files
from p2vprep.profile_store import ProfileStore

_FOLDERS = click.option(
    "--profile-dir",
    "profile_dirs",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A folder of your own profiles. Repeatable.",
)


@click.group()
def profile() -> None:
    """Profiles: what a vendor leaves behind, what a target needs, what a first boot is to be like."""


@profile.command("list")
@_FOLDERS
@output_options
def list_profiles(profile_dirs: tuple[Path, ...], **given: Any) -> None:
    """All profiles, shipped and yours."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        profiles = ProfileStore(profile_dirs).all()
        if output.as_json:
            output.document({"schema": "p2vprep.profiles/1", "profiles": [_summary(one) for one in profiles]})
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("Name", "Kind", "Version", "Summary"):
            table.add_column(column, overflow="fold")
        for one in profiles:
            table.add_row(
                Text(one.name), Text(one.kind), Text(str(one.version)), Text(printable(one.summary))
            )
        output.show(table)
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@profile.command()
@click.argument("name")
@_FOLDERS
@output_options
def show(name: str, profile_dirs: tuple[Path, ...], **given: Any) -> None:
    """A profile with everything it inherits."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        resolved = ProfileStore(profile_dirs).get(name)
        if output.as_json:
            output.document({"schema": "p2vprep.profile-shown/1", **_resolved(resolved)})
        output.show(_view(resolved))
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@profile.command()
@click.argument("name")
@_FOLDERS
@output_options
def explain(name: str, profile_dirs: tuple[Path, ...], **given: Any) -> None:
    """A profile in words: what each action does, when, why, and how that is known."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        resolved = ProfileStore(profile_dirs).get(name)
        if output.as_json:
            output.document({"schema": "p2vprep.profile-shown/1", **_resolved(resolved, words=True)})
        output.show(*explanation(resolved))
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@profile.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="IMAGE",
    help="Also hold the profiles against this machine: what is not on its disk, what would do nothing. "
    "Repeatable for the disks of one machine.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A profile's setting or parameter."
)
@_FOLDERS
@appliance_options
@output_options
def check(files: tuple[Path, ...], images: tuple[Path, ...], **given: Any) -> None:
    """Are these profile files valid? Every fault with file, line and column."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        options = to_options(given)
        checked = check_files(files, ProfileStore(given["profile_dirs"]))
        sound = [one.profile for one in checked if one.profile is not None]
        found = check_on_image(images, sound, options, sink) if images and sound else None
        if output.as_json:
            output.document(_check_document(checked, found))
        output.show(*checked_files(checked))
        if found is not None:
            output.show(*on_disk(images, found))
        faulty = any(one.faults for one in checked)
        return ExitStatus.INVALID_DOCUMENT if faulty else ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


def _check_document(checked: tuple[Checked, ...], found: OnDisk | None) -> dict[str, object]:
    document: dict[str, object] = {
        "schema": "p2vprep.profile-check/1",
        "faults": {str(one.path): list(one.faults) for one in checked},
    }
    if found is not None:
        document["guest"] = {"product": found.guest.product, "version": str(found.guest.version)}
        document["control_set"] = found.control_set
        document["actions"] = {
            profile.name: [action.to_json() for action in actions] for profile, actions in found.profiles
        }
    return document


@profile.command()
@output_options
def schema(**given: Any) -> None:
    """The JSON Schema of profiles, for editors."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        output.document(json_schema())
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


def _summary(resolved: ResolvedProfile) -> dict[str, object]:
    return {
        "name": resolved.name,
        "kind": resolved.kind,
        "version": resolved.version,
        "summary": resolved.summary,
    }


def _resolved(resolved: ResolvedProfile, *, words: bool = False) -> dict[str, object]:
    return {
        **_summary(resolved),
        "detect": resolved.detect.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "settings": dict(resolved.settings),
        "parameters": {
            name: parameter.model_dump(mode="json", by_alias=True)
            for name, parameter in resolved.parameters.items()
        },
        "actions": [
            {
                "profile": owned.profile,
                **owned.action.model_dump(mode="json", by_alias=True, exclude_defaults=True),
                **(_words(owned.action, resolved) if words else {}),
            }
            for owned in resolved.actions
        ],
    }


def _words(action: Action, resolved: ResolvedProfile) -> dict[str, object]:
    return {"does": what(action), "applies": when(action, resolved.parameters) or "always"}


def _view(resolved: ResolvedProfile) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        title=Text(f"{resolved.title} ({resolved.kind}): {printable(resolved.summary)}"),
        title_justify="left",
    )
    for column in ("Action", "Does", "To"):
        table.add_column(column, overflow="fold")
    for owned in resolved.actions:
        cells = (owned.action.id, owned.action.kind, _target(owned))
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _target(owned: OwnedAction) -> str:
    services = owned.action.names_services
    if services is not None:
        return ", ".join(services.names) + (" (under conditions)" if services.conditioned else "")
    held = owned.action.model_dump(mode="json", by_alias=True).get(owned.action.kind)
    if not isinstance(held, dict):
        return str(held or "")
    for name in ("key", "path", "controller", "products", "devices", "commands", "code"):
        if shown := held.get(name):
            return ", ".join(map(str, shown)) if isinstance(shown, list) else str(shown)
    return ""
