"""What a replay changes in a hive file, as data: a new base block and runs of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from p2vprep.core.regf.baseblock import BIN_SIGNATURE, PAGE, SECTOR, SIZE, BaseBlock
from p2vprep.errors import HiveError

SAFE_WAY = "Start the source machine once more and shut it down properly, then convert its disk again"
_GO_ON = f"{SAFE_WAY}; or go on without the logs with --allow dirty-hive-without-log."


def damaged(message: str) -> HiveError:
    """The hive itself is not whole; nothing lifts that."""
    hint = f"{SAFE_WAY}; if Windows does not start either, repair it there first."
    return HiveError(message, code="hive-damaged", hint=hint)


def without_log(details: tuple[str, ...]) -> HiveError:
    """The hive is dirty and none of its logs, if it has any, belongs to it and is whole."""
    reasons = "; ".join(details)
    message = f"the hive is dirty and no transaction log can be replayed: {reasons}"
    return HiveError(message, code="dirty-hive-without-log", details=details, hint=_GO_ON)


def unusable(reason: str, details: tuple[str, ...] = ()) -> HiveError:
    """The hive is dirty and there are logs, but they cannot be what Windows left."""
    message = f"the hive is dirty and its transaction logs cannot be used: {reason}"
    return HiveError(message, code="hive-log-unusable", details=details, hint=_GO_ON)


@dataclass(frozen=True)
class ReplayPlan:
    """What replaying changes, without the hive's other bytes: for hives that are read lazily.

    ``base_block`` is the new first 4096 bytes, ``size`` the new length of the file,
    ``pages`` the runs of bytes to write, sorted by file offset and apart from each other.
    For a clean hive nothing changes and ``dirty`` is False.
    """

    dirty: bool
    base_block: bytes
    size: int
    pages: tuple[tuple[int, bytes], ...] = ()
    sources: tuple[str, ...] = ()
    """The logs replayed, in that order."""
    notes: tuple[str, ...] = ()

    @cached_property
    def page_count(self) -> int:
        """How many 4 KiB pages of the hive bins are replaced, wholly or in part."""
        return len(
            {page for at, run in self.pages for page in range(at // PAGE, -(-(at + len(run)) // PAGE))}
        )

    def overlay(self) -> tuple[tuple[int, bytes], ...]:
        """Everything that lies over the file as found, the base block first."""
        return ((0, self.base_block), *self.pages)

    def apply(self, primary: bytes) -> bytes:
        """The hive after the replay; ``primary`` is the file the plan was made for."""
        data = bytearray(primary)
        data.extend(bytes(self.size - len(primary)))
        for at, run in self.overlay():
            data[at : at + len(run)] = run
        return bytes(data)


def compose(
    file_size: int,
    block: bytes,
    writes: Mapping[int, memoryview],
    sources: tuple[str, ...],
    notes: Iterable[str],
) -> ReplayPlan:
    """The plan that sets the base block and writes sectors, keyed by their offset inside the bins.

    Raises HiveError ``hive-log-unusable`` where the hive grows and the logs do not hold all of what is new:
    what Windows adds is always in the log, and so a short log cannot make a file huge.
    """
    bins_size = BaseBlock.parse(block).bins_size
    held = max(0, file_size - SIZE) // SECTOR * SECTOR
    missing = next((at for at in range(held, bins_size, SECTOR) if at not in writes), None)
    if missing is not None:
        raise unusable(
            f"{' and '.join(sources)} would make it {bins_size} bytes long, but hold no byte {missing}"
        )
    inside = {at: data for at, data in writes.items() if at < bins_size}
    whole_block = block.ljust(SIZE, b"\0")
    return ReplayPlan(
        True, whole_block, max(file_size, SIZE + bins_size), _runs(inside), sources, tuple(notes)
    )


def _runs(writes: Mapping[int, memoryview]) -> tuple[tuple[int, bytes], ...]:
    """Sectors joined into runs of neighbours, at file offsets."""
    runs: list[tuple[int, bytearray]] = []
    for at in sorted(writes):
        if runs and runs[-1][0] + len(runs[-1][1]) == SIZE + at:
            runs[-1][1].extend(writes[at])
        else:
            runs.append((SIZE + at, bytearray(writes[at])))
    return tuple((at, bytes(run)) for at, run in runs)


def bins_end(data: bytes) -> int:
    """The offset where the chain of hive bins breaks or ends; it is whole if that is the end of the bins."""
    at, end = SIZE, SIZE + BaseBlock.parse(data).bins_size
    while at < end:
        own, size = (int.from_bytes(data[at + place : at + place + 4], "little") for place in (4, 8))
        whole = size >= PAGE and not size % PAGE and at + size <= end
        if data[at : at + 4] != BIN_SIGNATURE or own != at - SIZE or not whole:
            break
        at += size
    return at
