"""The commands for one machine."""

from __future__ import annotations

import select
import sys
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2vprep import engine
from p2vprep.cli.options import (
    IMAGES,
    appliance_options,
    output_options,
    plan_options,
    state_option,
    to_options,
)
from p2vprep.cli.output import Output, as_json, printable
from p2vprep.cli.render_inspect import inspection_view
from p2vprep.cli.render_misc import doctor_view, history_view, run_summary, verification_view
from p2vprep.cli.render_plan import plan_view
from p2vprep.cli.running import run
from p2vprep.core.model import FileChange, Plan
from p2vprep.core.regtext import write as write_reg
from p2vprep.errors import ExitStatus, UsageError
from p2vprep.events import Note, Sink

_TURN = 0.2
"""Seconds."""


def _output(given: dict[str, Any]) -> Output:
    return Output.create(given["as_json"], given["verbose"])


@click.command()
@output_options
@click.option("--deep", is_flag=True, help="Start the appliance once, to see that it works.")
def doctor(deep: bool, **given: Any) -> None:
    """What this host can do, and how to mend what it cannot."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        report = engine.doctor(deep=deep, sink=sink)
        if output.as_json:
            output.document(report.to_json())
        output.show(doctor_view(report))
        return ExitStatus.OK if report.usable else ExitStatus.CANNOT_OPEN

    run(_output(given), work)


@click.command()
@IMAGES
@appliance_options
@output_options
def inspect(images: tuple[Path, ...], **given: Any) -> None:
    """Facts and findings. Several IMAGEs are the disks of one machine. Changes nothing."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        inspection = engine.inspect(images, to_options(given), sink)
        if output.as_json:
            output.document(inspection.to_json())
        output.show(inspection_view(inspection, verbose=output.verbose))
        return ExitStatus.OK

    run(_output(given), work)


@click.command()
@IMAGES
@plan_options
@appliance_options
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan document here.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "reg"]),
    default="text",
    show_default=True,
    help="reg: a .reg file for regedit on a running Windows.",
)
@output_options
def plan(images: tuple[Path, ...], target: Path | None, form: str, **given: Any) -> None:
    """What apply would do: every change with before, after and why. Changes nothing."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        if target is not None:
            engine.require_place(target)
        planned = engine.plan(images, to_options(given), sink)
        if form == "reg" and any(isinstance(change, FileChange) for change in planned.plan.changes):
            sink(Note(_WITHOUT_FILES))
        if target is not None:
            engine.write_new_file(target, _in_form(planned, "json" if form == "text" else form))
        if output.as_json:
            output.document(planned.document)
        elif form != "text" and target is None:
            sys.stdout.buffer.write(_in_form(planned, form))
        else:
            output.show(plan_view(planned.plan, verbose=output.verbose))
            if target is not None:
                output.show(Text(f"written to {printable(str(target))}"))
        return ExitStatus.OK

    run(_output(given), work)


_WITHOUT_FILES = (
    "A .reg file holds registry values only. The first-boot files are no part of it, so nothing would give "
    "parked services back; plan with --no-first-boot for a .reg file to import."
)


def _in_form(planned: engine.Planned, form: str) -> bytes:
    if form == "reg":
        return write_reg(planned.plan.changes)
    return as_json(planned.document).encode()


@click.command()
@IMAGES
@plan_options
@appliance_options
@state_option
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Apply this plan document and nothing else; refused where the disk is no longer as it was then.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--output",
    "output_image",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="NEW",
    help="Leave IMAGE alone and write the prepared disk here; the suffix says the format.",
)
@output_options
def apply(
    images: tuple[Path, ...], plan_file: Path | None, yes: bool, output_image: Path | None, **given: Any
) -> None:
    """Prepare the machine: plan, edit an overlay, prove it, commit."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        if not yes:
            require_somebody_to_ask(output)
        if plan_file is not None:
            _refuse_shaping(click.get_current_context())

        def approve(planned: Plan) -> bool:
            output.show(plan_view(planned, verbose=output.verbose))
            return yes or agreed()

        applied = engine.apply(
            images, to_options(given), sink, plan_file=plan_file, output=output_image, approve=approve
        )
        if output.as_json:
            output.document(applied.document)
        output.show(run_summary(applied))
        return ExitStatus.OK

    run(_output(given), work)


