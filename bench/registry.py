"""Measures what the registry layer takes: on the largest hive of the corpus, and on it grown to 16 MiB.

Run from the checkout: ``python -m bench.registry``. The best of three runs each; seconds of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from unittest import mock

from p2vprep.core import guards
from p2vprep.core.compare import compare
from p2vprep.core.regf.check import check
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.values import Data
from p2vprep.disk.hive import edit, load
from testdata.kit.hivewriter import build_hive
from testdata.kit.logwriter import steps, write_new, write_old
from tests.disk.test_hive_corpus import typical
from tests.support.corpus import hive_bytes, system_hive_names
from tests.support.machines import in_memory

GOAL = 16 << 20
RUNS = 3
_ROOM = 1620
"""The bytes that a new key takes with its values."""


def main() -> None:
    """Prints the figures as a Markdown table."""
    largest = max(map(hive_bytes, system_hive_names()), key=len)
    print("| step | largest hive of the corpus | grown to 16 MiB |")
    print("| --- | --- | --- |")
    columns = (figures(largest), figures(grown(largest)))
    for (step, small), (_, large) in zip(*columns, strict=True):
        print(f"| {step} | {small} | {large} |")


def grown(data: bytes) -> bytes:
    """The hive written anew with more keys and values, as installed software brings them, up to the goal."""
    hive = in_memory(HiveReader(data))
    blob = Data.binary(bytes(range(256)))
    for number in range((GOAL - len(data)) // _ROOM):
        key = hive.root.make(f"Grown\\Key{number:06}")
        for each in range(5):
            key.set(f"Value{each}", blob)
    return build_hive(hive, file_name="SYSTEM")


def figures(data: bytes) -> Iterator[tuple[str, str]]:
    """What is measured on one hive, in words."""
    report = check(data)
    yield "size", f"{len(data) / (1 << 20):.1f} MiB, {report.keys} keys, {report.values} values"
    yield "structure check", seconds(lambda: check(data))
    loaded = load("SYSTEM", "SYSTEM", data, {})
    changes = typical(loaded)
    by_hivex = edit(loaded, changes).data
    yield "comparison after an edit by hivex", comparison(data, by_hivex)
    with mock.patch.object(guards, "hivex_obstacle", return_value="shut out for the bench"):
        by_patch = edit(loaded, changes).data
    yield "comparison after an edit by the patch", comparison(data, by_patch)
    yield (
        f"the whole edit of {len(changes)} changes, all proofs included",
        seconds(lambda: edit(loaded, changes)),
    )
    dirty = write_old(data, by_hivex, name="LOG1")
    yield "replay of that edit from an old-format log", seconds(lambda: recover(dirty.primary, dirty.logs))
    dirty = write_new(steps(data, by_hivex, 4), cut=2)
    size = sum(map(len, dirty.logs.values())) / (1 << 20)
    told = seconds(lambda: recover(dirty.primary, dirty.logs))
    yield "replay of that edit from new-format logs", f"{told}, logs of {size:.1f} MiB"


def comparison(before: bytes, after: bytes) -> str:
    """The time of the comparison, and how many differences it found."""
    found = compare(HiveReader(before), HiveReader(after))
    told = seconds(lambda: compare(HiveReader(before), HiveReader(after)))
    return f"{told}, {len(found.differences)} differences"


def seconds(work: Callable[[], object]) -> str:
    """The best of some runs."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return f"{min(taken):.2f} s"


if __name__ == "__main__":
    main()
