"""A machine and what its first boot shall give back, for the tests of this folder."""

from __future__ import annotations

from p2vprep.core.model import (
    ControlSet,
    Facts,
    FirstBootItem,
    Guest,
    RestoreService,
    RestoreValue,
    Role,
    Service,
    WindowsVersion,
)
from p2vprep.core.values import Data

NCSI = r"SYSTEM\CurrentControlSet\Services\NlaSvc\Parameters\Internet"
WHY = "parked for the first boot"


def service(name: str, *needs: str, start: int = 3) -> Service:
    return Service(name, rf"ControlSet001\Services\{name}", 0x20, start, "service", depends_on_services=needs)


SERVICES = (
    service("RpcSs", start=2),
    service("nsi", start=2),
    service("NlaSvc", "nsi", start=2),
    service("BITS", "EventSystem"),
    service("EventSystem", "rpcss"),
    service("Agent (x64) & Co", "BITS"),
    service("Überwachung"),
)


def control_set(name: str = "ControlSet001", services: tuple[Service, ...] = SERVICES) -> ControlSet:
    return ControlSet(name, services, (), (), ())


def facts(*sets: ControlSet, nt: tuple[int, int] = (6, 1)) -> Facts:
    guest = Guest("Windows Server", WindowsVersion(*nt, 1), Role.SERVER, "x64", "Server", "SRV", "/Windows")
    held = sets or (control_set(),)
    return Facts(guest, held[0].name, held, {"Default": 1})


ITEMS: tuple[FirstBootItem, ...] = (
    RestoreService("BITS", 2, True, WHY),
    RestoreService("Agent (x64) & Co", 2, None, WHY),
    RestoreService("EventSystem", 2, False, WHY),
    RestoreService("Überwachung", 3, None, WHY),
    RestoreValue(NCSI, "EnableActiveProbing", Data.dword(1), WHY),
    RestoreValue(r"SOFTWARE\Policies\X", "NoActiveProbe", None, WHY),
)
