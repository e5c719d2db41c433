"""The console: a terminal program over an offline machine. It asks and shows; it decides nothing."""

from __future__ import annotations

from p2vprep.console.ports import Backend


def run(backend: Backend) -> int:
    """Runs the console on the terminal until the user quits; returns the exit status.

    Waits for the machine to be closed. What is no P2vprepError ends the console and passes through.
    """
    from p2vprep.console.app import Console

    console = Console(backend)
    try:
        status = console.run()
    finally:
        console.end()
    return console.return_code or 0 if status is None else status
