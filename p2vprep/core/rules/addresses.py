"""The addresses of the network document reach the machine.

An adapter that is still there afterwards gets its values now; one that does not exist yet is handed to
the first boot, complete, as its interface GUID is made only when Plug and Play installs it. So is what
has no form at rest that could be proven: IPv6, whose only store is the stack's own, names from 10 on,
and on Vista to 2008 R2 everything, as there two stores may disagree (KB 2555789).

Adapters that the document replaces or carries over give up their addresses and names, unless
``--ghosts keep`` says otherwise; where the ghosts rule does that already, it is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from p2vprep.core import nethazards
from p2vprep.core.facts.ghosts import after_move
from p2vprep.core.facts.routes import PersistentRoute, read_routes
from p2vprep.core.model import (
    Adapter,
    ConfigureInterface,
    DeleteKey,
    DeleteValue,
    Interface,
    RuleYield,
    SetValue,
)
from p2vprep.core.netresolve import Resolution, Resolved, kept_adapters, named_adapters, resolve
from p2vprep.core.network import Network
from p2vprep.core.oldadapters import OldAdapters
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import find, fold, join, split
from p2vprep.core.rules import ghosts
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.ghost_edits import Gone, neutralise
from p2vprep.core.rules.interface_values import (
    VISTA,
    WINDOWS_8,
    WINDOWS_10,
    connection,
    interface_edits,
    route_edits,
)
from p2vprep.core.sharing import sharing

NAME = "addresses"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = ()
_WHY_ROUTE = "a default route to a gateway that no adapter has any more"


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Values of adapters that stay, items for those that do not exist yet, and what speaks against it."""
    network = context.wishes.network
    if network is None or not network.interfaces:
        return
    settled = context.setting("multi-homing") == "on"
    resolution = resolve(network, context.facts, context.system, multi_homing=settled)
    past = OldAdapters(context.facts.boot, context.system)
    if context.boots_next:
        yield from resolution.hazards
        yield from _hazards(context, network, past, resolution)
    for one in resolution.interfaces:
        yield from _configure(context, past, one)
    yield from _release(context, network, past)
    yield from _stale_defaults(context, network, past, resolution)


# --- what is done ------------------------------------------------------------------------------


def _configure(context: RuleContext, past: OldAdapters, one: Resolved) -> Iterator[RuleYield]:
    source = f", as {one.config.carry_over} had it" if one.config.carry_over else ""
    why = f"the network document gives this to {one.told}{source}"
    if one.stays is not None:
        renamed = one.config.name is not None and fold(one.config.name) != fold(one.stays.name)
        if context.boots_next and renamed:
            # It is renamed, now or at the first boot; a later plan still knows it by its old name.
            yield from past.record(one.stays, NAME)
        if context.boots_next or _is_here(context, one.stays):
            yield from interface_edits(context, one.stays, one.config, NAME, why)
    elif context.facts.guest.version.nt < VISTA:
        # Before Vista nothing but these values holds persistent routes, and they name no adapter.
        for route in one.config.routes:
            yield from route_edits(context, route, NAME, why)
    if context.boots_next and (one.stays is None or _needs_first_boot(context, one)):
        possible = not list(nethazards.takeover_impossible(one, context.facts.guest.version))
        takeover = one.takeover.guid if one.takeover is not None and possible else None
        yield ConfigureInterface(one.config, why, takeover)


def _is_here(context: RuleContext, adapter: Adapter) -> bool:
    guids = {fold(interface.guid) for interface in context.control_set.interfaces}
    return fold(adapter.guid) in guids


def _needs_first_boot(context: RuleContext, one: Resolved) -> bool:
    """Whether something of the configuration cannot be written at rest with certainty."""
    version, config = context.facts.guest.version.nt, one.config
    if version < VISTA:
        return nethazards.wants_ipv6(one)
    if version < WINDOWS_8:
        return True
    held = None if one.stays is None else connection(context, one.stays)
    renamed = config.name is not None and (held is None or _text(held.value("Name")) != config.name)
    return bool(
        nethazards.wants_ipv6(one)
        or any(server.version == 6 for server in config.dns)
        or config.routes
        or config.metric is not None
        or config.mtu is not None
        or (renamed and version >= WINDOWS_10)
    )


def _text(data: object) -> str:
    return getattr(data, "text", None) or ""


def _release(context: RuleContext, network: Network, past: OldAdapters) -> Iterator[RuleYield]:
    """Adapters whose part is taken are recorded and own nothing any more."""
    root = find(context.system, context.control_set.name)
    if root is None or context.wishes.ghosts == "keep":
        return
    taken = {fold(adapter.name) for adapter in context.control_set.adapters if adapter.name}
    for guid, adapter in named_adapters(network, past).items():
        if context.boots_next:
            yield from past.record(adapter, NAME)
        for here in context.control_set.adapters:
            if fold(here.guid) == guid and not _left_to_ghosts(context, here):
                why = "the network document gives its part to another"
                yield from neutralise(root, Gone(here, why), taken)


