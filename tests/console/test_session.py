"""The worker: one thing after the other, the machine open only while nothing is written to it."""

from __future__ import annotations

import threading

import pytest

from p2vprep.console.session import Session
from p2vprep.core.hand.making import service_edits
from p2vprep.errors import CannotOpenError, RefusedError
from p2vprep.events import silent
from tests.console.fakes import FakeBackend, FakeOpened

EDITS = service_edits("Spooler", "disabled")
PLAN = FakeOpened(()).plan(EDITS)


def test_nothing_can_be_asked_before_it_is_open() -> None:
    session = Session(FakeBackend(), silent)
    with pytest.raises(CannotOpenError) as caught:
        session.ask(lambda machine: machine.facts).result()
    assert caught.value.code == "not-open"
    session.end()


def test_everything_happens_in_one_thread_that_is_not_the_callers() -> None:
    session = Session(FakeBackend(), silent)
    session.open().result()
    threads = {session.ask(lambda _machine: threading.get_ident()).result() for _ in range(3)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    session.end()


def test_an_apply_closes_the_machine_first_and_it_is_opened_again_on_demand() -> None:
    backend = FakeBackend()
    session = Session(backend, silent)
    session.open().result()
    assert session.apply(EDITS, PLAN).result().committed
    assert (backend.opened, backend.closed) == (1, 1)
    with pytest.raises(CannotOpenError):
        session.ask(lambda machine: machine.facts).result()
    session.open().result()
    assert session.rollback().result() == "Run 1 was taken back."
    session.end()
    assert (backend.opened, backend.closed) == (2, 2)


def test_opening_again_closes_first() -> None:
    backend = FakeBackend()
    session = Session(backend, silent)
    session.open().result()
    session.open().result()
    assert (backend.opened, backend.closed) == (2, 1)
    session.end()
    assert backend.closed == 2


def test_a_failed_apply_leaves_the_worker_alive() -> None:
    backend = FakeBackend(fail=RefusedError("no", code="in-use"))
    session = Session(backend, silent)
    with pytest.raises(RefusedError, match="no"):
        session.apply(EDITS, PLAN).result()
    session.open().result()
    session.end()
    assert backend.closed == 1


def test_who_waits_for_the_end_is_told() -> None:
    backend = FakeBackend(gate=threading.Event())
    assert backend.gate is not None
    session = Session(backend, silent)
    session.open()
    session.end(backend.gate.set)  # told: only then the opening goes on
    assert (backend.opened, backend.closed) == (1, 1)


def test_the_end_drops_what_was_not_begun() -> None:
    session = Session(FakeBackend(), silent)
    session.open().result()
    session.end()
    with pytest.raises(RuntimeError):
        session.open()
