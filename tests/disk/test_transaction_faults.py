"""The fault suite in short: every fault of ``make faults``, fewer times."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import scenarios
from tests.faults.machine import FORMATS
from tests.faults.scenarios import Bench


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: these tests flush files thousands of times."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 256 << 20 and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="p2vprep-faults-", dir=memory if roomy else None) as path:
        yield Path(path)


def test_killed_at_every_point(folder: Path) -> None:
    row = scenarios.killed_at_every_point(Bench(folder, ["vhd", "raw"], quick=True))
    assert row.ends["before"] > 15
    assert row.ends["planned"] > 8


def test_killed_at_random(folder: Path) -> None:
    assert scenarios.killed_at_random(Bench(folder, ["vhd", "qcow2"]), 8, seed=7).tried == 8


@pytest.mark.parametrize("abort", [False, True])
def test_recover_killed(folder: Path, abort: bool) -> None:
    assert scenarios.recover_killed_at_every_point(Bench(folder, ["vhd"], quick=True), abort=abort).tried > 8


def test_rollback_killed(folder: Path) -> None:
    assert scenarios.rollback_killed_at_every_point(Bench(folder, ["vhdx"], quick=True)).tried > 5


@pytest.mark.long
def test_output_killed(folder: Path) -> None:
    assert scenarios.output_killed_at_every_point(Bench(folder, ["vmdk"]), ".vhdx").tried > 20


@pytest.mark.long
def test_no_space_at_every_point(folder: Path) -> None:
    assert scenarios.no_space_at_every_point(Bench(folder, ["raw", "vhd"])).tried > 40


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_signalled_at_every_point(folder: Path, number: signal.Signals) -> None:
    assert scenarios.signalled_at_every_point(Bench(folder, ["raw"], quick=True), number).tried > 20


def test_commit_tool_killed(folder: Path) -> None:
    assert scenarios.commit_tool_killed(Bench(folder, ["vhd", "vmdk"]), 4, seed=3).tried == 4


@pytest.mark.parametrize("formats", [["raw"], pytest.param(["raw", "raw"], marks=pytest.mark.long)])
def test_power_lost_at_every_point(folder: Path, formats: list[str]) -> None:
    row = scenarios.power_lost_at_every_point(Bench(folder, formats), seed=5)
    assert row.ends["before"] > 15
    assert row.ends["planned"] > 10


@pytest.mark.parametrize("damage", ["vanished", "truncated", "overwritten"])
def test_overlay_lost(folder: Path, damage: str) -> None:
    assert scenarios.overlay_lost(Bench(folder, ["vhd", "raw"]), damage).ends == {"before": 2}


@pytest.mark.parametrize("name", ["vhd", "raw"])
def test_full_file_system(folder: Path, tmp_path: Path, name: str) -> None:
    size = 24 << 20
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        fills = [0, 4096, 64 << 10, 600 << 10, 1500 << 10, 2 << 20, 3 << 20, 8 << 20]
        row = scenarios.full_file_system(Bench(folder, [name]), tmp_path, size, fills)
        assert row.ends["before"] > 0
        assert row.ends["planned"] > 0
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_killed_at_random_in_every_format(folder: Path, name: str) -> None:
    assert scenarios.killed_at_random(Bench(folder, [name, "raw"]), 26, seed=11).tried == 26
