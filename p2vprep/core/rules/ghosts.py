r"""What becomes of network adapters that the machine does not have any more.

``keep``, ``neutralise`` or ``remove`` (:mod:`p2vprep.core.rules.ghost_edits`). Without a choice they are
neutralised, which was done on every version for years and loses nothing; on Windows 10 2004, Server 2022
and later Plug and Play then removes them at the first boot, by its own means (``docs/ghosts.md``).
Only hardware is touched: never tunnels, WAN miniports, loopback, virtual switches, VPN adapters. A team
is no ghost itself, but without its members it only keeps the address: it gives that up, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

from p2vprep.core.facts.adapter_config import read_configuration
from p2vprep.core.facts.adapterkinds import HARDWARE_BUSES
from p2vprep.core.facts.addresses import NETWORK_CLASS
from p2vprep.core.facts.ghosts import after_move
from p2vprep.core.facts.keys import below, text
from p2vprep.core.facts.mentions import Mention, find_mentions
from p2vprep.core.facts.teams import Team, read_teams
from p2vprep.core.model import (
    Adapter,
    Hazard,
    Interface,
    RemoveDevice,
    RuleYield,
    Skip,
    WindowsVersion,
)
from p2vprep.core.netresolve import kept_adapters, named_adapters
from p2vprep.core.network import Address, Network
from p2vprep.core.oldadapters import OldAdapters
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import Hive, Key, find, fold
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.ghost_edits import NAME, Gone, close_lists, drop_routes, neutralise, remove
from p2vprep.core.rules.linkage import binding_keys, take_out
from p2vprep.core.wishes import GhostChoice

__all__ = ["KINDS", "NAME", "SETTINGS", "default_choice", "rule"]

KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = ()
_FIRST_WITH_REMOVAL = (10, 0, 19041)
"""Windows 10 2004 and Server 2022: ``pnputil /remove-device``."""
_WHY_BINDINGS = "a protocol bound to an adapter that is gone"


def default_choice(version: WindowsVersion) -> tuple[GhostChoice, bool]:
    """What is done without a choice, and whether the first boot removes the devices through Plug and Play."""
    return "neutralise", (version.major, version.minor, version.build) >= _FIRST_WITH_REMOVAL


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Adapters that are gone own nothing any more, or are gone from the registry as well."""
    default, by_windows = default_choice(context.facts.guest.version)
    choice = context.wishes.ghosts or default
    root = find(context.system, context.control_set.name)
    if choice == "keep" or root is None:
        return
    scene = _look(context, root)
    yield from scene.findings
    if not scene.gone and not scene.teams:
        return
    removable: tuple[Gone, ...] = ()
    if choice == "remove":
        edited = [one for one in scene.gone if _removable(one.adapter) and _is_edited(context, one.adapter)]
        removable = tuple(one for one in scene.gone if _removable(one.adapter) and one not in edited)
        for one in edited:
            yield Skip(
                NAME, one.title, "a filter is taken from its device in the same plan; it is neutralised"
            )
    others = tuple(gone for gone in scene.gone if gone not in removable)
    yield from _neutralise(context, root, scene, others)
    if removable:
        yield from _remove(context, removable)
    if context.wishes.ghosts is None and by_windows and context.boots_next:
        for gone in others:
            if _removable(gone.adapter) and gone.adapter.instance:
                why = f"{gone.title} is gone ({gone.why})"
                yield RemoveDevice(gone.adapter.instance, why)


# --- which ones --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scene:
    """What there is in one control set."""

    gone: tuple[Gone, ...]
    teams: tuple[Gone, ...]
    staying: tuple[IPv4Interface, ...]
    """The IPv4 networks of adapters that stay."""
    findings: tuple[RuleYield, ...]


