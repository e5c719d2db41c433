"""The fault suite in short: every fault of ``make faults``, fewer times."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import scenarios
from tests.faults.machine import FORMATS, quick_folder
from tests.faults.scenarios import Bench


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


def test_a_broken_promise_is_told(folder: Path) -> None:
    bench = Bench(folder, ["raw"])
    row = scenarios.Row("nothing")
    row.add(bench.machine(), "a disk on its side", ["before"])
    assert row.sound().tried == 1
    machine = bench.machine()
    with machine.paths[0].open("r+b") as stream:
        stream.write(b"torn")
    row.add(machine, "a torn disk", ["before", "planned"])
    half = bench.half_committed()
    row.add(half, "an unfinished run", ["planned"])
    assert [what.split(":")[0] for what in row.broken] == ["a torn disk", *["an unfinished run"] * 2]
    with pytest.raises(scenarios.FaultError):
        row.sound()


def test_killed_at_every_point(folder: Path) -> None:
    row = scenarios.killed_at_every_point(Bench(folder, ["vhd", "raw"], quick=True)).sound()
    assert row.ends["before"] > 15
    assert row.ends["planned"] > 8


def test_killed_at_random(folder: Path) -> None:
    assert scenarios.killed_at_random(Bench(folder, ["vhd", "qcow2"]), 8, seed=7).sound().tried == 8


@pytest.mark.parametrize("abort", [False, pytest.param(True, marks=pytest.mark.long)])
def test_recover_killed(folder: Path, abort: bool) -> None:
    row = scenarios.recover_killed_at_every_point(Bench(folder, ["vhd"], quick=True), abort=abort)
    assert row.sound().tried > 8


def test_rollback_killed(folder: Path) -> None:
    assert scenarios.rollback_killed_at_every_point(Bench(folder, ["vhdx"], quick=True)).sound().tried > 5


@pytest.mark.long
def test_output_killed(folder: Path) -> None:
    assert scenarios.output_killed_at_every_point(Bench(folder, ["vmdk"]), ".vhdx").sound().tried > 20


@pytest.mark.long
def test_no_space_at_every_point(folder: Path) -> None:
    assert scenarios.no_space_at_every_point(Bench(folder, ["raw", "vhd"])).sound().tried > 40


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_signalled_at_every_point(folder: Path, number: signal.Signals) -> None:
    assert scenarios.signalled_at_every_point(Bench(folder, ["raw"], quick=True), number).sound().tried > 20


def test_commit_tool_killed(folder: Path) -> None:
    assert scenarios.commit_tool_killed(Bench(folder, ["vhd", "vmdk"]), 4, seed=3).sound().tried == 4


def test_applies_at_once(folder: Path) -> None:
    assert scenarios.applies_at_once(Bench(folder, ["raw", "vhd"]), 2, seed=1).sound().tried == 2


@pytest.mark.parametrize("formats", [["raw"], pytest.param(["raw", "raw"], marks=pytest.mark.long)])
def test_power_lost_at_every_point(folder: Path, formats: list[str]) -> None:
    row = scenarios.power_lost_at_every_point(Bench(folder, formats), seed=5).sound()
    assert row.ends["before"] > 15
    assert row.ends["planned"] > 10


@pytest.mark.parametrize(
    "damage", ["vanished", pytest.param("truncated", marks=pytest.mark.long), "overwritten"]
)
def test_overlay_lost(folder: Path, damage: str) -> None:
    assert scenarios.overlay_lost(Bench(folder, ["vhd", "raw"]), damage).sound().ends == {"before": 2}


@pytest.mark.parametrize("name", ["vhd", "raw"])
def test_full_file_system(folder: Path, tmp_path: Path, name: str) -> None:
    size = 24 << 20
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        rooms, points = [0, 200 << 10, 8 << 20], ["start", "commit-0:before"]
        row = scenarios.full_file_system(Bench(folder, [name]), tmp_path, size, rooms, points).sound()
        assert row.ends["before"] > 0
        assert row.ends["planned"] > 0
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_killed_at_random_in_every_format(folder: Path, name: str) -> None:
    assert scenarios.killed_at_random(Bench(folder, [name, "raw"]), 26, seed=11).sound().tried == 26
