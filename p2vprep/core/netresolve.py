"""The network document held against the machine: which adapters are meant, and what old ones had.

What comes out is complete: the configuration of old adapters is merged in, and a
match says MAC, index or only, which the first boot can find adapters by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from p2vprep.core import netcheck
from p2vprep.core.facts.ghosts import after_move
from p2vprep.core.model import Adapter, ControlSet, Facts, Hazard
from p2vprep.core.network import Gateway, InterfaceConfig, Match, Network
from p2vprep.core.oldadapters import OldAdapters
from p2vprep.core.registry import Hive, fold

MULTI_HOMING = "multi-homing"
_METRIC_STEP = 10
_CANNOT_STAY = frozenset({"team", "tunnel", "wan-miniport"})


@dataclass(frozen=True)
class Resolved:
    """One interface of the document, and the adapters of this Windows that it speaks of."""

    place: int
    """Its place in the document, from 0."""
    config: InterfaceConfig
    stays: Adapter | None = None
    """The adapter that is still there afterwards and gets the configuration now."""
    old: tuple[Adapter, ...] = ()
    """The adapters whose part it takes: replaced, or carried over."""
    takeover: Adapter | None = None
    """The adapter whose interface GUID the new one takes."""

    @property
    def told(self) -> str:
        """For people: its name, else how it is matched."""
        return self.config.name or str(self.config.match)


@dataclass(frozen=True)
class Resolution:
    """What could be resolved, and why the rest could not."""

    interfaces: tuple[Resolved, ...] = ()
    hazards: tuple[Hazard, ...] = ()


def resolve(network: Network, facts: Facts, system: Hive, *, multi_homing: bool = False) -> Resolution:
    """All interfaces of the document, by the control set that boots next.

    With ``multi_homing`` adapters without a metric get one, ten apart in the document's order.
    """
    hazards: list[Hazard] = []
    found: list[Resolved] = []
    past = OldAdapters(facts.boot, system)
    order = _ReplacedOrder(network, past)
    for place, asked in enumerate(network.interfaces):
        one = _resolve_one(place, asked, past, order, hazards)
        if one is not None:
            found.append(_with_metric(one) if multi_homing else one)
    resolved = tuple(found)
    settings = {MULTI_HOMING: "on"} if multi_homing else {}
    whole = Network(tuple(one.config for one in resolved), settings)
    hazards += [_impossible(fault, resolved) for fault in netcheck.faults(whole, carried=True)]
    return Resolution(resolved, tuple(dict.fromkeys(hazards)))


def named_adapters(network: Network | None, past: OldAdapters) -> dict[str, Adapter]:
    """The adapters that a document says are replaced or carried over, by folded GUID.

    Those that it says stay, or whose GUID is taken over, are not among them.
    """
    if network is None:
        return {}
    kept = set(kept_adapters(network, past))
    named: dict[str, Adapter] = {}
    for config in network.interfaces:
        for name in (config.match.replaces, config.carry_over):
            for adapter in past.find(name):
                if fold(adapter.guid) not in kept:
                    named[fold(adapter.guid)] = adapter
    return named


def kept_adapters(network: Network | None, past: OldAdapters) -> dict[str, Adapter]:
    """The adapters that stay or whose GUID is taken over, by folded GUID: nobody may clear them away."""
    kept: dict[str, Adapter] = {}
    for config in () if network is None else network.interfaces:
        for name in (config.match.stays, config.carry_over if config.takeover else None):
            kept.update({fold(adapter.guid): adapter for adapter in past.find(name)})
    return kept


def carried(asked: InterfaceConfig, old: InterfaceConfig) -> InterfaceConfig:
    """What is asked for, filled up with what the old adapter had.

    What the document gives counts; addresses and gateways are taken family by family, lists whole.
    """
    dhcp = asked.dhcp or (old.dhcp and not netcheck.of_family(asked, 4))
    addresses = list(asked.addresses)
    gateways: list[Gateway] = list(asked.gateways)
    for family in netcheck.FAMILIES:
        if family == 4 and dhcp:
            continue
        if not netcheck.of_family(asked, family):
            addresses += netcheck.of_family(old, family)
        if not any(gateway.via.version == family for gateway in asked.gateways):
            gateways += [gateway for gateway in old.gateways if gateway.via.version == family]
    return replace(
        asked,
        name=asked.name or old.name,
        dhcp=dhcp,
        addresses=tuple(addresses),
        gateways=tuple(gateways),
        metric=asked.metric or old.metric,
        dns=asked.dns or old.dns,
        dns_suffix=asked.dns_suffix or old.dns_suffix,
        register_dns=old.register_dns if asked.register_dns is None else asked.register_dns,
        wins=asked.wins or old.wins,
        netbios=asked.netbios or old.netbios,
        routes=asked.routes or old.routes,
        mtu=asked.mtu or old.mtu,
    )


# --- one interface -----------------------------------------------------------------------------


def _resolve_one(
    place: int,
    asked: InterfaceConfig,
    past: OldAdapters,
    order: _ReplacedOrder,
    hazards: list[Hazard],
) -> Resolved | None:
    wanted = {"replaces": asked.match.replaces, "stays": asked.match.stays, "carry-over": asked.carry_over}
    found: dict[str, Adapter] = {}
    for word, name in wanted.items():
        if name is None:
            continue
        adapters = past.find(name)
        if len(adapters) != 1:
            hazards.append(_unknown(word, name, adapters, past.control_set))
            return None
        found[word] = adapters[0]
    stays, source = found.get("stays"), found.get("carry-over")
    if stays is not None and stays.kind in _CANNOT_STAY:
        hazards.append(_cannot_stay(stays))
        return None
    config = asked
    if source is not None:
        old = past.configuration(source)
        config = carried(asked, old.config)
        if old.notes:
            hazards.append(_incomplete(source, old.notes))
    match = order.match_of(asked.match, found.get("replaces"), stays)
    if match is None:
        hazards.append(_no_place(found["replaces"]))
        return None
    gone = (found.get("replaces"), None if asked.takeover or source == stays else source)
    return Resolved(
        place=place,
        config=replace(config, match=match),
        stays=stays,
        old=tuple(dict.fromkeys(adapter for adapter in gone if adapter is not None)),
        takeover=source if asked.takeover else None,
    )


def _with_metric(one: Resolved) -> Resolved:
    metric = one.config.metric or _METRIC_STEP * (one.place + 1)
    return replace(one, config=replace(one.config, metric=metric))


class _ReplacedOrder:
    """How the first boot finds the adapters that a document knows by those of the source.

    New adapters come in the order of their bus addresses, so the first of those that
    are replaced, in the order of the source's bus addresses, is index 0.
    """

    def __init__(self, network: Network, past: OldAdapters) -> None:
        self._past = past
        self._alone = len(network.interfaces) == 1
        named = [one for config in network.interfaces for one in past.find(config.match.replaces)]
        self._replaced = self._by_bus(named)
        staying = set(kept_adapters(network, past))
        self._present = self._by_bus(
            [
                adapter
                for adapter in past.control_set.adapters
                if fold(adapter.guid) in staying or not after_move(adapter, ()).ghost
            ]
        )

    def match_of(self, asked: Match, replaced: Adapter | None, stays: Adapter | None) -> Match | None:
        """MAC, index or only; None where the place of a replaced adapter cannot be told."""
        if replaced is not None:
            if self._alone:
                return Match(only=True)
            guid = fold(replaced.guid)
            return Match(index=self._replaced.index(guid)) if guid in self._replaced else None
        if stays is not None:
            # What stays is found again by itself: by its MAC, else by its place among the cards.
            if stays.mac is not None:
                return Match(mac=stays.mac)
            guid = fold(stays.guid)
            return Match(index=self._present.index(guid)) if guid in self._present else Match(only=True)
        return asked

    def _by_bus(self, adapters: Sequence[Adapter]) -> list[str]:
        cards = [one for one in adapters if one.kind == "physical"]
        return [fold(one.guid) for one in sorted(cards, key=self._past.place)]


# --- what to tell ------------------------------------------------------------------------------


def _unknown(word: str, name: str, found: Sequence[Adapter], boot: ControlSet) -> Hazard:
    what = "several adapters of this Windows are" if found else "no adapter of this Windows is"
    listed = found or [one for one in boot.adapters if one.kind in ("physical", "team", "virtual")]
    return Hazard(
        "adapter-unknown" if not found else "adapter-ambiguous",
        "refuse",
        f"The network document says {word}: {name!r}, but {what} called that",
        evidence=tuple(f"{one.name or '(no name)'} {one.guid} {one.description}" for one in listed),
        cure="Name the adapter by its connection name or GUID, as `p2vprep inspect` shows it.",
        liftable=False,
    )


def _cannot_stay(adapter: Adapter) -> Hazard:
    return Hazard(
        "adapter-cannot-stay",
        "refuse",
        f"{adapter.name!r} is a {adapter.kind}: it does not stay without what it is made of",
        evidence=(adapter.guid,),
        cure="Carry its configuration over to an adapter of the target.",
        liftable=False,
    )


def _incomplete(adapter: Adapter, notes: Sequence[str]) -> Hazard:
    return Hazard(
        "carry-over-incomplete",
        "warn",
        f"Not all of {adapter.name or adapter.guid} can be carried over",
        evidence=tuple(notes),
        cure="Give what is missing in the network document.",
    )


def _no_place(adapter: Adapter) -> Hazard:
    return Hazard(
        "adapter-place-unknown",
        "refuse",
        f"{adapter.name!r} is no card with a place on a bus ({adapter.kind}), so its successor has none",
        evidence=(adapter.guid,),
        cure="Match the new adapter by its MAC or its index, and carry the old configuration over.",
        liftable=False,
    )


def _impossible(fault: netcheck.Fault, resolved: Sequence[Resolved]) -> Hazard:
    place = fault.path[1] if len(fault.path) > 1 else None
    where = f"{resolved[place].told}: " if isinstance(place, int) and place < len(resolved) else ""
    return Hazard(
        "network-impossible",
        "refuse",
        f"With what is carried over the network cannot work: {where}{fault.text}",
        cure="Give the right value in the network document; it counts more than what is carried over.",
        liftable=False,
    )


def each_pair(resolved: Sequence[Resolved]) -> Iterator[tuple[Resolved, Resolved]]:
    """All pairs of different interfaces, each once."""
    for place, one in enumerate(resolved):
        for other in resolved[place + 1 :]:
            yield one, other
