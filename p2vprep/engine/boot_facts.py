r"""What a target wants to know of the disk beside the registry: driver files and firmware.

Looking into ``System32\drivers`` costs a call of the appliance, so it is done only for a target.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    folder = f"{machine.volume.root}/{DRIVERS}"
    there = machine.files.find(folder) is not None
    names = frozenset(fold(name) for name in machine.files.names(folder)) if there else None
    return replace(machine.facts, driver_files=names, firmware=machine.volume.firmware)
