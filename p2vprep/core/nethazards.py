"""What an operator must know before a network is given to this machine: pure checks of values and facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from p2vprep.core.facts.keys import dword
from p2vprep.core.model import Adapter, Hazard, Interface, WindowsVersion
from p2vprep.core.netcheck import FAMILIES, overlap
from p2vprep.core.netresolve import Resolved, each_pair
from p2vprep.core.registry import Key, fold
from p2vprep.core.sharing import Sharing

VISTA = (6, 0)
_NO_LAN = 0x10
"""Bit of DisabledComponents: no IPv6 on adapters that are no tunnels (Microsoft KB 929852)."""
_TAKEOVER_SHOWN = (10, 0)


def shared_subnets(resolved: Sequence[Resolved]) -> Iterator[Hazard]:
    """One subnet on two adapters, or subnets of two adapters within each other."""
    for one, other in each_pair(resolved):
        for address in one.config.addresses:
            for second in other.config.addresses:
                if not overlap(address.network, second.network):
                    continue
                evidence = (f"{one.told}: {address}", f"{other.told}: {second}")
                if address.network == second.network:
                    yield Hazard(
                        "subnet-on-two-adapters",
                        "warn",
                        f"{address.network} is on two adapters; Windows sends through either of them",
                        evidence,
                        "Give one adapter both addresses, or make them a team.",
                    )
                else:
                    yield Hazard(
                        "subnets-overlap",
                        "warn",
                        f"The subnets {address.network} and {second.network} of two adapters overlap",
                        evidence,
                        "Check the prefix lengths.",
                    )


def several_gateways(
    resolved: Sequence[Resolved], version: WindowsVersion, *, settled: bool
) -> Iterator[Hazard]:
    """More than one default gateway of a family while Windows may change between them.

    ``settled``: the document switches dead-gateway detection off, or multi-homing on.
    """
    for family in FAMILIES:
        hops = [
            f"{one.told}: {gateway.via}"
            for one in resolved
            for gateway in one.config.gateways
            if gateway.via.version == family
        ]
        if len(hops) < 2 or settled:
            continue
        vista = version.nt >= VISTA
        yield Hazard(
            "several-default-gateways",
            "warn",
            f"There are {len(hops)} IPv{family} default gateways and dead-gateway detection is on: Windows "
            "may send everything through another one",
            tuple(hops),
            "Reach all but one network by routes, with `multi-homing: on`"
            + ("." if vista else ", or set `dead-gateway-detection: off`."),
        )


def sharing_subnet(resolved: Sequence[Resolved], sharing: Sharing) -> Iterator[Hazard]:
    """An address in the network that Internet Connection Sharing serves, while it is likely on."""
    network: IPv4Network = sharing.network
    hit = [
        f"{one.told}: {address}"
        for one in resolved
        for address in one.config.addresses
        if overlap(address.network, network)
    ]
    if hit and sharing.signs:
        yield Hazard(
            "ics-subnet",
            "refuse",
            f"{network} is the network of Internet Connection Sharing, which is likely on here",
            (*hit, *sharing.signs),
            "Use another subnet, or disable SharedAccess first.",
        )


def ipv6_off(resolved: Sequence[Resolved], parameters: Key | None, setting: str) -> Iterator[Hazard]:
    r"""IPv6 asked for while ``Tcpip6\Parameters`` ``DisabledComponents`` switches it off."""
    asking = [one.told for one in resolved if wants_ipv6(one)]
    disabled = dword(parameters, "DisabledComponents") or 0
    off = setting == "off" or (setting == "keep" and disabled & _NO_LAN)
    if asking and off:
        yield Hazard(
            "ipv6-disabled",
            "refuse",
            "IPv6 is asked for, but it is switched off",
            (*asking, f"DisabledComponents is {disabled:#x}, the setting ipv6 is {setting}"),
            "Set `ipv6: on` (or prefer-ipv4) in the network document, or leave out the IPv6 addresses.",
        )


def ipv6_missing(resolved: Sequence[Resolved], installed: bool) -> Iterator[Hazard]:
    """IPv6 asked for on a Windows whose IPv6 protocol is not installed (XP and 2003)."""
    asking = [one.told for one in resolved if wants_ipv6(one)]
    if asking and not installed:
        yield Hazard(
            "ipv6-not-installed",
            "warn",
            "IPv6 is asked for, but its protocol is not installed; the first boot has to install it",
            tuple(asking),
            "Leave out the IPv6 addresses where the installation fails.",
        )


def wants_ipv6(one: Resolved) -> bool:
    """Whether an interface asks for anything of IPv6 that is fixed."""
    config = one.config
    held = (*config.addresses, *(gateway.via for gateway in config.gateways))
    return any(item.version == 6 for item in (*held, *(route.to for route in config.routes)))


def address_taken(one: Resolved, owners: Sequence[Interface]) -> Iterator[Hazard]:
    """A wanted address that other interfaces of this Windows keep."""
    wanted = {str(address.ip) for address in one.config.addresses}
    for interface in owners:
        both = [held for held in interface.addresses if held.partition("/")[0] in wanted]
        if both:
            yield Hazard(
                "address-taken",
                "refuse",
                f"{both[0]} is wanted for {one.told}, but another adapter of this Windows keeps it",
                (interface.key,),
                "Say `replaces` or `carry-over` with that adapter, or let --ghosts neutralise it.",
            )


def name_taken(one: Resolved, holders: Sequence[Adapter]) -> Iterator[Hazard]:
    """A wanted connection name that another adapter keeps; two adapters never have one name."""
    for adapter in holders:
        if one.config.name is not None and fold(adapter.name) == fold(one.config.name):
            yield Hazard(
                "name-taken",
                "warn",
                f"The name {one.config.name!r} is kept by another adapter; the new one cannot have it",
                (f"{adapter.guid} {adapter.description}",),
                "Say `replaces` or `carry-over` with that adapter, or let --ghosts neutralise it.",
            )


def takeover_impossible(one: Resolved, version: WindowsVersion) -> Iterator[Hazard]:
    """A takeover of an interface's GUID where nobody has shown it, or from what is not whole any more."""
    if one.takeover is None:
        return
    if version.nt < _TAKEOVER_SHOWN:
        reason = f"it has been shown on Windows 10 and 2016 and later only; this is {version}"
    elif not one.takeover.class_key:
        reason = "no driver belongs to it any more"
    else:
        return
    yield Hazard(
        "takeover-impossible",
        "refuse",
        f"The identity of {one.takeover.name or one.takeover.guid!r} cannot be taken over: {reason}",
        (one.takeover.guid,),
        "Leave out `takeover`: carry-over alone gives the new adapter the same configuration.",
        liftable=False,
    )
