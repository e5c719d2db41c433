from __future__ import annotations

import struct

import pytest

from p2vprep.core.values import Data
from testdata.kit import logwriter
from testdata.kit.hivewriter import build_hive
from tests.support.corpus import hive_bytes

BEFORE = build_hive({"A": {"x": Data.dword(1)}}, sequence=(7, 7))
AFTER = build_hive({"A": {"x": Data.dword(2)}, "B": {"big": Data.binary(bytes(9000))}}, sequence=(9, 9))


def windows_entries(log: bytes) -> list[bytes]:
    entries, at = [], 512
    while log[at : at + 4] == b"HvLE":
        (size,) = struct.unpack_from("<I", log, at + 4)
        entries.append(log[at : at + size])
        at += size
    return entries


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    [
        "crafted-NewDirtyHive1_yarp.hive.LOG1",
        "crafted-NewDirtyHive1_yarp.hive.LOG2",
        "win10-ntuser_regipy_1.NTUSER.LOG2",
    ],
)
def test_an_entry_is_what_windows_writes_but_for_its_padding(name: str) -> None:
    for number, entry in enumerate(windows_entries(hive_bytes(name))):
        _, size, flags, sequence, bins, count, *hashes = struct.unpack_from("<4s5IQQ", entry)
        at, pages = 40 + 8 * count, []
        for offset, length in struct.iter_unpack("<II", entry[40:at]):
            pages.append((offset, entry[at : at + length]))
            at += length
        ours = logwriter.log_entry(sequence, bins, pages, flags=flags, first=number == 0)
        assert len(ours) == size
        assert (ours[:24], ours[40:at]) == (entry[:24], entry[40:at])
        assert hashes == [logwriter.marvin32(entry[40:]), logwriter.marvin32(entry[:32])]


@pytest.mark.corpus
def test_an_old_log_begins_as_the_one_that_windows_xp_wrote() -> None:
    windows = hive_bytes("winxp-sp2-x64_xpimage_1.SYSTEM.LOG")
    hive = hive_bytes("winxp-sp2-x64_xpimage_1.SYSTEM")
    dirty = [
        (4096 * number, hive[4096 * (number + 1) : 4096 * (number + 2)])
        for number, byte in enumerate(windows[516 : 516 + 508])
        if byte
    ]
    assert logwriter.old_log(hive, dirty, sequence=60)[:1024] == windows


def test_changed_pages_join_what_differs_and_what_is_new() -> None:
    pages = logwriter.changed_pages(BEFORE, AFTER)
    assert [offset for offset, _ in pages] == list(range(0, logwriter.bins_size(AFTER), 4096))
    assert all(AFTER[4096 + offset : 8192 + offset] == data for offset, data in pages)
    assert logwriter.changed_pages(AFTER, AFTER) == []


def test_steps_begin_and_end_with_the_two_hives() -> None:
    states = logwriter.steps(BEFORE, AFTER, 3)
    assert len(states) == 4
    assert states[0] == BEFORE
    assert states[-1][4096:] == AFTER[4096:]
    assert all(logwriter.bins_size(state) == logwriter.bins_size(AFTER) for state in states[1:])


@pytest.mark.parametrize(
    ("cut", "earlier", "firsts"),
    [
        (None, "LOG1", {"LOG1": 7}),
        (2, "LOG1", {"LOG1": 7, "LOG2": 9}),
        (1, "LOG2", {"LOG2": 7, "LOG1": 8}),
    ],
)
def test_new_logs_share_the_entries_out(cut: int | None, earlier: str, firsts: dict[str, int]) -> None:
    made = logwriter.write_new(logwriter.steps(BEFORE, AFTER, 3), cut=cut, earlier=earlier)
    assert struct.unpack_from("<II", made.primary, 4) == (8, 7)
    assert {name: struct.unpack_from("<I", log, 4)[0] for name, log in made.logs.items()} == firsts
    in_order = sorted(firsts, key=lambda name: firsts[name])
    entries = [entry for name in in_order for entry in windows_entries(made.logs[name])]
    numbers = [struct.unpack_from("<I", entry, 12)[0] for entry in entries]
    assert numbers == [7, 8, 9]
    assert struct.unpack_from("<II", made.recovered, 4) == (10, 10)
    assert made.recovered[4096:] == AFTER[4096:]


@pytest.mark.parametrize(("name", "log_number", "hive_number"), [("LOG", 8, 9), ("LOG1", 8, 8)])
def test_an_old_log_has_the_time_and_numbers_of_its_windows(
    name: str, log_number: int, hive_number: int
) -> None:
    made = logwriter.write_old(BEFORE, AFTER, name=name, written=1)
    log = made.logs[name]
    assert struct.unpack_from("<II", log, 4) == (log_number, log_number)
    assert struct.unpack_from("<II", made.primary, 4) == (hive_number, hive_number - 1)
    assert log[12:20] == made.primary[12:20] == made.recovered[12:20]
    assert made.primary[4096:8192] == made.recovered[4096:8192]
    assert made.primary != made.recovered
