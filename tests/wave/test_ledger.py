"""The ledger: what is written stays written, and what it says is left is left."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from p2vprep.engine.options import Options
from p2vprep.errors import CannotOpenError, RefusedError
from p2vprep.wave import host
from p2vprep.wave.job import failed
from p2vprep.wave.ledger import Ledger
from p2vprep.wave.manifest import Manifest
from tests.wave.simulated import applied, machines

FAILED = CannotOpenError("no Windows", code="no-windows")


def opened(folder: Path, *, create: bool = True) -> Ledger:
    return Ledger(folder / "wave.csv", create=create)


def manifest(folder: Path, count: int = 3, options: Options | None = None) -> Manifest:
    held = machines(count)
    if options is not None:
        held = [replace(held[0], options=options), *held[1:]]
    return Manifest(folder / "wave.csv", "a wave", tuple(held))


def test_what_is_left_is_all_that_is_not_done(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.enter(manifest(tmp_path))
        first = ledger.left()
        ledger.begin(list(first))
        ledger.finish([applied("srv00000"), failed("srv00001", FAILED)])
    with opened(tmp_path, create=False) as ledger:  # as after a kill: srv00002 was running
        assert ledger.counts() == {"applied": 1, "failed": 1, "running": 1}
        again = ledger.left()
        assert list(again) == ["srv00001", "srv00002"]
        assert again["srv00001"] != first["srv00001"]  # another attempt
        assert again["srv00002"] == first["srv00002"]  # the same one, which may have got through
        ledger.wait_again(["srv00002"])
        assert ledger.left() == again


def test_a_changed_entry_is_another_attempt(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.enter(manifest(tmp_path))
        before = ledger.left()
        ledger.enter(manifest(tmp_path))
        assert ledger.left() == before
        ledger.enter(manifest(tmp_path, options=Options(stages=())))
        assert ledger.left()["srv00000"] != before["srv00000"]
        ledger.finish([applied(name) for name in before])
        assert ledger.changed() == ()
        ledger.enter(manifest(tmp_path))
        assert ledger.changed() == ("srv00000",)
        assert (list(ledger.left()), list(ledger.left(redo_changed=True))) == ([], ["srv00000"])
        assert next(iter(ledger.entries())).changed


def test_machines_that_are_listed_no_longer_stay_in_the_story(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.enter(manifest(tmp_path))
        ledger.enter(manifest(tmp_path, 1))
        assert list(ledger.left()) == ["srv00000"]
        assert ledger.unlisted() == ("srv00001", "srv00002")
        assert [entry.listed for entry in ledger.entries()] == [True, False, False]


def test_a_machine_can_be_done_again(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.enter(manifest(tmp_path, 1))
        token = ledger.left()["srv00000"]
        ledger.finish([applied("srv00000")])
        ledger.again(["srv00000"])
        assert ledger.left()["srv00000"] != token


def test_a_change_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.enter(manifest(tmp_path))
        bad = replace(applied("srv00001"), result={"not": object()})
        with pytest.raises(TypeError):
            ledger.finish([applied("srv00000"), bad])
        assert ledger.counts() == {"waiting": 3}


def test_what_is_no_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        opened(tmp_path, create=False)
    assert refused.value.code == "no-ledger"
    place = tmp_path / "wave.csv.p2vprep" / "ledger.sqlite"
    with opened(tmp_path):
        pass
    with sqlite3.connect(place) as base:
        base.execute("UPDATE wave SET value = '99' WHERE key = 'version'")
    base.close()
    with pytest.raises(CannotOpenError) as other:
        opened(tmp_path)
    assert other.value.code == "ledger-version"
    place.write_bytes(b"not a data base, but long enough to look at" * 100)
    with pytest.raises(CannotOpenError) as broken:
        opened(tmp_path)
    assert broken.value.code == "ledger-unusable"


def test_jobs_are_as_many_as_processors_and_memory_allow(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable:    4096 kB\n")
    assert host.available_memory(meminfo) == 4 << 20
    assert host.available_memory(tmp_path / "gone") > 1 << 39
    meminfo.write_text("MemAvailable: much kB\n")
    assert host.available_memory(meminfo) > 1 << 39
    assert host.default_jobs() >= 1
