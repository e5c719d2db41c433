"""Runs a command's work: progress, errors and exit status in one place."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from p2vprep.cli.output import Output
from p2vprep.cli.progress import Progress
from p2vprep.errors import ExitStatus, Interrupted, P2vprepError
from p2vprep.events import Sink

Work = Callable[[Output, Sink], ExitStatus]


def run(output: Output, work: Work) -> NoReturn:
    """Does the work and exits with its status, or with that of the error it raised."""
    progress = Progress(output.err, output.verbose)
    try:
        with progress as sink:
            status = int(work(output, sink))
    except Interrupted as stop:
        output.error(stop)
        status = 128 + stop.signal_number
    except P2vprepError as problem:
        output.error(problem)
        status = int(problem.exit_status)
    except KeyboardInterrupt:
        output.error(Interrupted(2, "stopped by Ctrl-C"))
        status = 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing to tell it, also not at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except Exception as bug:  # noqa: BLE001 - the outermost place: a bug must end with its own status
        output.error(_as_bug(bug))
        if output.verbose:
            traceback.print_exc()
        status = int(ExitStatus.BUG)
    sys.exit(status)


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
