"""The runner with a simulated executor: grouping, second chances, stopping, and what it costs."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.errors import CannotOpenError, FailedError
from p2vprep.wave.executor import Finished, Report, Why
from p2vprep.wave.job import Job, Outcome, Ticket, failed
from p2vprep.wave.ledger import Ledger, tokens
from p2vprep.wave.manifest import Machine, Manifest
from p2vprep.wave.runner import Plan, Runner, Tally
from tests.wave.simulated import Simulated, applied, machines

DIED = FailedError("the appliance went away", code="appliance-died")


class Book:
    """Counts what is written."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.finished: list[Outcome] = []
        self.waiting: list[str] = []

    def begin(self, names: Sequence[str]) -> None:
        self.begun += names

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        self.finished += outcomes

    def wait_again(self, names: Sequence[str]) -> None:
        self.waiting += names

    @property
    def states(self) -> dict[str, str]:
        assert len({one.name for one in self.finished}) == len(self.finished), "decided twice"
        return {one.name: one.code or one.state for one in self.finished}


def run(
    held: Sequence[Machine],
    executor: Simulated,
    *,
    shared: int = 4,
    fail_fast: bool = False,
    mode: str = "apply",
) -> tuple[Tally, Book]:
    book = Book()
    plan = Plan(mode, "wave", shared, 60, fail_fast=fail_fast)  # type: ignore[arg-type]
    return Runner(held, tokens(held), plan, executor, book=book).run(), book


def test_machines_are_spread_over_the_launches_that_run_at_once() -> None:
    executor = Simulated(capacity=2)
    tally, book = run(machines(10), executor, shared=8)
    assert [len(job.tickets) for job in executor.jobs] == [5, 5]
    assert (tally.applied, tally.left, executor.most) == (10, 0, 2)
    assert book.begun == [one.name for one in machines(10)]


@given(st.integers(0, 60), st.integers(1, 8), st.integers(1, 20))
def test_every_machine_is_done_once_whatever_the_numbers(count: int, capacity: int, shared: int) -> None:
    executor = Simulated(capacity)
    tally, book = run(machines(count), executor, shared=shared)
    done = [name for job in executor.jobs for name in job.names]
    assert sorted(done) == [one.name for one in machines(count)]
    assert max([0, *(len(job.tickets) for job in executor.jobs)]) <= shared
    assert executor.most <= capacity
    assert (tally.applied, len(book.finished)) == (count, count)


def test_the_dead_appliance_s_machines_are_tried_once_more_alone() -> None:
    def decide(job: Job, name: str) -> Outcome:
        return failed(name, DIED) if len(job.tickets) > 1 else applied(name)

    executor = Simulated(1, decide)
    tally, book = run(machines(3), executor)
    assert [len(job.tickets) for job in executor.jobs] == [3, 1, 1, 1]
    assert (tally.applied, tally.failed, tally.retried) == (3, 0, 3)
    assert book.begun == [one.name for one in machines(3)]  # it is the same attempt, with its token
    assert {ticket.token for ticket in executor.jobs[0].tickets} == {
        job.tickets[0].token for job in executor.jobs[1:]
    }


def test_an_appliance_that_dies_twice_is_the_machine_s_failure() -> None:
    executor = Simulated(1, lambda _job, name: failed(name, DIED))
    tally, book = run(machines(2), executor)
    assert [len(job.tickets) for job in executor.jobs] == [2, 1, 1]
    assert book.states == {"srv00000": "appliance-died", "srv00001": "appliance-died"}
    assert tally.failed == 2


def test_a_machine_s_own_failure_is_not_tried_again() -> None:
    executor = Simulated(1, lambda _job, name: failed(name, CannotOpenError("none", code="no-windows")))
    tally, _book = run(machines(2), executor)
    assert (len(executor.jobs), tally.failed, tally.retried) == (1, 2, 0)


def test_a_lost_machine_is_put_in_order_before_it_counts_as_failed() -> None:
    def decide(job: Job, name: str) -> Outcome | Why:
        return Outcome(name, "nothing-to-do") if job.mode == "recover" else "crashed"

    executor = Simulated(1, decide)
    tally, book = run(machines(1), executor)
    assert [job.mode for job in executor.jobs] == ["apply", "recover"]
    assert book.states == {"srv00000": "worker-crashed"}
    assert tally.failed == 1


def test_work_that_got_through_before_the_crash_is_recognised() -> None:
    def decide(job: Job, name: str) -> Outcome | Why:
        return applied(name) if job.mode == "recover" else "too-slow"

    tally, book = run(machines(1), Simulated(1, decide))
    assert (tally.applied, tally.failed, book.states) == (1, 0, {"srv00000": "applied"})


