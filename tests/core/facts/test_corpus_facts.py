"""The facts of every real hive, against the corpus manifest (counted by other readers)."""

import re
from dataclasses import dataclass
from functools import cache

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.facts.addresses import read_net_instances
from p2vprep.core.facts.keys import children
from p2vprep.core.model import Facts, Role
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import fold
from p2vprep.core.values import RegType
from tests.support.corpus import hive_bytes, hive_entries, system_hive_names
from tests.support.hives import memory_hive

NAMES = system_hive_names()
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not NAMES, reason="the corpus of real hives is not here (P2VPREP_CORPUS)"),
]
ROLES = {
    "WinNT": Role.CLIENT,
    "ServerNT": Role.SERVER,
    "LanmanNT": Role.DOMAIN_CONTROLLER,
    None: Role.UNKNOWN,
}
VERSIONS = {
    "winxp-sp3-x86_dfwinreg_1": (5, 1, 2600),
    "winxp-sp3-x86_bcc-dfa_1": (5, 1, 2600),
    "winxp-sp2-x64_xpimage_1": (5, 2, 3790),
    "win2003-sp1-x86-dc_gosecretsdump_1": (5, 2, 3790),
    "winxp-sp3-x86_hackfortress_1": (5, 1, 2600),
    "win7-sp1-x86_regipy_1": (6, 1, 7601),
    "win81-x64_regipy_2": (6, 3, 9600),
    "win10-21h2-x64_dissect.regf_1": (10, 0, 19041),
    "win10-partial_qthivex_1": (10, 0, 10240),
    "phony-win7_guestfs-tools_1": (0, 0, 0),
}


@dataclass(frozen=True)
class Counted:
    """What is counted beside the facts, without their code."""

    service_keys: int
    services: frozenset[str]
    net_instances: int


@cache
def facts_of(name: str) -> Facts:
    return gather(memory_hive(name), None, system_root="/Windows")


@cache
def counted(name: str) -> Counted:
    boot = memory_hive(name).root.subkey("ControlSet001")
    assert boot is not None
    services = list(children(boot.subkey("Services")))
    complete = (
        key.name
        for key in services
        if all((data := key.value(n)) and data.type == RegType.DWORD for n in ("Type", "Start"))
    )
    return Counted(len(services), frozenset(complete), len(read_net_instances(boot)))


@pytest.mark.parametrize("name", NAMES)
def test_counts_agree_with_the_manifest(name: str) -> None:
    told = next(entry["facts"] for entry in hive_entries() if entry["name"] == name)
    facts, count = facts_of(name), counted(name)
    assert count.service_keys == told["services"]
    assert {service.name for service in facts.boot.services} == count.services
    assert sum(service.start == 0 for service in facts.boot.services) == told["boot_start"]
    assert count.net_instances == told["netclass"]
    assert len(facts.boot.interfaces) == told["tcpip_if"]
    assert sum(bool(i.addresses) for i in facts.boot.interfaces) == told["tcpip_static"]
    assert sorted(i.guid for i in facts.boot.interfaces if not i.adapter) == sorted(
        told["if_without_device_guids"]
    )
    assert all(i.owner in ("ras", "loopback") for i in facts.boot.interfaces if not i.adapter)
    assert sorted(held.name for held in facts.sets) == told["controlsets"]
    assert facts.select == told["select"]
    assert facts.guest.role is ROLES[told["product_type"]]
    assert facts.guest.computer_name == (told["computername"] or "")


@pytest.mark.parametrize("name", NAMES)
def test_pci_adapters_agree_with_the_manifest(name: str) -> None:
    told = next(entry["facts"] for entry in hive_entries() if entry["name"] == name)
    facts = facts_of(name)
    physical = [adapter for adapter in facts.boot.adapters if adapter.kind == "physical"]
    assert sorted(adapter.instance for adapter in physical) == sorted(told["pci_net_ids"])
    assert all(adapter.name and adapter.description and adapter.service for adapter in physical)
    hardware = [
        fold(a.instance).split("\\")[0] for a in facts.boot.adapters if a.kind not in ("physical", "virtual")
    ]
    assert set(hardware) <= {"ROOT", "SW", "SWD"}


@pytest.mark.parametrize("name", NAMES)
def test_the_guessed_version_agrees_with_the_manifest(name: str) -> None:
    entry = next(entry for entry in hive_entries() if entry["name"] == name)
    guest = facts_of(name).guest
    version = guest.version
    assert (version.major, version.minor, version.build) == VERSIONS[name.removesuffix(".SYSTEM")]
    assert version.known is False
    if version.major and guest.role is not Role.UNKNOWN:
        system, product = re.sub(r"[ ,].*? SP\d", "", entry["os"]), guest.product
        assert system.startswith(product.replace(" x64", "")) or entry["os"].startswith(product)
        if "x64" in entry["os"] or "x86" in entry["os"]:
            assert guest.architecture in entry["os"]


@pytest.mark.parametrize("name", NAMES)
def test_the_lazy_reader_gives_the_same_facts(name: str) -> None:
    assert gather(HiveReader(hive_bytes(name)), None, system_root="/Windows") == facts_of(name)


def test_the_one_known_ghost_of_the_corpus_is_found_by_its_stale_registration() -> None:
    adapters = {a.name: a for a in facts_of("win7-sp1-x86_regipy_1.SYSTEM").boot.adapters}
    ghost, present = adapters["Local Area Connection"], adapters["Local Area Connection 2"]
    assert (ghost.ghost, ghost.mac, ghost.addresses) == (True, "00:0c:29:7e:7e:d3", ("192.168.1.123/24",))
    assert (present.ghost, present.mac, present.addresses) == (None, None, ("10.3.58.5/24",))
    assert present.why == "cannot be told at rest"


def test_macs_and_firmware_of_windows_10() -> None:
    facts = facts_of("win10-21h2-x64_dissect.regf_1.SYSTEM")
    assert {a.name: a.mac for a in facts.boot.adapters if a.mac} == {
        "Ethernet0": "00:0c:29:66:1a:a2",
        "Bluetooth Network Connection": "bc:09:1b:16:bd:e4",
    }
    assert facts.bios["SystemManufacturer"] == "VMware, Inc."
    assert "ACPI\\VMW0003" in facts.devices
    assert {device.subsystem_vendor for device in facts.pci} == {"15AD", "0000"}


def test_the_subsystem_vendor_of_a_physical_dell() -> None:
    assert "1028" in {device.subsystem_vendor for device in facts_of("winxp-sp3-x86_bcc-dfa_1.SYSTEM").pci}


def test_software_tells_the_version_and_the_products() -> None:
    name = "winxp-sp3-x86_hackfortress_1"
    facts = gather(memory_hive(f"{name}.SYSTEM"), memory_hive(f"{name}.SOFTWARE"), system_root="/WINDOWS")
    assert (facts.guest.product, facts.guest.version.known) == ("Microsoft Windows XP", True)
    assert "VMware Tools" in {product.display_name for product in facts.products}
