"""`p2vprep wave`: many machines from one manifest. Loaded only when asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from p2vprep.cli.options import output_options
from p2vprep.cli.output import Output
from p2vprep.cli.render_wave import check_view, run_view, status_view
from p2vprep.cli.running import run as run_command
from p2vprep.cli.wave_progress import WaveProgress
from p2vprep.core.documents.wave import seconds
from p2vprep.errors import ExitStatus, RefusedError
from p2vprep.events import Sink
from p2vprep.wave import check as checking
from p2vprep.wave import conduct, conflicts, host, manifest, reporting
from p2vprep.wave.conduct import How
from p2vprep.wave.findings import Checked, Finding, Severity
from p2vprep.wave.job import Outcome
from p2vprep.wave.ledger import Ledger
from p2vprep.wave.manifest import Manifest

MANIFEST = click.argument("manifest_file", metavar="WAVE", type=click.Path(path_type=Path, dir_okay=False))


def _time_limit(_context: click.Context, _parameter: click.Parameter, given: str | None) -> int | None:
    try:
        found = None if given is None else seconds(given)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem
    if found is not None and (not isinstance(found, int) or found < 1):
        raise click.BadParameter("the time limit is at least one second")
    return found


def _only(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--only", multiple=True, metavar="NAME", help="Only machines of this name; * and ? are wildcards."
    )(function)


def _how(function: Callable[..., Any]) -> Callable[..., Any]:
    """How much at once, and where."""
    options = (
        click.option(
            "--jobs", type=click.IntRange(1, 1000), metavar="N",
            help="Launches of the appliance at a time. [default: by processors and memory]",
        ),
        click.option(
            "--per-appliance", type=click.IntRange(1, 64), metavar="N",
            help="Machines that share a launch. [default: 16 under emulation, 4 with KVM]",
        ),
        click.option(
            "--time-limit", callback=_time_limit, metavar="TIME",
            help="What one machine may take: 45s, 30m, 1h30m. [default: 30m]",
        ),
        click.option(
            "--scheduler", metavar="ADDRESS",
            help="Work on the Dask cluster of this scheduler instead of on this host.",
        ),
        click.option(
            "--accel", "accelerator", type=click.Choice(["auto", "kvm", "tcg"]), default="auto",
            show_default=True, help="How the appliance runs. auto: KVM where it works.",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _to_how(given: dict[str, Any]) -> How:
    names = ("jobs", "per_appliance", "time_limit", "scheduler", "accelerator")
    more = {name: given[name] for name in ("fail_fast", "redo_changed", "redo") if name in given}
    return How(**{name: given[name] for name in names}, **more)


def _run(given: dict[str, Any], work: Callable[[Output, Sink], ExitStatus]) -> NoReturn:
    run_command(Output.create(given["as_json"], given["verbose"]), work)


@click.group()
def wave() -> None:
    """Many machines from one manifest (YAML or CSV): check, run, resume, report."""


@wave.command()
@MANIFEST
@_only
@click.option("--inspect", "deep", is_flag=True, help="Also open every disk: its facts and hazards.")
@_how
@output_options
def check(manifest_file: Path, only: tuple[str, ...], deep: bool, **given: Any) -> None:
    """Is everything there that the wave needs? Changes nothing."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        how = _to_how(given)
        held = manifest.load(manifest_file, how.accelerator).only(only)
        jobs = how.jobs or held.jobs or host.default_jobs()
        shared = how.per_appliance or held.per_appliance or max(host.PER_APPLIANCE.values())
        found = checking.check(held, at_once=jobs * shared)
        looked: list[Outcome] = []
        if deep:
            with WaveProgress(output, len(held.machines)) as progress:
                tally = conduct.look(held, how, progress, looked.append, sink)
            if tally.interrupted is not None:
                raise tally.interrupted
            found = _with_looks(found, held, looked)
        if output.as_json:
            output.document({**found.to_json(), "machines_seen": [_seen(one) for one in looked]})
        output.show(check_view(found, looked))
        return ExitStatus.DIFFERENCES if found.errors else ExitStatus.OK

    _run(given, work)


@wave.command()
@MANIFEST
@_only
@click.option("--dry-run", is_flag=True, help="Make every plan and show what would be done; change nothing.")
@click.option("--fail-fast", is_flag=True, help="After the first failure begin nothing new.")
@click.option(
    "--redo-changed", is_flag=True, help="Also apply machines again whose entry changed since they were done."
)
@click.option(
    "--redo",
    multiple=True,
    metavar="NAME",
    help="Do this machine once more, after a rollback or a new conversion; * and ? are wildcards.",
)
@click.option("--allow", "allow", multiple=True, metavar="CODE", help="Lift a contradiction by its code.")
@click.option("--yes", is_flag=True, help="Nothing is asked in any case: the manifest says what is wanted.")
@_how
@output_options
def run(
    manifest_file: Path, only: tuple[str, ...], dry_run: bool, allow: tuple[str, ...], **given: Any
) -> None:
    """Prepare all machines that are left to do. Killed and started again, it goes on where it was."""

    def work(output: Output, sink: Sink) -> ExitStatus:
        how = _to_how(given)
        whole = manifest.load(manifest_file, how.accelerator)
        chosen = whole.only(only)
        _refuse_contradictions(chosen, allow)
        if dry_run:
            return _dry_run(output, sink, chosen, how)
        with WaveProgress(output, len(chosen.machines)) as progress:
            ran = conduct.run(whole, chosen, how, progress, sink)
        if ran.tally.interrupted is not None and output.as_json:
            raise ran.tally.interrupted  # one document only
        with Ledger(whole.path, create=False) as ledger:
            if output.as_json:
                output.document(reporting.run_document(ledger, ran))
            names = {machine.name for machine in chosen.machines}
            output.show(run_view(ran, [one for one in ledger.entries() if one.name in names]))
        if ran.tally.interrupted is not None:
            raise ran.tally.interrupted
        return ExitStatus.WAVE_FAILURES if ran.tally.failed or ran.tally.left else ExitStatus.OK

    _run(given, work)


