"""Network documents and adapters for tests."""

from __future__ import annotations

from p2vprep.core.documents.network import load
from p2vprep.core.network import InterfaceConfig, Network
from tests.support.machines import Machine

CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
PHYSICAL = 0x84


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
    **values: str | int | list[str],
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
    for value, data in (values or {"EnableDHCP": 1}).items():
        machine.set_value(rf"Services\Tcpip\Parameters\Interfaces\{found}", value, data)
    machine.put(rf"Services\NetBT\Parameters\Interfaces\Tcpip_{found}", NameServerList=[], NetbiosOptions=0)
    return found
