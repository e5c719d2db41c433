"""Brings a dirty hive to the state Windows would load, by replaying its transaction logs.

Windows writes changes to a log first. A hive at rest is often dirty, most of all
since 8.1, and its newest data are then in the logs alone. What is replayed here
is what Windows itself would replay (regf format specification; proved on hives
that Windows recovered); what it would refuse is refused. ``docs/registry.md``
tells the rules and where this is stricter than Windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from p2vprep.core.regf.baseblock import (
    BIN_HEADER,
    SECTOR,
    SIGNATURE,
    SIZE,
    BaseBlock,
    FileType,
    FirstBin,
)
from p2vprep.core.regf.logs import LogFile, LogKind
from p2vprep.core.regf.logs_new import LogEntry, next_sequence, read_chain
from p2vprep.core.regf.logs_old import OldLog
from p2vprep.core.regf.replayplan import ReplayPlan, bins_end, compose, damaged, unusable, without_log
from p2vprep.errors import HiveError

LOG_NAMES = ("LOG", "LOG1", "LOG2")
HEAD = SIZE + BIN_HEADER
"""How much of a hive's beginning a plan needs."""

_LOSS = (
    "the hive was taken as its file holds it: changes that Windows had only in the logs are lost,"
    " and what was half written is half there"
)
_KTM_LOCKED = 1


@dataclass(frozen=True)
class Recovery:
    """A hive as Windows would have it after loading: ``data`` is clean and its header matches.

    ``dirty`` tells whether it was dirty before, ``pages`` how many 4 KiB pages came from the logs
    named in ``sources``, ``notes`` what was not used, and why.
    """

    data: bytes
    dirty: bool
    pages: int = 0
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def recover(primary: bytes, logs: Mapping[str, bytes], *, accept_dirty: bool = False) -> Recovery:
    """The hive with its logs replayed; a clean one is returned as it is, whatever the logs hold.

    ``logs`` maps LOG, LOG1, LOG2 to their bytes. Raises HiveError: ``not-a-hive``,
    ``hive-damaged``, and for a dirty hive ``dirty-hive-without-log`` where no log that
    belongs to it is whole, or ``hive-log-unusable`` where the logs cannot be what Windows
    left. ``accept_dirty`` lifts the last two: the file's own content is then declared
    clean, and a note tells what may be lost.
    """
    head, size = primary[:HEAD], len(primary)
    plan = plan_replay(head, size, logs, accept_dirty=accept_dirty)
    if not plan.dirty:
        return Recovery(primary, dirty=False)
    data = plan.apply(primary)
    if plan.sources and (end := bins_end(data)) != SIZE + BaseBlock.parse(data).bins_size:
        # Windows puts an empty bin in the place of a bad one and goes on; that loses keys.
        reason = f"after replaying {' and '.join(plan.sources)} no good hive bin begins at byte {end}"
        plan = _taken_as_it_is(_Hive.parse(head, size), unusable(reason), accept_dirty)
        data = plan.apply(primary)
    return Recovery(data, True, plan.page_count, plan.sources, plan.notes)


def plan_replay(
    head: bytes, size: int, logs: Mapping[str, bytes], *, accept_dirty: bool = False
) -> ReplayPlan:
    """As :func:`recover`, from the first :data:`HEAD` bytes of a hive file and its length.

    It cannot see whether the hive bins still form a chain afterwards; who reads
    the hive has to check that.
    """
    if unknown := set(logs) - set(LOG_NAMES):
        raise ValueError(f"not names of transaction logs: {sorted(unknown)}")
    if len(head) < min(HEAD, size):
        raise ValueError(f"the first {HEAD} bytes of the hive are needed, not {len(head)}")
    hive = _Hive.parse(head, size)
    if not hive.base.dirty:
        hive.require_whole()
        return ReplayPlan(False, bytes(head[:SIZE]), size)
    try:
        return _replayed(hive, [LogFile.parse(name, logs.get(name, b"")) for name in LOG_NAMES])
    except HiveError as refusal:
        return _taken_as_it_is(hive, refusal, accept_dirty)


