"""The one real ghost of the corpus, removed from a disk by the real command and the real appliance, and back.

What is left on the disk is read without p2vprep, libguestfs or hivex: ntfscat and libregf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from p2vprep.core.values import Data
from testdata.kit.disks import DiskSpec, copy_disk, windows_disk
from testdata.kit.hivewriter import build_hive
from tests.e2e.test_real_hives import as_libregf_sees, p2vprep
from tests.support.corpus import hive_bytes
from tests.support.guest_disk import fingerprint, guest_file

pytestmark = [pytest.mark.appliance, pytest.mark.corpus, pytest.mark.long]

GHOST = "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"
LIVE = "{698E50A9-4F58-4D86-B61D-F42E58DCACF6}"
CARDS = r"Microsoft\Windows NT\CurrentVersion\NetworkCards"
RESTS = (r"CONTROL\NETWORK", "CONTROL\\NSI\\", "SERVICES\\WINSOCK")


def software() -> bytes:
    """No SOFTWARE of this machine is at hand: a small one with what Windows keeps about network cards."""
    version = r"Microsoft\Windows NT\CurrentVersion"
    return build_hive(
        {
            version: {
                "ProductName": Data.sz("Windows 7 Professional"),
                "CurrentVersion": Data.sz("6.1"),
                "CurrentBuildNumber": Data.sz("7601"),
            },
            rf"{CARDS}\7": {"ServiceName": Data.sz(GHOST), "Description": Data.sz("Old")},
            rf"{CARDS}\12": {"ServiceName": Data.sz(LIVE), "Description": Data.sz("Live")},
        },
        file_name="SOFTWARE",
    )


def names(content: bytes, guid: str) -> set[str]:
    """The keys, by folded path, that bear a GUID in their name or in the text of a value."""
    wanted = guid.strip("{}").upper()
    found = set()
    for path, values in as_libregf_sees(content).items():
        held = [path, *values, *(raw.decode("utf-16-le", "replace") for _kind, raw in values.values())]
        if any(wanted in one.upper() for one in held):
            found.add(path.upper())
    return found


def test_the_real_ghost_is_removed_from_a_disk_and_comes_back(
    built: Callable[[Sequence[DiskSpec]], dict[str, Path]], tmp_path: Path
) -> None:
    system = hive_bytes("win7-sp1-x86_regipy_1.SYSTEM")
    files = {"SYSTEM": system, "SOFTWARE": software()}
    spec = windows_disk("ghost-win7", files, container="qcow2")
    disk = copy_disk(built([spec])[spec.name], tmp_path)
    before = fingerprint(disk)
    assert len(names(system, GHOST)) > 60

    status, applied = p2vprep("apply", disk, "--ghosts", "remove", "--yes")
    assert status == 0, applied
    assert applied["committed"]
    codes = {hazard["code"] for hazard in applied["plan"]["hazards"]}
    assert {"ghost-binding-record", "ghost-stack-store", "addresses-given-up"} <= codes

    now = guest_file(disk, "Windows/System32/config/SYSTEM", tmp_path)
    left = {path.partition("\\")[2] for path in names(now, GHOST)}
    assert {path for path in left if not path.startswith(RESTS)} == set()
    assert len(names(now, LIVE)) == len(names(system, LIVE))
    cards = as_libregf_sees(guest_file(disk, "Windows/System32/config/SOFTWARE", tmp_path))
    assert [path for path in cards if path.upper().startswith(CARDS.upper() + "\\")] == [
        rf"{CARDS.upper()}\12"
    ]

    status, verified = p2vprep("verify", disk)
    assert (status, verified["as_planned"]) == (0, True), verified
    status, again = p2vprep("plan", disk, "--ghosts", "remove")
    assert (status, again["changes"]) == (0, [])
    status, undone = p2vprep("rollback", disk)
    assert status == 0, undone
    assert fingerprint(disk) == before
