"""No tool outlives a killed p2vprep, also not one that was just being started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd, qemu
from p2vprep.errors import CannotOpenError
from tests.faults.machine import create


def test_a_tool_whose_parent_has_died_meanwhile_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = image.probe(create(tmp_path / "disk.vhd", "vhd"))
    assert qemu.info(disk)["format"] == "vpc"
    with monkeypatch.context() as orphaned:
        orphaned.setattr(os, "getpid", lambda: 1)
        with pytest.raises(CannotOpenError):
            qemu.info(disk)
        with pytest.raises(CannotOpenError), nbd.connect(disk, read_only=True):
            pytest.fail("a server without a parent was started")
    with nbd.connect(disk, read_only=True) as served:
        assert served.size == disk.virtual_size
