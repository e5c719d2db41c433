"""`p2vprep console`: the machine by hand, in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from p2vprep.cli.options import IMAGES, appliance_options, state_option, to_options
from p2vprep.cli.output import Output
from p2vprep.cli.running import run
from p2vprep.errors import ExitStatus, UsageError
from p2vprep.events import Sink


@click.command()
@IMAGES
@appliance_options
@state_option
def console(images: tuple[Path, ...], **given: Any) -> None:
    """Look around on an offline disk and change it by hand, in the terminal.

    Services, drivers, adapters, registry and files. Edits are collected, reviewed and applied
    together like every apply: on an overlay, proved, and with an undo.
    """

    def work(output: Output, _sink: Sink) -> ExitStatus:
        _require_terminal()
        options = to_options(given)
        from p2vprep import console as program
        from p2vprep.console.backend import Machine

        status = program.run(
            Machine(images, options),
            lambda: output.err.print("Ending the appliance; this may take a little."),
        )
        if status:
            sys.exit(status)
        return ExitStatus.OK

    run(Output.create(as_json=False, verbose=False), work)


def _require_terminal() -> None:
    """Raises UsageError where there is nobody to look at a console."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the console needs a terminal",
            code="no-terminal",
            hint="Over ssh, ask for one: ssh -t HOST p2vprep console IMAGE. "
            "In scripts use `p2vprep services`, `p2vprep registry` and the like.",
        )
