"""A wave's child process with the fake appliance, and faults by the names of machines.

Run as ``python -m tests.support.wave_child``. The faults are for what a bad disk may do to a process:
a machine whose name has ``crash`` in it ends the process in the middle of its work, one with ``hang``
never ends, ``stubborn`` does not even obey SIGTERM, ``flaky`` crashes where others share its launch.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from p2vprep import profile_files, profile_store
from p2vprep.disk import accel, appliance
from p2vprep.engine import several
from p2vprep.wave import child
from tests.support.fake_appliance import fake_launch

COMMAND = (sys.executable, "-m", "tests.support.wave_child")
LAUNCHES = "P2VPREP_TEST_LAUNCHES"
"""The file that every launch adds a line to: the number of its disks."""
PROFILES = "P2VPREP_TEST_PROFILES"
"""A folder with a few of the shipped profiles: a child that reads all of them takes seconds to begin."""

_planned = several._planned


def _with_faults(place: Any, machine: Any, sink: Any) -> Any:
    name = place.work.name
    if "crash" in name or ("flaky" in name and len(child_names) > 1):
        os.kill(os.getpid(), signal.SIGSEGV)
    if "stubborn" in name:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if "hang" in name or "stubborn" in name:
        time.sleep(600)
    if "slow" in name:
        time.sleep(1.0)
    return _planned(place, machine, sink)


child_names: list[str] = []


def _perform(job: Any, send: Any) -> None:
    child_names.extend(job.names)
    _real_perform(job, send)


_real_perform = child.perform


def _launch(disks: Any, **options: Any) -> Any:
    if path := os.environ.get(LAUNCHES):
        with open(path, "a", encoding="ascii") as stream:  # noqa: PTH123
            stream.write(f"{len(disks)}\n")
    return fake_launch(disks, **options)


def install() -> None:
    """From here on this process launches the fake appliance."""
    appliance.launch = _launch
    accel.choose = lambda *_wanted, **_more: accel.TCG
    if folder := os.environ.get(PROFILES):
        for module in (profile_files, profile_store):
            module.shipped_folder = lambda: Path(folder)  # type: ignore[attr-defined]
    several._planned = _with_faults
    child.perform = _perform


if __name__ == "__main__":
    install()
    sys.exit(child.main())
