"""Carries out a wave: groups machines into launches, keeps the ledger, gives the lost another chance.

The runner knows nothing of processes or clusters; an executor does the work. A machine whose launch
was lost (the appliance died, a child crashed) is tried once more by itself; where that is lost too,
it is put in order (``recover``) and counted as failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from p2vprep.disk.signals import deferred, interrupted
from p2vprep.engine.several import OF_THE_LAUNCH
from p2vprep.errors import FailedError, Interrupted, P2vprepError
from p2vprep.wave.executor import Ended, Executor, Finished, Noted, Report
from p2vprep.wave.job import MEMORY, Job, Mode, Outcome, Ticket, failed
from p2vprep.wave.manifest import Machine

_TURN = 0.25
"""Seconds between two looks at the clock and at signals."""
_AFTER_STOP = "Every machine is done, or as it was before; run the wave again for what is left."


class Book(Protocol):
    """Where the runner writes what happens; the ledger is one."""

    def begin(self, names: Sequence[str]) -> None: ...

    def finish(self, outcomes: Sequence[Outcome]) -> None: ...

    def wait_again(self, names: Sequence[str]) -> None: ...


class NoBook:
    """For work that leaves nothing behind: plans, verifications."""

    def begin(self, names: Sequence[str]) -> None:
        """Nothing is kept."""

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing is kept."""

    def wait_again(self, names: Sequence[str]) -> None:
        """Nothing is kept."""


Watcher = Callable[[Report], None]


@dataclass(frozen=True)
class Plan:
    """How a wave is carried out. ``time_limit`` in seconds for each machine."""

    mode: Mode
    wave: str
    per_appliance: int
    time_limit: int
    fail_fast: bool = False
    memory: int = MEMORY


@dataclass
class Tally:
    """How a run ended. ``left`` machines were not decided."""

    applied: int = 0
    unchanged: int = 0
    planned: int = 0
    verified: int = 0
    failed: int = 0
    retried: int = 0
    left: int = 0
    interrupted: Interrupted | None = None

    def count(self, outcome: Outcome) -> None:
        if outcome.state == "applied":
            self.applied += 1
        elif outcome.state == "nothing-to-do":
            self.unchanged += 1
        elif outcome.state == "planned":
            self.planned += 1
        elif outcome.state == "verified":
            self.verified += 1
        else:
            self.failed += 1

    @property
    def decided(self) -> int:
        return self.applied + self.unchanged + self.planned + self.verified + self.failed


