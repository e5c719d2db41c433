"""The workers of a Dask cluster as an executor: a job is a task, placed where its images can be reached.

A task whose worker dies is given to another worker by the scheduler. Outcomes come with the end of a
task; what comes before is for people to look at.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Sequence
from typing import Any

from p2vprep import __version__
from p2vprep.errors import CannotOpenError, UsageError
from p2vprep.events import Note, Sink
from p2vprep.wave import cluster_task
from p2vprep.wave.executor import Ended, Finished, Noted, Report
from p2vprep.wave.job import Job, Outcome
from p2vprep.wave.manifest import Machine

CONNECT_LIMIT = 30.0
"""Seconds to wait for the scheduler."""
NOBODY_LIMIT = 120.0
"""Seconds that a job waits for a worker that can reach its images, after the last one has gone."""
_LOOK = 5.0


class Cluster:
    """Jobs as tasks of a cluster. An :class:`~p2vprep.wave.executor.Executor`."""

    def __init__(self, client: Any, places: dict[str, tuple[str, ...]], capacity: int) -> None:
        """``places`` has the hosts that reach a machine's images, by the machine's name."""
        self.capacity = capacity
        self._client = client
        self._places = places
        self._topic = f"p2vprep-{uuid.uuid4().hex}"
        self._news: queue.Queue[Report | int] = queue.Queue()
        self._futures: dict[int, tuple[Job, Any]] = {}
        self._looked = time.monotonic()
        self._nobody: dict[int, float] = {}
        client.subscribe_topic(self._topic, self._event)

    def place(self, machine: Machine) -> str:
        return " ".join(self._places[machine.name])

    def submit(self, job: Job) -> None:
        hosts = self._places[job.names[0]]
        if not hosts:
            self._news.put(Ended(job.number, job.names, "unreachable", _UNREACHABLE))
            return
        future = self._client.submit(
            cluster_task.carry_out,
            job.to_json(),
            self._topic,
            key=f"{self._topic}-{job.number}",
            workers=list(hosts),
            allow_other_workers=False,
            pure=False,
        )
        self._futures[job.number] = (job, future)
        future.add_done_callback(lambda _future: self._news.put(job.number))

    def poll(self, seconds: float) -> list[Report]:
        reports: list[Report] = []
        self._look_for_workers()
        try:
            news = self._news.get(timeout=seconds)
            while True:
                reports += self._ended(news) if isinstance(news, int) else [news]
                news = self._news.get_nowait()
        except queue.Empty:
            return reports

    def stop(self) -> None:
        self._client.run(cluster_task.stop, self._topic, on_error="ignore")

    def close(self) -> None:
        if self._futures:
            self.stop()
            self._client.cancel([future for _, future in self._futures.values()], force=True)
        self._client.close()

    def _event(self, event: Any) -> None:
        _when, told = event  # Dask itself adds to what is told, so that the report is a part of it
        self._news.put(cluster_task.report_of(told["report"]))

    def _ended(self, number: int) -> list[Report]:
        """What a task that is over has brought."""
        if number not in self._futures:
            return []
        job, future = self._futures.pop(number)
        self._nobody.pop(number, None)
        if future.status == "finished":
            told = future.result()
            finished = [Finished(Outcome.from_plain(plain)) for plain in told["outcomes"]]
            held = told["ended"]
            return [*finished, Ended(**{**held, "lost": tuple(held["lost"])})]
        if future.status == "cancelled":
            return [Ended(number, job.names, "stopped")]
        return [
            Ended(
                number, job.names, "crashed", f"the task failed on the cluster: {future.exception()!r}"[:500]
            )
        ]

    def _look_for_workers(self) -> None:
        """A job whose hosts have all gone would wait for ever."""
        now = time.monotonic()
        if now < self._looked + _LOOK:
            return
        self._looked = now
        alive = {held["host"] for held in self._client.scheduler_info(n_workers=-1)["workers"].values()}
        for number, (job, future) in list(self._futures.items()):
            if alive & set(self._places[job.names[0]]):
                self._nobody.pop(number, None)
            elif now > self._nobody.setdefault(number, now) + NOBODY_LIMIT:
                del self._futures[number]
                self._client.cancel([future], force=True)
                self._news.put(Ended(number, job.names, "unreachable", _UNREACHABLE))
            elif self._nobody[number] == now:
                self._news.put(
                    Noted(f"no worker reaches {', '.join(job.names[:3])} any more; waiting for one")
                )


_UNREACHABLE = "no worker of the cluster reaches its images"


def connect(address: str, machines: Sequence[Machine], *, jobs: int | None, sink: Sink) -> Cluster:
    """A running cluster, asked which of its hosts reach which machine.

    Raises UsageError ``no-distributed`` where Dask is not installed, CannotOpenError
    ``no-scheduler``, ``no-workers`` or ``cluster-version``.
    """
    try:
        from distributed import Client
    except ImportError as problem:
        raise UsageError(
            f"a cluster needs Dask, which cannot be imported: {problem}",
            code="no-distributed",
            hint="Install p2vprep with its extra: p2vprep[cluster].",
        ) from problem
    try:
        client = Client(address, timeout=CONNECT_LIMIT, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise CannotOpenError(
            f"there is no scheduler to talk to: {problem}",
            code="no-scheduler",
            subject=address,
            hint="Check the address, and that the scheduler runs (docs/waves.md).",
        ) from problem
    try:
        return _with(client, address, machines, jobs, sink)
    except BaseException:
        client.close()
        raise


def _with(client: Any, address: str, machines: Sequence[Machine], jobs: int | None, sink: Sink) -> Cluster:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise CannotOpenError(
            "the cluster has no workers", code="no-workers", subject=address, hint="Start workers first."
        )
    asked = [[str(disk) for disk in machine.disks] for machine in machines]
    try:
        answers = client.run(cluster_task.reachable, asked)
    except Exception as problem:  # whatever a worker raises comes here
        raise CannotOpenError(
            f"the workers cannot run p2vprep: {problem!r}"[:500],
            code="cluster-version",
            subject=address,
            hint=f"Install p2vprep {__version__} where the workers run.",
        ) from problem
    found: dict[str, set[str]] = {machine.name: set() for machine in machines}
    for worker, (version, reached) in answers.items():
        if version != __version__:
            raise CannotOpenError(
                f"a worker has p2vprep {version}, and this is {__version__}",
                code="cluster-version",
                subject=worker,
                hint="Install the same version everywhere.",
            )
        for machine, yes in zip(machines, reached, strict=True):
            if yes:
                found[machine.name].add(workers[worker]["host"])
    threads = sum(int(held["nthreads"]) for held in workers.values())
    sink(Note(f"{len(workers)} workers on {len({held['host'] for held in workers.values()})} hosts"))
    places = {name: tuple(sorted(hosts)) for name, hosts in found.items()}
    return Cluster(client, places, jobs or threads)
