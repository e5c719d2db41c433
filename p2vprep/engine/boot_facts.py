r"""What a target wants to know of the disk beside the registry: driver files and firmware.

Looking into ``System32\drivers`` costs calls of the appliance, so it is done only for a target.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from p2vprep.core.model import Facts
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.registry import fold
from p2vprep.engine.machine import Machine

DRIVERS = "System32/drivers"


def with_boot_facts(machine: Machine, profiles: Sequence[ResolvedProfile]) -> Facts:
    """The machine's facts, with those about its start where one of the profiles is a target."""
    if not any(profile.kind == "target" for profile in profiles):
        return machine.facts
    names = machine.files.names(f"{machine.volume.root}/{DRIVERS}")
    return replace(machine.facts, driver_files=known_drivers(names), firmware=machine.volume.firmware)


def known_drivers(names: Iterable[str]) -> frozenset[str] | None:
    """The folded names in the folder of drivers.

    None where not one driver lies there, or there is no folder: no Windows starts from such a disk,
    so that what is missing says nothing (only the registry was copied, or it is a disk of a test).
    """
    folded = frozenset(fold(name) for name in names)
    return folded if any(name.endswith(".SYS") for name in folded) else None
