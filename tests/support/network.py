r"""Network adapters built part by part in an in-memory machine, with everything Windows writes about one.

The footprint per version is that of windows-facts (adapter anatomy), itself taken from real hives: XP's and
2003's packet scheduler miniports and Route lists, the service copies up to 8.1, the store of the stack from
Vista on, NetworkSetup2 from 10 on. No real hive at hand holds a team, so teams are made to the documents.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from p2vprep.core.facts.luids import luid
from p2vprep.core.registry import MemoryHive, fold
from p2vprep.core.values import Data
from tests.support.machines import Machine

NET = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
TRANS = "{4d36e975-e325-11ce-bfc1-08002be10318}"
INTERFACE_CLASSES = ("{ad498944-762f-11d0-8dcb-00c04fc3358c}", "{cac88484-7515-4c03-82e6-71a87abac361}")
TCPIP = r"Services\Tcpip\Parameters"
NSI4 = r"Control\Nsi\{eb004a00-9b1a-11d4-9123-0050047759bc}"
NDIS_WAN = "NdisWanIp"
HP_CARD = r"PCI\VEN_14E4&DEV_1657&SUBSYS_169D103C&REV_01"
E1000 = r"PCI\VEN_8086&DEV_100E&SUBSYS_001E8086&REV_02"
VMXNET3 = r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01"
NETVSC = r"VMBUS\{f8615163-df3e-46c5-913f-f2d2f965ed0e}"


@dataclass
class Nic:
    """One adapter to build."""

    number: int
    name: str
    hardware: str = HP_CARD
    component: str = ""
    bits: int = 0x84
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    protocols: bool = True
    guid: str = ""
    removed: bool = False

    def __post_init__(self) -> None:
        self.guid = self.guid or "{" + str(uuid.uuid5(uuid.NAMESPACE_OID, f"nic {self.number}")).upper() + "}"

    @property
    def instance(self) -> str:
        return rf"{self.hardware}\4&{self.number:x}&0&00E4"

    @property
    def luid(self) -> str:
        return luid(0x8000 + self.number, 6)


@dataclass
class Host:
    """A machine with a network; ``build`` writes everything there is about its adapters."""

    version: tuple[int, int, int]
    nics: list[Nic] = field(default_factory=list)
    teams: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By the service that holds teams together: the places of the members in ``nics``."""
    software: MemoryHive = field(default_factory=MemoryHive)

    @property
    def old(self) -> bool:
        return self.version < (6, 0, 0)

    @property
    def ten(self) -> bool:
        return self.version >= (10, 0, 0)

    def build(self, machine: Machine | None = None) -> Machine:
        self.machine = machine or Machine()
        self.machine.windows(*self.version)
        for nic in self.nics:
            self._adapter(nic)
        self._bindings()
        if not self.ten:
            blob = b"\x2a\0\0\0" + b"".join(uuid.UUID(nic.guid).bytes_le for nic in self.nics)
            self.machine.put(r"Control\Network", Config=Data.binary(blob))
        return self.machine

    # --- one adapter ---------------------------------------------------------------------------

    def _adapter(self, nic: Nic) -> None:
        self._device(nic)
        self._configuration(nic)
        self._filters(nic)
        if self.old:
            self.machine.set_value(r"Services\Dhcp\Parameters", nic.guid, Data.binary(b"\x36\0\0\0"))
        if not self.ten:
            self.machine.put(
                rf"Services\RemoteAccess\Interfaces\{nic.number}", InterfaceName=nic.guid, Type=2
            )
        cards = self.software.root.make(rf"Microsoft\Windows NT\CurrentVersion\NetworkCards\{nic.number}")
        cards.set("ServiceName", Data.sz(nic.guid)).set("Description", Data.sz(nic.name))

    def _device(self, nic: Nic) -> None:
        put, guid = self.machine.put, nic.guid
        number = rf"{NET.lower()}\{nic.number:04d}"
        put(rf"Enum\{nic.instance}", Driver=number, ClassGUID=NET, Service="b57nd60a", ConfigFlags=0)
        put(rf"Enum\{nic.instance}\Device Parameters", InstanceIndex=1)
        if nic.removed:
            date = rf"Enum\{nic.instance}\Properties\{{83da6326-97a6-4088-9453-a1923f573b29}}\0067"
            self.machine.set_value(date, "", Data(0xFFFF0010, (132593760000000000).to_bytes(8, "little")))
        key = rf"Control\Class\{NET}\{nic.number:04d}"
        component = nic.component or nic.hardware.partition("&REV")[0].lower()
        put(key, NetCfgInstanceId=guid, Characteristics=nic.bits, ComponentId=component, DriverDesc=nic.name)
        if not self.old:
            put(key, DeviceInstanceID=nic.instance, NetLuidIndex=0x8000 + nic.number)
            self.machine.set_value(key, "*IfType", 6)
        put(rf"{key}\Linkage", RootDevice=[guid], Export=[rf"\Device\{guid}"], UpperBind=["Tcpip"])
        put(rf"Control\Network\{NET}\{guid}\Connection", Name=nic.name, PnpInstanceID=nic.instance)
        for one in INTERFACE_CLASSES[: 1 if self.old else 2]:
            at = rf"Control\DeviceClasses\{one}\##?#{nic.instance.replace(chr(92), '#')}#{one}"
            put(at, DeviceInstance=nic.instance)
            put(rf"{at}\#{guid}", SymbolicLink=rf"\\?\{nic.instance.replace(chr(92), '#')}#{one}\{guid}")
        if self.ten:
            setup = rf"Control\NetworkSetup2\Interfaces\{guid}"
            put(rf"{setup}\Kernel", IfAlias=nic.name, NetLuidIndex=0x8000 + nic.number, IfType=6)
            properties = rf"{setup}\Properties\{{a111f1f4-5923-47c0-9a68-d0bafb577901}}"
            put(rf"{properties}\012c", Path=rf"\Registry\Machine\{guid}")
            self.machine.set_value(rf"{properties}\0010", "", Data(0xFFFF0012, Data.sz(nic.name).raw))

    def _configuration(self, nic: Nic) -> None:
        put, guid = self.machine.put, nic.guid
        own = guid.lower() if self.ten else guid
        values: dict[str, int | str | list[str]] = {"EnableDHCP": 0 if nic.addresses else 1, "NameServer": ""}
        if nic.addresses:
            hops = [nic.gateway] if nic.gateway else []
            values |= {
                "IPAddress": list(nic.addresses),
                "SubnetMask": ["255.255.255.0"] * len(nic.addresses),
                "DefaultGateway": hops,
                "DefaultGatewayMetric": ["0"] * len(hops),
                "NameServer": "192.0.2.53",
            }
        self._values(rf"{TCPIP}\Interfaces\{own}", values)
        put(rf"{TCPIP}\Adapters\{own}", LLInterface="", IpConfig=[rf"Tcpip\Parameters\Interfaces\{guid}"])
        put(rf"{TCPIP}\DNSRegisteredAdapters\{guid}", StaleAdapter=0)
        put(rf"Services\NetBT\Parameters\Interfaces\Tcpip_{own}", NameServerList=["192.0.2.60"])
        if not self.ten:
            self._values(rf"Services\{guid}\Parameters\Tcpip", values)
        if not self.old:
            put(rf"Services\Tcpip6\Parameters\Interfaces\{own}", Dhcpv6State=0)
            self.machine.set_value(rf"{NSI4}\7", nic.luid, Data.binary(b"\xff" * 304))
        for address in nic.addresses:
            if not self.old:
                raw = bytes(int(part) for part in address.split("."))
                name = nic.luid + raw.hex() + "00000000"
                self.machine.set_value(rf"{NSI4}\10", name, Data.binary(b"\xff" * 48))
        if nic.gateway:
            route = f"0.0.0.0,0.0.0.0,{nic.gateway},-1"
            self.machine.set_value(rf"{TCPIP}\PersistentRoutes", route, "")

    def _values(self, path: str, values: dict[str, int | str | list[str]]) -> None:
        for name, value in values.items():
            self.machine.set_value(path, name, value)

    def _filters(self, nic: Nic) -> None:
        for service in ("PSched",) if self.old else ("Psched", "WfpLwf", "NdisCap"):
            self.machine.put(rf"Services\{service}\Parameters\Adapters\{nic.guid}", UpperBindings="")
            if not self.old and service != "NdisCap":
                inner = rf"Services\{service}\Parameters\NdisAdapters\{nic.guid}"
                self.machine.put(rf"{inner}\{{b5f4d659-7daa-4565-8e41-be220ed60542}}-0000", Own=1)
        if self.old:
            miniport = f"{{00000000-0000-4000-8000-{nic.number:012d}}}"
            key = rf"Control\Class\{NET}\{500 + nic.number:04d}"
            self.machine.put(key, ComponentId="ms_pschedmp", NetCfgInstanceId=miniport, Characteristics=0x29)
            self.machine.put(rf"{key}\Linkage", RootDevice=[miniport, nic.guid])

    # --- bindings ------------------------------------------------------------------------------

    def _bindings(self) -> None:
        bound = [nic.guid for nic in self.nics if nic.protocols]
        wan = [NDIS_WAN] if self.old else []
        ras = ["{78EABA17-4CEA-4E66-AA8C-495268357685}", "{48AC5D70-0249-4A99-B4D2-54FBAED35584}"]
        ras = ras if self.old else []
        self._linkage("Tcpip", "", "", [*bound, *wan], [*bound, *ras])
        self._linkage("NetBT", "Tcpip_", '"Tcpip" ', [*bound, *wan], [*bound, *ras], [*bound, *ras])
        self._linkage(
            "NetBIOS", "NetBT_Tcpip_", '"NetBT" "Tcpip" ', [*bound, *wan], [*bound, *ras], [*bound, *ras]
        )
        lanas = b"".join(bytes((place % 2, place + 3)) for place in range(len(bound) + len(ras)))
        self.machine.put(r"Services\NetBIOS\Linkage", LanaMap=Data.binary(lanas))
        self._linkage("RasPppoe", "", "", bound, bound)
        self.machine.put(r"Services\RasPppoe\Linkage\Disabled", Bind=[rf"\Device\{guid}" for guid in bound])
        if not self.old and not self.ten:
            lists = [rf"\Device\{guid}" for guid in bound]
            self.machine.put(
                rf"Control\Network\{TRANS}\{{9CFAE261-F787-4B32-A24D-89A32FD3E631}}\Linkage", Bind=lists
            )
        for service, places in self.teams.items():
            members = [self.nics[place].guid for place in places]
            self._linkage(service, "", "", members, members)

    def _linkage(
        self,
        service: str,
        device: str,
        route: str,
        routed: list[str],
        exported: list[str],
        bound: list[str] | None = None,
    ) -> None:
        self.machine.put(
            rf"Services\{service}\Linkage",
            Bind=[rf"\Device\{device}{one}" for one in (routed if bound is None else bound)],
            Route=[f'{route}"{one}"' for one in routed],
            Export=[rf"\Device\{service}_{device}{one}" for one in exported],
        )


def everything(hive: MemoryHive) -> dict[str, str]:
    """Everything of a hive as folded text, by folded place: keys and values with their names and data."""
    held: dict[str, str] = {}
    stack = [hive.root]
    while stack:
        key = stack.pop()
        held[fold(key.path)] = fold(key.name)
        for name, data in key.values():
            raw = data.raw[: len(data.raw) & ~1].decode("utf-16-le", "replace")
            held[fold(f"{key.path}: {name}")] = fold(f"{name} {raw} {data.raw.hex()}")
        stack.extend(key.children.values())
    return held
