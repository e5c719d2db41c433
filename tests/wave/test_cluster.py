"""A wave on a cluster of worker processes: tasks move when workers die, and no image has two writers."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2vprep.disk import imagelock, recovery
from p2vprep.disk.journal import RunState
from p2vprep.errors import CannotOpenError, RefusedError
from p2vprep.events import silent
from p2vprep.wave import cluster, conduct
from p2vprep.wave.conduct import How
from p2vprep.wave.executor import Begun, Finished, Report, Step
from tests.wave.conftest import MakeWave
from tests.wave.simulated import machines
from tests.wave.test_run import Launches, Seen, disk, done_runs

CHECKOUT = Path(__file__).resolve().parents[2]
needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="Dask is not installed (extra: cluster)"
)


class Workers:
    """A scheduler and worker processes on this host, each a process of its own that can be killed."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        file = folder / "scheduler.json"
        self.processes = [
            self._start("scheduler", "--scheduler-file", str(file), "--port", "0", "--no-dashboard")
        ]
        for _ in range(count):
            self.add(file)
        self.address = self._address(file)
        self._file = file

    def add(self, file: Path) -> None:
        more = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", "tests.support.wave_worker")
        self.processes.append(self._start("worker", "--scheduler-file", str(file), *more))

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        name = f"{what}-{len(getattr(self, 'processes', []))}"
        log = (self._folder / f"{name}.log").open("wb")
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "DASK_TEMPORARY_DIRECTORY": str(self._folder),
        }
        try:
            return subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
        finally:
            log.close()

    @staticmethod
    def _address(file: Path) -> str:
        import json

        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if file.exists() and file.read_text().strip():
                return str(json.loads(file.read_text())["address"])
            time.sleep(0.2)
        raise AssertionError("the scheduler did not start")

    def wait(self, count: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=90)

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@contextmanager
def workers(folder: Path, count: int) -> Iterator[Workers]:
    held = Workers(folder, count)
    try:
        held.wait(count)
        yield held
    finally:
        held.close()


pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own


@needs_dask
@pytest.mark.long
def test_a_worker_is_killed_and_its_task_moves(
    make_wave: MakeWave, launches: Launches, tmp_path: Path
) -> None:
    wave = make_wave("slow1", "slow2", "slow3", "slow4", "gone", missing=("gone",))
    with workers(tmp_path, 3) as held:
        killed: list[int] = []

        class Killing(Seen):
            def __call__(self, report: Report) -> None:
                super().__call__(report)
                if isinstance(report, Step) and report.text == "Making the plan" and not killed:
                    killed.append(_worker_at_work(held, report))
                    os.kill(killed[0], signal.SIGKILL)

        seen = Killing()
        how = How(per_appliance=1, time_limit=120, scheduler=held.address)
        ran = conduct.run(wave, wave, how, seen, silent)
    assert killed
    assert seen.states == {
        **dict.fromkeys(("slow1", "slow2", "slow3", "slow4"), "applied"),
        "gone": "image-unreachable",
    }
    assert ran.tally.failed == 1
    for name in ("slow1", "slow2", "slow3", "slow4"):
        assert done_runs(wave, name) == 1
        assert not any(one.unfinished for one in recovery.history([disk(wave, name)]))


def _worker_at_work(held: Workers, _report: Report) -> int:
    """A worker that has a child of its own: it is in the middle of a machine."""
    for process in held.processes[1:]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        if children or any((task / "children").read_text().split() for task in tasks):
            return process.pid
    raise AssertionError("no worker is at work")


@needs_dask
def test_where_there_is_no_scheduler_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_LIMIT", 1.0)
    with pytest.raises(CannotOpenError) as caught:
        cluster.connect("tcp://127.0.0.1:9", machines(1), jobs=None, sink=silent)
    assert caught.value.code == "no-scheduler"


class FakeClient:
    """What is used of Dask's client, without any cluster."""

    def __init__(self, alive: list[str]) -> None:
        self.alive = alive
        self.tasks: list[dict[str, Any]] = []
        self.cancelled = 0

    def subscribe_topic(self, _topic: str, handler: Any) -> None:
        self.handler = handler

    def submit(self, *_arguments: Any, **named: Any) -> Any:
        self.tasks.append(named)

        class Future:
            def add_done_callback(self, _function: Any) -> None:
                """Never done."""

        return Future()

    def scheduler_info(self, **_named: Any) -> dict[str, Any]:
        return {"workers": {host: {"host": host} for host in self.alive}}

    def cancel(self, _futures: Any, **_named: Any) -> None:
        self.cancelled += 1


def _job(executor: cluster.Cluster, name: str) -> None:
    from p2vprep.wave.job import Job, Ticket

    (machine,) = [one for one in machines(4) if one.name == name]
    executor.submit(Job(1, "apply", "wave", (Ticket.of(machine, "t"),), 60))


