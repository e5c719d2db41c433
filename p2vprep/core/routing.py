"""Changes held against the hive they are for: checked, guarded, and sent the way that does them right.

hivex makes the changes it makes well; those that it would get wrong go to
:mod:`p2vprep.core.regf.patch`, which runs after it on its result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2vprep.core import guards
from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import Key, find, fold, join, split
from p2vprep.core.values import Data
from p2vprep.errors import FailedError, StalePlanError

RegistryChange = ValueChange | KeyChange


@dataclass(frozen=True)
class Routes:
    """The changes by the way they take, each in the given order; ``reasons`` tells why not hivex."""

    hivex: tuple[RegistryChange, ...]
    patch: tuple[RegistryChange, ...]
    reasons: tuple[str, ...] = ()


def route(hive: HiveReader, changes: Iterable[RegistryChange]) -> Routes:
    """Checks that all changes fit the hive, in their order, and chooses the way of each.

    Paths and names come out as they are spelt in the hive. A key that is made has to be
    listed as a change of its own, before what is put into it; what is the same
    before and after is left out. Raises StalePlanError where the hive does not
    hold what a change says was before, FailedError ``plan-contradictory`` where
    changes do not go together, and what :func:`guards.refuse` raises.
    """
    state = _State(hive)
    by_hivex: list[RegistryChange] = []
    by_patch: list[RegistryChange] = []
    reasons: list[str] = []
    for given in changes:
        change = state.checked(given)
        if change is None:
            continue
        guards.refuse(hive, change)
        reason = state.obstacle(change)
        if reason is None:
            by_hivex.append(change)
        else:
            by_patch.append(change)
            reasons.append(f"{change.key}: {reason}")
        state.note(change, patched=reason is not None)
    return Routes(tuple(by_hivex), tuple(by_patch), tuple(dict.fromkeys(reasons)))


class _State:
    """What changes so far have made of the hive, as far as later ones depend on it."""

    def __init__(self, hive: HiveReader) -> None:
        self.hive = hive
        self.made: dict[str, str] = {}
        """The paths of keys that are made, by folded path."""
        self.patched: set[str] = set()
        """Those of them that the patch makes: hivex does not see them."""
        self.deleted: set[str] = set()
        self.values: set[tuple[str, str]] = set()

    def checked(self, change: RegistryChange) -> RegistryChange | None:
        """The change with its key as spelt in the hive, or None where there is nothing to do."""
        path = _folded(change.key)
        if any(path == gone or path.startswith(gone + "\\") for gone in self.deleted):
            raise _contradiction(change, "its key is deleted by the same plan")
        if isinstance(change, ValueChange):
            return self._checked_value(change)
        if change.exists_before == change.exists_after:
            return None
        exists = find(self.hive, change.key) is not None
        if exists != change.exists_before or path in self.made:
            raise _stale(
                change, "the key is there" if exists or path in self.made else "the key is not there"
            )
        if change.exists_after:
            return self._with_key(change, self._spelt(change, split(change.key)[:-1], split(change.key)[-1:]))
        if any(each == path or each.startswith(path + "\\") for each in (*self.made, *dict(self.values))):
            raise _contradiction(change, "something below it is changed by the same plan")
        return self._with_key(change, self._spelt(change, split(change.key)))

    def _checked_value(self, change: ValueChange) -> ValueChange | None:
        slot = (_folded(change.key), fold(change.name))
        if slot in self.values:
            raise _contradiction(change, f"the value {change.name!r} is changed twice")
        spelt = self._spelt(change, split(change.key))
        key = find(self.hive, change.key)
        held: Data | None = None if key is None else key.value(change.name)
        if held != change.before:
            shown = "is absent" if held is None else f"is {held.show()}"
            raise _stale(change, f"the value {change.name!r} {shown}")
        if held == change.after:
            return None
        name = change.name if key is None or held is None else _spelt_value(key, change.name)
        return ValueChange(change.hive, spelt, name, change.before, change.after, change.rule, change.why)

    def _spelt(self, change: RegistryChange, there: tuple[str, ...], new: tuple[str, ...] = ()) -> str:
        """The path of a key that is there or made before, as spelt there, with new names behind it."""
        path = join(*there)
        made = self.made.get(fold(path))
        if made is not None:
            return join(made, *new)
        key = find(self.hive, path)
        if key is None:
            raise _stale(change, f"there is no key {path}")
        return join(key.path, *new)

    @staticmethod
    def _with_key(change: KeyChange, key: str) -> KeyChange:
        return KeyChange(change.hive, key, change.exists_before, change.exists_after, change.rule, change.why)

    def obstacle(self, change: RegistryChange) -> str | None:
        path = _folded(change.key)
        if any(path.startswith(above + "\\") or path == above for above in self.patched):
            return "its key is not made by hivex"
        return guards.hivex_obstacle(self.hive, change, tuple(self.made.values()))

    def note(self, change: RegistryChange, *, patched: bool) -> None:
        path = _folded(change.key)
        if isinstance(change, ValueChange):
            self.values.add((path, fold(change.name)))
        elif change.exists_after:
            self.made[path] = change.key
            if patched:
                self.patched.add(path)
        else:
            self.deleted.add(path)


def _spelt_value(key: Key, name: str) -> str:
    return next(held for held, _ in key.values() if fold(held) == fold(name))


def _folded(path: str) -> str:
    return fold(join(*split(path)))


def _stale(change: RegistryChange, found: str) -> StalePlanError:
    return StalePlanError(
        f"{change.hive}\\{change.key} is not what the plan was made for: {found}",
        subject=change.key,
        hint="Make a new plan for this disk.",
    )


def _contradiction(change: RegistryChange, what: str) -> FailedError:
    return FailedError(
        f"the plan contradicts itself at {change.hive}\\{change.key}: {what}",
        code="plan-contradictory",
        subject=change.key,
        hint="Make a new plan; if it is the same, report this as a bug.",
    )
