"""A network document on real Windows hives, on a disk of its own, by the real command and appliance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from testdata.kit.disks import DiskSpec, copy_disk, windows_disk
from tests.e2e.test_real_hives import check_by_an_independent_reader, p2vprep
from tests.support.corpus import hive_bytes
from tests.support.guest_disk import fingerprint

pytestmark = [pytest.mark.appliance, pytest.mark.corpus, pytest.mark.long]

LIVE, GHOST = "{698E50A9-4F58-4D86-B61D-F42E58DCACF6}", "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"
"""The two cards of the Windows 7 hive, both with fixed addresses."""
DOCUMENTS = {
    "win7-sp1-x86_regipy_1.SYSTEM": f"""\
schema: p2vprep.network/1
interfaces:
  - match: {{stays: "{LIVE}"}}
    addresses: [203.0.113.7/24, "2001:db8::7/64"]
    gateways: [203.0.113.1]
    dns: [203.0.113.53]
    routes: [{{to: 10.0.0.0/8, via: 203.0.113.2}}]
  - match: {{mac: "00:15:5d:0a:0b:0c"}}
    carry-over: "{GHOST}"
    name: Old LAN
settings: {{multi-homing: on, autotuning: normal, task-offload: off, ipv6: prefer-ipv4}}
""",
    "win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM": """\
schema: p2vprep.network/1
interfaces:
  - match: {replaces: "{2B2A698E-59EA-43E1-B19A-50131FCE77C2}"}
    carry-over: "{2B2A698E-59EA-43E1-B19A-50131FCE77C2}"
settings: {multi-homing: on, window-scaling: off, chimney: off}
""",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_network_reaches_the_disk_and_comes_off_again(
    name: str, built: Callable[[Sequence[DiskSpec]], dict[str, Path]], tmp_path: Path
) -> None:
    spec = windows_disk(f"network-{name.split('_')[0]}", {"SYSTEM": hive_bytes(name)}, folder="Windows")
    disk = copy_disk(built([spec])[spec.name], tmp_path)
    before = fingerprint(disk)
    document = tmp_path / "network.yaml"
    document.write_text(DOCUMENTS[name])
    status, applied = p2vprep("apply", disk, "--yes", "--network", document)
    assert status == 0, applied
    assert applied["committed"]
    check_by_an_independent_reader(disk, "Windows", hive_bytes(name), applied["plan"], tmp_path)
    status, again = p2vprep("plan", disk, "--network", document)
    assert (status, again["changes"]) == (0, [])
    configured = [
        [item for item in plan["first_boot"] if item["kind"] == "configure-interface"]
        for plan in (applied["plan"], again)
    ]
    assert configured[0]
    assert configured[0] == configured[1]
    status, verified = p2vprep("verify", disk)
    assert (status, verified["as_planned"]) == (0, True), verified
    status, undone = p2vprep("rollback", disk)
    assert status == 0, undone
    assert fingerprint(disk) == before
