"""What a rule gets and what it must offer.

A rule is one module with ``NAME`` (as shown in the plan), ``KINDS`` (the kinds
of profile actions it carries out), ``SETTINGS`` (its own switches) and
``rule``. It runs once for each control set that is edited, the one that boots
next first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from p2vprep.core.model import ControlSet, Facts, RuleYield
from p2vprep.core.profiles import Choices, OwnedAction, Setting
from p2vprep.core.registry import Hive, Key, find, fold, join
from p2vprep.core.selection import Intent, Selection
from p2vprep.core.wishes import NOTHING_WISHED, Wishes


@dataclass(frozen=True)
class RuleContext:
    """Everything a rule may look at; nothing of it can be written."""

    facts: Facts
    control_set: ControlSet
    hives: Mapping[str, Hive]
    choices: Choices
    selection: Selection
    """What the profiles want of the services of this control set and the guard lets pass."""
    boot_selection: Selection
    """The same of the control set that boots next."""
    actions: tuple[OwnedAction, ...] = ()
    """The actions of the rule's kinds that apply here, service kinds excepted (see ``selection``)."""
    wishes: Wishes = NOTHING_WISHED
    """What the user asks for beside profiles and settings."""

    @property
    def system(self) -> Hive:
        return self.hives["SYSTEM"]

    @property
    def boots_next(self) -> bool:
        """Whether the control set in hand is the one that boots next."""
        return fold(self.control_set.name) == fold(self.facts.boot_set)

    @property
    def boot_intents(self) -> Mapping[str, Intent]:
        """The intents of the control set that boots next, by folded service name."""
        return {fold(intent.service.name): intent for intent in self.boot_selection.intents}

    def setting(self, name: str) -> str:
        return self.choices.settings[name]

    def key(self, path: str) -> Key | None:
        """A key below the control set in hand."""
        return find(self.system, join(self.control_set.name, path))


class Rule(Protocol):
    """A rule's module."""

    NAME: str
    KINDS: tuple[str, ...]
    SETTINGS: tuple[Setting, ...]

    def rule(self, context: RuleContext) -> Iterator[RuleYield]:
        """What shall be true, what to tell, what is not done, and what the first boot gives back."""
        ...
