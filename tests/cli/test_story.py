"""The whole story of a machine, from the first look to forgetting, in every container."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.flow import (
    WRITABLE,
    Shelf,
    done,
    failed,
)
from tests.support.guest_disk import fingerprint


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("container", WRITABLE)
def test_a_machine_is_prepared_proved_and_taken_back(container: str, shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, container)
    before = fingerprint(disk)
    found = done("inspect", disk)
    assert found["guest"]["computer_name"] == "SRV-ERP01"
    planned = done("plan", disk)
    assert planned["changes"]
    assert fingerprint(disk) == before
    assert not disk.with_name(f"{disk.name}.p2vprep").exists()

    applied = done("apply", disk, "--yes")
    assert applied["committed"]
    assert applied["plan"]["changes"] == planned["changes"]
    assert applied["written_bytes"] > 0
    after = fingerprint(disk)
    assert after != before

    assert done("verify", disk)["as_planned"]
    assert done("plan", disk)["changes"] == []
    again = done("apply", disk, "--yes")
    assert not again["committed"]
    assert fingerprint(disk) == after

    states = [run["state"] for run in done("history", disk)["runs"]]
    assert states == ["done", "discarded"]
    assert done("recover", disk)["outcome"] == "nothing-to-do"
    assert done("rollback", disk)["run"] == 1
    assert fingerprint(disk) == before
    failed(2, "nothing-to-undo", "rollback", disk)
    failed(2, "nothing-to-verify", "verify", disk)