class Runner:
    """One run of a wave, or of a part of it."""

    def __init__(
        self,
        machines: Iterable[Machine],
        tokens: Mapping[str, str],
        plan: Plan,
        executor: Executor,
        *,
        book: Book | None = None,
        watcher: Watcher | None = None,
        keep: Callable[[Outcome], None] | None = None,
    ) -> None:
        """``keep`` is given every final outcome; the runner keeps none, so that memory stays flat."""
        self._plan = plan
        self._executor = executor
        self._book: Book = book or NoBook()
        self._watch: Watcher = watcher or _nobody
        self._keep = keep or _drop
        self._tokens = tokens
        # Those of one place together: only they can share a launch.
        self._waiting = deque(sorted(machines, key=executor.place))
        self._alone: deque[Machine] = deque()
        """Machines of lost launches, to be tried by themselves."""
        self._broken: deque[tuple[Machine, P2vprepError]] = deque()
        """Machines to put in order before they count as failed."""
        self._number = 0
        self._running: dict[int, _Running] = {}
        self._decided: list[Outcome] = []
        self._stopping = False
        self.tally = Tally()

    def run(self) -> Tally:
        """Until all machines are decided.

        At a signal everything that runs is stopped cleanly; after a failure with ``fail_fast`` what
        runs is finished, and nothing else begun.
        """
        self.tally.left = len(self._waiting)
        with deferred() as late:
            while self._fill():
                if late.signal is not None and self.tally.interrupted is None:
                    self.tally.interrupted = interrupted(late.signal, changed=_AFTER_STOP)
                    self._stopping = True
                    self._executor.stop()
                for report in self._executor.poll(_TURN):
                    self._take(report)
                self._write_down()
        self.tally.left = len(self._waiting) + len(self._alone)
        return self.tally

    def _fill(self) -> bool:
        """Starts as many jobs as there is room for; False when all are over."""
        while len(self._running) < self._executor.capacity and (job := self._next()) is not None:
            self._executor.submit(job)
        return bool(self._running)

    # --- what is next

    def _next(self) -> Job | None:
        if self._broken:  # also while stopping: a disk is not left half done where it can be helped
            machine, problem = self._broken.popleft()
            return self._job([machine], "recover", problem=problem)
        if self._stopping:
            return None
        if self._waiting:
            free = self._executor.capacity - len(self._running)
            share = -(-len(self._waiting) // free)
            count = max(1, min(self._plan.per_appliance, share))
            return self._job(self._group(count), self._plan.mode)
        if self._alone:
            self.tally.retried += 1
            return self._job([self._alone.popleft()], self._plan.mode, again=True)
        return None

    def _group(self, count: int) -> list[Machine]:
        """The next machines of one place, at most ``count``."""
        group = [self._waiting.popleft()]
        place = self._executor.place(group[0])
        while self._waiting and len(group) < count and self._executor.place(self._waiting[0]) == place:
            group.append(self._waiting.popleft())
        return group

    def _job(
        self,
        machines: Sequence[Machine],
        mode: Mode,
        *,
        again: bool = False,
        problem: P2vprepError | None = None,
    ) -> Job:
        self._number += 1
        tickets = tuple(Ticket.of(machine, self._tokens[machine.name]) for machine in machines)
        names = {machine.name: machine for machine in machines}
        if mode == "apply" and not again:
            self._book.begin(tuple(names))
        self._running[self._number] = _Running(names, mode, again, problem)
        plan = self._plan
        return Job(self._number, mode, plan.wave, tickets, plan.time_limit, plan.memory)

    # --- what happened

    def _take(self, report: Report) -> None:
        if isinstance(report, Finished):
            self._finished(report)
            return
        if isinstance(report, Ended):
            self._ended(report)
        self._watch(report)

    def _finished(self, report: Finished) -> None:
        outcome = report.outcome
        running = next(held for held in self._running.values() if outcome.name in held.machines)
        machine = running.machines.pop(outcome.name)
        if running.problem is not None:
            outcome = _put_in_order(outcome, running.problem)
        elif outcome.code in OF_THE_LAUNCH and not running.again and running.size > 1:
            self._alone.append(machine)
            self._watch(Noted(f"{machine.name}: {_message(outcome)}; it is tried again by itself"))
            return
        self._decided.append(outcome)

    def _ended(self, report: Ended) -> None:
        running = self._running.pop(report.job)
        lost = [running.machines[name] for name in report.lost]
        if not lost:
            return
        if report.why == "stopped":
            if running.mode == "apply":
                self._book.wait_again(report.lost)
            self._waiting.extend(lost)
        elif running.problem is not None:
            self._decided += [failed(one.name, _needs_recover(running.problem)) for one in lost]
        else:
            self._lost(lost, running, report)

    def _lost(self, lost: Sequence[Machine], running: _Running, report: Ended) -> None:
        """A child that went away: the innocent get another chance, and so does the only suspect once."""
        for machine in lost:
            guilty = machine.name == report.guilty and report.why == "too-slow"
            if running.again or guilty or running.size == 1:
                problem = _problem(report, machine.name, self._plan.time_limit)
                if running.mode == "apply":
                    self._broken.append((machine, problem))
                else:
                    self._decided.append(failed(machine.name, problem))
            else:
                self._alone.append(machine)

    def _write_down(self) -> None:
        """What was decided since the last look, in one change of the book; only then is it told."""
        outcomes, self._decided = self._decided, []
        if outcomes:
            self._book.finish(outcomes)
        for outcome in outcomes:
            self.tally.count(outcome)
            self._keep(outcome)
            self._watch(Finished(replace(outcome, details={})))
            if outcome.state == "failed" and self._plan.fail_fast:
                self._stopping = True


@dataclass
class _Running:
    """A job on its way: its machines without an outcome."""

    machines: dict[str, Machine]
    mode: Mode
    again: bool
    problem: P2vprepError | None
    size: int = 0

    def __post_init__(self) -> None:
        self.size = len(self.machines)


def _nobody(_report: Report) -> None:
    """Nobody watches."""


def _drop(_outcome: Outcome) -> None:
    """Nobody keeps outcomes."""


def _message(outcome: Outcome) -> str:
    return "" if outcome.error is None else str(outcome.error["message"])


def _problem(report: Ended, name: str, limit: int) -> P2vprepError:
    """Why a machine was lost, as its error."""
    if report.why == "too-slow":
        return FailedError(
            f"it took longer than {limit} s and was ended",
            code="time-limit",
            subject=name,
            hint="Look at the disk by itself (`p2vprep inspect`), or allow more with --time-limit.",
        )
    if report.why == "unreachable":
        return FailedError(report.words, code="image-unreachable", subject=name)
    return FailedError(
        f"the process that worked on it went away: {report.words}",
        code="worker-crashed",
        subject=name,
        hint="Look at the disk by itself (`p2vprep inspect`); a damaged disk may make a tool crash.",
    )


def _put_in_order(outcome: Outcome, problem: P2vprepError) -> Outcome:
    """After ``recover``: done after all, or failed with the disk as it was before."""
    if outcome.state == "applied":
        return outcome
    if outcome.state == "failed":
        return failed(outcome.name, _needs_recover(problem), host=outcome.host)
    return failed(outcome.name, problem, host=outcome.host)


def _needs_recover(problem: P2vprepError) -> P2vprepError:
    return FailedError(
        problem.message,
        code=problem.code,
        subject=problem.subject,
        changed="Its state could not be put in order.",
        hint="Run `p2vprep recover` on its image before anything else.",
    )