# --- the hive file -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Hive:
    """A hive file before the replay. ``base`` cannot be relied on unless ``base_valid``."""

    base: BaseBlock
    first_bin: FirstBin | None
    size: int

    @staticmethod
    def parse(head: bytes, size: int) -> _Hive:
        """Raises HiveError for what is no hive, or one no version of Windows would take."""
        hive = _Hive(BaseBlock.parse(head), FirstBin.parse(head), size)
        base = hive.base
        if base.signature != SIGNATURE and hive.first_bin is None:
            raise HiveError(
                "it is not a registry hive: neither a base block nor a first hive bin is there",
                code="not-a-hive",
                hint="Check that this is the right file and that it was copied whole.",
            )
        if not base.checksum_valid:
            return hive
        if base.type != FileType.PRIMARY:
            raise HiveError(
                f"it is not a registry hive, but a file of type {base.type} (logs have 1, 2 or 6)",
                code="not-a-hive",
            )
        if problems := base.problems():
            raise damaged(f"the hive's base block cannot be used: {', '.join(problems)}")
        return hive

    @property
    def base_valid(self) -> bool:
        return self.base.checksum_valid

    @property
    def last_written(self) -> int | None:
        """The time an old log has to match: the base block's, or its copy in the first bin."""
        if self.base_valid:
            return self.base.last_written
        return None if self.first_bin is None else self.first_bin.last_written

    def require_whole(self) -> None:
        """Raises HiveError where the hive bins would go beyond the file."""
        end = SIZE + self.base.bins_size
        if end > self.size:
            raise damaged(f"the hive is cut off: its bins end at byte {end}, the file at {self.size}")

    def block_from_log(self, log: BaseBlock) -> BaseBlock:
        """A base block for a hive whose first sector is damaged: the log holds a copy of it."""
        rest = self.base.raw[SECTOR:SIZE].ljust(SIZE - SECTOR, b"\0")
        return BaseBlock.parse(BaseBlock.parse(log.raw[:SECTOR] + rest).with_(type=FileType.PRIMARY))


def _taken_as_it_is(hive: _Hive, refusal: HiveError, accept_dirty: bool) -> ReplayPlan:
    """The plan that only declares the hive clean, if that is accepted and its base block is whole."""
    if not accept_dirty or not hive.base_valid:
        raise refusal
    hive.require_whole()
    block = hive.base.with_sequence(hive.base.primary_sequence)
    return ReplayPlan(True, block, hive.size, notes=(_LOSS, refusal.message))


# --- choosing logs -----------------------------------------------------------------------------


