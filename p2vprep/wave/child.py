"""The child process: one job from its standard input, what happens as lines of JSON on its output.

``python -m p2vprep.wave.child``. It lives under limits of its own, and ends with its parent: a
crash of a C library on a hostile disk ends this process and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from p2vprep.disk import imagelock, recovery
from p2vprep.engine import several, story
from p2vprep.engine.options import Options
from p2vprep.engine.several import Result, Teller, Work
from p2vprep.errors import Interrupted, P2vprepError, RefusedError
from p2vprep.events import Event, Sink, StepFailed, StepFinished, StepStarted
from p2vprep.wave.job import Job, Outcome, Ticket, Told, failed
from p2vprep.wave.told import last_plan_file, of_result, recognised

LOCK_PATIENCE = 60.0
"""Seconds to wait for an image: a run that was killed may still be putting it in order."""
_PR_SET_PDEATHSIG = 1
Send = Callable[[Told], None]


def main() -> int:
    """Does the job on the standard input. Returns 0, or 128 plus the number of a signal."""
    send = _output()
    head, _, text = sys.stdin.buffer.read().partition(b"\n")
    if not _end_with_parent(int(head)):
        return 1
    job = Job.from_json(text.decode())
    _limit(job)
    try:
        perform(job, send)
    except Interrupted as stop:
        return 128 + stop.signal_number
    send({"kind": "end"})
    return 0


def perform(job: Job, send: Send) -> None:
    """Does a job in this process; every machine gets its outcome, also at a signal."""
    teller = _Telling(job, send)
    with ExitStack() as locks:
        works = [work for ticket in job.tickets if (work := _ready(ticket, job, teller, locks)) is not None]
        try:
            _work(job, works, teller)
        except Interrupted:
            # A commit that had begun was finished before the signal was obeyed.
            for ticket in job.tickets:
                if ticket.name not in teller.told and (found := recognised(ticket)) is not None:
                    teller.outcome(found)
            raise


def _work(job: Job, works: list[Work], teller: _Telling) -> None:
    if not works or job.mode == "recover":
        return
    accelerator = works[0].options.accelerator
    if job.mode == "apply":
        several.apply_several(works, accelerator, teller)
    elif job.mode == "plan":
        several.plan_several(works, accelerator, teller)
    else:
        from p2vprep.engine.operations import load_plan

        plans = {
            work.name: load_plan(Path(str(work.marks["plan"]))) for work in works if "plan" in work.marks
        }
        several.verify_several([work for work in works if work.name in plans], accelerator, teller, plans)


def _ready(ticket: Ticket, job: Job, teller: _Telling, locks: ExitStack) -> Work | None:
    """The machine as work, its image locked and in order; None where it is decided already."""
    teller.begins(ticket.name)
    try:
        if job.mode in ("apply", "recover"):
            locks.enter_context(imagelock.held(ticket.paths, patience=LOCK_PATIENCE))
            _settle(ticket, teller.sink(ticket.name))
            found = recognised(ticket)
            if found is not None:
                teller.outcome(found)
                return None
        marks: Told = {"wave": {"name": job.wave, "machine": ticket.name, "token": ticket.token}}
        if job.mode == "verify":
            marks["plan"] = str(last_plan_file(ticket.paths, ticket.to_options().state_dir))
        if job.mode == "recover":
            teller.outcome(Outcome(ticket.name, "nothing-to-do"))
            return None
        return Work(ticket.name, ticket.paths, ticket.to_options(), marks)
    except Interrupted:
        raise
    except P2vprepError as problem:
        teller.outcome(failed(ticket.name, problem))
        return None


def _settle(ticket: Ticket, sink: Sink) -> None:
    """Finishes or discards what a crash left on the machine; waits while its last holder lets go."""
    options = ticket.to_options()
    deadline = time.monotonic() + LOCK_PATIENCE
    while any(run.unfinished for run in recovery.history(ticket.paths, state_dir=options.state_dir)):
        if _is_recovered(ticket, options, sink, last=time.monotonic() > deadline):
            return
        time.sleep(0.5)


def _is_recovered(ticket: Ticket, options: Options, sink: Sink, *, last: bool) -> bool:
    """False where somebody else still works on the machine; at the ``last`` time that is an error."""
    try:
        story.recover(ticket.paths, options, sink, abort=False)
    except RefusedError as problem:
        if problem.code != "busy" or last:
            raise
        return False
    return True


class _Telling(Teller):
    """Sends everything as messages, with the time each step took."""

    def __init__(self, job: Job, send: Send) -> None:
        self._send = send
        self._mode = job.mode
        self._tickets = {ticket.name: ticket for ticket in job.tickets}
        self._steps: dict[str | None, list[tuple[str, float]]] = {}
        self._started: dict[tuple[str | None, str], float] = {}
        self.told: set[str] = set()

    def sink(self, name: str | None) -> Sink:
        def handle(event: Event) -> None:
            if isinstance(event, StepStarted):
                self._started[(name, event.text)] = time.monotonic()
                self._send({"kind": "step", "machine": name, "text": event.text})
            elif isinstance(event, StepFinished | StepFailed):
                began = self._started.pop((name, event.text), time.monotonic())
                spent = round(time.monotonic() - began, 3)
                self._steps.setdefault(name, []).append((event.text, spent))
            elif not event.verbose:
                self._send({"kind": "note", "machine": name, "text": event.text})

        return handle

    def begins(self, name: str) -> None:
        self._send({"kind": "begin", "machine": name})

    def began_run(self, name: str, run: int) -> None:
        self._send({"kind": "run", "machine": name, "run": run})

    def ended(self, name: str, result: Result) -> None:
        self.outcome(of_result(self._tickets[name], result))

    def outcome(self, outcome: Outcome) -> None:
        times = (*self._shared(), *self._steps.pop(outcome.name, ()))
        told = Outcome(**{**vars(outcome), "times": times, "host": socket.gethostname()})
        self.told.add(outcome.name)
        self._send({"kind": "result", "machine": outcome.name, "outcome": told.to_plain()})

    def _shared(self) -> list[tuple[str, float]]:
        """What all machines of the launch waited for, in equal parts."""
        return [(text, round(spent / len(self._tickets), 3)) for text, spent in self._steps.get(None, ())]


def _output() -> Send:
    """Messages go to what was the standard output; whatever else prints goes to the standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: Told) -> None:
        try:
            stream.write(json.dumps(message, ensure_ascii=True) + "\n")
            stream.flush()
        except BrokenPipeError:  # nobody listens any more; SIGTERM of the dying parent is on its way
            os.kill(os.getpid(), signal.SIGTERM)

    return send


def _end_with_parent(parent: int) -> bool:
    """From here on the end of the parent is a SIGTERM to us; False where it has ended already."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    return os.getppid() == parent


def _limit(job: Job) -> None:
    """Memory, processor time and no core dumps, for this process and all it starts."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_AS, job.memory)
    # A backstop: the parent watches the clock; a process may use several processors.
    _lower(resource.RLIMIT_CPU, 60 + 4 * job.time_limit * max(1, len(job.tickets)))


def _lower(what: int, limit: int) -> None:
    _soft, hard = resource.getrlimit(what)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
