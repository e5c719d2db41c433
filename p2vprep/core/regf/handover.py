"""What is left for Windows: an edited hive that no old log, and no old copy, can ever be put over.

The log files stay beside the hive as they were. Windows ignores them while the
hive is clean. Should it make the hive dirty and crash before it has written its
logs anew, the rules by which it chooses logs must still rule the old ones out;
``docs/registry.md`` goes through them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from p2vprep.core.regf.baseblock import SECTOR, SIZE, BaseBlock, FileType, FirstBin, checksum
from p2vprep.core.regf.logs import LogFile, LogKind
from p2vprep.core.regf.logs_new import sequences
from p2vprep.core.regf.replay import HEAD
from p2vprep.core.regf.replayplan import damaged, unusable

_LAST_SEQUENCE = 0xFFFF0000
"""Numbers above are left to Windows, which counts on from ours; no real machine comes near."""
_FIRST_BIN_TIME = SIZE + 20
_TIMES = 1 << 64
_SECOND_COPY = 1
"""The type field that Windows 2000 gives SYSTEM.ALT; elsewhere it is that of a primary file."""


def finish_header(data: bytes, logs: Mapping[str, bytes]) -> bytes:
    """The edited hive with a header that rules out every entry and page in the logs beside it.

    Both sequence numbers are raised above every number found in the logs; the last-written
    time (in the base block and in the first bin) is moved on by a tick if an old-format
    log carries it; the checksum is set by Windows' rule, also where hivex wrote it without
    the two exceptions. Applied twice it changes nothing. Raises HiveError ``hive-damaged`` for
    a hive that is not clean, ``hive-log-unusable`` for numbers that leave no room above.
    """
    base = _edited(data)
    first_bin = FirstBin.parse(data[:HEAD])
    if first_bin is None:
        raise damaged("the edited hive has no first hive bin")
    files = [LogFile.parse(name, raw) for name, raw in logs.items()]
    number = max(base.primary_sequence, _highest(files) + 1)
    if number > max(base.primary_sequence, _LAST_SEQUENCE):
        raise unusable(f"their sequence numbers reach {number - 1}, so that the hive's cannot be above them")
    finished = bytearray(data)
    written = base.last_written
    taken = _old_times(files)
    if written in taken or first_bin.last_written in taken:
        written = _free_time(written, taken)
        struct.pack_into("<Q", finished, _FIRST_BIN_TIME, written)
    finished[: len(base.raw)] = base.with_sequence(number, last_written=written)
    return bytes(finished)


def alternate(edited: bytes, old: bytes) -> bytes:
    """What SYSTEM.ALT has to hold once SYSTEM holds ``edited``: the same, under its own type field.

    ``old`` is SYSTEM.ALT as found. A copy that no loader would take (a wrong checksum, or not a
    hive) is returned as it is: it cannot bring the old state back, and nothing tells its type.
    """
    if len(old) < SECTOR:
        return old
    found = BaseBlock.parse(old)
    if not found.checksum_valid or found.type not in (FileType.PRIMARY, _SECOND_COPY):
        return old
    base = BaseBlock.parse(edited)
    return base.with_(type=found.type) + edited[len(base.raw) :]


def _edited(data: bytes) -> BaseBlock:
    """The base block of a clean hive. Raises HiveError for another."""
    base = BaseBlock.parse(data)
    stored = int.from_bytes(base.raw[508:512], "little")
    if stored in (0, 0xFFFFFFFF) and checksum(base.raw) == _corrected(stored):
        base = BaseBlock.parse(base.with_())
    problems = base.problems()
    if base.type != FileType.PRIMARY:
        problems += (f"its type is {base.type}",)
    if base.primary_sequence != base.secondary_sequence:
        problems += ("its sequence numbers differ",)
    if problems:
        raise damaged(f"the edited hive is not clean: {', '.join(problems)}")
    return base


def _corrected(plain: int) -> int:
    return 1 if plain == 0 else 0xFFFFFFFE


def _highest(files: list[LogFile]) -> int:
    """The highest sequence number in logs of any state, remnants of earlier use included.

    A remnant can come back to life: a new entry that ends just before it and carries
    the number before its own makes it the next one.
    """
    numbers = [-1]
    for file in files:
        numbers += sequences(file.raw)
        if file.kind is LogKind.NEW and file.base is not None and file.base.checksum_valid:
            numbers.append(file.base.primary_sequence)
    return max(numbers)


def _old_times(files: list[LogFile]) -> frozenset[int]:
    """The last-written times by which old-format logs would be taken for the hive's own."""
    return frozenset(file.base.last_written for file in files if file.kind is LogKind.OLD and file.base)


def _free_time(written: int, taken: frozenset[int]) -> int:
    """The first time after this one that no log carries."""
    return next(
        later for step in range(1, len(taken) + 2) if (later := (written + step) % _TIMES) not in taken
    )