def _left_to_ghosts(context: RuleContext, adapter: Adapter) -> bool:
    """Whether the ghosts rule takes the adapter anyway, by its own reasons."""
    hardware = adapter.kind in ("physical", "unknown")
    return hardware and after_move(adapter, context.choices.hypervisors).ghost is True


def _stale_defaults(
    context: RuleContext, network: Network, past: OldAdapters, resolution: Resolution
) -> Iterator[DeleteValue]:
    """Persistent default routes of gateways that neither the document nor an adapter left alone has."""
    root = find(context.system, context.control_set.name)
    if root is None:
        return
    gone = set(named_adapters(network, past))
    gone |= set(kept_adapters(network, past))
    kept = {gateway.via for one in resolution.interfaces for gateway in one.config.gateways}
    for interface in context.control_set.interfaces:
        if fold(interface.guid) not in gone and interface.dhcp is False:
            kept |= {IPv4Address(hop) for hop in interface.gateways if _is_ipv4(hop)}
    old = {
        hop
        for interface in context.control_set.interfaces
        if fold(interface.guid) in gone
        for hop in interface.gateways
    }
    for route in read_routes(root):
        if _is_stale(route, old) and route.via not in kept:
            path = join(context.control_set.name, r"Services\Tcpip\Parameters\PersistentRoutes")
            yield DeleteValue("SYSTEM", path, route.value, NAME, _WHY_ROUTE)


def _is_stale(route: PersistentRoute, old: set[str]) -> bool:
    return route.is_default and str(route.via) in old


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


# --- what speaks against it --------------------------------------------------------------------


def _hazards(
    context: RuleContext, network: Network, past: OldAdapters, resolution: Resolution
) -> Iterator[RuleYield]:
    found = resolution.interfaces
    version = context.facts.guest.version
    settled = context.setting("multi-homing") == "on" or (
        version.nt < VISTA and context.setting("dead-gateway-detection") == "off"
    )
    yield from nethazards.shared_subnets(found)
    yield from nethazards.several_gateways(found, version, settled=settled)
    yield from nethazards.sharing_subnet(found, sharing(context.facts, context.hives))
    six = context.key(r"Services\Tcpip6")
    if version.nt >= VISTA:
        parameters = None if six is None else six.subkey("Parameters")
        yield from nethazards.ipv6_off(found, parameters, context.setting("ipv6"))
    else:
        yield from nethazards.ipv6_missing(found, six is not None)
    keepers = _keepers(context, network, past, found)
    names = [one for one in context.facts.boot.adapters if fold(one.guid) in keepers]
    for one in found:
        own = _own(context, one)
        others = [held for guid, held in keepers.items() if guid not in own]
        yield from nethazards.address_taken(one, others)
        yield from nethazards.name_taken(one, [two for two in names if fold(two.guid) not in own])
        yield from nethazards.takeover_impossible(one, version)


def _own(context: RuleContext, one: Resolved) -> set[str]:
    """The adapters that are the interface itself: by the document's word, or by the same MAC."""
    mac = one.config.match.mac
    same = [held for held in context.facts.boot.adapters if mac is not None and held.mac == mac]
    own = [adapter for adapter in (one.stays, one.takeover, *same) if adapter is not None]
    return {fold(adapter.guid) for adapter in own}


def _keepers(
    context: RuleContext, network: Network, past: OldAdapters, found: Sequence[Resolved]
) -> dict[str, Interface]:
    """The interfaces with fixed addresses, or wanted names, that will still own them, by folded GUID."""
    keep = context.wishes.ghosts == "keep"
    released = set() if keep else set(named_adapters(network, past))
    wanted = {str(address.ip) for one in found for address in one.config.addresses}
    names = {fold(one.config.name) for one in found if one.config.name}
    named = {fold(one.guid) for one in context.facts.boot.adapters if fold(one.name) in names}
    held = {
        fold(one.guid): one
        for one in context.facts.boot.interfaces
        if fold(one.guid) not in released
        and (
            fold(one.guid) in named
            or (one.dhcp is False and any(a.partition("/")[0] in wanted for a in one.addresses))
        )
    }
    if held:
        # Rare, so the rule that clears ghosts away is simply asked what it will do.
        emptied = {fold(guid) for guid in _cleared(context)}
        held = {guid: one for guid, one in held.items() if guid not in emptied}
    return held


def _cleared(context: RuleContext) -> Iterator[str]:
    """The GUIDs of interfaces that the ghosts rule empties or removes."""
    for item in ghosts.rule(context):
        emptied = isinstance(item, SetValue) and fold(item.name) == "IPADDRESS"
        removed = isinstance(item, DeleteKey) and fold(split(item.key)[-2]) == "INTERFACES"
        if emptied or removed:
            assert isinstance(item, SetValue | DeleteKey)
            yield split(item.key)[-1]