def _look(context: RuleContext, root: Key) -> _Scene:
    document = _Document.of(context)
    adapters = context.control_set.adapters
    gone: list[Gone] = []
    findings: list[RuleYield] = []
    untold: list[tuple[Adapter, str]] = []
    for adapter in (*adapters, *_leftovers(context, root)):
        expected = after_move(adapter, context.choices.hypervisors)
        if adapter.kind not in {"physical", "unknown"} or expected.ghost is False:
            continue
        if fold(adapter.guid) in document.kept:
            findings.append(Skip(NAME, adapter.name or adapter.guid, "the network document wants it to stay"))
        elif expected.ghost is None:
            if fold(adapter.guid) not in document.named:
                untold.append((adapter, expected.why))
        else:
            gone.append(Gone(adapter, expected.why))
    guids = {one.guid for one in gone}
    teams = [
        team
        for team in read_teams(context.system, context.control_set.name, adapters)
        if fold(team.adapter.guid) not in document.kept
    ]
    lost = [Gone(team.adapter, "all its members are") for team in teams if _lost(team, guids)]
    findings += _untold(untold)
    findings += _teams(teams, guids)
    findings += _given_up([*gone, *lost], document)
    away = guids | {one.guid for one in lost}
    staying = [one for one in adapters if fold(one.guid) not in away or fold(one.guid) in document.named]
    networks = [address for one in staying for address in _networks(context, one)]
    return _Scene(tuple(gone), tuple(lost), (*networks, *document.networks), tuple(findings))


@dataclass(frozen=True)
class _Document:
    """What the network document says of old adapters."""

    named: frozenset[str] = frozenset()
    """Those whose part another takes, as folded GUIDs."""
    kept: frozenset[str] = frozenset()
    """Those that stay, or whose GUID another takes: they must stay as they are."""
    networks: tuple[IPv4Interface, ...] = ()
    """The networks of those, and of the new adapters."""
    hops: frozenset[Address] = frozenset()
    """All gateways it names."""
    addresses: frozenset[str] = frozenset()

    @classmethod
    def of(cls, context: RuleContext) -> _Document:
        network = context.wishes.network
        if network is None:
            return cls()
        past = OldAdapters(context.facts.boot, context.system)
        named, kept = named_adapters(network, past), kept_adapters(network, past)
        old = [past.configuration(one) for one in (*named.values(), *kept.values())]
        configs = [*network.interfaces, *(one.config for one in old)]
        addresses = [address for config in configs for address in config.addresses]
        return cls(
            named=frozenset(named),
            kept=frozenset(kept),
            networks=tuple(address for address in addresses if isinstance(address, IPv4Interface)),
            hops=_hops(network),
            addresses=frozenset(str(address) for one in network.interfaces for address in one.addresses),
        )


def _hops(network: Network) -> frozenset[Address]:
    gateways = {gateway.via for interface in network.interfaces for gateway in interface.gateways}
    return frozenset(gateways | {route.via for one in network.interfaces for route in one.routes})


def _networks(context: RuleContext, adapter: Adapter) -> tuple[IPv4Interface, ...]:
    config = read_configuration(context.system, context.control_set.name, adapter.guid).config
    return tuple(address for address in config.addresses if isinstance(address, IPv4Interface))


def _leftovers(context: RuleContext, root: Key) -> Iterator[Adapter]:
    """Interfaces with fixed addresses to which neither a device nor a class instance belongs."""
    for interface in context.control_set.interfaces:
        if interface.owner == "none" and interface.addresses:
            adapter = _leftover(root, interface)
            if _networks(context, adapter):
                yield adapter


def _leftover(root: Key, interface: Interface) -> Adapter:
    connection = below(root, rf"Control\Network\{NETWORK_CLASS}\{interface.guid}\Connection")
    instance = text(connection, "PnpInstanceID")
    return Adapter(
        guid=interface.guid,
        name=text(connection, "Name"),
        description="",
        mac=None,
        kind="physical" if fold(instance).partition("\\")[0] in HARDWARE_BUSES else "unknown",
        ghost=True,
        why="no device belongs to it",
        addresses=interface.addresses,
        dhcp=interface.dhcp,
        gateways=interface.gateways,
        dns=interface.dns,
        instance=instance,
    )


def _removable(adapter: Adapter) -> bool:
    """Whether it is hardware, the only thing that is ever removed."""
    return adapter.kind == "physical"


def _is_edited(context: RuleContext, adapter: Adapter) -> bool:
    """Whether the plan writes a filter list of the device, which then cannot be deleted as well."""
    device = fold(rf"{context.control_set.name}\Enum\{adapter.instance}")
    written = (fold(one.found.key) for one in context.selection.filters if one.after is not None)
    return any(key == device or key.startswith(f"{device}\\") for key in written)


def _lost(team: Team, gone: set[str]) -> bool:
    """Whether a team has no member left."""
    return bool(team.members) and team.members <= gone


# --- findings ----------------------------------------------------------------------------------


