"""What a log is said to hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.regf import logs
from p2vprep.core.regf.logs import LogFile, LogKind, LogSummary, read_log
from testdata.kit import logwriter
from tests.core.regf.hives import BEFORE, GROWN, put, spoilt

NEW = logwriter.write_new(logwriter.steps(BEFORE, GROWN, 3)).logs["LOG1"]
OLD = logwriter.write_old(BEFORE, GROWN).logs["LOG"]
SECTORS = len(logwriter.changed_pages(BEFORE, GROWN)) * 8


def test_a_new_log() -> None:
    found = read_log(NEW)
    assert found.kind is LogKind.NEW
    assert (found.primary_sequence, found.secondary_sequence, found.bins_size) == (
        7,
        7,
        logwriter.bins_size(BEFORE),
    )
    assert (found.entries, found.usable, found.first, found.last, found.problem) == (3, 3, 7, 9, "")


def test_a_new_log_with_a_spoilt_entry_and_remnants() -> None:
    remnant = logwriter.log_entry(3, 4096, [(0, bytes(4096))])
    found = read_log(spoilt(NEW, len(NEW) - 1) + remnant)
    assert (found.entries, found.usable, found.first, found.last) == (4, 2, 7, 8)
    assert found.problem == "entry 9 has a wrong hash"


def test_a_remnant_with_a_spoilt_header_is_not_counted() -> None:
    remnant = logwriter.log_entry(3, 4096, [(0, bytes(4096))])
    assert read_log(NEW + spoilt(remnant, 12)).entries == 3


def test_a_new_log_without_entries() -> None:
    found = read_log(NEW[:512])
    assert (found.entries, found.usable, found.first, found.last) == (0, 0, None, None)


def test_an_old_log() -> None:
    found = read_log(OLD)
    assert (found.kind, found.entries, found.usable, found.problem) == (LogKind.OLD, SECTORS, SECTORS, "")


def test_an_old_log_that_is_cut_off_is_of_no_use() -> None:
    found = read_log(OLD[:-512])
    assert (found.entries, found.usable) == (SECTORS, 0)
    assert "cut off" in found.problem


@pytest.mark.parametrize("raw", [b"", bytes(512), bytes(70000)])
def test_an_empty_log(raw: bytes) -> None:
    assert read_log(raw) == LogSummary(LogKind.EMPTY, len(raw))


@pytest.mark.parametrize("raw", [b"x", b"regf", b"x" * 4096])
def test_what_is_no_log(raw: bytes) -> None:
    assert read_log(raw) == LogSummary(LogKind.UNKNOWN, len(raw), problem="it is not a transaction log")


def test_an_unsound_base_block() -> None:
    found = read_log(put(NEW, 4, 8))
    assert (found.kind, found.primary_sequence, found.usable) == (LogKind.NEW, 8, 0)
    assert "not written to its end" in found.problem
    assert read_log(put(NEW, 28, 5)).problem == "its type 5 is not that of a transaction log"


def test_a_log_beyond_all_measure_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LOG", len(NEW) - 1)
    found = LogFile.parse("LOG1", NEW)
    assert found.kind is LogKind.UNKNOWN
    assert "larger than" in found.problem
    monkeypatch.setattr(logs, "MAX_LOG", len(NEW))
    assert LogFile.parse("LOG1", NEW).sound is not None


@given(st.sampled_from([NEW, OLD]), st.data())
def test_any_bytes_are_described(log: bytes, draw: st.DataObject) -> None:
    raw = bytearray(log[: draw.draw(st.integers(0, len(log)))])
    for _ in range(draw.draw(st.integers(0, 4))):
        if raw:
            raw[draw.draw(st.integers(0, min(len(raw), 700) - 1))] = draw.draw(st.integers(0, 255))
    found = read_log(bytes(raw))
    assert found.usable <= found.entries
    assert found.size == len(raw)
