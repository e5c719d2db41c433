"""Random networks: what the checks let pass is written, reads back, and is planned again without a change."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core import netcheck
from p2vprep.core.facts.adapter_config import configuration_of
from p2vprep.core.network import Gateway, InterfaceConfig, Match, Network, Route
from tests.support import corpus
from tests.support.hives import memory_hive
from tests.support.machines import Machine, carry_out, dump, in_memory
from tests.support.networks import add_adapter, codes, configured, guid, plan_for

ADDRESSES4 = st.builds(
    lambda number, length: IPv4Interface((number, length)),
    st.integers(0, 2**32 - 1) | st.sampled_from([0x0A000001, 0x0A0000FF, 0x0A000000, 0xC0000201]),
    st.integers(0, 32) | st.sampled_from([8, 24]),
)
ADDRESSES6 = st.builds(
    lambda number, length: IPv6Interface((number, length)),
    st.integers(0, 2**128 - 1) | st.integers(0, 3).map(lambda low: (0x20010DB8 << 96) + low),
    st.integers(0, 128),
)
HOPS = st.integers(0x0A000000, 0x0A000005).map(ip_address) | st.sampled_from(
    [ip_address("2001:db8::1"), ip_address("fe80::1"), ip_address("0.0.0.0")]
)
CONFIGS = st.builds(
    InterfaceConfig,
    match=st.just(Match(only=True)),
    dhcp=st.booleans(),
    addresses=st.lists(ADDRESSES4 | ADDRESSES6, max_size=3).map(tuple),
    gateways=st.lists(st.builds(Gateway, HOPS, st.none() | st.integers(1, 50)), max_size=2).map(tuple),
    dns=st.lists(HOPS, max_size=2).map(tuple),
    mtu=st.none() | st.sampled_from([576, 1280, 9000]),
)


def told(config: InterfaceConfig) -> list[str]:
    return [fault.text for fault in netcheck.interface_faults(config)]


@given(CONFIGS)
def test_what_passes_is_reachable_and_made_of_hosts(config: InterfaceConfig) -> None:
    if told(config):
        return
    for address in config.addresses:
        network = address.network
        assert not any((address.is_multicast, address.is_loopback, address.is_link_local))
        if isinstance(address, IPv4Interface) and network.prefixlen < 31:
            assert address.ip not in (network.network_address, network.broadcast_address)
    for gateway in config.gateways:
        on_link = [one for one in config.addresses if gateway.via in one.network]
        assert on_link or gateway.via.is_link_local
        assert gateway.via not in {one.ip for one in config.addresses}
    assert config.dhcp != bool(netcheck.of_family(config, 4))


@given(CONFIGS)
def test_one_fault_more_never_heals_another(config: InterfaceConfig) -> None:
    before = set(told(config))
    twice = replace(config, dns=(*config.dns, ip_address("224.0.0.1")))
    assert before < set(told(twice))


HOSTS = st.integers(1, 254)


@st.composite
def sound_configs(draw: st.DrawFn, name: str = "LAN") -> InterfaceConfig:
    """A configuration of an adapter that stays, in a subnet of its own."""
    third = draw(st.integers(0, 255))
    network = IPv4Network((0x0A000000 + (third << 8), 24))
    hosts = draw(st.lists(HOSTS, min_size=1, max_size=3, unique=True))
    hop = draw(HOSTS.filter(lambda host: host not in hosts))
    base = int(network.network_address)
    gateways = draw(st.lists(st.just(Gateway(ip_address(base + hop), draw(st.none() | HOSTS))), max_size=1))
    routes = draw(
        st.lists(
            st.builds(
                Route,
                st.sampled_from([IPv4Network("172.16.0.0/12"), IPv4Network("198.51.100.0/24")]),
                st.just(ip_address(base + hop)),
                HOSTS,
            ),
            max_size=2,
            unique_by=lambda route: route.to,
        )
    )
    return InterfaceConfig(
        match=Match(stays=name),
        addresses=tuple(IPv4Interface((base + host, 24)) for host in hosts),
        gateways=tuple(gateways),
        metric=draw(st.none() | st.integers(1, 9999)),
        dns=tuple(ip_address(base + host) for host in draw(st.lists(HOSTS, max_size=2, unique=True))),
        dns_suffix=draw(st.none() | st.just("corp.example")),
        register_dns=draw(st.none() | st.just(False)),
        wins=tuple(ip_address(base + host) for host in draw(st.lists(HOSTS, max_size=1))),  # type: ignore[misc]
        netbios=draw(st.sampled_from([None, "on", "off"])),
        routes=tuple(routes),
        mtu=draw(st.none() | st.integers(576, 9000)),
    )


@settings(deadline=None)
@given(sound_configs(), st.sampled_from([(5, 2, 3790), (6, 1, 7601), (6, 3, 9600), (10, 0, 20348)]))
def test_what_is_written_reads_back_as_what_was_asked_for(
    config: InterfaceConfig, version: tuple[int, int, int]
) -> None:
    """The facts' reader is not the writer's; what it reads afterwards is the whole configuration."""
    made = Machine().windows(*version)
    add_adapter(made, 1, "LAN")
    plan = plan_for(made, Network((config,)))
    assert not plan.refusals
    carry_out(plan.changes, {"SYSTEM": made.hive})
    found = configuration_of(made.hive, "ControlSet001", guid(1))
    asked = replace(config, match=found.match, name="LAN", routes=())
    assert replace(found, routes=()) == asked
    assert set(found.routes) == set(config.routes)
    assert plan_for(made, Network((config,))).changes == ()


@settings(deadline=None)
@given(sound_configs(), st.sampled_from([(5, 2, 3790), (6, 1, 7601), (10, 0, 20348)]))
def test_what_is_carried_over_is_what_the_old_adapter_had(
    config: InterfaceConfig, version: tuple[int, int, int]
) -> None:
    made = Machine().windows(*version)
    add_adapter(made, 1, "LAN", instance=r"PCI\VEN_14E4&DEV_1657\3&1&0&01")
    carry_out(plan_for(made, Network((config,)), ghosts="keep").changes, {"SYSTEM": made.hive})
    wanted = Network((InterfaceConfig(Match(only=True), carry_over="LAN"),))
    plan = plan_for(made, wanted)
    (found,) = configured(plan)
    assert replace(found, match=config.match, carry_over=None, routes=()) == replace(
        config, name="LAN", routes=()
    )
    assert set(found.routes) == set(config.routes)
    carry_out(plan.changes, {"SYSTEM": made.hive})
    again = plan_for(made, wanted)
    assert (again.changes, configured(again)) == ((), (found,))


# --- real hives --------------------------------------------------------------------------------

REAL = [name for name in corpus.system_hive_names() if not name.startswith(("phony", "win10-partial"))]
_FEW = {("win2003", "stays"), ("win2003", "carry-over"), ("win7", "carry-over")}
ON_HIVES = [
    pytest.param(name, way, marks=[] if (name.partition("-")[0], way) in _FEW else [pytest.mark.long])
    for name in REAL
    for way in ("stays", "carry-over")
]


@pytest.mark.corpus
@pytest.mark.skipif(not REAL, reason="the corpus of real hives is not here (P2VPREP_CORPUS)")
@pytest.mark.parametrize(("name", "way"), ON_HIVES)
def test_on_real_hives_the_second_plan_is_empty_and_nothing_else_changed(name: str, way: str) -> None:
    hive = in_memory(memory_hive(name))
    machine = Machine()
    machine.hive = hive
    facts = machine.facts()
    adapter = next(one for one in facts.boot.adapters if one.kind == "physical")
    major, minor, build = _version(name)
    machine.windows(major, minor, build)
    match = Match(stays=adapter.guid) if way == "stays" else Match(only=True)
    config = InterfaceConfig(
        match=match,
        addresses=(IPv4Interface("203.0.113.7/24"),) if way == "stays" else (),
        gateways=(Gateway(ip_address("203.0.113.1")),) if way == "stays" else (),
        dns=(ip_address("203.0.113.53"),),
        carry_over=None if way == "stays" else adapter.guid,
    )
    wanted = Network((config,), {"multi-homing": "on"})
    before = dump(hive)
    plan = plan_for(machine, wanted)
    assert not codes(plan, "refuse"), plan.refusals
    carry_out(plan.changes, {"SYSTEM": hive})
    after = dump(hive)
    touched = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    assert touched
    assert all(_ours(path, adapter.guid.upper()) for path in touched), sorted(touched)
    again = plan_for(machine, wanted)
    assert again.changes == ()
    assert configured(again) == configured(plan)


def _version(name: str) -> tuple[int, int, int]:
    known = {"winxp-sp2-x64": (5, 2, 3790), "winxp": (5, 1, 2600), "win2003": (5, 2, 3790)}
    known |= {"win7": (6, 1, 7601), "win81": (6, 3, 9600), "win10": (10, 0, 19044)}
    return next(version for prefix, version in known.items() if name.startswith(prefix))


def _ours(path: str, adapter: str) -> bool:
    """Whether a key is the adapter's own, the network's as a whole, or our record."""
    return (
        adapter in path
        or path.startswith("P2VPREP")
        or path.endswith((r"SERVICES\TCPIP\PARAMETERS", r"PARAMETERS\PERSISTENTROUTES", r"LINKAGE"))
        or r"\TCPIP\PARAMETERS\INTERFACES" in path
    )
