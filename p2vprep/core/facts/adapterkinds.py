r"""What kind of network adapter it is: hardware, or which sort of software that looks like one.

By the component's id first (exact names and fragments of Windows' own and of
known vendors' components), then by ``Characteristics`` (NCF_* of the INF
reference): 1 virtual, 2 software-enumerated, 4 physical. Observed: 0x84 on real
cards, 0x29 on WAN miniports, 0x9 on hidden virtual ones, 0x1 on Bluetooth.
"""

from __future__ import annotations

import re
from typing import Literal

from p2vprep.core.facts.keys import Values, dword, text
from p2vprep.core.registry import fold

Kind = Literal[
    "physical", "virtual", "tunnel", "team", "vpn", "loopback", "wan-miniport", "software", "unknown"
]

HARDWARE_BUSES = frozenset(
    {
        "PCI",
        "USB",
        "VMBUS",
        "XEN",
        "XENVIF",
        "XENBUS",
        "ISAPNP",
        "PCMCIA",
        "B06BDRV",
        "EBDRV",
        "QEBDRV",
        "MLX4",
    }
)
"""Buses on which a network device is a card, real or emulated, that the machine may have lost.

The last four are made by the drivers of real cards for their ports (Broadcom, QLogic, Mellanox)."""
SOFTWARE_BUSES = frozenset({"ROOT", "SWD", "SW", "COMPOSITEBUS", "{5D624F94-8850-40C3-A3FA-A4FD2080BAF3}"})
"""Buses on which Windows and programs make devices of their own, on any hardware."""

_VIRTUAL, _SOFTWARE, _PHYSICAL = 1, 2, 4

_BY_COMPONENT: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"MS_PSCHEDMP|ROOT\\KDNIC|NVSPWMI|MS_IRDA.*"), "software"),
    (
        re.compile(r"MS_\w*MINIPORT|MS_NDISWAN\w*|SW\\\{EEAB7790-C514-11D1-B42B-00805FC1270E\}"),
        "wan-miniport",
    ),
    (re.compile(r"\*(ISATAP|TEREDO|6TO4MP|IPHTTPS)"), "tunnel"),
    (re.compile(r"\*MSLOOP"), "loopback"),
    # Microsoft's LBFO, Intel ANS, Broadcom BASP, QLogic QLASP, HP's teaming.
    (re.compile(r".*(MS_IMPLAT|IANSMINIPORT|BLFM|BASP|QLASP|CPQTEAM|HPTEAM).*"), "team"),
    (
        re.compile(
            r".*(TAP0\d|TAPOAS|WINTUN|WIREGUARD|OVPN-DCO|VPNVA|PANGPD|JNPRVA|FTVNIC|FTSVNIC|VNA_AP).*"
        ),
        "vpn",
    ),
    (re.compile(r"VMS_(MP|PP|VSMP)|.*VWIFIMP.*|.*VMNETADAPTER.*|.*VBOXNETADP.*|.*MS_BTHPAN.*"), "virtual"),
)
_TEAM_WORD = re.compile(r"\bTEAM\b", re.IGNORECASE)


def bus_of(held: Values, instance_path: str) -> str:
    r"""The bus in upper case: from the device instance, else from the component's id (``pci\ven_…``)."""
    for path in (instance_path, text(held, "ComponentId"), text(held, "MatchingDeviceId")):
        bus, backslash, _rest = path.partition("\\")
        if backslash:
            return fold(bus)
    return ""


def kind_of(held: Values, instance_path: str) -> Kind:
    """The kind of the adapter whose class instance holds these values."""
    component = fold(text(held, "ComponentId") or text(held, "MatchingDeviceId"))
    for pattern, kind in _BY_COMPONENT:
        if pattern.fullmatch(component):
            return kind
    bits = dword(held, "Characteristics")
    bus = bus_of(held, instance_path)
    if bits is None:
        return "physical" if bus in HARDWARE_BUSES else "unknown"
    if bits & _PHYSICAL:
        return "physical" if bus in HARDWARE_BUSES else "unknown"
    if _TEAM_WORD.search(text(held, "DriverDesc")):
        return "team"
    if bits & _VIRTUAL:
        return "virtual"
    return "software" if bits & _SOFTWARE else "unknown"
