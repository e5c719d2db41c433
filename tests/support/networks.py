"""Network documents and adapters for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from p2vprep.core.documents.network import load
from p2vprep.core.model import ConfigureInterface, Plan, ValueChange
from p2vprep.core.network import InterfaceConfig, Network
from p2vprep.core.planner import WhichSets, draft, finish
from p2vprep.core.registry import Hive, MemoryHive
from p2vprep.core.wishes import GhostChoice, Wishes
from tests.support.machines import Machine

CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
PHYSICAL = 0x84
Plain = str | int | list[str]


def network(body: str) -> Network:
    """The network of a document without its first line."""
    return load("schema: p2vprep.network/1\n" + body, "net.yaml")


def interface(rest: str, match: str = "{only: true}") -> InterfaceConfig:
    """One interface from what a flow mapping holds beside its match."""
    comma = ", " if rest else ""
    (found,) = network(f"interfaces: [{{match: {match}{comma}{rest}}}]\n").interfaces
    return found


def guid(number: int) -> str:
    return f"{{0000000{number:1X}-AAAA-4BBB-8CCC-00000000000{number:1X}}}"


def add_adapter(
    machine: Machine,
    number: int,
    name: str,
    *,
    instance: str | None = None,
    characteristics: int = PHYSICAL,
    component: str = r"pci\ven_8086&dev_100e",
    location: str | None = None,
    held: Mapping[str, Plain] | None = None,
) -> str:
    """An adapter with its device, connection, and IPv4 values; returns its GUID."""
    found = guid(number)
    place = instance or rf"PCI\VEN_8086&DEV_100E\3&267a616a&0&{number:02X}"
    machine.put(
        rf"Control\Class\{CLASS}\{number:04d}",
        NetCfgInstanceId=found,
        DriverDesc=f"Adapter {number}",
        ComponentId=component,
        Characteristics=characteristics,
    )
    machine.put(
        rf"Enum\{place}",
        Driver=rf"{CLASS}\{number:04d}",
        Service="e1000",
        LocationInformation=location or f"PCI bus 0, device {number}, function 0",
    )
    machine.put(rf"Control\Network\{CLASS}\{found}\Connection", Name=name, PnpInstanceID=place)
    for value, data in (held or {"EnableDHCP": 1}).items():
        machine.set_value(rf"Services\Tcpip\Parameters\Interfaces\{found}", value, data)
    machine.put(rf"Services\NetBT\Parameters\Interfaces\Tcpip_{found}", NameServerList=[], NetbiosOptions=0)
    return found


def plan_for(
    machine: Machine,
    wanted: Network | None,
    *,
    ghosts: GhostChoice | None = None,
    overrides: Mapping[str, str] | None = None,
    first_boot: bool = True,
    software: MemoryHive | None = None,
    control_sets: WhichSets | None = None,
    member: bool | None = None,
) -> Plan:
    """The plan of a machine for a network, old leases left alone."""
    hives: dict[str, Hive] = {"SYSTEM": machine.hive}
    if software is not None:
        hives["SOFTWARE"] = software
    facts = machine.facts()
    if member is not None:
        facts = replace(facts, guest=replace(facts.guest, domain_member=member))
    wanted_draft = draft(
        facts,
        hives,
        (),
        overrides={"stale-dhcp": "keep", **(overrides or {})},
        first_boot=first_boot,
        control_sets=control_sets,
        wishes=Wishes(ghosts=ghosts, network=wanted),
    )
    return finish(wanted_draft, hives)


def values(plan: Plan, *, below: str = "") -> dict[str, object]:
    """The values a plan sets or deletes, by path and name below a path; data as people read them."""
    return {
        f"{change.key}\\{change.name}"[len(below) :].lstrip("\\"): (
            None if change.after is None else change.after.to_json()["data"]
        )
        for change in plan.changes
        if isinstance(change, ValueChange) and change.key.startswith(below)
    }


def configured(plan: Plan) -> tuple[InterfaceConfig, ...]:
    """The adapters that the first boot configures."""
    return tuple(item.config for item in plan.first_boot if isinstance(item, ConfigureInterface))


def codes(plan: Plan, severity: str | None = None) -> set[str]:
    """The codes of a plan's hazards."""
    return {one.code for one in plan.hazards if severity in (None, one.severity)}
