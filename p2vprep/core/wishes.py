"""What the user asks for beside profiles and settings, as values the rules can read.

The engine makes them of options: documents are parsed, host files are read. Rules find them
in ``RuleContext.wishes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2vprep.core.model import Edit, FirstBootItem, Hazard
from p2vprep.core.network import Network
from p2vprep.core.virtio import DriverKit

GhostChoice = Literal["keep", "neutralise", "remove"]


@dataclass(frozen=True)
class Wishes:
    """Everything is optional; the empty value asks for nothing."""

    ghosts: GhostChoice | None = None
    """What becomes of ghost adapters; None: the default of this Windows version."""
    network: Network | None = None
    edits: tuple[Edit, ...] = ()
    """Made by hand: ``p2vprep services … set``, ``registry … set``, the console."""
    only_edits: bool = False
    """Nothing but the edits: no rule runs."""
    items: tuple[FirstBootItem, ...] = ()
    """What the first boot shall do for the user: own steps."""
    findings: tuple[Hazard, ...] = ()
    """What was noticed while the wishes were gathered."""
    drivers: DriverKit | None = None
    """The virtio drivers that the user gives for this Windows."""


NOTHING_WISHED = Wishes()
