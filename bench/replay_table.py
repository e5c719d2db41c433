"""Prints what opening, replaying and checking each hive of the corpus gives: the table of docs/registry.md.

Run from the checkout: ``python -m bench.replay_table``. Times are of one run and only for orientation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.check import check
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import walk
from p2vprep.errors import HiveError
from tests.support.corpus import hive_bytes, hive_entries, hive_logs

HEADER = ("hive", "found", "replay", "keys", "values", "structure afterwards", "ms")


def rows() -> list[tuple[str, ...]]:
    """One row for every hive of the corpus, and for the hive that gets another machine's logs."""
    names = [entry["name"] for entry in hive_entries() if not entry["type"].startswith("log")]
    table = [row(name, hive_bytes(name), hive_logs(name)) for name in names]
    foreign = hive_logs("foreign-logs_python-registry_1.SYSTEM")
    dirty = "win81-x64_regipy_2.SYSTEM"
    table.append(row(f"{dirty} with foreign logs", hive_bytes(dirty), foreign))
    table.append(row(f"{dirty} accepted as it is", hive_bytes(dirty), {}, accept_dirty=True))
    return sorted(table)


def row(name: str, data: bytes, logs: Mapping[str, bytes], *, accept_dirty: bool = False) -> tuple[str, ...]:
    """What is said about one hive."""
    start = time.perf_counter()
    try:
        found = recover(data, logs, accept_dirty=accept_dirty)
    except HiveError as refusal:
        reason = refusal.details[0] if refusal.details else refusal.message
        return (name, state(data), f"refused: {refusal.code}", "", "", reason, taken(start))
    needed = taken(start)
    if found.sources:
        outcome = f"{'+'.join(found.sources)}, {found.pages} pages, now {state(found.data)}"
    else:
        outcome = "as it is" if found.dirty else "-"
    before = counts(data) if found.sources else None
    report = check(found.data)
    after = (str(report.keys), str(report.values))
    keys, values = (
        (f"{old} → {new}") if before and old != new else new
        for old, new in zip(before or after, after, strict=True)
    )
    structure = f"{len(report.errors)} errors" if report.errors else "sound"
    return (name, state(data), outcome, keys, values, structure, needed)


def state(data: bytes) -> str:
    """Clean or dirty, with the sequence numbers."""
    base = BaseBlock.parse(data)
    if base.signature != b"regf":
        return "no hive"
    if not base.checksum_valid:
        return "wrong checksum"
    if base.dirty:
        return f"dirty {base.primary_sequence}/{base.secondary_sequence}"
    return f"clean {base.primary_sequence}"


def counts(data: bytes) -> tuple[str, str]:
    """Keys and values of a hive without its logs, as far as it can be read."""
    keys = values = 0
    try:
        for key in walk(HiveReader(data).root):
            keys += 1
            values += sum(1 for _ in key.values())
    except HiveError:
        return f"{keys}+", f"{values}+"
    return str(keys), str(values)


def taken(start: float) -> str:
    return f"{1000 * (time.perf_counter() - start):.0f}"


def main() -> None:
    """Writes the table as Markdown."""
    lines = [HEADER, ("---",) * len(HEADER), *rows()]
    sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
