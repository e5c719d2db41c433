"""What a transaction log is, before anything in it is used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2vprep.core.regf import logs_new
from p2vprep.core.regf.baseblock import SECTOR, BaseBlock, FileType
from p2vprep.core.regf.logs_new import EntryChain
from p2vprep.core.regf.logs_old import OldLog

MAX_LOG = 64 << 20
"""Bytes of a log we read; the largest seen on real machines are a few MiB."""


class LogKind(str, Enum):
    """The kind of a log by its base block's type field."""

    EMPTY = "empty"
    OLD = "old"
    NEW = "new"
    UNKNOWN = "unknown"


_KINDS = {FileType.LOG: LogKind.OLD, FileType.LOG_2000: LogKind.OLD, FileType.LOG_ENTRIES: LogKind.NEW}


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log with its kind; ``problem`` says why it cannot be used at all, empty if it can be tried."""

    name: str
    raw: bytes
    kind: LogKind
    base: BaseBlock | None
    problem: str

    @staticmethod
    def parse(name: str, raw: bytes) -> LogFile:
        """The log of that name (LOG, LOG1, LOG2), whatever its bytes are."""
        if not raw.strip(b"\0"):
            return LogFile(name, raw, LogKind.EMPTY, None, "it is empty")
        if len(raw) > MAX_LOG:
            return LogFile(name, raw, LogKind.UNKNOWN, None, f"it is larger than {MAX_LOG >> 20} MiB")
        if len(raw) < SECTOR or raw[:4] != b"regf":
            return LogFile(name, raw, LogKind.UNKNOWN, None, "it is not a transaction log")
        base = BaseBlock.parse(raw)
        kind = _KINDS.get(base.type, LogKind.UNKNOWN)  # type: ignore[call-overload]
        if kind is LogKind.UNKNOWN:
            return LogFile(name, raw, kind, base, f"its type {base.type} is not that of a transaction log")
        return LogFile(name, raw, kind, base, _problem(base))

    @property
    def sound(self) -> BaseBlock | None:
        """The base block if it can be relied on, else None."""
        return None if self.problem else self.base


def _problem(base: BaseBlock) -> str:
    """Why Windows would not take a log with this base block."""
    if problems := base.problems():
        return ", ".join(problems)
    if base.primary_sequence != base.secondary_sequence:
        return (
            f"it was not written to its end (sequence numbers {base.primary_sequence}"
            f" and {base.secondary_sequence})"
        )
    if base.cluster != 1:
        return f"its clustering factor {base.cluster} is not known"
    return ""


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What a log holds, for people.

    ``entries`` counts the entries of a new log (remnants of earlier use included) or
    the dirty 512-byte sectors of an old one; ``usable`` those that could be replayed
    on a hive this log belongs to; ``first`` and ``last`` are their sequence numbers (new
    logs only). ``problem`` says why the rest, or all, could not; empty where nothing is wrong.
    """

    kind: LogKind
    size: int
    primary_sequence: int | None = None
    secondary_sequence: int | None = None
    last_written: int | None = None
    bins_size: int | None = None
    entries: int = 0
    usable: int = 0
    first: int | None = None
    last: int | None = None
    problem: str = ""


def read_log(raw: bytes) -> LogSummary:
    """What a log holds, every hash checked. Never fails."""
    log = LogFile.parse("", raw)
    if log.base is None:
        return LogSummary(log.kind, len(raw), problem="" if log.kind is LogKind.EMPTY else log.problem)
    base = log.base
    known = (base.primary_sequence, base.secondary_sequence, base.last_written, base.bins_size)
    if log.problem:
        return LogSummary(log.kind, len(raw), *known, problem=log.problem)
    if log.kind is LogKind.OLD:
        old = OldLog.parse(base, raw)
        return LogSummary(
            log.kind, len(raw), *known, len(old.sectors), 0 if old.problem else old.held, problem=old.problem
        )
    return _new_summary(raw, known, logs_new.read_chain(base, raw))


def _new_summary(raw: bytes, known: tuple[int, int, int, int], chain: EntryChain) -> LogSummary:
    first = chain.entries[0].sequence if chain.entries else None
    last = chain.entries[-1].sequence if chain.entries else None
    seen = max(len(logs_new.sequences(raw)), len(chain.entries))
    return LogSummary(
        LogKind.NEW, len(raw), *known, seen, len(chain.entries), first, last, problem=chain.stop
    )
