"""`p2vprep profile`: which profiles there are, what they say, whether yours are valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from p2vprep.cli.options import output_options
from p2vprep.cli.output import Output, printable
from p2vprep.cli.running import run
from p2vprep.core.documents.profile import json_schema, load
from p2vprep.core.profiles import OwnedAction, ResolvedProfile
from p2vprep.errors import DocumentError, ExitStatus, UsageError
from p2vprep.events import Sink
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
        output.show(_view(resolved, reasons=False))
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@profile.command()
@click.argument("name")
@_FOLDERS
@output_options
def explain(name: str, profile_dirs: tuple[Path, ...], **given: Any) -> None:
    """A profile in words: what each action does, why, and how that is known."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        resolved = ProfileStore(profile_dirs).get(name)
        if output.as_json:
            output.document({"schema": "p2vprep.profile-shown/1", **_resolved(resolved)})
        output.show(_view(resolved, reasons=True))
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@profile.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@output_options
def check(files: tuple[Path, ...], **given: Any) -> None:
    """Are these profile files valid? Every fault with file, line and column."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        faults = {str(path): _faults(path) for path in files}
        if output.as_json:
            output.document({"schema": "p2vprep.profile-check/1", "faults": faults})
        for path, found in faults.items():
            for fault in found:
                output.show(Text(printable(fault), style="red"))
            if not found:
                output.show(Text(f"{printable(path)}: valid", style="green"))
        return ExitStatus.INVALID_DOCUMENT if any(faults.values()) else ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@profile.command()
@output_options
def schema(**given: Any) -> None:
    """The JSON Schema of profiles, for editors."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        output.document(json_schema())
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


def _faults(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror}", subject=str(path)) from problem
    except UnicodeDecodeError:
        return [f"{path}: is not UTF-8 text"]
    try:
        load(text, str(path))
    except DocumentError as problem:
        return list(problem.details) or [problem.message]
    return []


def _summary(resolved: ResolvedProfile) -> dict[str, object]:
    return {
        "name": resolved.name,
        "kind": resolved.kind,
        "version": resolved.version,
        "summary": resolved.summary,
    }


def _resolved(resolved: ResolvedProfile) -> dict[str, object]:
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
            }
            for owned in resolved.actions
        ],
    }


def _view(resolved: ResolvedProfile, *, reasons: bool) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        title=Text(f"{resolved.title} ({resolved.kind}): {printable(resolved.summary)}"),
        title_justify="left",
    )
    for column in ("Action", "Does", "To", *(("Why", "Known from") if reasons else ())):
        table.add_column(column, overflow="fold")
    for owned in resolved.actions:
        cells = [owned.action.id, owned.action.kind, _target(owned)]
        if reasons:
            cells += [owned.action.why, owned.action.source]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _target(owned: OwnedAction) -> str:
    services = owned.action.services
    if services is not None:
        return ", ".join(services.names) + (" (under conditions)" if services.conditioned else "")
    held = owned.action.model_dump(mode="json", by_alias=True).get(owned.action.kind)
    if isinstance(held, dict):
        return str(held.get("key") or held.get("path") or ", ".join(map(str, held.get("products", ()))) or "")
    return str(held or "")
