"""A root folder in which users may swap what the first boot runs as SYSTEM."""

from __future__ import annotations

from pathlib import Path

from tests.engine.test_faults import digest
from tests.support.flow import done, failed, inside


def test_an_open_root_refuses_the_first_boot_job_unless_allowed(fake: None, disk: Path) -> None:
    with inside(disk) as guest:
        guest.chmod("/", 0o777)
    before = digest(disk)
    refused = failed(5, "guest-root-open", "apply", disk, "--yes")
    assert "/p2vprep" in refused["message"]
    assert digest(disk) == before
    done("plan", disk)
    done("apply", disk, "--yes", "--no-first-boot")
    done("rollback", disk)
    done("apply", disk, "--yes", "--allow", "guest-root-open")
