"""Children as they may be: silent, talking nonsense, dying, not dying."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from p2vprep.wave.children import Children
from p2vprep.wave.executor import Begun, Ended, Finished, Noted, Report, Step
from p2vprep.wave.job import Job, Ticket
from tests.wave.simulated import machines

_HEAD = (
    "import sys, json, os, signal, time\nsys.stdin.read()\n"
    "say = lambda **m: print(json.dumps(m), flush=True)\n"
)
_RESULT = (
    "say(kind='result', machine=NAME, outcome=dict(name=NAME, state='nothing-to-do', error=None, result={},"
    " details={}, times=[['a step', 1.5]], host='h'))\n"
)
FIRST, SECOND = "srv00000", "srv00001"
Start = Callable[..., list[Report]]


@pytest.fixture
def run() -> Start:
    """Runs a child of this code to its end and returns all reports."""

    def run(code: str, *, limit: int = 30, grace: float = 30.0, stop: bool = False) -> list[Report]:
        children = Children(1, command=(sys.executable, "-c", _HEAD + code), grace=grace)
        try:
            tickets = tuple(Ticket.of(machine, "t") for machine in machines(2))
            children.submit(Job(1, "apply", "wave", tickets, limit))
            reports: list[Report] = []
            deadline = time.monotonic() + 60
            while not (reports and isinstance(reports[-1], Ended)):
                assert time.monotonic() < deadline, reports
                reports += children.poll(0.2)
                if stop and Begun(FIRST) in reports:
                    children.stop()
                    stop = False
            return reports
        finally:
            children.close()

    return run


def ended(reports: list[Report]) -> Ended:
    last = reports[-1]
    assert isinstance(last, Ended)
    return last


def test_a_child_tells_what_happens(run: Start) -> None:
    both = "".join(_RESULT.replace("NAME", repr(name)) for name in (FIRST, SECOND))
    code = (
        f"say(kind='begin', machine={FIRST!r})\nsay(kind='step', machine={FIRST!r}, text='a step')\n"
        "say(kind='step', machine=None, text='the launch')\nsay(kind='note', machine=None, text='a note')\n"
        "say(kind='run', machine=None, run=1)\n" + both + "say(kind='end')\n"
    )
    reports = run(code)
    assert reports[:4] == [
        Begun(FIRST),
        Step(1, FIRST, "a step"),
        Step(1, None, "the launch"),
        Noted("a note"),
    ]
    outcomes = [one.outcome for one in reports if isinstance(one, Finished)]
    assert [(one.name, one.state, one.seconds) for one in outcomes] == [
        (FIRST, "nothing-to-do", 1.5), (SECOND, "nothing-to-do", 1.5),
    ]  # fmt: skip
    assert ended(reports) == Ended(1)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("sys.exit(3)", "status 3"),
        ("raise MemoryError('out of memory')", "status 1: MemoryError: out of memory"),
    ],
)
def test_a_child_that_dies_says_which_machines_it_left(run: Start, end: str, words: str) -> None:
    code = _RESULT.replace("NAME", repr(FIRST)) + f"say(kind='begin', machine={SECOND!r})\n{end}\n"
    last = ended(run(code))
    assert (last.lost, last.why, last.guilty) == ((SECOND,), "crashed", SECOND)
    assert words in last.words


@pytest.mark.parametrize(
    "line",
    ["print('hello', flush=True)", "print('{}', flush=True)", "say(kind='result', machine='a', outcome=1)"],
)
def test_a_child_that_talks_nonsense_is_ended(run: Start, line: str) -> None:
    last = ended(run(f"{line}\ntime.sleep(600)\n"))
    assert (last.lost, last.why) == ((FIRST, SECOND), "crashed")


def test_a_child_that_takes_too_long_is_asked_to_stop(run: Start) -> None:
    last = ended(run(f"say(kind='begin', machine={SECOND!r})\ntime.sleep(600)\n", limit=1))
    assert (last.lost, last.why, last.guilty) == ((FIRST, SECOND), "too-slow", SECOND)


def test_the_clock_begins_anew_with_every_machine(run: Start) -> None:
    code = "".join(
        f"say(kind='begin', machine={name!r})\ntime.sleep(2.2)\n" + _RESULT.replace("NAME", repr(name))
        for name in (FIRST, SECOND)
    )
    assert ended(run(code + "say(kind='end')\n", limit=4)).lost == ()


def test_a_child_that_does_not_obey_is_killed(run: Start) -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    last = ended(run(f"{code}say(kind='begin', machine={FIRST!r})\ntime.sleep(600)\n", limit=3, grace=0.3))
    assert (last.why, last.guilty) == ("too-slow", FIRST)
    assert "SIGKILL" in last.words


def test_a_child_that_is_stopped_is_not_blamed(run: Start) -> None:
    last = ended(run(f"say(kind='begin', machine={FIRST!r})\ntime.sleep(600)\n", stop=True))
    assert (last.lost, last.why) == ((FIRST, SECOND), "stopped")


def test_a_child_that_does_not_even_begin(run: Start) -> None:
    children = Children(1, command=("/bin/false",))
    children.submit(Job(1, "apply", "wave", (Ticket.of(machines(1)[0], "t"),), 30))
    reports: list[Report] = []
    while not reports:
        reports = children.poll(1.0)
    assert ended(reports).why == "crashed"
    children.close()
