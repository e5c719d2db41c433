"""The old log format: golden vectors of our own making for every branch."""

from __future__ import annotations

import struct

import pytest

from p2vprep.core.regf.replay import recover
from testdata.kit import logwriter
from testdata.kit.logwriter import DirtyHive, old_log
from tests.core.regf.hives import BEFORE, GROWN, OTHER_GUID, put, refused, replayed, spoilt, with_identity


def made(**choices: object) -> DirtyHive:
    return logwriter.write_old(BEFORE, GROWN, **choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("written", [0, 1, 3])
@pytest.mark.parametrize(("name", "file_type"), [("LOG", 1), ("LOG", 2), ("LOG1", 1), ("LOG2", 1)])
def test_the_dirty_pages_are_written_back(name: str, file_type: int, written: int) -> None:
    hive = made(name=name, file_type=file_type, written=written)
    found = replayed(hive)
    assert found.data == hive.recovered
    assert (found.dirty, found.sources, found.notes) == (True, (name,), ())


def test_single_sectors_count_as_windows_2000_may_mark_them() -> None:
    target = bytearray(BEFORE)
    target[4096 + 1024 : 4096 + 1536] = b"x" * 512
    target[4096 + 3072 : 4096 + 4096] = b"y" * 1024
    pages = [(at, bytes(target[4096 + at : 4096 + at + size])) for at, size in ((1024, 512), (3072, 1024))]
    log = old_log(BEFORE, pages, sequence=8, file_type=2)
    found = recover(logwriter.with_header(BEFORE, sequences=(9, 8)), {"LOG": log})
    assert found.data == logwriter.with_header(bytes(target), sequences=(9, 9))
    assert found.pages == 1


def test_remnants_behind_the_pages_are_nothing() -> None:
    hive = made()
    assert replayed(hive, LOG=hive.logs["LOG"] + b"rest" * 1000).data == hive.recovered


def test_a_log_of_another_time_is_refused() -> None:
    hive = made()
    stale = logwriter.with_header(hive.logs["LOG"], last_written=1)
    found = refused(hive.primary, {"LOG": stale})
    assert found.code == "dirty-hive-without-log"
    assert "written at another time" in found.details[0]


@pytest.mark.parametrize(("at", "number"), [(24, 3), (36, 0x120), (40, 8192)])
def test_a_log_of_the_same_time_but_another_hive_is_refused(at: int, number: int) -> None:
    hive = made()
    found = refused(hive.primary, {"LOG": put(hive.logs["LOG"], at, number)})
    assert "not that of the hive" in found.details[0] or "dirty pages" in found.details[0]


def test_a_log_of_another_resource_manager_is_refused() -> None:
    hive = logwriter.write_old(with_identity(BEFORE), with_identity(GROWN), name="LOG1")
    assert replayed(hive).data == hive.recovered
    foreign = logwriter.write_old(with_identity(BEFORE), with_identity(GROWN, OTHER_GUID), name="LOG1").logs
    assert "another hive" in refused(hive.primary, foreign).details[0]


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (512, "it holds no dirty pages ('DIRT' is missing)"),
        (517, "its bitmap of dirty pages is cut off"),
        (1024, "its dirty pages are cut off"),
        (-1, "its dirty pages are cut off (1 bytes are missing)"),
    ],
)
def test_a_log_that_is_cut_off_is_refused(length: int, reason: str) -> None:
    hive = made()
    assert reason in refused(hive.primary, {"LOG": hive.logs["LOG"][:length]}).details[0]


def test_a_log_without_dirty_pages_is_refused() -> None:
    hive = made()
    empty = old_log(hive.recovered, [], sequence=8)
    assert refused(hive.primary, {"LOG": empty}).details == ("LOG: it holds no dirty pages",)


def test_the_second_log_serves_where_the_first_does_not_match() -> None:
    hive = made(name="LOG2")
    stale = logwriter.with_header(hive.logs["LOG2"], last_written=1)
    found = replayed(hive, LOG1=stale)
    assert found.data == hive.recovered
    assert found.sources == ("LOG2",)
    assert "LOG1: it was written at another time" in found.notes[0]


