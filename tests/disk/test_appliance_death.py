"""The real appliance is killed in the middle of the work; one launch, with its log kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.disk import accel, watch
from p2vprep.disk.appliance import launch
from p2vprep.disk.guestfs_appliance import GuestfsAppliance
from p2vprep.errors import CannotOpenError


@pytest.mark.appliance
@pytest.mark.usefixtures("needs_appliance")
def test_an_appliance_that_dies_in_the_middle_is_told_at_once(tmp_path: Path) -> None:
    ran: list[str] = []
    log = tmp_path / "appliance.log"
    chosen = accel.choose()
    with launch(
        [], read_only=True, accelerator=chosen, log=log, meanwhile=lambda: ran.append("meanwhile")
    ) as appliance:
        assert ran == ["meanwhile"]
        assert "guestfsd" in log.read_text()
        assert appliance.read_device("/dev/sda", 0, 512) == bytes(512)
        assert isinstance(appliance, GuestfsAppliance)
        watch.kill([appliance._pid])
        with pytest.raises(CannotOpenError) as error:
            appliance.read_device("/dev/sda", 0, 512)
        assert error.value.code == "appliance-died"
        appliance.kill()
