"""The rules, in the order they run. A new rule is one module and one entry here."""

from __future__ import annotations

from p2vprep.core.profiles import Setting
from p2vprep.core.rules import (
    adapter_tuning,
    addresses,
    commands,
    crash,
    dhcp,
    disks,
    drivers,
    files,
    filters,
    firmware,
    ghosts,
    hal,
    location,
    multihoming,
    ncsi,
    netwaits,
    park,
    services,
    start,
    tuning,
    uninstall,
    values,
    virtio,
    warn,
    wds,
)
from p2vprep.core.rules.context import Rule

RULES: tuple[Rule, ...] = (
    filters,
    services,
    drivers,
    virtio,
    park,
    ncsi,
    dhcp,
    ghosts,
    values,
    files,
    disks,
    crash,
    firmware,
    hal,
    warn,
    commands,
    uninstall,
    addresses,
    multihoming,
    tuning,
    adapter_tuning,
    location,
    wds,
    netwaits,
    start,
)
SETTINGS: tuple[Setting, ...] = tuple(setting for rule in RULES for setting in rule.SETTINGS)
KINDS: frozenset[str] = frozenset(kind for rule in RULES for kind in rule.KINDS)
"""The kinds of profile actions that some rule carries out."""
