"""What the commands of a wave do: run it, look at what it would do, look at it after the first boot."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from p2vprep.engine.options import AUTO, Accelerator
from p2vprep.events import Sink
from p2vprep.wave import host
from p2vprep.wave.children import Children
from p2vprep.wave.executor import Executor
from p2vprep.wave.job import Mode, Outcome
from p2vprep.wave.ledger import DONE, Ledger, only_run, tokens
from p2vprep.wave.manifest import Machine, Manifest
from p2vprep.wave.runner import Plan, Runner, Tally, Watcher

Keep = Callable[[Outcome], None]


@dataclass(frozen=True)
class How:
    """How a wave is to be carried out; None: as the manifest says, else by what the host has."""

    jobs: int | None = None
    per_appliance: int | None = None
    time_limit: int | None = None
    fail_fast: bool = False
    redo: tuple[str, ...] = ()
    """Names or patterns of machines to be done once more."""
    redo_changed: bool = False
    scheduler: str | None = None
    accelerator: Accelerator = AUTO


@dataclass(frozen=True)
class Ran:
    """How a run ended, and what of the ledger is worth telling."""

    tally: Tally
    already: int
    """Machines that an earlier run had done."""
    changed: tuple[str, ...]
    """Machines that were done for another entry of the manifest, and were left as they are."""
    unlisted: tuple[str, ...]
    """Machines of earlier runs that the manifest no longer has."""


def run(manifest: Manifest, chosen: Manifest, how: How, watcher: Watcher, sink: Sink) -> Ran:
    """Prepares every machine of ``chosen`` (a part of the manifest) that is left to do.

    Raises RefusedError ``wave-busy`` where somebody else runs the wave. A signal ends it cleanly;
    the tally has it then.
    """
    with only_run(manifest.path), Ledger(manifest.path, create=True) as ledger:
        ledger.enter(manifest)
        if how.redo:
            ledger.again([machine.name for machine in chosen.only(how.redo).machines])
        left = ledger.left(redo_changed=how.redo_changed)
        machines = [machine for machine in chosen.machines if machine.name in left]
        changed = () if how.redo_changed else ledger.changed()
        session = ledger.open_session(socket.gethostname())
        plan = _plan("apply", manifest, how, sink)
        with _executor(manifest, how, machines, sink) as executor:
            runner = Runner(machines, left, plan, executor, book=ledger, watcher=watcher)
            tally = runner.run()
        ledger.close_session(session, "interrupted" if tally.interrupted else "ended")
        already = len(chosen.machines) - len(machines)
        return Ran(tally, already, changed, ledger.unlisted())


def look(manifest: Manifest, how: How, watcher: Watcher, keep: Keep, sink: Sink) -> Tally:
    """Plans every machine and changes nothing; ``keep`` is given each outcome."""
    plan = _plan("plan", manifest, how, sink)
    return _without_book(plan, manifest, manifest.machines, how, watcher, keep, sink)


def verify(manifest: Manifest, how: How, watcher: Watcher, sink: Sink) -> Tally:
    """Reads the disks of the machines that are done, and writes into the ledger how each first boot ended."""
    with only_run(manifest.path), Ledger(manifest.path, create=False) as ledger:
        done = {entry.name for entry in ledger.entries() if entry.listed and entry.state in DONE}
        machines = [machine for machine in manifest.machines if machine.name in done]
        plan = _plan("verify", manifest, how, sink)
        return _without_book(plan, manifest, machines, how, watcher, ledger.verified, sink)


def _without_book(
    plan: Plan,
    manifest: Manifest,
    machines: Sequence[Machine],
    how: How,
    watcher: Watcher,
    keep: Keep,
    sink: Sink,
) -> Tally:
    with _executor(manifest, how, machines, sink) as executor:
        runner = Runner(machines, tokens(machines), plan, executor, watcher=watcher, keep=keep)
        return runner.run()


def _plan(mode: Mode, manifest: Manifest, how: How, sink: Sink) -> Plan:
    shared = how.per_appliance or manifest.per_appliance
    return Plan(
        mode=mode,
        wave=manifest.name,
        per_appliance=shared or host.default_per_appliance(how.accelerator, sink),
        time_limit=how.time_limit or manifest.time_limit,
        fail_fast=how.fail_fast,
    )


@contextmanager
def _executor(manifest: Manifest, how: How, machines: Sequence[Machine], sink: Sink) -> Iterator[Executor]:
    """This host's processes, or the workers of a cluster; ended at the end, whatever happens."""
    executor: Executor
    if how.scheduler is None:
        executor = Children(how.jobs or manifest.jobs or host.default_jobs())
    else:
        from p2vprep.wave import cluster

        executor = cluster.connect(how.scheduler, machines, jobs=how.jobs, sink=sink)
    try:
        yield executor
    finally:
        executor.close()
