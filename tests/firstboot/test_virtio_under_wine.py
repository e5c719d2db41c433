"""The clean-up after virtio drivers, executed by Wine's cmd with Wine's reg and find."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.driver_database import DATABASE
from p2vprep.core.model import PutFile, SetValue
from p2vprep.core.planner import draft
from p2vprep.core.regtext import Section
from p2vprep.core.values import Data
from p2vprep.core.wishes import Wishes
from p2vprep.virtio_files import load_kit
from tests.core.rules.test_virtio import SERVER_2019, Virtual
from tests.support import virtio
from tests.support.wine import Prefix

pytestmark = pytest.mark.long

REAL = r"HKEY_LOCAL_MACHINE\SYSTEM\DriverDatabase\DriverPackages\viostor.inf_amd64_0123456789abcdef"


@pytest.mark.parametrize("installed", [True, False])
def test_the_placeholder_goes_only_where_the_real_package_is(
    windows: Prefix, tmp_path: Path, installed: bool
) -> None:
    kit = load_kit(virtio.write(tmp_path, virtio.kit("2k19", names=("viostor",))), SERVER_2019)
    machine = Virtual(SERVER_2019)
    wanted = draft(machine.facts(), machine.hives, (), wishes=Wishes(drivers=kit))
    placed = [
        edit
        for edit in wanted.edits
        if isinstance(edit, SetValue) and edit.key.startswith((DATABASE, "p2vprep"))
    ]
    more = [Section(REAL, (("Provider", Data.sz("x")),))] if installed else []
    windows.apply(placed, more)
    before = windows.tree(rf"HKLM\SYSTEM\{DATABASE}")
    assert any("p2vprep_viostor.inf" in key for key in before)

    for edit in wanted.edits:
        if isinstance(edit, PutFile) and edit.path.endswith(".cmd"):
            windows.put(edit.path, edit.content)
    assert windows.script(r"C:\p2vprep\drivers\finish.cmd") == 0

    after = windows.tree(rf"HKLM\SYSTEM\{DATABASE}")
    ours = [
        key for key, held in after.items() if "p2vprep_viostor.inf" in key or "p2vprep_viostor.inf" in held
    ]
    assert bool(ours) is not installed
    assert windows.tree(r"HKLM\SYSTEM\p2vprep\Drivers") == {}
    if installed:
        assert any("viostor.inf_amd64" in key for key in after)
    else:
        assert after == before
    windows.remove((), (rf"SYSTEM\{DATABASE}",))
