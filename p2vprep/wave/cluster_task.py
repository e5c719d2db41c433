"""What a worker of a cluster does with a job: a child process on its host, told about while it runs.

A worker may die at any moment, and its job may be given to another one. That is safe: the child
ends with its worker, the image's lock is held by one child at a time, and a child that is given a
ticket whose work is on the disk already says so and does nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from p2vprep import __version__
from p2vprep.wave.children import Children
from p2vprep.wave.executor import Begun, Ended, Finished, Noted, Report, Step
from p2vprep.wave.job import Job, Told

_TURN = 0.5
_stopped: set[str] = set()
"""Runs (by their topic) that were asked to stop: what comes later ends at once."""
_guard = threading.Lock()


def carry_out(job: str, topic: str) -> Told:
    """Does a job; progress goes to the topic. Returns the outcomes and how it ended."""
    from distributed import get_worker

    worker: Any = get_worker()
    return perform(Job.from_json(job), topic, lambda told: worker.log_event(topic, {"report": told}))


def perform(job: Job, topic: str, tell: Callable[[Told], None]) -> Told:
    """The same, with a function that is given the progress."""
    children = Children(1)
    outcomes: list[Told] = []
    asked = False
    try:
        children.submit(job)
        while True:
            if not asked and is_stopped(topic):
                asked = True
                children.stop()
            for report in children.poll(_TURN):
                if isinstance(report, Ended):
                    return {"outcomes": outcomes, "ended": vars(report)}
                if isinstance(report, Finished):
                    outcomes.append(report.outcome.to_plain())
                else:
                    tell(_plain(report))
    finally:
        children.close()


def stop(topic: str) -> None:
    """Asks everything of a run to stop cleanly, on the worker that this is called on."""
    with _guard:
        _stopped.add(topic)


def is_stopped(topic: str) -> bool:
    with _guard:
        return topic in _stopped


def reachable(machines: Sequence[Sequence[str]]) -> tuple[str, list[bool]]:
    """This worker's version, and of each machine (its images) whether all can be reached here."""
    return __version__, [all(os.access(path, os.R_OK | os.W_OK) for path in paths) for paths in machines]


def _plain(report: Report) -> Told:
    kinds = {Begun: "begun", Step: "step", Noted: "noted"}
    return {"kind": kinds[type(report)], **vars(report)}


def report_of(plain: Told) -> Report:
    """The progress as the worker told it."""
    kinds: dict[str, Callable[..., Report]] = {"begun": Begun, "step": Step, "noted": Noted}
    held = dict(plain)
    return kinds[held.pop("kind")](**held)
