"""The commands of a wave, from their arguments to their exit status."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from p2vprep.cli.output import Output
from p2vprep.cli.wave_progress import WaveProgress
from p2vprep.errors import CannotOpenError
from p2vprep.wave.executor import Begun, Ended, Finished, Noted, Step
from p2vprep.wave.job import failed
from tests.support.flow import as_json, done, p2vprep
from tests.support.flow import failed as refused
from tests.wave.conftest import MakeWave
from tests.wave.simulated import applied

Launches = Callable[[], list[int]]
ONE = ("--jobs", "1", "--time-limit", "60s")


def test_the_story_of_a_wave(make_wave: MakeWave, launches: Launches, tmp_path: Path) -> None:
    wave = make_wave("a", "b", "gone", missing=("gone",)).path
    ran = as_json("wave", "check", wave)
    assert ran.status == 3
    assert [(one["machine"], one["code"]) for one in ran.document["findings"]] == [("gone", "image-missing")]

    ran = as_json("wave", "run", wave, *ONE)
    assert ran.status == 10, ran
    document = ran.document
    assert (document["applied"], document["failed"], document["left"]) == (2, 1, 0)
    assert {one["name"]: one["state"] for one in document["machines"]} == {
        "a": "applied", "b": "applied", "gone": "failed",
    }  # fmt: skip

    ran = p2vprep("wave", "run", wave, *ONE, "--only", "[ab]")
    assert ran.status == 2  # wildcards are * and ? only
    again = p2vprep("wave", "run", wave, *ONE, "--only", "a", "--only", "B")
    assert again.status == 0, again
    assert "2 done before" in again.stdout

    told = done("wave", "status", wave)
    assert told["counts"] == {"applied": 2, "failed": 1}
    shown = p2vprep("wave", "status", wave)
    assert "image-missing" in shown.stdout
    assert shown.status == 0

    assert p2vprep("wave", "report", wave).status == 0
    assert (tmp_path / "wave.html").read_text().startswith("<!DOCTYPE html>")
    junit = p2vprep("wave", "report", wave, "-o", tmp_path / "wave.xml")
    assert junit.status == 0
    assert 'failures="1"' in (tmp_path / "wave.xml").read_text()
    assert p2vprep("wave", "report", wave, "--format", "csv", "-o", "-").stdout.count("\n") == 4
    assert done("wave", "report", wave, "--only", "a")["machines"][0]["changes"]


@pytest.mark.long
def test_a_machine_that_was_taken_back_is_done_again_when_asked_for(
    make_wave: MakeWave, launches: Launches, tmp_path: Path
) -> None:
    wave = make_wave("a").path
    image = tmp_path / "a" / "disk.raw"
    assert done("wave", "run", wave, *ONE)["applied"] == 1
    done("rollback", image)
    assert done("wave", "run", wave, *ONE)["applied"] == 0
    assert done("wave", "run", wave, *ONE, "--redo", "a")["applied"] == 1
    assert done("wave", "run", wave, *ONE)["done_before"] == 1


@pytest.mark.long
def test_a_dry_run_shows_every_machine(make_wave: MakeWave, launches: Launches) -> None:
    wave = make_wave("a").path
    ran = p2vprep("wave", "run", wave, *ONE, "--dry-run")
    assert ran.status == 0, ran
    assert re.search(r"^a +Windows Server", ran.stdout, re.MULTILINE)  # the name goes on in the next line
    assert not (wave.parent / "wave.yaml.p2vprep").exists()


def test_contradictions_stop_a_run_before_it_begins(tmp_path: Path) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text("name,disk\na,x.raw\nb,x.raw\n")
    document = refused(5, "image-listed-twice", "wave", "run", wave)
    assert document["subject"] == "wave.csv: row 3"
    assert "a (wave.csv: row 2)" in document["message"]


def test_a_bad_manifest_ends_with_7_and_every_fault(tmp_path: Path) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text("name,disk,root\na,x.raw,first\nb,y.raw,second\n")
    for command in ("check", "run"):
        document = refused(7, "invalid-document", "wave", command, wave)
        assert len(document["details"]) == 2


@pytest.mark.parametrize("command", ["status", "report"])
def test_what_was_never_run_has_no_story(tmp_path: Path, command: str) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text("name,disk\na,x.raw\n")
    refused(5, "no-ledger", "wave", command, wave)
    assert [path.name for path in tmp_path.iterdir()] == ["wave.csv"]


@pytest.mark.parametrize("limit", ["0", "soon", "-1"])
def test_a_time_limit_is_a_time(tmp_path: Path, limit: str) -> None:
    assert p2vprep("wave", "run", tmp_path / "wave.csv", f"--time-limit={limit}").status == 2


def test_the_live_table_shows_what_is_worked_on() -> None:
    console = Console(width=100, record=True, force_terminal=False)
    now = [100.0]
    output = Output(as_json=False, verbose=False, out=console, err=console)
    progress = WaveProgress(output, 3, clock=lambda: now[0])
    with progress as watch:
        watch(Begun("a"))
        watch(Step(1, None, "Starting the appliance"))
        watch(Begun("b\x1b[31m"))
        watch(Step(1, "b\x1b[31m", "Reading the registry"))
        now[0] = 107.0
        console.print(progress.view())
        watch(Noted("a note"))
        watch(Finished(applied("a")))
        watch(Finished(failed("c", CannotOpenError("no Windows was found", code="no-windows"))))
        watch(Ended(1, ("b\x1b[31m",), "crashed"))
        console.print(progress.view())
    text = console.export_text()
    assert "Starting the appliance" in text
    assert "7 s" in text
    assert "\x1b" not in text
    assert "1/3  applied  a: 40 values, 12 files" in text
    assert "2/3  failed  c: no Windows was found [no-windows]" in text
    assert "2 of 3 machines in 7 s  1 applied, 1 failed" in text
    assert "Reading the registry" not in text.split("2/3")[1]


def test_progress_that_cannot_be_written_does_not_end_the_work() -> None:
    class Full(Console):
        def print(self, *_arguments: object, **_named: object) -> None:
            raise OSError(28, "No space left on device")

    console = Full()
    with WaveProgress(Output(False, False, console, console), 1) as watch:
        watch(Finished(applied("a")))
    assert console.quiet


@pytest.mark.long
def test_json_is_one_document_also_when_the_disks_are_looked_at(
    make_wave: MakeWave, launches: Launches
) -> None:
    wave = make_wave("a").path
    ran = p2vprep("wave", "check", wave, "--inspect", *ONE, "--json")
    document = json.loads(ran.stdout)
    assert document["machines_seen"][0]["guest"]["product"].startswith("Windows Server 2012 R2")
    assert {one["severity"] for one in document["findings"]} <= {"warning"}
    assert ran.status == 0
