"""Which pages of a hive differ between two versions of it, so that only they are written."""

from __future__ import annotations

from p2vprep.errors import HiveError

PAGE = 4096


def changed_pages(before: bytes, after: bytes, page: int = PAGE) -> tuple[tuple[int, bytes], ...]:
    """What to write over ``before`` to get ``after``: (offset, bytes), ascending.

    Offsets are multiples of ``page``; neighbouring pages are one piece, and the last
    piece ends with the file. ``after`` may be longer: what lies beyond ``before``
    counts as changed. Raises HiveError ``hive-shrank`` where it is shorter.
    """
    if len(after) < len(before):
        raise HiveError(
            f"the hive shrank from {len(before)} to {len(after)} bytes by being edited",
            code="hive-shrank",
            hint="This should not happen; please report it with the log.",
        )
    if before == after:
        return ()
    pieces: list[tuple[int, int]] = []
    for start in range(0, len(after), page):
        if before[start : start + page] != after[start : start + page]:
            end = min(start + page, len(after))
            if pieces and pieces[-1][1] == start:
                pieces[-1] = (pieces[-1][0], end)
            else:
                pieces.append((start, end))
    return tuple((start, after[start:end]) for start, end in pieces)
