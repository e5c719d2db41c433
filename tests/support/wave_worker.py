"""Preloaded by the workers of a test's cluster: their children launch the fake appliance."""

from __future__ import annotations

from typing import Any

from p2vprep.wave import children
from tests.support import wave_child


def dask_setup(_worker: Any) -> None:
    children.COMMAND = wave_child.COMMAND
