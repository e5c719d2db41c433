"""How commands by hand are carried out: looked around, planned, collected, or asked about and applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import RenderableType
from rich.text import Text

from p2vprep import engine
from p2vprep.cli.commands import agreed, require_somebody_to_ask
from p2vprep.cli.options import appliance_options, output_options, state_option, to_options
from p2vprep.cli.output import Output, as_json, printable
from p2vprep.cli.render_misc import run_summary
from p2vprep.cli.render_plan import plan_view
from p2vprep.cli.running import run
from p2vprep.core.documents import edits as edits_document
from p2vprep.core.hand.making import WHY
from p2vprep.core.model import Edit, Plan
from p2vprep.engine import byhand
from p2vprep.engine.byhand import Browser
from p2vprep.engine.operations import refuse
from p2vprep.errors import ExitStatus, UsageError
from p2vprep.events import Sink

Function = TypeVar("Function", bound=Callable[..., Any])
Shown = tuple[dict[str, object], RenderableType]
"""What a look shows: the JSON document, and the same for people."""


def looking_options(function: Function) -> Function:
    """The options of commands that change nothing."""
    return output_options(appliance_options(function))


def writing_options(function: Function) -> Function:
    """The options of commands that change something."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option(
            "--plan-only", is_flag=True, help="Show the plan; with -o, collect the edits in a file."
        ),
        click.option(
            "-o",
            "--output",
            "collected",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="EDITS",
            help="With --plan-only: add the edits to this document; `apply --edits` makes them together.",
        ),
        click.option("--why", default=WHY, metavar="TEXT", help="The reason, for plan and receipt."),
        click.option(
            "--control-sets",
            type=click.Choice(["auto", "boot", "all"]),
            default="auto",
            help="What CurrentControlSet stands for. auto: all up to 2008 R2, boot after.",
        ),
    ):
        function = option(function)
    return output_options(state_option(appliance_options(function)))


def look(
    images: Sequence[Path],
    given: dict[str, Any],
    at: Callable[[Browser], Shown],
    *,
    first: Callable[[], None] | None = None,
) -> NoReturn:
    """Opens the machine and shows what ``at`` tells of it. ``first`` may refuse before anything is opened."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        if first is not None:
            first()
        with byhand.browse(images, to_options(given), sink) as browser:
            document, view = at(browser)
        if output.as_json:
            output.document(document)
        output.show(view)
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


def change(images: Sequence[Path], given: dict[str, Any], make: Callable[[], Sequence[Edit]]) -> NoReturn:
    """Plans or applies the edits that ``make`` gives."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        _require_sense(given)
        if given["plan_only"]:
            return _collect(images, make(), given, output, sink)
        if not given["yes"]:
            require_somebody_to_ask(output)

        def approve(planned: Plan) -> bool:
            output.show(plan_view(planned, verbose=output.verbose))
            return given["yes"] or agreed()

        applied = byhand.apply_edits(images, make(), to_options(given), sink, approve)
        if output.as_json:
            output.document(applied.document)
        output.show(run_summary(applied))
        return ExitStatus.OK

    run(Output.create(given["as_json"], given["verbose"]), work)


def _require_sense(given: dict[str, Any]) -> None:
    if given["collected"] is not None and not given["plan_only"]:
        raise UsageError("-o collects edits and goes with --plan-only")
    if given["yes"] and given["plan_only"]:
        raise UsageError("--plan-only applies nothing; --yes has no meaning with it")


def _collect(
    images: Sequence[Path], edits: Sequence[Edit], given: dict[str, Any], output: Output, sink: Sink
) -> ExitStatus:
    """Shows the plan of these edits and those collected before; adds them where nothing refuses."""
    options, target = to_options(given), given["collected"]
    if target is not None:
        engine.require_place(target)
        edits = (*read_collected(target), *edits)
    planned = byhand.plan_edits(images, edits, options, sink)
    if target is not None:
        refuse(planned.plan, options)
        engine.write_new_file(target, as_json(edits_document.to_document(edits)).encode())
    if output.as_json:
        output.document(planned.document)
    output.show(plan_view(planned.plan, verbose=output.verbose))
    if target is not None:
        output.show(Text(f"{len(edits)} edits in {printable(str(target))}"))
    return ExitStatus.OK


def read_collected(path: Path) -> tuple[Edit, ...]:
    """The edits collected in a file; none where it is not there yet. Raises DocumentError, UsageError."""
    return byhand.load_edits(path) if path.exists() else ()
