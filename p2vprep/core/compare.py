"""The exact comparison of two versions of a hive, and whether it is what was planned.

Compared are all keys and values by their names as spelt, the types and raw bytes of
values, class names, security descriptors, and the flags of keys. Not compared are
times, the order of values, the name of the root, and how all of it is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from p2vprep.core import registry
from p2vprep.core.model import Change, KeyChange, ValueChange
from p2vprep.core.regf.reader import COMPRESSED_KEY_NAME, HiveReader, RegfKey
from p2vprep.core.regf.twins import Twins
from p2vprep.core.registry import fold
from p2vprep.core.values import Data

Held = TypeVar("Held")
Presence = Literal["added", "removed"]


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """A value that was added (``before`` None), removed (``after`` None) or changed."""

    key: str
    name: str
    before: Data | None
    after: Data | None


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """A key that was added or removed; the counts include all below it."""

    key: str
    change: Presence
    keys: int
    values: int


@dataclass(frozen=True, slots=True)
class ClassDifference:
    """A key's class name, as bytes. For an added key ``before`` is None."""

    key: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class SecurityDifference:
    """A key's security descriptor. For an added key ``before`` is its parent's."""

    key: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class FlagsDifference:
    """A key's flags (symbolic link, predefined …), how its name is stored left out. For an added key 0."""

    key: str
    before: int
    after: int


Difference = ValueDifference | KeyDifference | ClassDifference | SecurityDifference | FlagsDifference


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences, parents first; a key that was added or removed is followed by all it holds."""

    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return not self.differences

    def summary(self) -> tuple[Difference, ...]:
        """The differences without what is inside of keys that were added or removed."""
        tops = [item.key for item in self.differences if isinstance(item, KeyDifference)]
        kept: list[Difference] = []
        inside = set(tops)
        for item in self.differences:
            above = registry.split(item.key)
            parents = {registry.join(*above[:length]) for length in range(len(above))}
            own = set() if isinstance(item, KeyDifference) else {item.key}
            if not (parents | own) & inside:
                kept.append(item)
        return tuple(kept)


def compare(before: HiveReader, after: HiveReader) -> Comparison:
    """All differences between two versions of a hive.

    Raises HiveError where what must be decoded is damaged in one of them. Damage in
    records that are the same bytes at the same place in both is no difference; the
    structure check finds it.
    """
    return Comparison(tuple(_Comparer(before, after).differences()))


@dataclass(slots=True)
class _Pair:
    """One key in both versions, by its offsets."""

    before: int
    after: int
    parent: _Pair | None


class _Comparer:
    def __init__(self, before: HiveReader, after: HiveReader) -> None:
        self.before = before
        self.after = after
        self.twins = Twins(before, after)
        self.same_security: dict[tuple[int, int], bool] = {}

    def differences(self) -> Iterator[Difference]:
        if self.twins.identical:
            return
        pending = [_Pair(self.before.root_offset, self.after.root_offset, None)]
        while pending:
            pair = pending.pop()
            found: list[_Pair] = []
            yield from self._pair(pair, found)
            pending.extend(reversed(found))

    def _pair(self, pair: _Pair, below: list[_Pair]) -> Iterator[Difference]:
        """A key's own differences; pairs of its subkeys go to ``below``."""
        twins, offset = self.twins, pair.before
        same = self._is_same(pair)
        children = twins.subkeys(offset) if same else None
        if (
            children is not None
            and twins.values(offset)
            and twins.class_name(offset)
            and self._security_is_same(offset)
        ):
            below.extend([_Pair(child, child, pair) for child in children])
            return
        first, second = self._keys(pair)
        yield from self._own(first, second)
        if children is not None:
            below.extend([_Pair(child, child, pair) for child in children])
        else:
            yield from self._subkeys(first, second, pair, below)

    def _is_same(self, pair: _Pair) -> bool:
        """Whether the two keys are one record that is the same, where the reader would take it for a key."""
        offset, parent = pair.before, pair.parent
        if offset != pair.after or not self.twins.cell(offset):
            return False
        if parent is None:
            return True
        # Without these two a walk through damaged hives might not end.
        belongs = parent.before == parent.after == self.twins.words[(offset >> 2) + 5]
        return belongs and offset != self.before.root_offset

    def _security_is_same(self, offset: int) -> bool:
        """Whether a key that is the same has an equal descriptor in both versions."""
        record = self.twins.words[(offset >> 2) + 12]
        known = self.same_security.get((record, record))
        return self.twins.cell(record) if known is None else known

    def _keys(self, pair: _Pair) -> tuple[RegfKey, RegfKey]:
        """The two keys, decoded from the root down."""
        chain: list[_Pair] = []
        at: _Pair | None = pair
        while at is not None:
            chain.append(at)
            at = at.parent
        first, second = self.before.root, self.after.root
        for each in reversed(chain[:-1]):
            first = RegfKey(self.before, each.before, first)
            second = RegfKey(self.after, each.after, second)
        return first, second

    def _own(self, first: RegfKey, second: RegfKey) -> Iterator[Difference]:
        """Flags, class name, security and values of a key that is in both."""
        path = second.path
        flags = first.flags & ~COMPRESSED_KEY_NAME, second.flags & ~COMPRESSED_KEY_NAME
        if flags[0] != flags[1]:
            yield FlagsDifference(path, *flags)
        classes = first.class_raw, second.class_raw
        if classes[0] != classes[1]:
            yield ClassDifference(path, *classes)
        records = first.security_offset, second.security_offset
        if records not in self.same_security:
            self.same_security[records] = first.security == second.security
        if not self.same_security[records]:
            yield SecurityDifference(path, first.security, second.security)
        yield from _values(path, first.values(), second.values())

    def _subkeys(
        self, first: RegfKey, second: RegfKey, pair: _Pair, below: list[_Pair]
    ) -> Iterator[Difference]:
        """Matches the subkeys of a key by name."""
        ours = _numbered((self.before.key_name(at, first), at) for at in first.subkey_offsets())
        theirs = _numbered((self.after.key_name(at, second), at) for at in second.subkey_offsets())
        for name, offset in ours.items():
            if name in theirs:
                below.append(_Pair(offset, theirs[name], pair))
            else:
                yield from _whole(RegfKey(self.before, offset, first), "removed", None)
        for name, offset in theirs.items():
            if name not in ours:
                yield from _whole(RegfKey(self.after, offset, second), "added", second.security)


