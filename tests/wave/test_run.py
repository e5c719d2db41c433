"""A wave in child processes: done once, whatever happens to the processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from p2vprep.disk import recovery
from p2vprep.disk.journal import RunState
from p2vprep.errors import RefusedError
from p2vprep.events import silent
from p2vprep.wave import children, conduct
from p2vprep.wave.conduct import How, Ran
from p2vprep.wave.executor import Finished, Report
from p2vprep.wave.job import Outcome
from p2vprep.wave.ledger import Ledger, only_run
from p2vprep.wave.manifest import Manifest, load
from tests.support.guest_disk import fingerprint
from tests.wave.conftest import MakeWave

Launches = Callable[[], list[int]]


class Seen:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def __call__(self, report: Report) -> None:
        self.reports.append(report)

    @property
    def states(self) -> dict[str, str]:
        ended = [report.outcome for report in self.reports if isinstance(report, Finished)]
        assert len({one.name for one in ended}) == len(ended), "a machine was told twice"
        return {one.name: one.code or one.state for one in ended}


def run(wave: Manifest, seen: Seen | None = None, **how: object) -> Ran:
    how = {"jobs": 2, "per_appliance": 4, "time_limit": 60, **how}
    return conduct.run(wave, wave, How(**how), seen or Seen(), silent)  # type: ignore[arg-type]


def disk(wave: Manifest, name: str) -> Path:
    return next(machine.disks[0] for machine in wave.machines if machine.name == name)


def done_runs(wave: Manifest, name: str) -> int:
    return sum(one.state is RunState.DONE for one in recovery.history([disk(wave, name)]))


def test_a_wave_shares_launches_and_writes_its_ledger(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a", "b", "c")
    seen = Seen()
    ran = run(wave, seen, jobs=1)
    assert seen.states == {"a": "applied", "b": "applied", "c": "applied"}
    assert (ran.tally.applied, ran.tally.left, ran.already) == (3, 0, 0)
    assert launches() == [3]
    with Ledger(wave.path, create=False) as ledger:
        entries = list(ledger.entries())
        assert [entry.state for entry in entries] == ["applied"] * 3
        outcome = entries[0].outcome
        assert outcome is not None
        assert outcome.result["guest"]["product"].startswith("Windows Server 2012 R2")
        assert outcome.result["values"] > 0
        assert outcome.seconds > 0
        changes = ledger.details("a")["changes"]
        assert len(changes) == outcome.result["values"] + outcome.result["keys"] + outcome.result["files"]
    assert all(done_runs(wave, name) == 1 for name in "abc")


@pytest.mark.long
def test_a_second_run_does_nothing(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a", "b")
    run(wave)
    seen = Seen()
    ran = run(wave, seen)
    assert (seen.states, ran.already) == ({}, 2)
    assert sum(launches()) == 2


@pytest.mark.long
def test_a_new_machine_is_all_that_is_left(make_wave: MakeWave, launches: Launches) -> None:
    run(make_wave("a"))
    seen = Seen()
    run(make_wave("a", "b"), seen)
    assert seen.states == {"b": "applied"}


@pytest.mark.long
def test_a_bad_disk_fails_by_itself_and_is_tried_again_the_next_time(
    make_wave: MakeWave, launches: Launches, tmp_path: Path
) -> None:
    wave = make_wave("a", "b", "gone", missing=("gone",))
    seen = Seen()
    ran = run(wave, seen, jobs=1)
    assert seen.states == {"a": "applied", "b": "applied", "gone": "image-missing"}
    assert ran.tally.failed == 1
    make_wave("gone")
    seen = Seen()
    run(wave, seen)
    assert seen.states == {"gone": "applied"}


@pytest.mark.long
def test_a_crash_of_the_process_fails_one_machine_only(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a", "crash", "b")
    before = fingerprint(disk(wave, "crash"))
    seen = Seen()
    ran = run(wave, seen, jobs=1)
    assert seen.states == {"a": "applied", "crash": "worker-crashed", "b": "applied"}
    assert ran.tally.retried == 3
    assert fingerprint(disk(wave, "crash")) == before
    assert recovery.history([disk(wave, "crash")])[-1].state is RunState.DISCARDED
    with Ledger(wave.path, create=False) as ledger:
        error = next(entry.outcome for entry in ledger.entries() if entry.name == "crash")
    assert error is not None
    assert error.error is not None
    assert "SIGSEGV" in error.error["message"]


@pytest.mark.long
def test_a_machine_that_only_harms_its_launch_is_done_by_itself(
    make_wave: MakeWave, launches: Launches
) -> None:
    wave = make_wave("a", "flaky")
    seen = Seen()
    ran = run(wave, seen, jobs=1)
    assert seen.states == {"a": "applied", "flaky": "applied"}
    assert ran.tally.retried == 2


@pytest.mark.long
@pytest.mark.parametrize("name", ["hang", "stubborn"])
def test_a_machine_that_takes_too_long_is_ended(
    make_wave: MakeWave, launches: Launches, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(children.Children.__init__, "__kwdefaults__", {"command": None, "grace": 1.0})
    wave = make_wave("a", name)
    before = fingerprint(disk(wave, name))
    seen = Seen()
    run(wave, seen, jobs=1, time_limit=6)
    assert seen.states == {"a": "applied", name: "time-limit"}
    assert fingerprint(disk(wave, name)) == before
    assert recovery.history([disk(wave, name)])[-1].state is RunState.DISCARDED


@pytest.mark.long
def test_fail_fast_begins_nothing_new(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("gone", "a", "b", missing=("gone",))
    seen = Seen()
    ran = run(wave, seen, jobs=1, per_appliance=1, fail_fast=True)
    assert seen.states == {"gone": "image-missing"}
    assert ran.tally.left == 2
    seen = Seen()
    run(make_wave("gone", "a", "b"), seen)
    assert seen.states == dict.fromkeys(("gone", "a", "b"), "applied")


@pytest.mark.long
def test_a_change_of_the_manifest_is_noticed(make_wave: MakeWave, launches: Launches) -> None:
    run(make_wave("a", "b"))
    wave = make_wave("a", more="concurrency: {jobs: 1}")
    ran = run(wave)
    assert (ran.unlisted, ran.changed) == (("b",), ())
    wave.path.write_text(wave.path.read_text().replace("disk.raw}", "disk.raw, stage: none}"))
    wave = load(wave.path)
    ran = run(wave)
    assert (ran.changed, ran.already) == (("a",), 1)
    seen = Seen()
    ran = run(wave, seen, redo_changed=True)
    assert (ran.changed, ran.already, list(seen.states)) == ((), 0, ["a"])
    assert run(wave, redo_changed=True).already == 1


def test_nobody_runs_a_wave_twice_at_a_time(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a")
    with only_run(wave.path), pytest.raises(RefusedError) as caught:
        run(wave)
    assert caught.value.code == "wave-busy"


@pytest.mark.long
def test_a_dry_run_changes_nothing(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a", "gone", missing=("gone",))
    before = fingerprint(disk(wave, "a"))
    kept: list[Outcome] = []
    tally = conduct.look(wave, How(jobs=1, per_appliance=2, time_limit=60), Seen(), kept.append, silent)
    assert (tally.planned, tally.failed) == (1, 1)
    assert {one.name: len(one.details.get("changes", ())) > 0 for one in kept} == {"a": True, "gone": False}
    assert fingerprint(disk(wave, "a")) == before
    assert recovery.history([disk(wave, "a")]) == ()
    assert not (wave.path.parent / "wave.yaml.p2vprep").exists()


@pytest.mark.long
def test_the_disks_are_read_again_after_the_boot(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a", "b", "gone", missing=("gone",))
    run(wave)
    seen = Seen()
    tally = conduct.verify(wave, How(jobs=1, per_appliance=4, time_limit=60), seen, silent)
    assert (tally.verified, seen.states) == (2, {"a": "verified", "b": "verified"})
    with Ledger(wave.path, create=False) as ledger:
        told = {entry.name: entry.verification for entry in ledger.entries()}
    assert told["gone"] is None
    assert told["a"] is not None
    assert (told["a"].result["first_boot"], told["a"].result["as_planned"]) == ("waiting", True)


# --- killed --------------------------------------------------------------------------------------

_RUN = """
import sys
from pathlib import Path
from p2vprep.events import silent
from p2vprep.wave import children, conduct
from p2vprep.wave.manifest import load
from tests.support import wave_child
children.COMMAND = wave_child.COMMAND
wave = load(Path(sys.argv[1]))
how = conduct.How(jobs=2, per_appliance=int(sys.argv[2]), time_limit=60)
ran = conduct.run(wave, wave, how, lambda report: print(report, flush=True), silent)
sys.exit(130 if ran.tally.interrupted else 0)
"""


def start(wave: Manifest, shared: int = 2) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _RUN, str(wave.path), str(shared)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])


def finish(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process that ends by itself; what it still writes is read."""
    process.communicate(timeout=60)
    return process.returncode


