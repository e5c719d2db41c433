"""Fixtures of the wave's tests: machines on the fake appliance, in child processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from p2vprep.profile_files import shipped_folder
from p2vprep.wave import children
from p2vprep.wave.manifest import Manifest, load
from tests.support import wave_child
from tests.support.flow import Shelf, fake, shelf

__all__ = ["fake", "shelf"]

MakeWave = Callable[..., Manifest]


@pytest.fixture(scope="session")
def few_profiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough for the sample machine, and read in a moment."""
    folder = tmp_path_factory.mktemp("profiles")
    for name in ("sources/hpe-proliant.yaml", "stages/isolated-first-boot.yaml"):
        (folder / name).parent.mkdir()
        (folder / name).symlink_to(shipped_folder() / name)
    return folder


@pytest.fixture
def launches(tmp_path: Path, few_profiles: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Children launch the fake appliance; call it to be told the disks of every launch so far."""
    log = tmp_path / "launches.txt"
    monkeypatch.setenv(wave_child.LAUNCHES, str(log))
    monkeypatch.setenv(wave_child.PROFILES, str(few_profiles))
    monkeypatch.setattr(children, "COMMAND", wave_child.COMMAND)

    def told() -> list[int]:
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    return told


@pytest.fixture
def make_wave(shelf: Shelf, tmp_path: Path) -> MakeWave:
    """A manifest of sample machines by their names; ``more`` are lines of the manifest."""

    def make(*names: str, more: str = "", missing: tuple[str, ...] = ()) -> Manifest:
        lines = ["schema: p2vprep.wave/1", "defaults: {source: hpe-proliant}", more, "machines:"]
        for name in names:
            folder = tmp_path / name
            if not folder.exists() and name not in missing:
                folder.mkdir()
                shelf.disk(folder)
            lines.append(f"  - {{name: {name}, disks: {name}/disk.raw}}")
        path = tmp_path / "wave.yaml"
        path.write_text("\n".join(line for line in lines if line) + "\n")
        return load(path)

    return make
