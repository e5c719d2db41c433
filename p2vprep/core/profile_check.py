"""A profile held against one disk: what each action means there, what it would change, and why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from p2vprep.core.changes import resolve_edits
from p2vprep.core.conditions import fits, targets, why_not
from p2vprep.core.documents.actions import (
    BootPathTarget,
    FilterTarget,
    ServiceTarget,
    UninstallTarget,
)
from p2vprep.core.documents.patterns import is_wildcard, name_matches
from p2vprep.core.model import (
    DeleteFile,
    Edit,
    Facts,
    FileState,
    FirstBootItem,
    Hazard,
    PutFile,
    RuleYield,
    Skip,
)
from p2vprep.core.profiles import Choices, OwnedAction, ResolvedProfile, choose
from p2vprep.core.registry import Hive, fold
from p2vprep.core.rules import RULES, SETTINGS
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.selection import Selection, as_given_back, select
from p2vprep.core.uninstallers import matching

FileStates = Callable[[Sequence[str]], Mapping[str, FileState | None]]
"""What is at these paths of the guest now."""
_BY_START_TYPE = frozenset({"disable", "park", "demand"})


@dataclass(frozen=True)
class Met:
    """A name, pattern or expression of an action, and what it means on this disk."""

    name: str
    found: tuple[str, ...]


@dataclass(frozen=True)
class ActionReport:
    """One action on this disk."""

    id: str
    kind: str
    why_not: str
    """The condition that does not hold; empty where the action applies."""
    met: tuple[Met, ...] = ()
    absent: tuple[str, ...] = ()
    """The names that this disk does not have."""
    changes: int = 0
    """How many values, keys and files it would change."""
    steps: int = 0
    """How many steps of the first boot it asks for."""
    notes: tuple[str, ...] = ()
    """What it would tell, and what it asks for in vain."""

    @property
    def idle(self) -> bool:
        """Whether it does nothing here."""
        return not self.changes and not self.steps

    @property
    def reason(self) -> str:
        """Why it does nothing here; empty where it does something."""
        if not self.idle:
            return ""
        return self.why_not or (
            "nothing it names is on this disk" if self.absent and not self.met else "nothing would change"
        )

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "kind": self.kind,
            "idle": self.idle,
            "reason": self.reason,
            "met": {met.name: list(met.found) for met in self.met},
            "absent": list(self.absent),
            "changes": self.changes,
            "steps": self.steps,
            "notes": list(self.notes),
        }


def examine(
    profile: ResolvedProfile,
    facts: Facts,
    hives: Mapping[str, Hive],
    files: FileStates,
    overrides: Mapping[str, str] | None = None,
) -> tuple[ActionReport, ...]:
    """The report of every action, for the control set that boots next.

    Settings and parameters are as with ``--set`` of the same names. Raises UsageError and DocumentError
    as :func:`p2vprep.core.profiles.choose`.
    """
    choices = choose([profile], SETTINGS, overrides or {})
    examiner = _Examiner(profile, facts, hives, files, choices)
    return tuple(examiner.report(owned) for owned in profile.actions)


class _Examiner:
    """Looks at the actions of one profile together: what one of them frees, another may disable."""

    def __init__(
        self,
        profile: ResolvedProfile,
        facts: Facts,
        hives: Mapping[str, Hive],
        files: FileStates,
        choices: Choices,
    ) -> None:
        self._facts, self._hives, self._files, self._choices = facts, hives, files, choices
        self._set = as_given_back(facts, facts.boot)
        self._selection = self._select(profile.actions)

    def _select(self, actions: Sequence[OwnedAction]) -> Selection:
        return select(self._facts.guest, self._set, self._hives["SYSTEM"], actions, self._choices)

    def report(self, owned: OwnedAction) -> ActionReport:
        action = owned.action
        reason = why_not(
            action.when,
            self._facts.guest,
            self._facts.boot,
            self._hives["SYSTEM"],
            self._choices.parameters.get(owned.profile, {}),
        )
        met = tuple(self._met(owned))
        there = tuple(one for one in met if one.found)
        absent = tuple(one.name for one in met if not one.found)
        if action.kind in _BY_START_TYPE:
            changes = 0 if reason else self._start_types(action.kind, there)
            notes = () if reason else tuple(_notes_of(owned, self._selection))
            return ActionReport(action.id, action.kind, reason or "", there, absent, changes, notes=notes)
        # Boot paths are alternatives: one alone tells nothing of the others.
        alone = reason is None and action.kind != "boot-path"
        yields = tuple(self._yields(owned)) if alone else ()
        steps = sum(isinstance(item, FirstBootItem) for item in yields)
        told = [item.message for item in yields if isinstance(item, Hazard)]
        told += [f"{item.subject}: {item.reason}" for item in yields if isinstance(item, Skip)]
        changes = self._changes([item for item in yields if isinstance(item, Edit)])
        return ActionReport(
            action.id, action.kind, reason or "", there, absent, changes, steps, tuple(dict.fromkeys(told))
        )

    def _start_types(self, kind: str, met: Sequence[Met]) -> int:
        """How many of the services would get another start type than they have on the disk."""
        now = {fold(service.name): service.start for service in self._facts.boot.services}
        meant = {fold(name) for one in met for name in one.found}
        wanted = {fold(one.service.name): one.start for one in self._selection.intents if one.kind == kind}
        return sum(now[name] != start for name, start in wanted.items() if name in meant)

    def _yields(self, owned: OwnedAction) -> Iterator[RuleYield]:
        """What the rules of this kind make of the action alone."""
        selection = self._select([owned])
        context = RuleContext(
            facts=self._facts,
            control_set=self._facts.boot,
            hives=self._hives,
            choices=self._choices,
            selection=selection,
            boot_selection=selection,
            actions=() if owned.action.kind == "filter-remove" else (owned,),
        )
        yield from selection.hazards
        yield from selection.skips
        for rule in RULES:
            if owned.action.kind in rule.KINDS:
                yield from rule.rule(context)

    def _changes(self, edits: Sequence[Edit]) -> int:
        paths = [edit.path for edit in edits if isinstance(edit, PutFile | DeleteFile)]
        return len(resolve_edits(edits, self._hives, self._files(paths)).changes)

    def _met(self, owned: OwnedAction) -> Iterator[Met]:
        """The names of an action with what fits each of them."""
        target = owned.action.target
        if isinstance(target, FilterTarget):
            listed = dict.fromkeys(name for held in self._facts.boot.filters for name in held.names)
            for pattern in target.names:
                yield Met(pattern, tuple(name for name in listed if name_matches(pattern, name)))
        elif isinstance(target, ServiceTarget):
            meant = [service for service in targets(target, self._facts.boot) if fits(target, service)]
            for pattern in target.names:
                found = (service.name for service in meant if name_matches(pattern, service.name))
                yield Met(pattern, tuple(found))
        elif isinstance(target, BootPathTarget):
            for name in target.drivers:
                services = (service.name for service in self._facts.boot.services)
                yield Met(name, tuple(service for service in services if name_matches(name, service)))
        elif isinstance(target, UninstallTarget):
            for pattern, products in zip(
                target.products, matching(target, self._facts.products), strict=True
            ):
                yield Met(f"/{pattern}/", tuple(product.display_name for product in products))


def is_pattern(name: str) -> bool:
    """Whether what it means is worth telling: a wildcard or an expression, not a name."""
    return is_wildcard(name) or name.startswith("/")


def _notes_of(owned: OwnedAction, selection: Selection) -> Iterator[str]:
    """What the selection has to say about one action."""
    mark = f"{owned.name}: "
    for skip in selection.skips:
        if skip.reason.startswith(mark):
            yield f"{skip.subject}: {skip.reason.removeprefix(mark)}"