def wait_for(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came")


def test_ctrl_c_ends_a_run_cleanly(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("slow1", "slow2", "slow3", "slow4")
    process = start(wave)
    wait_for(process, b"Making the plan")
    process.send_signal(signal.SIGINT)
    assert finish(process) == 130
    for machine in wave.machines:
        assert not any(one.unfinished for one in recovery.history(machine.disks))
    with Ledger(wave.path, create=False) as ledger:
        counts = ledger.counts()
    assert counts.get("running", 0) == 0
    assert counts["waiting"] > 0
    seen = Seen()
    run(wave, seen)
    assert set(seen.states.values()) == {"applied"}
    assert all(done_runs(wave, machine.name) == 1 for machine in wave.machines)


def kill_and_resume(wave: Manifest, moments: list[float]) -> None:
    """Kills the run at these moments after its start; at the end every machine was done exactly once."""
    for moment in moments:
        process = start(wave)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
    run(wave)
    for machine in wave.machines:
        runs = recovery.history(machine.disks)
        assert [one.state for one in runs].count(RunState.DONE) == 1, runs
        assert not any(one.unfinished for one in runs)
        receipt = json.loads((runs[-1].folder / "receipt.json").read_text())
        assert receipt["wave"]["machine"] == machine.name
    with Ledger(wave.path, create=False) as ledger:
        assert ledger.counts() == {"applied": len(wave.machines)}


def test_a_run_killed_at_any_moment_is_resumed(make_wave: MakeWave, launches: Launches) -> None:
    kill_and_resume(make_wave("a", "b", "c"), [1.3, 2.2])


@pytest.mark.long
def test_a_run_killed_twenty_times_is_resumed(make_wave: MakeWave, launches: Launches) -> None:
    names = [f"m{number:02}" for number in range(12)]
    kill_and_resume(make_wave(*names), [0.6 + 0.17 * number for number in range(20)])
