"""Progress as values: the engine tells what it does, a sink decides how to show it.

A step is a sentence ("Starting the appliance"). Sinks never fail the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class StepStarted:
    """A step begins; ``text`` is a sentence in the present tense without a full stop."""

    text: str


@dataclass(frozen=True)
class StepFinished:
    """The step of the same text ended; ``outcome`` adds a few words, or is empty."""

    text: str
    outcome: str = ""


@dataclass(frozen=True)
class StepFailed:
    """The step of the same text failed; the error itself travels as an exception."""

    text: str


@dataclass(frozen=True)
class Note:
    """One line worth telling (the accelerator chosen, a log replayed)."""

    text: str
    verbose: bool = False


Event = StepStarted | StepFinished | StepFailed | Note
Sink = Callable[[Event], None]


def silent(_event: Event) -> None:
    """The sink that shows nothing."""


class StepOutcome:
    """Lets the body of a step say in a few words how it ended."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, text: str) -> None:
        self.text = text


@contextmanager
def step(sink: Sink, text: str) -> Iterator[StepOutcome]:
    """Tells the sink that a step starts and how it ends; exceptions pass through."""
    sink(StepStarted(text))
    outcome = StepOutcome()
    try:
        yield outcome
    except BaseException:
        sink(StepFailed(text))
        raise
    sink(StepFinished(text, outcome.text))
