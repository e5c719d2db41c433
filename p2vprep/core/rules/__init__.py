"""The rules, in the order they run. A new rule is one module and one entry here."""

from __future__ import annotations

from p2vprep.core.profiles import Setting
from p2vprep.core.rules import (
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
    ncsi,
    park,
    services,
    uninstall,
    values,
    virtio,
    warn,
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
)
SETTINGS: tuple[Setting, ...] = tuple(setting for rule in RULES for setting in rule.SETTINGS)
KINDS: frozenset[str] = frozenset(kind for rule in RULES for kind in rule.KINDS)
"""The kinds of profile actions that some rule carries out."""
