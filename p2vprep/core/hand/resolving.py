r"""From edits made by hand to edits that the planner can hold against the disk, and what to tell of them.

``CurrentControlSet`` becomes every control set that is edited. What would do nothing because its
key is not there is refused rather than passed over: somebody typed it. Whatever switches a service
or driver off, by ``services set`` or by any other edit of its Start, is put before the dependency guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from p2vprep.core.hand import places
from p2vprep.core.hand.making import DELAYED
from p2vprep.core.hand.sequence import in_sequence
from p2vprep.core.hand.services import judged
from p2vprep.core.model import (
    ControlSet,
    DeleteFile,
    DeleteKey,
    DeleteValue,
    Edit,
    Facts,
    Hazard,
    MakeKey,
    PutFile,
    SetValue,
    Skip,
)
from p2vprep.core.registry import Hive, find, fold, join, split, value
from p2vprep.core.selection import Selection
from p2vprep.core.values import type_name

RegistryEdit = SetValue | DeleteValue | DeleteKey | MakeKey


@dataclass(frozen=True)
class Resolved:
    """Edits with real paths, and what the operator must know."""

    edits: tuple[Edit, ...]
    hazards: tuple[Hazard, ...] = ()
    skips: tuple[Skip, ...] = ()


def resolve(
    edits: Sequence[Edit],
    facts: Facts,
    control_sets: Sequence[ControlSet],
    hives: Mapping[str, Hive],
    selections: Mapping[str, Selection],
) -> Resolved:
    """Resolves the edits for the control sets that are edited, the one that boots next first.

    ``selections`` is what the profiles of the same plan do to services, by control set.
    """
    if not edits:
        return Resolved(())
    resolver = _Resolver(facts, control_sets, hives)
    real = in_sequence(resolver.spread(edits), hives)
    checked = tuple(edit for edit in real if resolver.check(edit))
    resolver.hazards += judged(checked, facts, selections)
    return Resolved(checked, tuple(resolver.hazards), tuple(resolver.skips))


class _Resolver:
    """Collects what there is to tell while the edits are gone through."""

    def __init__(self, facts: Facts, control_sets: Sequence[ControlSet], hives: Mapping[str, Hive]) -> None:
        self.facts = facts
        self.control_sets = control_sets
        self.hives = hives
        self.spelt = {fold(name): name for name in hives}
        self.hazards: list[Hazard] = []
        self.skips: list[Skip] = []
        self.made: set[tuple[str, ...]] = set()

    def spread(self, edits: Iterable[Edit]) -> Iterator[Edit]:
        """The edits with hives as they are spelt here, once for each control set they mean."""
        for edit in edits:
            if isinstance(edit, PutFile | DeleteFile):
                yield edit
                continue
            edit = replace(edit, hive=self.spelt.get(fold(edit.hive), edit.hive))
            if edit.hive != "SYSTEM" or not places.is_current(edit.key):
                yield self._noted(edit)
                continue
            for control_set in self.control_sets:
                real = replace(edit, key=places.in_set(edit.key, control_set.name))
                if control_set is self.control_sets[0] or self._can_be_there(real):
                    yield self._noted(real)

    def _noted(self, edit: RegistryEdit) -> RegistryEdit:
        """The edit, after the keys it makes are known to be made."""
        if isinstance(edit, MakeKey) or (isinstance(edit, SetValue) and edit.create):
            names = [fold(name) for name in split(edit.key)]
            self.made.update((edit.hive, *names[:length]) for length in range(1, len(names) + 1))
        return edit

    def _can_be_there(self, edit: RegistryEdit) -> bool:
        """Whether an edit means something in a control set that does not boot next."""
        makes = isinstance(edit, MakeKey) or (isinstance(edit, SetValue) and edit.create)
        return makes or find(self.hives["SYSTEM"], edit.key) is not None

    def check(self, edit: Edit) -> bool:
        """Whether an edit can be carried out; hazards and skips tell what else there is to know."""
        if isinstance(edit, PutFile | DeleteFile):
            return True
        hive = self.hives.get(edit.hive)
        if hive is None:
            self.hazards.append(_no_hive(edit))
            return False
        key = find(hive, edit.key)
        slot = (edit.hive, *(fold(name) for name in split(edit.key)))
        if key is None and isinstance(edit, SetValue) and not edit.create and slot not in self.made:
            self.hazards.append(self._no_key(edit, hive))
            return False
        if isinstance(edit, DeleteKey | DeleteValue):
            absent = key is None or (isinstance(edit, DeleteValue) and key.value(edit.name) is None)
            if absent and not _is_delay(edit):
                self.skips.append(Skip(edit.rule, _subject(edit), "it is not there"))
        if isinstance(edit, SetValue):
            self._compare_types(edit, hive)
        return True

    def _compare_types(self, edit: SetValue, hive: Hive) -> None:
        before = value(hive, edit.key, edit.name)
        if before is not None and before.type != edit.data.type:
            self.hazards.append(
                Hazard(
                    "value-type-changes",
                    "warn",
                    f"{_subject(edit)} was a {type_name(before.type)} and becomes a "
                    f"{type_name(edit.data.type)}; who reads it may not expect that.",
                    (before.show(),),
                    "Give the type that it has now, or leave it as planned if the change is meant.",
                )
            )

    def _no_key(self, edit: SetValue, hive: Hive) -> Hazard:
        parts = split(edit.key)
        if len(parts) == 3 and fold(parts[1]) == "SERVICES":
            near = self._services_like(parts[2])
            return Hazard(
                "no-such-service",
                "refuse",
                f"There is no service or driver {parts[2]} in {parts[0]}.",
                cure=f"Did you mean {near}?" if near else "`p2vprep services IMAGE` lists what there is.",
            )
        return Hazard(
            "no-such-key",
            "refuse",
            f"There is no key {places.shown(edit.hive, edit.key)}.",
            cure="Look at it with `p2vprep registry IMAGE get`.",
        )

    def _services_like(self, name: str) -> str:
        """Services whose name or display name comes near."""
        known = {fold(one.name): one.name for one in self.facts.boot.services}
        shown = {fold(one.display_name): one.name for one in self.facts.boot.services if one.display_name}
        near = [known[found] for found in get_close_matches(fold(name), known, 3)]
        near += [shown[found] for found in get_close_matches(fold(name), shown, 3)]
        return " or ".join(dict.fromkeys(near))


def _is_delay(edit: DeleteKey | DeleteValue) -> bool:
    """Part of setting a service to automatic: nothing to tell where there was no delay."""
    return isinstance(edit, DeleteValue) and fold(edit.name) == fold(DELAYED)


def _subject(edit: RegistryEdit) -> str:
    place = places.shown(edit.hive, edit.key)
    return join(place, edit.name or "(default)") if isinstance(edit, SetValue | DeleteValue) else place


def _no_hive(edit: RegistryEdit) -> Hazard:
    return Hazard(
        "hive-not-here",
        "refuse",
        f"The hive of {places.shown(edit.hive, edit.key)} is not on this disk or cannot be read.",
        cure="`p2vprep registry IMAGE get` without a key lists the hives there are.",
        liftable=False,
    )
