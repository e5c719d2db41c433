"""The new log format: golden vectors of our own making for every branch."""

from __future__ import annotations

import struct

import pytest

from p2vprep.core.regf.replay import recover
from testdata.kit import logwriter
from testdata.kit.logwriter import DirtyHive, log_entry, new_log
from tests.core.regf.hives import (
    BEFORE,
    GROWN,
    OTHER_GUID,
    STATES,
    put,
    refused,
    replayed,
    spoilt,
    with_identity,
)


def made(**choices: object) -> DirtyHive:
    return logwriter.write_new(STATES, **choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("earlier", ["LOG1", "LOG2"])
@pytest.mark.parametrize("cut", [None, 1, 2, 3])
def test_entries_apply_in_the_order_of_their_numbers(cut: int | None, earlier: str) -> None:
    hive = made(cut=cut, earlier=earlier)
    found = replayed(hive)
    assert found.data == hive.recovered
    later = {"LOG1": "LOG2", "LOG2": "LOG1"}[earlier]
    assert found.sources == ((earlier,) if cut is None else (earlier, later))
    assert found.notes == ()
    assert found.dirty


def test_the_hive_grows_as_the_entries_say() -> None:
    found = replayed(made())
    assert len(found.data) > len(BEFORE)
    assert logwriter.bins_size(found.data) == logwriter.bins_size(GROWN)


def test_a_hive_that_shrinks_keeps_its_file_size() -> None:
    hive = logwriter.write_new([GROWN, BEFORE[: 4096 + logwriter.bins_size(BEFORE)]])
    found = replayed(hive)
    assert found.data == hive.recovered
    assert len(found.data) == len(GROWN)


def test_pages_beyond_the_final_size_are_not_written() -> None:
    hive = logwriter.write_new([BEFORE, GROWN, BEFORE])
    found = replayed(hive)
    assert found.data == hive.recovered
    assert len(found.data) == len(BEFORE)


def test_the_first_number_may_be_far_above_the_hives() -> None:
    hive = made(sequence=2107)
    assert replayed(hive).data == hive.recovered
    assert struct.unpack_from("<II", hive.recovered, 4) == (2111, 2111)


def test_numbers_wrap_at_32_bits() -> None:
    hive = made(sequence=0xFFFFFFFE, cut=2)
    found = replayed(hive)
    assert found.sources == ("LOG1",)
    hive = made(sequence=0xFFFFFFFE)
    assert replayed(hive).data == hive.recovered
    assert struct.unpack_from("<I", hive.recovered, 4) == (2,)


@pytest.mark.parametrize(("had", "entry", "has"), [(0, 1, 1), (1, 0, 0), (3, 0, 2), (2, 1, 3)])
def test_only_the_lock_flag_comes_from_the_entries(had: int, entry: int, has: int) -> None:
    states = logwriter.steps(logwriter.with_header(BEFORE, flags=had), GROWN, 2)
    hive = logwriter.write_new(states, flags=entry)
    found = replayed(hive)
    assert found.data == hive.recovered
    assert struct.unpack_from("<I", found.data, 144) == (has,)


def test_the_last_written_time_is_left() -> None:
    assert replayed(made()).data[12:20] == BEFORE[12:20]


def entry_at(log: bytes, number: int) -> int:
    at = 512
    for _ in range(number):
        at += struct.unpack_from("<I", log, at + 4)[0]
    return at


def prefix(count: int) -> bytes:
    """What the first entries alone give, by the writer's own account."""
    return logwriter.write_new(STATES[: count + 1]).recovered


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (8, "wrong header hash"),
        (24, "wrong header hash"),
        (32, "wrong header hash"),
        (40, "wrong hash"),
        (600, "wrong hash"),
    ],
)
def test_a_spoilt_entry_ends_the_replay_before_it(place: int, reason: str) -> None:
    hive = made()
    log = hive.logs["LOG1"]
    found = replayed(hive, LOG1=spoilt(log, entry_at(log, 2) + place))
    assert found.data == prefix(2)
    assert reason in found.notes[0]


def test_a_torn_last_entry_is_left_out() -> None:
    hive = made()
    found = replayed(hive, LOG1=hive.logs["LOG1"][:-4096])
    assert found.notes == ("LOG1: entry 10 is cut off",)
    assert found.data == prefix(3)