def test_a_machine_that_cannot_even_be_put_in_order_says_so() -> None:
    _tally, book = run(machines(1), Simulated(1, lambda _job, _name: "crashed"))
    (outcome,) = book.finished
    assert outcome.error is not None
    assert "p2vprep recover" in outcome.error["hint"]


def test_only_the_slow_one_fails_and_the_others_are_tried_again() -> None:
    def decide(job: Job, name: str) -> Outcome | Why:
        if job.mode == "recover":
            return Outcome(name, "nothing-to-do")
        return "too-slow" if len(job.tickets) > 1 else applied(name)

    executor = Simulated(1, decide)
    tally, book = run(machines(3), executor)
    assert book.states == {"srv00000": "time-limit", "srv00001": "applied", "srv00002": "applied"}
    assert (tally.failed, tally.retried) == (1, 2)


def test_a_lost_look_has_nothing_to_put_in_order() -> None:
    executor = Simulated(1, lambda _job, _name: "crashed")
    tally, _book = run(machines(1), executor, mode="plan")
    assert ([job.mode for job in executor.jobs], tally.failed) == (["plan"], 1)


def test_fail_fast_begins_nothing_after_a_failure() -> None:
    executor = Simulated(1, lambda _job, name: failed(name, CannotOpenError("none", code="no-windows")))
    tally, book = run(machines(9), executor, shared=1, fail_fast=True)
    assert (len(executor.jobs), tally.failed, tally.left) == (1, 1, 8)
    assert book.begun == ["srv00000"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_what_runs_and_begins_nothing(number: int) -> None:
    executor = Simulated(2)

    def decide(job: Job, name: str) -> Outcome | Why:
        if job.number == 1:
            os.kill(os.getpid(), number)
            return applied(name)
        assert executor.stopped
        return "stopped"

    executor._decide = decide
    tally, book = run(machines(12), executor, shared=2)
    assert executor.stopped
    assert tally.interrupted is not None
    assert tally.interrupted.signal_number == number
    assert (tally.applied, tally.left) == (2, 10)
    assert book.waiting == ["srv00002", "srv00003", "srv00004", "srv00005"]


def test_machines_of_different_places_do_not_share_a_launch() -> None:
    class Placed(Simulated):
        def place(self, machine: Machine) -> str:
            return "even" if int(machine.name[-1]) % 2 == 0 else "odd"

    executor = Placed(1)
    run(machines(6), executor, shared=6)
    assert [sorted({int(name[-1]) % 2 for name in job.names}) for job in executor.jobs] == [[0], [1]]


def test_a_ticket_crosses_process_borders_unchanged() -> None:
    (machine,) = machines(1)
    job = Job(1, "apply", "wave", (Ticket.of(machine, "t"),), 60)
    back = Job.from_json(job.to_json())
    assert back == job
    assert back.tickets[0].to_options() == machine.options
    outcome = applied("a")
    assert Outcome.from_plain(outcome.to_plain()) == outcome


# --- ten thousand --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [320, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_large_wave_costs_a_fixed_amount_of_work_per_machine(tmp_path: Path, count: int) -> None:
    held = machines(count)
    executor = Simulated(capacity=8)
    seen: Counter[str] = Counter()

    def watch(report: Report) -> None:
        seen[type(report).__name__] += 1
        if isinstance(report, Finished):
            assert not report.outcome.details  # nothing large is handed on to be kept

    with Ledger(tmp_path / "wave.csv", create=True) as ledger:
        ledger.enter(Manifest(tmp_path / "wave.csv", "large", tuple(held)))
        left = ledger.left()
        commits: list[str] = []
        ledger._base.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        tally = Runner(held, left, Plan("apply", "large", 16, 60), executor, book=ledger, watcher=watch).run()
        assert ledger.counts() == {"applied": count}
        assert ledger.left() == {}
    assert tally.applied == count
    assert len(executor.jobs) <= count // 16 + 8
    assert executor.polls == len(executor.jobs)
    assert len(commits) == 2 * len(executor.jobs)  # when a launch begins, and when it brings its outcomes
    assert seen["Finished"] == count


def test_the_memory_of_a_run_does_not_grow_with_what_it_has_done() -> None:
    """Outcomes with their details go into the book and are dropped."""

    class Dropping(Book):
        def begin(self, names: Sequence[str]) -> None: ...

        def finish(self, outcomes: Sequence[Outcome]) -> None: ...

    def peak(count: int) -> int:
        held = machines(count)
        left = tokens(held)
        tracemalloc.start()
        Runner(held, left, Plan("apply", "large", 16, 60), Forgetful(), book=Dropping()).run()
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    class Forgetful(Simulated):
        def poll(self, seconds: float) -> list[Report]:
            self.jobs.clear()
            return super().poll(seconds)

    small, large = peak(64), peak(256)
    assert large < 1.5 * small