def agreed() -> bool:
    """What the person at the terminal answers; all but a yes is a no, also the end of the input."""
    click.echo("Apply this plan? [y/N]: ", nl=False, err=True)
    # Waiting in short turns: a signal that comes just before a wait would else be obeyed only after it.
    while not select.select([sys.stdin], [], [], _TURN)[0]:
        pass
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def require_somebody_to_ask(output: Output) -> None:
    """Raises UsageError where apply could not ask: without a terminal, or with --json."""
    if output.as_json or sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "apply asks before it changes a disk, and here nobody can answer",
            code="nobody-to-ask",
            hint="Run it on a terminal without --json, or look at the plan first and pass --yes.",
        )


def _refuse_shaping(context: click.Context) -> None:
    """Raises UsageError where an option that shapes a plan was given beside a plan."""
    shaping = (
        "sources",
        "targets",
        "stages",
        "settings",
        "control_sets",
        "first_boot",
        "root",
        "ghosts",
        "network_file",
        "add_files",
        "first_boot_steps",
        "virtio_win",
        "edits_files",
        "only_edits",
    )
    given = click.core.ParameterSource.COMMANDLINE
    for parameter in context.command.params:
        if parameter.name in shaping and context.get_parameter_source(parameter.name) == given:
            raise UsageError(
                f"a plan brings its own options; {parameter.opts[0]} would change it",
                code="plan-has-options",
                hint="Make a new plan with the option and apply that one.",
            )


@click.command()
@IMAGES
@appliance_options
@state_option
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Check against this plan document instead of the last run's receipt.",
)
@output_options
def verify(images: tuple[Path, ...], plan_file: Path | None, **given: Any) -> None:
    """Is every planned change still there? What did the first boot report?"""

    def work(output: Output, sink: Sink) -> ExitStatus:
        verification = engine.verify(images, to_options(given), sink, plan_file=plan_file)
        if output.as_json:
            output.document(verification.to_json())
        output.show(verification_view(verification, verbose=output.verbose))
        return ExitStatus.OK if verification.as_planned else ExitStatus.DIFFERENCES

    run(_output(given), work)


@click.command()
@IMAGES
@click.option("--allow", "allow", multiple=True, metavar="CODE", help="Lift one refusal by its code.")
@state_option
@output_options
def rollback(images: tuple[Path, ...], **given: Any) -> None:
    """Undo the last run, bit for bit."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        document = engine.rollback(images, to_options(given), sink)
        if output.as_json:
            output.document(document)
        output.show(Text(str(document["summary"]), style="green"))
        return ExitStatus.OK

    run(_output(given), work)


@click.command()
@IMAGES
@click.option("--abort", is_flag=True, help="Go back instead of forward where both are possible.")
@click.option("--allow", "allow", multiple=True, metavar="CODE", help="Lift one refusal by its code.")
@state_option
@output_options
def recover(images: tuple[Path, ...], abort: bool, **given: Any) -> None:
    """Finish or discard what a crash left."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        document = engine.recover(images, to_options(given), sink, abort=abort)
        if output.as_json:
            output.document(document)
        output.show(Text(str(document["summary"]), style="green"))
        return ExitStatus.OK

    run(_output(given), work)


@click.command()
@IMAGES
@state_option
@output_options
def history(images: tuple[Path, ...], **given: Any) -> None:
    """What was done to this machine, and what can be undone."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        document = engine.history(images, to_options(given))
        if output.as_json:
            output.document(document)
        output.show(history_view(document))
        return ExitStatus.OK

    run(_output(given), work)


@click.command()
@IMAGES
@state_option
@output_options
def forget(images: tuple[Path, ...], **given: Any) -> None:
    """Remove the undo data. Receipts stay; rollback is no longer possible."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        document = engine.forget(images, to_options(given))
        if output.as_json:
            output.document(document)
        output.show(Text(str(document["summary"])))
        return ExitStatus.OK

    run(_output(given), work)


MACHINE_COMMANDS = (doctor, inspect, plan, apply, verify, rollback, recover, history, forget)