@pytest.mark.parametrize("rest", [39, 40])
def test_a_log_that_ends_inside_an_entrys_header(rest: int) -> None:
    hive = made()
    log = hive.logs["LOG1"]
    found = replayed(hive, LOG1=log[: entry_at(log, 3) + rest])
    assert found.data == prefix(3)
    assert len(found.notes) == rest - 39


def test_remnants_of_earlier_use_behind_the_entries_are_no_entries() -> None:
    hive = made()
    remnant = log_entry(5, logwriter.bins_size(BEFORE), [(0, bytes(4096))])
    found = replayed(hive, LOG1=hive.logs["LOG1"] + remnant)
    assert found.data == hive.recovered
    assert found.notes == ("LOG1: entry 11 is expected, but 5 follows",)
    assert replayed(hive, LOG1=hive.logs["LOG1"] + b"remnant" * 99).notes == ()


def test_a_gap_between_the_logs_ends_the_replay_with_the_first() -> None:
    hive = made(cut=2)
    log = hive.logs["LOG1"]
    found = replayed(hive, LOG1=log[: entry_at(log, 1)])
    assert found.sources == ("LOG1",)
    assert found.data == prefix(1)
    assert found.notes == ("LOG2: entry 8 is expected, but it begins with 9",)


def test_a_log_older_than_the_file_is_left_out() -> None:
    hive = made(cut=2)
    primary = logwriter.with_header(STATES[2], sequences=(10, 9))
    found = recover(primary, hive.logs)
    assert found.sources == ("LOG2",)
    assert found.notes == ("LOG1: it begins with entry 7, but the hive is at 9 already",)
    assert found.data == hive.recovered


def test_only_older_logs_are_refused() -> None:
    hive = made(cut=2)
    found = refused(logwriter.with_header(BEFORE, sequences=(21, 20)), hive.logs)
    assert found.code == "dirty-hive-without-log"
    assert len(found.details) == 2
    assert found.hint is not None
    assert "--allow dirty-hive-without-log" in found.hint


def test_a_log_without_a_whole_first_entry_is_refused() -> None:
    hive = made(cut=2)
    empty = hive.logs["LOG1"][:512]
    assert refused(hive.primary, {"LOG1": empty}).details == ("LOG1: it holds no entries",)
    torn = spoilt(hive.logs["LOG1"], 700)
    found = refused(hive.primary, {**hive.logs, "LOG1": torn})
    assert found.details == ("LOG1: entry 7 has a wrong hash",)


@pytest.mark.parametrize("at", [4, 8, 20, 24, 28, 32, 36, 40, 44, 100])
def test_a_log_with_an_unsound_base_block_is_refused(at: int) -> None:
    hive = made()
    found = refused(hive.primary, {"LOG1": spoilt(hive.logs["LOG1"], at)})
    assert found.code in {"dirty-hive-without-log", "hive-log-unusable"}


def test_unequal_numbers_or_a_strange_cluster_make_a_log_unsound() -> None:
    hive = made()
    log = hive.logs["LOG1"]
    assert "not written to its end" in refused(hive.primary, {"LOG1": put(log, 4, 9)}).message
    assert "clustering factor 8" in refused(hive.primary, {"LOG1": put(log, 44, 8)}).message
    assert "hive bins size" in refused(hive.primary, {"LOG1": put(log, 40, 4000)}).message


def test_the_other_log_still_serves_where_one_is_unsound() -> None:
    hive = made()
    found = replayed(hive, LOG2=spoilt(hive.logs["LOG1"], 100))
    assert found.data == hive.recovered
    assert found.notes == ("LOG2: its checksum is wrong",)


def hostile(*pages: tuple[int, bytes], size: int = 0, count: int | None = None, entry_size: int = 0) -> bytes:
    """A log whose only entry has right hashes and wrong contents."""
    entry = bytearray(log_entry(7, size or logwriter.bins_size(BEFORE), pages, first=True))
    if count is not None:
        struct.pack_into("<I", entry, 20, count)
    if entry_size:
        struct.pack_into("<I", entry, 4, entry_size)
    struct.pack_into("<Q", entry, 32, logwriter.marvin32(bytes(entry[:32])))
    return new_log(BEFORE, 7, [bytes(entry)])


