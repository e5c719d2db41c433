r"""Which control sets there are and which one boots next.

``CurrentControlSet`` is a volatile link and absent at rest. The next boot uses
``Select\Default``; ``Current`` is history and may be 0 in a hive made by Setup
(both observed in hives; KB 102984).
"""

from __future__ import annotations

import re

from p2vprep.core.facts.keys import dword
from p2vprep.core.registry import Hive, find
from p2vprep.errors import HiveError

_SET_NAME = re.compile(r"ControlSet(\d{3})", re.IGNORECASE)
_SELECT_NAMES = ("Current", "Default", "Failed", "LastKnownGood")


def read_select(system: Hive) -> dict[str, int]:
    """The numbers of the ``Select`` key that are there. Raises HiveError ``no-control-set`` without it."""
    key = find(system, "Select")
    if key is None:
        raise HiveError(
            "the SYSTEM hive has no Select key, so it does not tell which control set boots",
            code="no-control-set",
            subject="Select",
            hint="Is this really the SYSTEM hive of a Windows NT system?",
        )
    numbers = {name: dword(key, name) for name in _SELECT_NAMES}
    return {name: number for name, number in numbers.items() if number is not None}


def control_sets(system: Hive, select: dict[str, int]) -> tuple[str, ...]:
    """The names of all control sets as spelt in the hive: the one that boots next, then by number.

    Raises HiveError ``no-control-set`` where the set that boots next is not there.
    """
    found = {
        int(match.group(1)): key.name
        for key in system.root.subkeys()
        if (match := _SET_NAME.fullmatch(key.name)) is not None
    }
    default = select.get("Default")
    if default is None or default not in found:
        wanted = "no set" if default is None else f"ControlSet{default:03d}"
        raise HiveError(
            f"Select\\Default names {wanted}, but the hive holds {', '.join(found.values()) or 'none'}",
            code="no-control-set",
            subject=r"Select\Default",
            hint="Start Windows once on the source, or mend Select by hand; nothing is guessed here.",
        )
    others = (found[number] for number in sorted(found) if number != default)
    return (found[default], *others)