def test_a_task_goes_where_its_images_can_be_reached() -> None:
    client = FakeClient(["h1", "h2"])
    executor = cluster.Cluster(client, {"srv00000": ("h1",), "srv00001": ("h1", "h2")}, 2)
    first, second = machines(2)
    assert executor.place(first) != executor.place(second)
    _job(executor, "srv00000")
    assert client.tasks[0]["workers"] == ["h1"]
    assert client.tasks[0]["allow_other_workers"] is False


def test_a_machine_that_nobody_reaches_is_not_waited_for() -> None:
    executor = cluster.Cluster(FakeClient(["h1"]), {"srv00000": ()}, 1)
    _job(executor, "srv00000")
    (ended,) = executor.poll(0.1)
    assert (ended.why, ended.lost) == ("unreachable", ("srv00000",))  # type: ignore[union-attr]


def test_a_job_whose_hosts_have_all_gone_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "NOBODY_LIMIT", 0.2)
    monkeypatch.setattr(cluster, "_LOOK", 0.1)
    client = FakeClient(["h1"])
    executor = cluster.Cluster(client, {"srv00000": ("h1",)}, 1)
    _job(executor, "srv00000")
    time.sleep(0.15)
    assert executor.poll(0.01) == []
    client.alive = []
    reports: list[Report] = []
    deadline = time.monotonic() + 10
    while len(reports) < 2 and time.monotonic() < deadline:
        reports += executor.poll(0.1)
    assert [type(one).__name__ for one in reports] == ["Noted", "Ended"]
    assert client.cancelled == 1


def test_progress_of_workers_is_passed_on() -> None:
    client = FakeClient(["h1"])
    executor = cluster.Cluster(client, {}, 1)
    client.handler((0, {"worker": "w", "report": {"kind": "begun", "name": "a"}}))
    step = {"kind": "step", "job": 1, "name": "a", "text": "Making the plan"}
    client.handler((0, {"worker": "w", "report": step}))
    assert executor.poll(0.1) == [Begun("a"), Step(1, "a", "Making the plan")]


# --- the lock ------------------------------------------------------------------------------------


def test_an_image_has_one_holder_at_a_time(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.touch()
    link = tmp_path / "link.raw"
    link.symlink_to(image)
    with imagelock.held([image]):
        with pytest.raises(RefusedError) as caught, imagelock.held([link]):
            raise AssertionError("two holders")
        assert caught.value.code == "busy"
        assert f"pid {os.getpid()}" in caught.value.details[0]
    with imagelock.held([link]):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "link.raw"]


def test_a_lock_is_waited_for_and_given_back_by_death(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.touch()
    code = (
        "import sys, time; from pathlib import Path; from p2vprep.disk import imagelock\n"
        "with imagelock.held([Path(sys.argv[1])]):\n print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(image)], stdout=subprocess.PIPE, cwd=CHECKOUT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RefusedError), imagelock.held([image], patience=0.3):
            raise AssertionError("two holders")
        other.kill()
        other.wait()
        with imagelock.held([image], patience=5.0):
            pass


def test_where_no_lock_can_lie_nothing_is_worked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_arguments: object, **_named: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(RefusedError) as caught, imagelock.held([tmp_path / "disk.raw"]):
        raise AssertionError("not locked")
    assert caught.value.code == "image-lock-unusable"


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("x")
    (tmp_path / "disk.raw.p2vprep-lock").symlink_to(target)
    with pytest.raises(RefusedError), imagelock.held([tmp_path / "disk.raw"]):
        raise AssertionError("a link was followed")
    assert target.read_text() == "x"


@pytest.mark.long
def test_a_finished_run_that_was_taken_back_is_not_taken_for_done(
    make_wave: MakeWave, launches: Launches
) -> None:
    from p2vprep.wave.job import Ticket
    from p2vprep.wave.told import recognised

    wave = make_wave("a")
    tokens: list[str] = []

    def keep(report: Report) -> None:
        if isinstance(report, Finished):
            tokens.append(report.outcome.name)

    conduct.run(wave, wave, How(jobs=1, per_appliance=1, time_limit=60), keep, silent)
    import json

    (run,) = recovery.history([disk(wave, "a")])
    token = json.loads((run.folder / "receipt.json").read_text())["wave"]["token"]
    found = recognised(Ticket.of(wave.machines[0], token))
    assert found is not None
    assert (found.state, found.result["run"]) == ("applied", 1)
    assert recognised(Ticket.of(wave.machines[0], "another")) is None
    recovery.rollback([disk(wave, "a")])
    assert recovery.history([disk(wave, "a")])[-1].state is RunState.ROLLED_BACK
    assert recognised(Ticket.of(wave.machines[0], token)) is None
