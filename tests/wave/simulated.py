"""An executor without processes, and machines without disks: what a wave costs beside its work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from p2vprep.engine.options import Options
from p2vprep.wave.executor import Begun, Ended, Finished, Report, Step, Why
from p2vprep.wave.job import Job, Outcome
from p2vprep.wave.manifest import Machine

GUEST = {"product": "Windows Server 2012 R2", "version": "6.3"}


def machines(count: int) -> list[Machine]:
    options = Options(sources=("hpe-proliant",))
    return [Machine(f"srv{at:05}", (Path(f"/images/srv{at:05}.vhdx"),), options) for at in range(count)]


def applied(name: str) -> Outcome:
    change = {
        "kind": "value", "hive": "SYSTEM", "key": r"ControlSet001\Services\hpqilo3", "name": "Start",
        "before": {"type": "REG_DWORD", "data": 1}, "after": {"type": "REG_DWORD", "data": 4},
        "rule": "services.disable", "why": "its hardware is gone",
    }  # fmt: skip
    hazard = {"code": "hive-was-dirty", "severity": "warn", "message": "replayed", "evidence": [], "cure": ""}
    result = {
        "guest": GUEST, "profiles": ["hpe-proliant"], "hazards": [hazard], "values": 40, "keys": 1,
        "files": 12, "skips": 0, "rules": {"services.disable": 40}, "run": 1,
    }  # fmt: skip
    times = (("Starting the appliance", 1.0), ("Reading the registry", 0.5))
    return Outcome(name, "applied", None, result, {"changes": [change] * 40, "skips": []}, times, "host")


class Simulated:
    """Every job ends at once; ``decide`` says what comes of a machine: an outcome, or why it is lost."""

    def __init__(self, capacity: int = 4, decide: Callable[[Job, str], Outcome | Why] | None = None) -> None:
        self.capacity = capacity
        self.jobs: list[Job] = []
        self.polls = 0
        self.stopped = False
        self.most = 0
        self._decide = decide or (lambda _job, name: applied(name))
        self._running: deque[Job] = deque()

    def place(self, machine: Machine) -> str:
        return ""

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._running.append(job)
        self.most = max(self.most, len(self._running))

    def poll(self, _seconds: float) -> list[Report]:
        self.polls += 1
        job = self._running.popleft()
        reports: list[Report] = []
        lost: list[str] = []
        why: Why = ""
        for name in job.names:
            reports += [Begun(name), Step(job.number, name, "Reading the registry")]
            decided = self._decide(job, name)
            if isinstance(decided, Outcome):
                reports.append(Finished(decided))
            else:
                why = decided
                lost.append(name)
        return [*reports, Ended(job.number, tuple(lost), why, "gone", lost[0] if lost else None)]

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        """There is nothing to end."""
