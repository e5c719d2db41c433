"""Shows the engine's progress: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.status import Status
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.events import Event, Sink, StepFailed, StepFinished, StepStarted


class Progress:
    """A sink for one command. Use as a context manager, so that the live line always ends."""

    def __init__(self, console: Console, verbose: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._verbose = verbose
        self._clock = clock
        self._started: dict[str, float] = {}
        self._status: Status | None = None

    def __enter__(self) -> Sink:
        return self._handle

    def __exit__(self, *_: object) -> None:
        self._stop()

    def pause(self) -> None:
        """Ends the live line so that a question can be asked."""
        self._stop()

    def _handle(self, event: Event) -> None:
        """Shows an event. Where that is impossible (a log on a full disk) the work goes on unseen."""
        try:
            self._show(event)
        except OSError:
            self._console.quiet = True

    def _show(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self._started[event.text] = self._clock()
            self._live(event.text)
        elif isinstance(event, StepFinished):
            self._stop()
            self._line("done", "green", event.text, event.outcome)
        elif isinstance(event, StepFailed):
            self._stop()
            self._line("failed", "red", event.text, "")
        elif self._verbose or not event.verbose:
            self._stop()
            self._console.print(Text(f"        {printable(event.text)}", style="dim"))

    def _live(self, text: str) -> None:
        self._stop()
        if self._console.is_terminal:
            self._status = self._console.status(Text(printable(text) + " …"), spinner="line")
            self._status.start()

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _line(self, word: str, style: str, text: str, outcome: str) -> None:
        seconds = self._clock() - self._started.pop(text, self._clock())
        line = Text(f"{word:>6}  ", style=style)
        line.append(printable(text), style="default")
        if outcome:
            line.append(f": {printable(outcome)}", style="default")
        if seconds >= 0.5:
            line.append(f"  ({seconds:.1f} s)", style="dim")
        self._console.print(line)
