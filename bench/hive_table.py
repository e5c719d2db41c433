"""Prints what becomes of each hive of the corpus, from opening to editing: the table of docs/registry.md.

Run from the checkout: ``python -m bench.hive_table`` (some minutes). Every edit is made twice, by hivex and
by the byte-exact patch with hivex shut out; each result is compared as a whole, and read again by libregf,
which shares no code with either.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from unittest import mock

from p2vprep.core import guards
from p2vprep.core.compare import compare, unexpected
from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import find, split, walk
from p2vprep.core.routing import route
from p2vprep.core.values import Data
from p2vprep.disk.hive import DIRTY_WITHOUT_LOG, EditedHive, LoadedHive, edit, load
from p2vprep.errors import HiveError, P2vprepError
from tests.disk.test_hive_corpus import SERVICES, typical
from tests.support.corpus import hive_bytes, hive_entries, hive_logs
from tests.support.readers import name_in_libregf, through_libregf
from tests.support.trees import Tree, edited, given_as_stored, tree

Changes = Sequence[ValueChange | KeyChange]
Row = tuple[str, ...]
HEADER: Row = (
    "hive", "found", "opened, replayed", "keys", "values", "structure", "changes", "by hivex", "by the patch",
    "libregf",
)  # fmt: skip
DIRTY = "win81-x64_regipy_2.SYSTEM"
FOREIGN = "foreign-logs_python-registry_1.SYSTEM"


def rows() -> Iterator[Row]:
    """One row for every hive of the corpus, and for the ways a dirty hive without its logs can go."""
    for entry in sorted(hive_entries(), key=lambda entry: str(entry["name"])):
        name = str(entry["name"])
        if entry["type"].startswith("log"):
            continue
        yield row(name, hive_bytes(name), hive_logs(name))
        if name == DIRTY:
            yield row(f"{name} with foreign logs", hive_bytes(name), hive_logs(FOREIGN))
            yield row(f"{name} accepted as it is", hive_bytes(name), {}, accept_dirty=True)


def row(name: str, data: bytes, logs: Mapping[str, bytes], *, accept_dirty: bool = False) -> Row:
    """What is said about one hive."""
    allow = frozenset({DIRTY_WITHOUT_LOG}) if accept_dirty else frozenset()
    try:
        loaded = load("SYSTEM", name, data, logs, allow=allow)
    except HiveError as refusal:
        reason = (refusal.details[0] if refusal.details else refusal.message).removeprefix(f"{name}: ")
        return (name, state(data), f"ends in `{refusal.code}`: {reason}", *[""] * (len(HEADER) - 3))
    outcome = "-"
    if loaded.state.dirty:
        outcome = "as it is"
    if loaded.state.replayed_from:
        logs_used = "+".join(loaded.state.replayed_from)
        outcome = f"{logs_used}, {loaded.state.replayed_pages} pages, now {state(loaded.data)}"
    before = counts(data) if loaded.state.replayed_from else None
    after = (str(loaded.report.keys), str(loaded.report.values))
    keys, values = (
        f"{old} → {new}" if before and old != new else new
        for old, new in zip(before or after, after, strict=True)
    )
    changes = changes_for(loaded)
    outcomes = [edited_by(loaded, changes, hivex=hivex) for hivex in (True, False)]
    reread = " / ".join(dict.fromkeys(seen for _, seen in outcomes))
    told = (str(len(changes)), *(how for how, _ in outcomes), reread)
    return (name, state(data), outcome, keys, values, "sound", *told)


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


def changes_for(loaded: LoadedHive) -> Changes:
    """What an apply would do to a SYSTEM hive; to any hive a new key with a value."""
    made = KeyChange("SYSTEM", "p2vprep", False, True, "table", "to be seen")
    value = ValueChange("SYSTEM", "p2vprep", "x", None, Data.sz("y"), "table", "to be seen")
    return [*(typical(loaded) if find(loaded.hive, SERVICES) is not None else []), made, value]


def edited_by(loaded: LoadedHive, changes: Changes, *, hivex: bool) -> tuple[str, str]:
    """How an edit went one way, comparison included, and what libregf reads from the result."""
    try:
        with nullcontext() if hivex else without_hivex():
            by_patch = len(route(loaded.hive, changes).patch)
            result = edit(loaded, changes)
    except P2vprepError as problem:
        return f"`{problem.code}`", ""
    missing, extra = unexpected(compare(loaded.hive, HiveReader(result.data)), changes, loaded.name)
    told = f"{len(missing)} missing, {len(extra)} not asked for" if missing or extra else "exact"
    if hivex and by_patch:
        told += f", {by_patch} of them by the patch"
    return told, reread(result, edited(tree(loaded.data), changes))


@contextmanager
def without_hivex() -> Iterator[None]:
    """All changes take the other way."""
    with mock.patch.object(guards, "hivex_obstacle", return_value="shut out for the table"):
        yield


def reread(result: EditedHive, expected: Tree) -> str:
    """Whether libregf finds the keys and values that are expected, and no others.

    Names and data are compared as libregf 20201007 gives them: see ``tests.support.readers`` and ``trees``.
    """
    try:
        seen = through_libregf(result.data)
    except OSError as problem:
        return f"cannot read it: {problem}"
    wanted = {path: "\\".join(map(name_in_libregf, split(path))) for path in expected}
    if Counter("\\".join(names) for names, _ in seen) != Counter(wanted.values()):
        return "differs in keys"
    held = [("\\".join(names), *value) for names, values in seen for value in values]
    due = [
        (wanted[path], name_in_libregf(name), data)
        for path, values in expected.items()
        for name, data in values.items()
    ]
    if Counter(value[:3] for value in held) != Counter((*place, data.type) for *place, data in due):
        return "differs in values"
    there = set(held)
    if not all((*place, data.type, data.raw) in there for *place, data in due if given_as_stored(data)):
        return "differs in data"
    return f"the same {len(seen)} keys"


def main() -> None:
    """Writes the table as Markdown, line by line as it grows."""
    for line in (HEADER, ("---",) * len(HEADER)):
        print("|", " | ".join(line), "|")
    for line in rows():
        print("|", " | ".join(line), "|")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
