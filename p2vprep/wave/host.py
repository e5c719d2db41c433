"""How much this host can do at once."""

from __future__ import annotations

import os
from pathlib import Path

from p2vprep.disk import accel
from p2vprep.engine.options import Accelerator
from p2vprep.events import Sink

JOB_MEMORY = 1200 << 20
"""What one launch needs at most (bytes): the appliance's 512 MiB, QEMU's own, the hives of a machine."""
PER_APPLIANCE = {"tcg": 16, "kvm": 4}
"""Machines per launch: under emulation the launch costs ten times what a machine costs, with KVM twice."""


def default_jobs() -> int:
    """Launches at a time: one per processor, as far as the memory goes."""
    processors = len(os.sched_getaffinity(0))
    return max(1, min(processors, available_memory() // JOB_MEMORY))


def default_per_appliance(wanted: Accelerator, sink: Sink) -> int:
    """Machines per launch. Raises CannotOpenError where KVM is demanded and does not work."""
    return PER_APPLIANCE[accel.choose(wanted, sink=sink).name]


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes of memory that programs can have now; very many where the host does not tell."""
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        return 1 << 40
    return 1 << 40
