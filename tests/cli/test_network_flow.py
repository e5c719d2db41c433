"""A network document through the whole command: planned, shown, applied, proved, planned again."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core.registry import find
from tests.support.flow import Shelf, done, failed, p2vprep, read_system, sample

CARRY = """\
schema: p2vprep.network/1
interfaces:
  - match: {{mac: "00:15:5d:0a:0b:0c"}}
    carry-over: "{}"
settings: {{multi-homing: on, task-offload: off}}
"""
MACHINES = {
    "proliant-2012r2": ("Local Area Connection 2", "10.20.40.15/24", "10.20.40.1"),
    "dl360-2003": ("Local Area Connection", "192.168.7.12/24", "192.168.7.1"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_an_old_adapters_configuration_reaches_the_first_boot_and_stays_told(
    name: str, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    old, address, gateway = MACHINES[name]
    disk = shelf.disk(tmp_path, spec=sample(name), name=name)
    network = tmp_path / "net.yaml"
    network.write_text(CARRY.format(old))
    plan = done("plan", disk, "--network", network)
    (item,) = [one for one in plan["first_boot"] if one["kind"] == "configure-interface"]
    assert item["config"]["addresses"] == [address]
    assert item["config"]["gateways"] == [{"via": gateway, "metric": None}]
    assert item["config"]["metric"] == 10
    shown = p2vprep("plan", disk, "--network", network).stdout
    for word in ("configures adapter: mac 00:15:5d:0a:0b:0c", address, gateway, old):
        assert word in shown
    assert done("apply", disk, "--yes", "--network", network)["committed"]
    (adapter,) = [one for one in done("inspect", disk)["facts"]["adapters"] if one["name"] == f"{old} (old)"]
    assert adapter["addresses"] == []
    again = done("plan", disk, "--network", network)
    assert again["changes"] == []
    assert [one for one in again["first_boot"] if one["kind"] == "configure-interface"] == [item]
    done("verify", disk)
    done("rollback", disk)


def test_a_plan_document_holds_the_network_and_can_be_applied(disk: Path, tmp_path: Path) -> None:
    network, saved = tmp_path / "net.yaml", tmp_path / "plan.json"
    network.write_text(CARRY.format("Local Area Connection 2"))
    done("plan", disk, "--network", network, "-o", saved)
    network.unlink()
    assert done("apply", disk, "--plan", saved, "--yes")["committed"]
    system = read_system(disk)
    assert find(system, r"p2vprep\OldAdapters\{5C2D1E77-8A40-4A6B-B1F3-0D9E2B7A6C52}") is not None


def test_what_the_machine_has_not_is_refused_before_anything_is_written(disk: Path, tmp_path: Path) -> None:
    network = tmp_path / "net.yaml"
    network.write_text(CARRY.format("No such connection"))
    before = disk.read_bytes()
    failed(5, "adapter-unknown", "apply", disk, "--yes", "--network", network)
    assert disk.read_bytes() == before
    network.write_text(CARRY.format("x").replace("settings", "setings"))
    failed(7, "invalid-document", "apply", disk, "--yes", "--network", network)
    assert disk.read_bytes() == before


EVERY_SWITCH = """\
schema: p2vprep.network/1
interfaces:
  - match: {replaces: "%s"}
    carry-over: "%s"
    name: "Büro & Lager 100%%"
settings:
  multi-homing: on
  autotuning: normal
  heuristics: off
  timestamps: off
  chimney: off
  rss: off
  netdma: off
  network-location: private
  ncsi-passive: park
  domain-detection: park
  proxy-discovery: park
  policy-wait: park
  network-reset: both
"""


@pytest.mark.parametrize("name", MACHINES)
def test_every_switch_becomes_a_job_that_can_be_built_and_planned_again(
    name: str, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    old = MACHINES[name][0]
    disk = shelf.disk(tmp_path, spec=sample(name), name=name)
    network = tmp_path / "net.yaml"
    network.write_text(EVERY_SWITCH % (old, old), encoding="utf-8")
    applied = done("apply", disk, "--yes", "--network", network)
    assert applied["committed"]
    kinds = {one["kind"] for one in applied["plan"]["first_boot"]}
    assert {"configure-interface", "reset-network"} <= kinds
    if name == "proliant-2012r2":
        assert {"tune-network", "run-commands", "restore-value"} <= kinds
    assert done("plan", disk, "--network", network)["changes"] == []
