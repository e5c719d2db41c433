r"""Services the tool has parked before, from its own record ``SYSTEM\p2vprep\Parked\<service>``.

The record lies outside the control sets, so that a fall-back to the last known
good set does not lose it.
"""

from __future__ import annotations

from p2vprep.core.facts.keys import children, dword
from p2vprep.core.model import Parked
from p2vprep.core.registry import Hive, find

PARKED_KEY = r"p2vprep\Parked"


def read_parked(system: Hive) -> tuple[Parked, ...]:
    """The parked services; an entry without a usable Start is left out, as there is nothing to give back."""
    found = []
    for key in children(find(system, PARKED_KEY)):
        start, delayed = dword(key, "Start"), dword(key, "DelayedAutostart")
        if start is not None:
            found.append(Parked(key.name, start, None if delayed is None else delayed != 0))
    return tuple(found)
