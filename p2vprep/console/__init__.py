"""The console: a terminal program over an offline machine. It asks and shows; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable

from p2vprep.console.ports import Backend


def run(backend: Backend, waiting: Callable[[], None]) -> int:
    """Runs the console on the terminal until the user quits; returns the exit status.

    Waits for the machine to be closed, and calls ``waiting`` where that takes more than a moment. A fault
    of ours ends the console with its traceback and the status 1.
    """
    from p2vprep.console.app import Console

    console = Console(backend)
    try:
        status = console.run()
    finally:
        console.end(waiting)
    return console.return_code or status or 0
