"""Replay on hives that Windows wrote: the corpus, and what other implementations make of it."""

from __future__ import annotations

import pytest

from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.logs import LogKind, read_log
from p2vprep.core.regf.replay import HEAD, plan_replay, recover
from p2vprep.errors import HiveError
from tests.support.corpus import hive_bytes, hive_entries, hive_logs

pytestmark = pytest.mark.corpus

CLEAN = [
    entry["name"]
    for entry in hive_entries()
    if entry.get("regf") and "log" not in entry["type"] and not entry["dirty"] and entry["header_checksum_ok"]
]
REFUSED = ("crafted-TruncatedHive_yarp.hive", "crafted-SYSTEM_find-evil.hive")


def refusal(name: str, logs: dict[str, bytes]) -> HiveError:
    with pytest.raises(HiveError) as caught:
        recover(hive_bytes(name), logs)
    return caught.value


def test_the_result_is_byte_for_byte_what_windows_10_made_of_it() -> None:
    name = "crafted-NewDirtyHive1_yarp.hive"
    found = recover(hive_bytes(name), hive_logs(name))
    assert found.data == hive_bytes("crafted-NewDirtyHive1_yarp.RecoveredHive_Windows10.hive")
    assert (found.dirty, found.pages, found.sources, found.notes) == (True, 5, ("LOG1", "LOG2"), ())


def test_a_log_that_began_before_the_file_was_brought_up_to_date_is_left_out() -> None:
    name = "crafted-NewDirtyHive2_yarp.hive"
    found = recover(hive_bytes(name), hive_logs(name))
    assert found.sources == ("LOG2",)
    assert found.notes == ("LOG1: it begins with entry 2, but the hive is at 3 already",)
    assert found.data == hive_bytes("crafted-NewDirtyHive1_yarp.RecoveredHive_Windows10.hive")


def test_logs_with_damaged_base_blocks_are_refused() -> None:
    name = "crafted-BadLogHive3_yarp.hive"
    found = refusal(name, hive_logs(name))
    assert found.code == "dirty-hive-without-log"
    assert found.details == ("LOG1: its checksum is wrong", "LOG2: its checksum is wrong")


def test_a_dirty_windows_8_hive_without_logs_is_refused_and_can_be_accepted() -> None:
    name = "win81-x64_regipy_2.SYSTEM"
    assert refusal(name, {}).code == "dirty-hive-without-log"
    found = recover(hive_bytes(name), {}, accept_dirty=True)
    assert found.sources == ()
    assert "are lost" in found.notes[0]
    assert found.data[512:] == hive_bytes(name)[512:]
    assert not recover(found.data, {}).dirty


def test_foreign_logs_are_refused_although_their_numbers_would_fit() -> None:
    """The first entry is 206, the hive is at 205/204; even the times are equal, those of a setup image."""
    name = "win81-x64_regipy_2.SYSTEM"
    foreign = hive_logs("foreign-logs_python-registry_1.SYSTEM")
    assert BaseBlock.parse(foreign["LOG1"]).primary_sequence == 206
    found = refusal(name, foreign)
    assert found.code == "dirty-hive-without-log"
    assert all("belongs to another hive" in detail for detail in found.details)


def test_a_real_user_hive_of_windows_10_grows_while_it_is_replayed() -> None:
    name = "win10-ntuser_regipy_1.NTUSER"
    primary, logs = hive_bytes(name), hive_logs(name)
    found = recover(primary, logs)
    assert (found.pages, found.sources, len(found.data)) == (124, ("LOG1",), 1048576)
    assert int.from_bytes(found.data[4:8], "little") == int.from_bytes(found.data[8:12], "little") == 589
    assert int.from_bytes(found.data[40:44], "little") == 0xE2000
    plan = plan_replay(primary[:HEAD], len(primary), logs)
    assert plan.apply(primary) == found.data


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_hive_is_returned_as_it_is(name: str) -> None:
    foreign = {"LOG1": hive_bytes("foreign-logs_python-registry_1.SYSTEM.LOG1")}
    if name in REFUSED:
        assert refusal(name, foreign).code == "hive-damaged"
        return
    found = recover(hive_bytes(name), foreign)
    assert found.data == hive_bytes(name)
    assert not found.dirty


def test_a_wrong_checksum_without_a_log_cannot_be_accepted() -> None:
    data = hive_bytes("crafted-EffectiveSizeHive_yarp.hive")
    for accept in (False, True):
        with pytest.raises(HiveError) as caught:
            recover(data, {}, accept_dirty=accept)
        assert caught.value.code == "hive-damaged"


def test_a_windows_95_registry_is_not_a_hive() -> None:
    assert refusal("crafted-SYSTEM.DAT-win9x_dfwinreg.bin", {}).code == "not-a-hive"


def test_the_log_left_by_windows_xp_is_described() -> None:
    found = read_log(hive_bytes("winxp-sp2-x64_xpimage_1.SYSTEM.LOG"))
    assert (found.kind, found.primary_sequence, found.usable) == (LogKind.OLD, 60, 0)
    assert "cut off" in found.problem
