"""Fixtures for all tests: where built disks are kept, and whether the appliance is there."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from testdata.kit.disks import DiskSpec, build_disks

_CHECKOUT = Path(__file__).resolve().parents[1]
# Profiles that whoever runs the suite wrote for themselves are none of its business.
os.environ["XDG_CONFIG_HOME"] = str(_CHECKOUT / "build" / "no-configuration")


def _missing_for_appliance() -> str:
    if importlib.util.find_spec("guestfs") is None:
        return "python3-guestfs is not installed"
    if shutil.which("qemu-img") is None:
        return "qemu-utils is not installed"
    return ""


@pytest.fixture(scope="session")
def disk_cache() -> Path:
    """The folder that keeps built disks between runs: $P2VPREP_TEST_CACHE, else build/testdata."""
    folder = Path(os.environ.get("P2VPREP_TEST_CACHE") or _CHECKOUT / "build" / "testdata")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def needs_appliance() -> None:
    """Skips where libguestfs is missing."""
    if missing := _missing_for_appliance():
        pytest.skip(f"the appliance cannot be launched: {missing}")


@pytest.fixture(scope="session")
def built(disk_cache: Path, needs_appliance: None) -> Callable[[Sequence[DiskSpec]], dict[str, Path]]:
    """Builds disks, or takes them from the cache; never write to them, use ``copy_disk``."""
    return lambda specs: build_disks(specs, disk_cache)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What launches the appliance comes first, so that no worker is left with it alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("appliance") is None)
