"""What recovering does apart from the logs: clean hives, what is no hive, plans, acceptance."""

from __future__ import annotations

import pytest

from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import HEAD, plan_replay, recover
from p2vprep.core.regf.replayplan import ReplayPlan, bins_end
from p2vprep.core.registry import value
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit import logwriter
from tests.core.regf.hives import BEFORE, GROWN, put, refused, spoilt

DIRTY = logwriter.write_new(logwriter.steps(BEFORE, GROWN, 2))


def test_a_clean_hive_ignores_its_logs() -> None:
    found = recover(BEFORE, {"LOG1": DIRTY.logs["LOG1"], "LOG2": b"anything"})
    assert found.data is BEFORE
    assert (found.dirty, found.pages, found.sources, found.notes) == (False, 0, (), ())


def test_a_clean_hives_plan_changes_nothing() -> None:
    plan = plan_replay(BEFORE[:HEAD], len(BEFORE), DIRTY.logs)
    assert plan == ReplayPlan(False, BEFORE[:4096], len(BEFORE))
    assert plan.apply(BEFORE) == BEFORE


@pytest.mark.parametrize("data", [b"", bytes(511), bytes(8192), b"CREG" + bytes(8192)])
def test_what_is_no_hive_is_refused(data: bytes) -> None:
    assert refused(data, {}).code == "not-a-hive"


def test_a_log_in_the_place_of_the_hive_is_refused() -> None:
    assert refused(DIRTY.logs["LOG1"], {}).code == "not-a-hive"


def test_a_base_block_windows_would_not_take_is_refused() -> None:
    found = refused(put(BEFORE, 32, 3), {})
    assert found.code == "hive-damaged"
    assert "its format field is 3" in found.message


def test_a_clean_hive_that_is_cut_off_is_refused() -> None:
    found = refused(BEFORE[:8191], {})
    assert found.code == "hive-damaged"
    assert "cut off" in found.message


def test_unknown_log_names_and_short_heads_are_programming_errors() -> None:
    with pytest.raises(ValueError, match="LOG3"):
        recover(BEFORE, {"LOG3": b""})
    with pytest.raises(ValueError, match="4128"):
        plan_replay(BEFORE[:512], len(BEFORE), {})


def test_a_dirty_hive_without_logs_can_be_accepted_as_it_is() -> None:
    assert refused(DIRTY.primary, {}).code == "dirty-hive-without-log"
    found = recover(DIRTY.primary, {}, accept_dirty=True)
    assert found.data == logwriter.with_header(BEFORE, sequences=(8, 8))
    assert (found.dirty, found.pages, found.sources) == (True, 0, ())
    assert "changes that Windows had only in the logs are lost" in found.notes[0]
    assert "it has no transaction logs" in found.notes[1]


def test_logs_that_can_be_replayed_are_replayed_also_where_a_dirty_hive_is_accepted() -> None:
    assert recover(DIRTY.primary, DIRTY.logs, accept_dirty=True).data == DIRTY.recovered


def test_accepting_does_not_help_a_hive_that_is_cut_off() -> None:
    assert refused(DIRTY.primary[:8191], {}, accept_dirty=True).code == "hive-damaged"


def test_a_plan_serves_a_hive_that_is_read_lazily() -> None:
    plan = plan_replay(DIRTY.primary[:HEAD], len(DIRTY.primary), DIRTY.logs)

    class Source:
        size = len(DIRTY.primary)

        def fetch(self, offset: int, length: int) -> bytes:
            return DIRTY.primary[offset : offset + length]

    assert value(HiveReader(Source(), plan.overlay()), "A", "x") == Data.dword(4)
    assert value(HiveReader(DIRTY.primary), "A", "x") == Data.dword(0)
    assert plan.apply(DIRTY.primary) == DIRTY.recovered
    ends = [at + len(run) for at, run in plan.pages]
    assert all(end < at for end, (at, _) in zip(ends, plan.pages[1:], strict=False))
    assert plan.size == len(DIRTY.recovered)


def test_pages_are_counted_once_and_wholly() -> None:
    runs = ((4096 + 512, bytes(512)), (4096 + 2048, bytes(512)), (8192 + 3584, bytes(1024)))
    assert ReplayPlan(True, BEFORE[:4096], len(BEFORE), runs).page_count == 3


@pytest.mark.parametrize("at", [4096, 4100, 4104, 4105])
def test_the_chain_of_bins_ends_where_a_bin_is_not_one(at: int) -> None:
    assert bins_end(BEFORE) == 4096 + logwriter.bins_size(BEFORE)
    assert bins_end(spoilt(BEFORE, at, 0x11)) == 4096


def test_the_errors_say_what_to_do() -> None:
    for error in (refused(DIRTY.primary, {}), refused(BEFORE[:8191], {}), refused(b"", {})):
        assert isinstance(error, HiveError)
        assert error.hint
        assert error.changed == "Nothing was changed."