def test_the_first_of_two_matching_logs_is_used() -> None:
    hive = made(name="LOG1")
    found = replayed(hive, LOG2=hive.logs["LOG1"])
    assert (found.data, found.sources) == (hive.recovered, ("LOG1",))


def test_pages_that_leave_no_chain_of_bins_are_refused() -> None:
    hive = made()
    log = old_log(hive.recovered, [(0, bytes(4096))], sequence=8)
    assert refused(hive.primary, {"LOG": log}).code == "hive-log-unusable"


def test_a_hive_that_has_to_grow_beyond_the_logs_pages_is_refused() -> None:
    hive = made()
    cut_off = hive.primary[: 4096 + logwriter.bins_size(BEFORE)]
    assert recover(cut_off, hive.logs).data == hive.recovered
    log = old_log(hive.recovered, [(0, hive.recovered[4096:8192])], sequence=8)
    assert "would make it" in refused(cut_off, {"LOG": log}).message


# --- a damaged base block ---------------------------------------------------------------------


def test_a_damaged_base_block_is_taken_from_the_log_that_has_the_first_bins_time() -> None:
    hive = made(written=1)
    found = recover(spoilt(hive.primary, 12), hive.logs)
    assert found.data[512:] == hive.recovered[512:]
    assert found.data[12:508] == hive.recovered[12:508]
    assert struct.unpack_from("<II", found.data, 4) == (8, 8)


def test_a_damaged_base_block_and_a_first_bin_of_another_time_is_refused() -> None:
    hive = made(written=0)
    found = refused(spoilt(hive.primary, 12), hive.logs)
    assert found.code == "hive-damaged"
    assert "written at another time" in found.message


def test_a_damaged_base_block_and_a_damaged_first_bin_is_refused() -> None:
    hive = made(written=1)
    found = refused(spoilt(spoilt(hive.primary, 12), 4096), hive.logs)
    assert found.code == "hive-damaged"
    assert "no time" in found.message


# --- choosing between logs --------------------------------------------------------------------


def test_a_log_left_from_setup_beside_two_newer_ones_is_not_asked() -> None:
    hive = made(name="LOG1")
    found = replayed(hive, LOG=logwriter.with_header(hive.logs["LOG1"], last_written=1))
    assert found.data == hive.recovered
    assert found.notes == ("LOG was not used: the hive has LOG1",)


@pytest.mark.parametrize("empty", [b"", bytes(4096)])
def test_empty_logs_are_no_logs(empty: bytes) -> None:
    hive = made()
    assert replayed(hive, LOG1=empty, LOG2=empty).data == hive.recovered
    found = refused(hive.primary, {"LOG": empty, "LOG1": empty})
    assert found.code == "dirty-hive-without-log"
    assert found.details == ("it has no transaction logs, or they are empty",)


def test_logs_of_different_formats_are_refused() -> None:
    old, new = made(name="LOG1"), logwriter.write_new([BEFORE, GROWN])
    found = refused(old.primary, {"LOG1": old.logs["LOG1"], "LOG2": new.logs["LOG1"]})
    assert found.code == "hive-log-unusable"
    assert found.details == ("LOG1: it is of the old format", "LOG2: it is of the new format")


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        (b"not a log" * 100, "not a transaction log"),
        (b"regf", "not a transaction log"),
        (BEFORE, "its type 0"),
    ],
)
def test_a_log_of_unknown_kind_is_refused_and_can_be_passed_over(unknown: bytes, reason: str) -> None:
    hive = made(name="LOG1")
    logs = {**hive.logs, "LOG2": unknown}
    found = refused(hive.primary, logs)
    assert found.code == "hive-log-unusable"
    assert reason in found.message
    accepted = recover(hive.primary, logs, accept_dirty=True)
    assert accepted.data[512:] == hive.primary[512:]