def _untold(untold: list[tuple[Adapter, str]]) -> Iterator[Hazard]:
    """Adapters with something to lose of which it cannot be told whether they will be there."""
    told = [(adapter, why) for adapter, why in untold if adapter.addresses]
    if told:
        yield Hazard(
            "ghosts-untold",
            "warn",
            "It cannot be told whether adapters with fixed addresses will still be there; they are left",
            tuple(f"{adapter.name or adapter.guid}: {why}" for adapter, why in told),
            "Name the hypervisor with --target.",
        )


def _teams(teams: Iterable[Team], gone: set[str]) -> Iterator[Hazard]:
    for team in teams:
        name = team.adapter.name or team.adapter.guid
        if _lost(team, gone):
            yield Hazard(
                "team-lost",
                "warn",
                f"The team {name} loses all its members: its address is not kept, the team itself stays",
                tuple(sorted(team.members)),
                "Carry its configuration over to a new adapter; remove the team with its maker's tool.",
            )
        elif team.adapter.addresses and (not team.members or team.members & gone):
            yield Hazard(
                "team-untold",
                "warn",
                f"It cannot be told whether the team {name} keeps a member; it is left as it is",
                tuple(sorted(team.members)) or ("no service lists its members",),
                "Name the hypervisor with --target, or carry its configuration over.",
            )


def _given_up(gone: Iterable[Gone], document: _Document) -> Iterator[Hazard]:
    """Fixed addresses that nothing in the network document takes over."""
    lost = [
        one
        for one in gone
        if set(one.adapter.addresses) - document.addresses and one.guid not in document.named
    ]
    if lost:
        yield Hazard(
            "addresses-given-up",
            "warn",
            "Adapters that are gone had fixed addresses which no new adapter takes over",
            tuple(f"{one.title}: {', '.join(one.adapter.addresses)}" for one in lost),
            "Give a network document (--network) with carry-over, or set the addresses after the first boot.",
        )


# --- what is done ------------------------------------------------------------------------------


def _neutralise(
    context: RuleContext, root: Key, scene: _Scene, gone: tuple[Gone, ...]
) -> Iterator[RuleYield]:
    taken = {fold(adapter.name) for adapter in context.control_set.adapters if adapter.name}
    for one in (*gone, *scene.teams):
        yield from neutralise(root, one, taken)
    networks = tuple(
        address for one in (*scene.gone, *scene.teams) for address in _networks(context, one.adapter)
    )
    yield from drop_routes(root, networks, scene.staying, _Document.of(context).hops)
    guids = frozenset(one.guid for one in gone)
    yield from take_out(binding_keys(root, teams=False), guids, NAME, _WHY_BINDINGS)


def _remove(context: RuleContext, gone: tuple[Gone, ...]) -> Iterator[RuleYield]:
    software = context.hives.get("SOFTWARE")
    found = find_mentions(context.system, context.control_set.name, [one.adapter for one in gone], software)
    hives: dict[str, Hive] = dict(context.hives)
    for one in gone:
        yield from remove(hives, one, found[one.guid])
    every = [mention for one in gone for mention in found[one.guid]]
    yield from close_lists(context.system, every, frozenset(one.guid for one in gone), _WHY_BINDINGS)
    yield from _kept(every)


def _kept(mentions: Iterable[Mention]) -> Iterator[Hazard]:
    """What still names removed adapters and what that means."""
    kept = [mention for mention in mentions if mention.closing == "keep"]
    if any(mention.place == "binding record" for mention in kept):
        yield Hazard(
            "ghost-binding-record",
            "warn",
            "Windows' record of bindings (Control\\Network\\Config) still names the removed adapters",
            tuple(dict.fromkeys(m.key for m in kept if m.place == "binding record")),
            "Up to 8.1 and 2012 R2 '--ghosts neutralise' is the choice that has been proven.",
        )
    stored = [m for m in kept if m.place == "stack store" and m.key.rpartition("\\")[2] in {"10", "16"}]
    if any("{eb004a11" not in m.key.lower() for m in stored):
        yield Hazard(
            "ghost-stack-store",
            "warn",
            "The store of the TCP/IP stack, which is never edited, keeps addresses of removed adapters",
            tuple(dict.fromkeys(f"{m.key}: {m.value}" for m in stored if "{eb004a11" not in m.key.lower())),
            "An adapter that gets the same number would have them: let the first boot set every address, "
            "or use '--ghosts neutralise', which keeps the number taken.",
        )
