"""Shows a wave while it runs: a live table on a terminal, a line per machine elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import Output, printable
from p2vprep.wave.executor import Begun, Ended, Finished, Noted, Report, Step
from p2vprep.wave.job import Outcome
from p2vprep.wave.told import why_not

_STYLES = {"applied": "green", "planned": "green", "verified": "green", "failed": "red"}
_RECENT = 8
_ROWS = 20


class WaveProgress:
    """A watcher of a wave. Use as a context manager, so that the live table always ends."""

    def __init__(self, output: Output, machines: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = output.err
        self._total = machines
        self._clock = clock
        self._started = clock()
        self._since: dict[str, float] = {}
        self._steps: dict[str, str] = {}
        self._shared: dict[int, str] = {}
        self._recent: deque[Text] = deque(maxlen=_RECENT)
        self._counts: dict[str, int] = {}
        self._live: Live | None = None

    def __enter__(self) -> WaveProgress:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self.view, console=self._console, refresh_per_second=4, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _problem: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, report: Report) -> None:
        """Takes a report. Where it cannot be shown (a log on a full disk) the work goes on unseen."""
        try:
            self._take(report)
        except OSError:
            self._console.quiet = True

    def _take(self, report: Report) -> None:
        if isinstance(report, Begun):
            self._since.setdefault(report.name, self._clock())
        elif isinstance(report, Step):
            if report.name is None:
                self._shared[report.job] = report.text
            else:
                self._steps[report.name] = report.text
        elif isinstance(report, Finished):
            self._finished(report.outcome)
        elif isinstance(report, Noted):
            self._line(Text(f"        {printable(report.text)}", style="dim"))
        elif isinstance(report, Ended):
            self._shared.pop(report.job, None)
            for name in report.lost:
                self._since.pop(name, None)
                self._steps.pop(name, None)

    def _finished(self, outcome: Outcome) -> None:
        self._counts[outcome.state] = self._counts.get(outcome.state, 0) + 1
        self._since.pop(outcome.name, None)
        self._steps.pop(outcome.name, None)
        self._line(self._told(outcome))

    def _told(self, outcome: Outcome) -> Text:
        style = _STYLES.get(outcome.state, "default")
        done = sum(self._counts.values())
        line = Text(f"{done:>{len(str(self._total))}}/{self._total}  ", style="dim")
        line.append(f"{outcome.state}  ", style=style)
        line.append(printable(outcome.name), style="bold")
        if outcome.state == "failed":
            line.append(f": {printable(why_not(outcome))}", style="default")
        elif outcome.result.get("first_boot"):
            line.append(f": first boot {printable(str(outcome.result['first_boot']))}", style="default")
        elif "values" in outcome.result:
            result = outcome.result
            line.append(f": {result['values']} values, {result['files']} files", style="default")
        if outcome.seconds >= 0.5:
            line.append(f"  ({outcome.seconds:.1f} s)", style="dim")
        return line

    def _line(self, line: Text) -> None:
        self._recent.append(line)
        if self._live is None:
            self._console.print(line)

    def view(self) -> Group:
        """The live table: what is worked on now, below it what ended last, and how far it is."""
        now = self._clock()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("Machine", "Step", "Elapsed"):
            table.add_column(column, overflow="ellipsis", no_wrap=True)
        shared = next(iter(self._shared.values()), "")
        for name, since in list(self._since.items())[:_ROWS]:
            step = self._steps.get(name, shared)
            table.add_row(Text(printable(name)), Text(printable(step)), Text(f"{now - since:5.0f} s"))
        more = len(self._since) - _ROWS
        if more > 0:
            table.add_row(Text(f"and {more} more", style="dim"), "", "")
        done = sum(self._counts.values())
        counts = ", ".join(f"{count} {state}" for state, count in self._counts.items())
        foot = Text(f"{done} of {self._total} machines in {now - self._started:.0f} s", style="bold")
        foot.append(f"  {counts}", style="default")
        return Group(*self._recent, table, foot)