PAGE = (0, bytes(4096))


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (hostile(PAGE, size=4097), "entry 7 has an impossible size"),
        (hostile(PAGE, size=0x80000000), "entry 7 has an impossible size"),
        (hostile(PAGE, entry_size=511), "entry 7 has an impossible size"),
        (hostile(PAGE, entry_size=4097), "entry 7 has an impossible size"),
        (hostile(PAGE, entry_size=0xFFFFFE00), "entry 7 is cut off"),
        (hostile(), "entry 7 cannot hold the 0 pages it names"),
        (hostile(PAGE, count=9999), "entry 7 cannot hold the 9999 pages it names"),
        (hostile(PAGE, count=2), "entry 7 names an impossible page at 0x0"),
        (hostile((256, bytes(512))), "entry 7 names an impossible page at 0x100"),
        (hostile((0, bytes(100))), "entry 7 names an impossible page at 0x0"),
        (hostile((0x7FFFF000, bytes(4096))), "entry 7 names an impossible page at 0x7FFFF000"),
        (hostile((0, b"")), "entry 7 names an impossible page at 0x0"),
    ],
)
def test_an_entry_made_to_mislead_is_refused(log: bytes, reason: str) -> None:
    primary = made().primary
    assert refused(primary, {"LOG1": log}).details == (f"LOG1: {reason}",)


def test_an_entry_cannot_make_the_file_huge() -> None:
    found = refused(made().primary, {"LOG1": hostile(PAGE, size=0x7FFFF000)})
    assert found.code == "hive-log-unusable"
    assert "would make it 2147479552 bytes long" in found.message


def test_entries_that_leave_no_chain_of_bins_are_refused_or_left_out() -> None:
    primary, log = made().primary, hostile(PAGE)
    found = refused(primary, {"LOG1": log})
    assert found.code == "hive-log-unusable"
    assert "no good hive bin begins at byte 4096" in found.message
    accepted = recover(primary, {"LOG1": log}, accept_dirty=True)
    assert accepted.data[512:] == primary[512:]
    assert accepted.sources == ()
    assert accepted.pages == 0
    assert "no good hive bin" in accepted.notes[1]


# --- whose logs they are ----------------------------------------------------------------------


def test_logs_of_the_same_resource_manager_are_taken() -> None:
    states = logwriter.steps(with_identity(BEFORE), with_identity(GROWN), 2)
    hive = logwriter.write_new(states)
    assert replayed(hive).data == hive.recovered


@pytest.mark.parametrize("unknown", ["hive", "log"])
def test_without_a_resource_manager_on_both_sides_nothing_can_be_compared(unknown: str) -> None:
    mine, its = (BEFORE, with_identity(BEFORE)) if unknown == "hive" else (with_identity(BEFORE), BEFORE)
    log = logwriter.write_new([its, GROWN]).logs["LOG1"]
    assert recover(logwriter.with_header(mine, sequences=(8, 7)), {"LOG1": log}).sources == ("LOG1",)


def test_logs_of_another_hive_are_refused() -> None:
    log = logwriter.write_new([with_identity(BEFORE, OTHER_GUID), GROWN]).logs["LOG1"]
    found = refused(logwriter.with_header(with_identity(BEFORE), sequences=(8, 7)), {"LOG1": log})
    assert found.code == "dirty-hive-without-log"
    assert "belongs to another hive (resource manager 0203" in found.details[0]


# --- a damaged base block ---------------------------------------------------------------------


@pytest.mark.parametrize("wiped", [False, True])
def test_a_damaged_base_block_is_taken_from_the_log(wiped: bool) -> None:
    hive = made()
    primary = bytes(512) + hive.primary[512:] if wiped else spoilt(hive.primary, 40)
    found = recover(primary, hive.logs)
    assert found.data == hive.recovered
    assert found.sources == ("LOG1",)


def test_with_a_damaged_base_block_the_later_log_is_used_alone_as_windows_does() -> None:
    hive = made(cut=2)
    primary = spoilt(STATES[2], 40)
    found = recover(primary, hive.logs)
    assert found.sources == ("LOG2",)
    assert found.data == hive.recovered
    assert "LOG1: a later log replaces" in found.notes[0]


def test_a_damaged_base_block_without_a_log_cannot_be_lifted() -> None:
    for logs in ({}, {"LOG1": made().logs["LOG1"][:512]}):
        found = refused(spoilt(BEFORE, 40), logs, accept_dirty=True)
        assert found.code == "hive-damaged"
