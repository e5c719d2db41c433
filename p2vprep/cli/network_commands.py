"""`p2vprep network`: whether your network documents are valid, and their schema for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2vprep.cli.options import output_options, read_network
from p2vprep.cli.output import Output, printable
from p2vprep.cli.render_firstboot import config_rows
from p2vprep.cli.running import run
from p2vprep.core.documents.network import json_schema
from p2vprep.core.network import Network
from p2vprep.errors import ExitStatus
from p2vprep.events import Sink


@click.group()
def network() -> None:
    """Network documents: what each adapter shall have."""


@network.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, dir_okay=False)
)
@output_options
def check(files: tuple[Path, ...], **given: Any) -> None:
    """Whether documents are valid; every fault with its line and column (exit status 7)."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        read = [(file, read_network(file)) for file in files]
        if output.as_json:
            checked = [_summary(file, found) for file, found in read if found is not None]
            output.document({"schema": "p2vprep.network-check/1", "networks": checked})
        for file, found in read:
            assert found is not None
            output.show(_view(file, found))
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


@network.command()
@output_options
def schema(**given: Any) -> None:
    """The JSON Schema of network documents, for editors."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        output.document(json_schema())
        return ExitStatus.OK

    run(Output.create(True, given["verbose"]), work)


def _summary(file: Path, found: Network) -> dict[str, object]:
    return {
        "file": str(file),
        "interfaces": [{"match": str(one.match), **dict(config_rows(one))} for one in found.interfaces],
        "settings": dict(found.settings),
    }


def _view(file: Path, found: Network) -> Text:
    shown = Text(f"{printable(str(file))}: valid\n", style="green")
    for one in found.interfaces:
        shown.append(f"  {printable(str(one.match))}\n", style="bold")
        for name, told in config_rows(one):
            shown.append(f"    {name}: {printable(told)}\n", style="default")
    for name, value in found.settings.items():
        shown.append(f"  {name}: {value}\n", style="default")
    return shown
