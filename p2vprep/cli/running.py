"""Runs a command's work: progress, errors and exit status in one place."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from p2vprep.cli.output import Output, to_nowhere
from p2vprep.cli.progress import Progress
from p2vprep.errors import ExitStatus, Interrupted, P2vprepError
from p2vprep.events import Sink

Work = Callable[[Output, Sink], ExitStatus]


def run(output: Output, work: Work) -> NoReturn:
    """Does the work and exits with its status, or with that of the error it raised."""
    try:
        status = _status(output, work)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing to tell it, also not at the exit.
        to_nowhere(sys.stdout)
        status = 128 + signal.SIGPIPE
    sys.exit(status)


def _status(output: Output, work: Work) -> int:
    try:
        with Progress(output.err, output.verbose) as sink:
            return int(work(output, sink))
    except Interrupted as stop:
        output.error(stop)
        return 128 + stop.signal_number
    except P2vprepError as problem:
        output.error(problem)
        return int(problem.exit_status)
    except KeyboardInterrupt:
        output.error(Interrupted(signal.SIGINT, "stopped by Ctrl-C"))
        return 128 + signal.SIGINT
    except BrokenPipeError:
        raise
    except Exception as bug:  # noqa: BLE001 - the outermost place: a bug must end with its own status
        output.error(_as_bug(bug))
        if output.verbose:
            traceback.print_exc()
        return int(ExitStatus.BUG)


class InternalError(P2vprepError):
    """A fault of ours: everything a user can cause has an error of its own."""

    exit_status = ExitStatus.BUG
    default_code = "bug"


def _as_bug(bug: Exception) -> P2vprepError:
    last = traceback.extract_tb(bug.__traceback__)[-1:]
    place = f" ({last[0].name}, line {last[0].lineno})" if last else ""
    return InternalError(
        f"this is a bug in p2vprep: {type(bug).__name__}: {bug}{place}",
        changed="The image is changed only by a commit; `p2vprep history IMAGE` tells whether one happened.",
        hint="run again with -v and report what it prints",
    )
