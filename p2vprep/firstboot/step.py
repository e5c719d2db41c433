"""What a step of the first boot is made of."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One step. ``name`` begins with a number; steps run in the order of these numbers.

    ``always``: it gives something back, so it runs even when the job gives up,
    and is tried again at the next boot where it failed.
    """

    name: str
    script: str
    limit: int
    """Seconds after which the engine goes on without it."""
    always: bool
    data: dict[str, bytes] = field(default_factory=dict)
    """Files below ``data`` by their names."""
    parts: dict[str, str] = field(default_factory=dict)
    """Further scripts beside the step's own, by their names."""
    shared: dict[str, str] = field(default_factory=dict)
    """Scripts below ``lib`` that several steps use."""