def _dry_run(output: Output, sink: Sink, chosen: Manifest, how: How) -> ExitStatus:
    looked: list[Outcome] = []
    with WaveProgress(output, len(chosen.machines)) as progress:
        tally = conduct.look(chosen, how, progress, looked.append, sink)
    if tally.interrupted is not None:
        raise tally.interrupted
    found = _with_looks(Checked(len(chosen.machines), 0, ()), chosen, looked)
    if output.as_json:
        machines = [{**_seen(one), **one.details} for one in looked]
        output.document({"schema": "p2vprep.wave-plan/1", "machines": machines})
    output.show(check_view(found, looked))
    return ExitStatus.WAVE_FAILURES if found.errors else ExitStatus.OK


@wave.command()
@MANIFEST
@_only
@click.option("--verify", "deep", is_flag=True, help="Read the disks again: how did each first boot end?")
@_how
@output_options
def status(manifest_file: Path, only: tuple[str, ...], deep: bool, **given: Any) -> None:
    """How far is the wave, and how did each machine end?"""

    def work(output: Output, sink: Sink) -> ExitStatus:
        differs = False
        if deep:
            how = _to_how(given)
            held = manifest.load(manifest_file, how.accelerator).only(only)
            with WaveProgress(output, len(held.machines)) as progress:
                tally = conduct.verify(held, how, progress, sink)
            if tally.interrupted is not None:
                raise tally.interrupted
        with Ledger(manifest_file.absolute(), create=False) as ledger:
            entries = [one for one in ledger.entries() if _is_chosen(one.name, only)]
            differs = any(not one.is_as_planned for one in entries)
            if output.as_json:
                output.document(reporting.status_document(ledger, entries))
            output.show(status_view(ledger.name, entries))
        return ExitStatus.DIFFERENCES if deep and differs else ExitStatus.OK

    _run(given, work)


@wave.command()
@MANIFEST
@_only
@click.option(
    "--format", "form", type=click.Choice(["html", "json", "csv", "junit"]),
    help="What to write. [default: by the suffix of the file, else html]",
)  # fmt: skip
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; - is the standard output. [default: beside WAVE]",
)  # fmt: skip
@output_options
def report(
    manifest_file: Path, only: tuple[str, ...], form: str | None, target: Path | None, **given: Any
) -> None:
    """What was done to every machine: a page for people (HTML), or JSON, CSV, JUnit XML."""

    def work(output: Output, _sink: Sink) -> ExitStatus:
        chosen = form or ("json" if output.as_json else reporting.form_of(target))
        with Ledger(manifest_file.absolute(), create=False) as ledger:
            pieces = reporting.pieces(ledger, chosen, lambda name: _is_chosen(name, only))
            if output.as_json or str(target) == "-":
                for piece in pieces:
                    sys.stdout.write(piece)
                return ExitStatus.OK
            place = target or manifest_file.absolute().with_suffix(reporting.SUFFIXES[chosen])
            reporting.write(place, pieces)
        output.show(f"written to {place}")
        return ExitStatus.OK

    _run(given, work)


def _is_chosen(name: str, only: Sequence[str]) -> bool:
    return not only or any(manifest.matches(pattern, name) for pattern in only)


def _refuse_contradictions(held: Manifest, allow: Sequence[str]) -> None:
    """Raises RefusedError where two machines were given the same disk, address or MAC."""
    found = [one for one in conflicts.contradictions(held.machines) if one.code not in allow]
    if found:
        first = found[0]
        raise RefusedError(
            f"{first.machine}: {first.message}",
            code=first.code,
            subject=first.place,
            details=tuple(f"{one.machine}: {one.message}" for one in found[1:20]),
            hint=f"Correct the manifest; `p2vprep wave check` tells all. --allow {first.code} lifts this.",
            liftable=True,
        )


def _with_looks(found: Checked, held: Manifest, looked: Sequence[Outcome]) -> Checked:
    """The check with what the disks themselves told: failures, and hazards that refuse."""
    machines = {machine.name: machine for machine in held.machines}
    known = {(one.machine, one.code) for one in found.findings}
    more = list(found.findings)
    for outcome in looked:
        machine = machines[outcome.name]
        error = outcome.error
        if error is not None and (outcome.name, outcome.code) not in known:
            subject, hint = str(error["subject"] or ""), str(error["hint"] or "")
            message = str(error["message"])
            more.append(Finding(outcome.name, "error", outcome.code, message, subject, machine.place, hint))
        for hazard in outcome.result.get("hazards", ()):
            refuses = hazard["severity"] == "refuse" and hazard["code"] not in machine.options.allow
            severity: Severity = "error" if refuses else "warning"
            code, message, cure = (str(hazard[key]) for key in ("code", "message", "cure"))
            more.append(Finding(outcome.name, severity, code, message, "", machine.place, cure))
    return Checked(found.machines, found.disks, tuple(more), found.notes)


def _seen(outcome: Outcome) -> dict[str, Any]:
    return {"name": outcome.name, "state": outcome.state, "error": outcome.error, **outcome.result}