def _numbered(items: Iterable[tuple[str, Held]]) -> dict[tuple[str, int], Held]:
    """By name and by how often it came before, as damaged hives hold names twice."""
    seen: Counter[str] = Counter()
    numbered = {}
    for name, held in items:
        numbered[name, seen[name]] = held
        seen[name] += 1
    return numbered


def _values(
    path: str, before: Iterable[tuple[str, Data]], after: Iterable[tuple[str, Data]]
) -> Iterator[ValueDifference]:
    ours, theirs = _numbered(before), _numbered(after)
    for place, data in ours.items():
        other = theirs.get(place)
        if data != other:
            yield ValueDifference(path, place[0], data, other)
    for place, data in theirs.items():
        if place not in ours:
            yield ValueDifference(path, place[0], None, data)


def _whole(top: RegfKey, change: Presence, security: bytes | None) -> Iterator[Difference]:
    """A key that is in one version only, and all below it. ``security``: of its parent."""
    keys = [key for key in registry.walk(top) if isinstance(key, RegfKey)]
    sizes = {key.offset: [1, key.value_count] for key in keys}
    for key in reversed(keys):
        if key.parent is not None and key is not top:
            above = sizes[key.parent.offset]
            above[0] += sizes[key.offset][0]
            above[1] += sizes[key.offset][1]
    securities = {top.parent.offset if top.parent else -1: security}
    for key in keys:
        yield KeyDifference(key.path, change, *sizes[key.offset])
        if change == "added":
            securities[key.offset] = key.security
            yield from _added(key, securities[key.parent.offset if key.parent else -1])
            yield from _values(key.path, (), key.values())
        else:
            yield from _values(key.path, key.values(), ())


def _added(key: RegfKey, inherited: bytes | None) -> Iterator[Difference]:
    """What is unusual in a key that was added."""
    flags = key.flags & ~COMPRESSED_KEY_NAME
    if flags:
        yield FlagsDifference(key.path, 0, flags)
    if key.class_raw is not None:
        yield ClassDifference(key.path, None, key.class_raw)
    if key.security != inherited:
        yield SecurityDifference(key.path, inherited, key.security)


def unexpected(
    comparison: Comparison, changes: Sequence[Change], hive: str
) -> tuple[tuple[Change, ...], tuple[Difference, ...]]:
    """What was planned for a hive and did not come true, and what came true and was not planned.

    Both are empty exactly when the difference is the plan. A planned deletion of a key
    covers all below it. A planned key or value implies the keys above it, but each value
    in a key that was made must be planned itself. Planned changes that change nothing
    must have changed nothing.
    """
    planned = [item for item in changes if isinstance(item, KeyChange | ValueChange) and item.hive == hive]
    plan = _Expectation(planned)
    extra = [item for item in comparison.differences if not plan.covers(item)]
    return tuple(plan.missing()), tuple(extra)


class _Expectation:
    """A plan by paths and names, both folded, and what of it was seen."""

    def __init__(self, planned: Sequence[KeyChange | ValueChange]) -> None:
        self.planned = planned
        self.values: dict[tuple[str, str], ValueChange] = {}
        self.keys: dict[str, KeyChange] = {}
        self.implied: set[str] = set()
        self.seen: set[int] = set()
        for item in planned:
            path = _folded(item.key)
            if isinstance(item, ValueChange):
                self.values[path, fold(item.name)] = item
                remains = item.after is not None
            else:
                self.keys[path] = item
                remains = item.exists_after
            if remains:
                self.implied.update(_with_parents(path))

    def covers(self, item: Difference) -> bool:
        """Whether a difference is planned; notes which plan it fulfils."""
        path = _folded(item.key)
        if isinstance(item, ValueDifference):
            planned = self.values.get((path, fold(item.name)))
            if planned is not None and (planned.before, planned.after) == (item.before, item.after):
                self.seen.add(id(planned))
                return True
            return item.after is None and self._below_deletion(path)
        if isinstance(item, KeyDifference):
            own = self.keys.get(path)
            if item.change == "added":
                if own is not None and own.exists_after and not own.exists_before:
                    self.seen.add(id(own))
                return path in self.implied
            if own is not None and own.exists_before and not own.exists_after:
                self.seen.add(id(own))
            return self._below_deletion(path)
        return False

    def _below_deletion(self, path: str) -> bool:
        return any(
            above in self.keys and self.keys[above].exists_before and not self.keys[above].exists_after
            for above in _with_parents(path)
        )

    def missing(self) -> Iterator[KeyChange | ValueChange]:
        for item in self.planned:
            if isinstance(item, ValueChange):
                changes = item.before != item.after
            else:
                changes = item.exists_before != item.exists_after
            if changes and id(item) not in self.seen:
                yield item


def _folded(path: str) -> str:
    return fold(registry.join(*registry.split(path)))


def _with_parents(path: str) -> list[str]:
    """A path and all above it, the root left out."""
    parts = registry.split(path)
    return [registry.join(*parts[:length]) for length in range(len(parts), 0, -1)]