class _Findings:
    """What is said about logs on the way: why some were refused, and other remarks."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.remarks: list[str] = []

    def refuse(self, name: str, reason: str) -> None:
        self.refusals.append(f"{name}: {reason}")

    def failure(self, hive: _Hive) -> HiveError:
        """The error for a dirty hive that no log fits."""
        details = tuple(self.refusals) or ("it has no transaction logs, or they are empty",)
        if hive.base_valid:
            return without_log(details)
        return damaged(f"the hive's base block is damaged and no log can replace it: {'; '.join(details)}")

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.remarks, *self.refusals)


@dataclass(frozen=True)
class _Log:
    """A log whose base block is sound and that belongs to the hive as far as can be told."""

    name: str
    base: BaseBlock
    raw: bytes


def _replayed(hive: _Hive, files: list[LogFile]) -> ReplayPlan:
    """The plan for a dirty hive."""
    findings = _Findings()
    candidates = _candidates(files, findings)
    _require_one_kind(candidates)
    logs: list[_Log] = []
    for file in candidates:
        if file.sound is None:
            findings.refuse(file.name, file.problem)
        elif foreign := _foreign(hive, file.sound):
            findings.refuse(file.name, foreign)
        else:
            logs.append(_Log(file.name, file.sound, file.raw))
    if any(log.base.type != FileType.LOG_ENTRIES for log in logs):
        return _replay_old(hive, logs, findings)
    return _replay_new(hive, logs, findings)


def _candidates(files: list[LogFile], findings: _Findings) -> list[LogFile]:
    """The logs the hive's writer used: LOG1 and LOG2 if either holds anything, else LOG.

    Where Windows keeps two logs, a third one without a number is left from setup.
    """
    single, *pair = files
    filled = [log for log in pair if log.kind is not LogKind.EMPTY]
    if single.kind is LogKind.EMPTY:
        return filled
    if filled:
        findings.remarks.append(f"{single.name} was not used: the hive has {filled[0].name}")
        return filled
    return [single]


def _require_one_kind(candidates: list[LogFile]) -> None:
    unknown = any(log.kind is LogKind.UNKNOWN for log in candidates)
    if not unknown and len({log.kind for log in candidates if log.sound}) <= 1:
        return
    details = tuple(
        f"{log.name}: {log.problem or f'it is of the {log.kind.value} format'}" for log in candidates
    )
    raise unusable(f"they are of unknown or different kinds ({'; '.join(details)})", details)


def _foreign(hive: _Hive, log: BaseBlock) -> str:
    """Why a log belongs to another hive; Windows does not ask, and would damage the hive with it."""
    mine, its = hive.base.identity, log.identity
    if mine is None or its is None or mine == its:
        return ""
    return f"it belongs to another hive (resource manager {its.hex()} instead of {mine.hex()})"


# --- the new format ----------------------------------------------------------------------------


def _replay_new(hive: _Hive, logs: list[_Log], findings: _Findings) -> ReplayPlan:
    """Both logs in the order of their sequence numbers; with a damaged base block the latest alone."""
    ordered = sorted(logs, key=lambda log: log.base.primary_sequence)
    ordered = _late_enough(hive, ordered, findings) if hive.base_valid else _latest(ordered, findings)
    entries: list[LogEntry] = []
    sources: list[str] = []
    for log in ordered:
        begins = log.base.primary_sequence
        if entries and begins != (expected := next_sequence(entries[-1].sequence)):
            findings.refuse(log.name, f"entry {expected} is expected, but it begins with {begins}")
            continue
        chain = read_chain(log.base, log.raw)
        if chain.stop or not chain.entries:
            findings.refuse(log.name, chain.stop or "it holds no entries")
        if not chain.entries:
            break
        entries += chain.entries
        sources.append(log.name)
    if not entries:
        raise findings.failure(hive)
    base = hive.base if hive.base_valid else hive.block_from_log(ordered[0].base)
    return _entries_plan(hive, base, entries, tuple(sources), findings.notes)


def _late_enough(hive: _Hive, ordered: list[_Log], findings: _Findings) -> list[_Log]:
    """Without the logs that began before the hive file was last brought up to date."""
    oldest = hive.base.secondary_sequence
    late = []
    for log in ordered:
        if log.base.primary_sequence >= oldest:
            late.append(log)
        else:
            findings.refuse(
                log.name,
                f"it begins with entry {log.base.primary_sequence}, but the hive is at {oldest} already",
            )
    return late


def _latest(ordered: list[_Log], findings: _Findings) -> list[_Log]:
    for log in ordered[:-1]:
        findings.refuse(
            log.name, "a later log replaces the hive's damaged base block, Windows uses that alone"
        )
    return ordered[-1:]


def _entries_plan(
    hive: _Hive, base: BaseBlock, entries: list[LogEntry], sources: tuple[str, ...], notes: tuple[str, ...]
) -> ReplayPlan:
    last = entries[-1]
    flags = base.flags & ~_KTM_LOCKED | last.flags & _KTM_LOCKED
    block = base.with_sequence(next_sequence(last.sequence), bins_size=last.bins_size, flags=flags)
    writes: dict[int, memoryview] = {}
    for entry in entries:
        writes.update(entry.writes())
    return compose(hive.size, block, writes, sources, notes)


# --- the old format ----------------------------------------------------------------------------


def _replay_old(hive: _Hive, logs: list[_Log], findings: _Findings) -> ReplayPlan:
    """The first log that matches the hive and is whole, as the boot loader does."""
    for log in logs:
        old = OldLog.parse(log.base, log.raw)
        problem = _mismatch(hive, log.base) or old.problem
        if problem:
            findings.refuse(log.name, problem)
            continue
        if hive.base_valid:
            block = hive.base.with_sequence(hive.base.primary_sequence)
        else:
            block = hive.block_from_log(log.base).raw
        return compose(hive.size, block, old.writes(), (log.name,), findings.notes)
    raise findings.failure(hive)


def _mismatch(hive: _Hive, log: BaseBlock) -> str:
    """Why an old log was not written for the state the hive is in; empty where it was."""
    if hive.last_written is None:
        return "the hive holds no time that would tell whether the log belongs to it"
    if log.last_written != hive.last_written:
        return f"it was written at another time (0x{log.last_written:X}, the hive at 0x{hive.last_written:X})"
    # Windows writes both from one block in memory, so equal times with unequal contents are a coincidence.
    mine = (hive.base.minor, hive.base.root, hive.base.bins_size)
    if hive.base_valid and mine != (log.minor, log.root, log.bins_size):
        return "its version, root or size is not that of the hive"
    return ""
