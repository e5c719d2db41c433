r"""Registry values that are changed for good, or only until the first boot is done.

Of any hive: those of SYSTEM lie below the control set in hand, those of SOFTWARE exist once. What is
parked is recorded as :mod:`p2vprep.core.rules.records` says, under an identifier of its own, and given
back by the first boot; a value that an earlier plan parked is given back also where nobody asks any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.model import RestoreValue, RuleYield, SetValue, Skip
from p2vprep.core.registry import find, join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.records import forget_value, record_value, recorded_value
from p2vprep.core.values import Data

Wanted = Literal["keep", "park", "for-good"]


@dataclass(frozen=True)
class Resting:
    """One value, what it shall be meanwhile (or for good), and why."""

    identifier: str
    """The name of its record."""
    hive: Literal["SYSTEM", "SOFTWARE"]
    key: str
    """Below the control set (SYSTEM), or below the hive's root (SOFTWARE)."""
    name: str
    data: Data
    why: str
    create: bool = False
    """Whether a key that is not there is made."""

    @property
    def running(self) -> str:
        """The key as the running Windows sees it, below HKLM."""
        return join(r"SYSTEM\CurrentControlSet" if self.hive == "SYSTEM" else "SOFTWARE", self.key)


def rest(context: RuleContext, value: Resting, wanted: Wanted, rule: str) -> Iterator[RuleYield]:
    """The edits for one value, its record, and what the first boot gives back."""
    record = recorded_value(context.system, value.identifier, value.why)
    if context.boots_next and record is not None:
        done = forget_value(value.identifier, rule, "it stays so for good")
        yield done if wanted == "for-good" else record
    if wanted == "keep" or (value.hive == "SOFTWARE" and not context.boots_next):
        return
    path = join(context.control_set.name, value.key) if value.hive == "SYSTEM" else value.key
    hive = context.hives.get(value.hive)
    if hive is None:
        yield Skip(rule, value.name, f"the {value.hive} hive is not here")
        return
    key = find(hive, path)
    if key is None and not value.create:
        yield Skip(rule, value.name, f"there is no key {path}")
        return
    before = None if key is None else key.value(value.name)
    if wanted == "park" and record is None and before == value.data:
        return
    path = path if key is None else key.path
    yield SetValue(value.hive, path, value.name, value.data, rule, value.why, create=value.create)
    if wanted == "park" and record is None and context.boots_next:
        item = RestoreValue(value.running, value.name, before, value.why)
        yield from record_value(value.identifier, item, rule, "the first boot gives the old value back")
        yield item
