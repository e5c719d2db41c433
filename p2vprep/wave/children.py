"""Child processes, one per job: started, read, watched by the clock, ended. The only home of that.

A child that takes too long over one machine is told to stop (SIGTERM), which leaves every image as
it was or finishes a commit; one that does not obey is killed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from p2vprep.wave.executor import Begun, Ended, Finished, Noted, Report, Step, Why
from p2vprep.wave.job import Job, Outcome
from p2vprep.wave.manifest import Machine

COMMAND: tuple[str, ...] = (sys.executable, "-m", "p2vprep.wave.child")
GRACE = 60.0
"""Seconds from the request to stop until a child is killed; a commit that has begun takes less than one."""
_PIECE = 1 << 16
_LONGEST_LINE = 256 << 20
_WORDS = 2000


@dataclass
class _Child:
    """A running child."""

    job: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    rest: bytes = b""
    told: set[str] = field(default_factory=set)
    working_on: str | None = None
    deadline: float = 0.0
    """When it has taken too long; afterwards when it is killed."""
    why: Why = ""
    ended_well: bool = False


class Children:
    """Jobs as child processes of this one. An :class:`~p2vprep.wave.executor.Executor`."""

    def __init__(self, capacity: int, *, command: Sequence[str] | None = None, grace: float = GRACE) -> None:
        self.capacity = capacity
        self._command = tuple(COMMAND if command is None else command)
        self._grace = grace
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, _Child] = {}

    def place(self, _machine: Machine) -> str:
        return ""

    def submit(self, job: Job) -> None:
        errors = tempfile.TemporaryFile(prefix="p2vprep-child-")  # noqa: SIM115 - closed when it is reaped
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # a Ctrl-C in the terminal reaches us; we decide what the child is told
        )
        child = _Child(job, process, errors, deadline=time.monotonic() + job.time_limit)
        self._children[job.number] = child
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{os.getpid()}\n{job.to_json()}".encode())
            process.stdin.close()
        except BrokenPipeError:  # it ended before it read: its end is reported like any other
            pass
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)

    def poll(self, seconds: float) -> list[Report]:
        reports: list[Report] = []
        for key, _ in self._selector.select(self._until(seconds)):
            child: _Child = key.data
            if not self._read(child, reports):
                self._reap(child, reports)
        now = time.monotonic()
        for child in self._children.values():
            if now >= child.deadline:
                self._end(child, "too-slow", now)
        return reports

    def stop(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if not child.why:
                self._end(child, "stopped", now)

    def close(self) -> None:
        for child in list(self._children.values()):
            child.process.kill()
            child.process.wait()
            self._forget(child)
        self._selector.close()

    # --- one child

    def _until(self, seconds: float) -> float:
        deadlines = [child.deadline for child in self._children.values()]
        return max(0.0, min([seconds, *(deadline - time.monotonic() for deadline in deadlines)]))

    def _end(self, child: _Child, why: Why, now: float) -> None:
        """Asks the child to stop; the second time kills it."""
        if child.why:
            child.why = "killed" if child.why == "stopped" else child.why
            child.process.kill()
            child.deadline = now + 3600  # the end of its output is all there is to wait for
            return
        child.why = why
        child.deadline = now + self._grace
        child.process.terminate()

    def _read(self, child: _Child, reports: list[Report]) -> bool:
        """Reads what the child has written; False at its end."""
        assert child.process.stdout is not None
        piece = os.read(child.process.stdout.fileno(), _PIECE)
        if not piece:
            return False
        *lines, child.rest = (child.rest + piece).split(b"\n")
        try:
            for line in lines:
                self._take(child, line, reports)
        except (ValueError, KeyError, TypeError):
            child.process.kill()  # what it says makes no sense any more: a crash like any other
            child.rest = b""
        if len(child.rest) > _LONGEST_LINE:
            child.process.kill()
        return True

    def _take(self, child: _Child, line: bytes, reports: list[Report]) -> None:
        message: dict[str, Any] = json.loads(line)
        name = message.get("machine")
        kind = message["kind"]
        if kind == "begin":
            child.working_on = name
            if not child.why:
                child.deadline = time.monotonic() + child.job.time_limit
            reports.append(Begun(str(name)))
        elif kind == "step":
            reports.append(Step(child.job.number, name, message["text"]))
        elif kind == "note":
            reports.append(Noted(message["text"]))
        elif kind == "result":
            outcome = Outcome.from_plain(message["outcome"])
            child.told.add(outcome.name)
            reports.append(Finished(outcome))
        elif kind == "end":
            child.ended_well = True

    def _reap(self, child: _Child, reports: list[Report]) -> None:
        """The child has closed its output: how it ended, and what it left undone."""
        status = _wait(child.process)
        lost = tuple(name for name in child.job.names if name not in child.told)
        why: Why = child.why or ("" if child.ended_well else "crashed")
        words = "" if not lost else _words(status, child.errors)
        guilty = child.working_on if child.working_on in lost else None
        reports.append(Ended(child.job.number, lost, why if lost else "", words, guilty))
        self._forget(child)

    def _forget(self, child: _Child) -> None:
        assert child.process.stdout is not None
        self._selector.unregister(child.process.stdout)
        child.process.stdout.close()
        child.errors.close()
        del self._children[child.job.number]


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a child that has closed its output; one that does not end then is killed."""
    try:
        return process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _words(status: int, errors: IO[bytes]) -> str:
    """In words, how a child ended, with the last line it wrote to its standard error."""
    if status < 0:
        try:
            ending = f"the process was ended by {signal.Signals(-status).name}"
        except ValueError:
            ending = f"the process was ended by signal {-status}"
    else:
        ending = f"the process ended with status {status}"
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _WORDS))
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    return ending + (f": {lines[-1][:300]}" if lines else "")
