"""What is left for Windows: no old log and no old copy can come over the edited hive."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.regf.baseblock import BaseBlock, FirstBin
from p2vprep.core.regf.handover import alternate, finish_header
from p2vprep.core.regf.replay import recover
from p2vprep.errors import HiveError
from testdata.kit import logwriter
from testdata.kit.logwriter import log_entry, new_log
from tests.core.regf.hives import BEFORE, GROWN, STATES, put, refused, spoilt

NEW = logwriter.write_new(STATES, cut=2)
OLD = logwriter.write_old(BEFORE, GROWN)
OLD_PAIR = logwriter.write_old(BEFORE, GROWN, name="LOG1")
LATER_ENTRY = log_entry(300, logwriter.bins_size(BEFORE), [(0, BEFORE[4096:8192])], first=True)


def edited(hive: bytes) -> bytes:
    """A later state of the hive, its header as hivex leaves it: both numbers one above."""
    number = BaseBlock.parse(hive).primary_sequence + 1
    return logwriter.with_header(
        hive[:4096] + hive[4096:].replace(b"s\0t\0a\0t\0e", b"e\0d\0i\0t\0s"), sequences=(number, number)
    )


def numbers(hive: bytes) -> tuple[int, int]:
    block = BaseBlock.parse(hive)
    return block.primary_sequence, block.secondary_sequence


def dirty(hive: bytes) -> bytes:
    """The hive as Windows marks it before it writes: the first number is one ahead."""
    first, second = numbers(hive)
    return logwriter.with_header(hive, sequences=(first + 1, second))


def test_a_header_above_all_logs_is_left() -> None:
    hive = edited(NEW.recovered)
    assert finish_header(hive, NEW.logs) == hive
    assert finish_header(BEFORE, {}) == BEFORE
    assert finish_header(BEFORE, {"LOG1": b"", "LOG2": b"no log"}) == BEFORE


@pytest.mark.parametrize(
    "log",
    [
        new_log(BEFORE, 300, [LATER_ENTRY]),
        new_log(BEFORE, 300, []),
        new_log(BEFORE, 7, [bytes(3584), LATER_ENTRY]),
        put(new_log(BEFORE, 300, [LATER_ENTRY]), 4, 1),
        b"damaged".ljust(512) + LATER_ENTRY,
    ],
)
def test_the_numbers_are_raised_above_every_number_in_a_log(log: bytes) -> None:
    finished = finish_header(BEFORE, {"LOG2": log})
    assert numbers(finished) == (301, 301)
    assert not BaseBlock.parse(finished).dirty
    assert finished[4096:] == BEFORE[4096:]
    assert finish_header(finished, {"LOG2": log}) == finished


def test_a_number_in_a_damaged_header_does_not_count() -> None:
    log = spoilt(new_log(BEFORE, 300, []), 12)
    assert finish_header(BEFORE, {"LOG1": log}) == BEFORE


def test_numbers_without_room_above_are_refused() -> None:
    with pytest.raises(HiveError) as caught:
        finish_header(BEFORE, {"LOG1": new_log(BEFORE, 0xFFFFFFFF, [])})
    assert caught.value.code == "hive-log-unusable"
    high = logwriter.with_header(BEFORE, sequences=(0xFFFFFFF0, 0xFFFFFFF0))
    assert finish_header(high, NEW.logs) == high


def test_the_time_an_old_log_carries_is_moved_on() -> None:
    hive = edited(OLD.recovered)
    finished = finish_header(hive, OLD.logs)
    was, now = BaseBlock.parse(hive), BaseBlock.parse(finished)
    assert now.last_written == was.last_written + 1
    assert FirstBin.parse(finished) == FirstBin(now.last_written)
    assert finish_header(finished, OLD.logs) == finished


def test_the_time_moves_past_both_logs() -> None:
    later = {
        name: logwriter.with_header(OLD.logs["LOG"], last_written=time)
        for name, time in (("LOG1", 50), ("LOG2", 51))
    }
    hive = logwriter.with_header(GROWN, last_written=50)
    assert BaseBlock.parse(finish_header(hive, later)).last_written == 52


def test_a_first_bins_time_that_a_log_carries_is_moved_on_too() -> None:
    """Windows 7 keeps another time (or none) there than in the base block."""
    hive = bytearray(GROWN)
    struct.pack_into("<Q", hive, 4096 + 20, 77)
    log = logwriter.with_header(OLD.logs["LOG"], last_written=77)
    finished = finish_header(bytes(hive), {"LOG1": log})
    found = FirstBin.parse(finished)
    assert found is not None
    assert (
        found.last_written
        == BaseBlock.parse(finished).last_written
        == BaseBlock.parse(GROWN).last_written + 1
    )


@pytest.mark.parametrize(("plain", "windows"), [(0, 1), (0xFFFFFFFF, 0xFFFFFFFE)])
def test_a_checksum_written_without_the_two_exceptions_is_put_right(plain: int, windows: int) -> None:
    raw = bytearray(BEFORE)
    total = int.from_bytes(raw[508:512], "little")
    free = int.from_bytes(raw[300:304], "little")
    struct.pack_into("<I", raw, 300, free ^ total ^ plain)
    struct.pack_into("<I", raw, 508, plain)
    assert BaseBlock.parse(raw).dirty
    finished = finish_header(bytes(raw), {})
    assert int.from_bytes(finished[508:512], "little") == windows
    assert not BaseBlock.parse(finished).dirty


@pytest.mark.parametrize(
    ("hive", "word"),
    [
        (spoilt(BEFORE, 100), "checksum"),
        (BEFORE[:508] + bytes(4) + BEFORE[512:], "checksum"),
        (NEW.primary, "sequence numbers differ"),
        (put(BEFORE, 28, 1), "type is 1"),
        (spoilt(BEFORE, 4096), "no first hive bin"),
    ],
)
def test_a_hive_that_is_not_clean_cannot_be_finished(hive: bytes, word: str) -> None:
    with pytest.raises(HiveError, match=word) as caught:
        finish_header(hive, {})
    assert caught.value.code == "hive-damaged"


# --- the rule itself --------------------------------------------------------------------------

LOG_BYTES = st.sampled_from(
    [
        *NEW.logs.values(),
        *OLD.logs.values(),
        *OLD_PAIR.logs.values(),
        new_log(BEFORE, 300, [LATER_ENTRY]),
        b"",
    ]
)
HIVES = st.sampled_from([edited(hive) for hive in (BEFORE, NEW.recovered, OLD.recovered, OLD_PAIR.recovered)])


@given(HIVES, st.fixed_dictionaries({}, optional={"LOG": LOG_BYTES, "LOG1": LOG_BYTES, "LOG2": LOG_BYTES}))
def test_a_crash_before_the_logs_are_rewritten_never_brings_an_old_entry_back(
    hive: bytes, logs: dict[str, bytes]
) -> None:
    found = refused(dirty(finish_header(hive, logs)), logs)
    assert found.code in {"dirty-hive-without-log", "hive-log-unusable"}


@given(HIVES, st.sampled_from([OLD.logs, OLD_PAIR.logs]))
def test_a_base_block_that_rots_never_brings_an_old_formats_pages_back(
    hive: bytes, logs: dict[str, bytes]
) -> None:
    assert refused(spoilt(finish_header(hive, logs), 60), logs).code == "hive-damaged"


def test_without_the_raised_numbers_an_old_entry_would_come_back() -> None:
    """Why the header has to be finished: a log from an earlier life with higher numbers."""
    stale = {"LOG2": new_log(BEFORE, 300, [LATER_ENTRY])}
    assert recover(dirty(BEFORE), stale).sources == ("LOG2",)
    assert refused(dirty(finish_header(BEFORE, stale)), stale).code == "dirty-hive-without-log"


def test_without_the_moved_time_old_pages_would_come_back() -> None:
    hive = edited(OLD.recovered)
    rotten = spoilt(hive, 60)
    assert recover(rotten, OLD.logs).sources == ("LOG",)
    assert refused(spoilt(finish_header(hive, OLD.logs), 60), OLD.logs).code == "hive-damaged"


def test_a_new_entry_is_never_followed_by_a_remnant() -> None:
    """Windows overwrites the log's start with its next entry; what follows must not carry the next number."""
    log = NEW.logs["LOG2"]
    finished = finish_header(edited(NEW.recovered), NEW.logs)
    number, _ = numbers(finished)
    entry = log_entry(number, logwriter.bins_size(finished), [(0, finished[4096:8192])], first=True)
    start = new_log(finished, number, [entry])
    found = recover(dirty(finished), {"LOG1": NEW.logs["LOG1"], "LOG2": start + log[len(start) :]})
    assert found.sources == ("LOG2",)
    assert numbers(found.data) == (number + 1, number + 1)


# --- SYSTEM.ALT -------------------------------------------------------------------------------


@pytest.mark.parametrize("file_type", [0, 1])
def test_the_second_copy_gets_the_edited_content_under_its_own_type(file_type: int) -> None:
    old = logwriter.with_header(BEFORE, file_type=file_type)
    hive = edited(GROWN)
    found = alternate(hive, old)
    assert BaseBlock.parse(found).type == file_type
    assert BaseBlock.parse(found).checksum_valid
    assert found[4096:] == hive[4096:]
    assert logwriter.with_header(found, file_type=0) == hive


def test_a_dirty_second_copy_is_replaced_as_well() -> None:
    assert alternate(GROWN, dirty(BEFORE)) == GROWN


@pytest.mark.parametrize("old", [b"", bytes(511), b"x" * 8192, spoilt(BEFORE, 40), put(BEFORE, 28, 6)])
def test_a_second_copy_no_loader_takes_is_left(old: bytes) -> None:
    assert alternate(GROWN, old) == old
