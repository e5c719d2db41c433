"""The bundle that runs once inside the guest: its templates and their builder."""

from __future__ import annotations

from p2vprep.firstboot.builder import FOLDER, RESULT_KEY, RULE, SERVICE, build
from p2vprep.firstboot.result import FirstBootResult, read_result
from p2vprep.firstboot.starts import Surroundings

__all__ = [
    "FOLDER",
    "RESULT_KEY",
    "RULE",
    "SERVICE",
    "FirstBootResult",
    "Surroundings",
    "build",
    "read_result",
]
