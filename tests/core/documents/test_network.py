"""The network document: what is read, and what is refused where."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from p2vprep.core.documents.network import json_schema, load
from p2vprep.core.netsettings import NETWORK_SETTINGS
from p2vprep.core.network import Gateway, InterfaceConfig, Match, Network, Route
from p2vprep.errors import DocumentError, ExitStatus
from tests.support.networks import interface, network

WHOLE = """\
schema: p2vprep.network/1
interfaces:
  - match: {mac: "00-15-5D-0A-0B-0C"}
    name: Production
    addresses: [192.0.2.10/24, 2001:DB8::10/64]
    gateways: [{via: 192.0.2.1, metric: 1}, "2001:db8::1"]
    metric: 1
    dns: [192.0.2.53, "2001:db8::53"]
    dns-suffix: corp.example
    register-dns: false
    wins: [192.0.2.54]
    netbios: off
    routes: [{to: 198.51.100.0/24, via: 192.0.2.254, metric: 5}]
    mtu: 1400
  - match: {mac: "00155d0a0b0d"}
    carry-over: Local Area Connection 2
    takeover: true
settings: {dead-gateway-detection: off, autotuning: normal, window-scaling: keep, ipv6: on}
"""
TWO = "interfaces: [{{match: {{index: 0}}, {}}}, {{match: {{index: 1}}, {}}}]"


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        load(text, "net.yaml")
    assert caught.value.exit_status is ExitStatus.INVALID_DOCUMENT
    assert caught.value.details
    assert caught.value.message.startswith(caught.value.details[0])
    return caught.value.details


def fault(body: str) -> str:
    return faults("schema: p2vprep.network/1\n" + body)[0]


def test_everything_is_read() -> None:
    assert load(WHOLE, "net.yaml") == Network(
        interfaces=(
            InterfaceConfig(
                match=Match(mac="00:15:5d:0a:0b:0c"),
                name="Production",
                addresses=(ip_interface("192.0.2.10/24"), ip_interface("2001:db8::10/64")),
                gateways=(Gateway(ip_address("192.0.2.1"), 1), Gateway(ip_address("2001:db8::1"))),
                metric=1,
                dns=(ip_address("192.0.2.53"), ip_address("2001:db8::53")),
                dns_suffix="corp.example",
                register_dns=False,
                wins=(ip_address("192.0.2.54"),),  # type: ignore[arg-type]
                netbios="off",
                routes=(Route(ip_network("198.51.100.0/24"), ip_address("192.0.2.254"), 5),),
                mtu=1400,
            ),
            InterfaceConfig(
                match=Match(mac="00:15:5d:0a:0b:0d"), carry_over="Local Area Connection 2", takeover=True
            ),
        ),
        settings={
            "dead-gateway-detection": "off",
            "autotuning": "normal",
            "window-scaling": "keep",
            "ipv6": "on",
        },
    )


def test_it_survives_the_way_through_a_plan_document() -> None:
    read = load(WHOLE, "net.yaml")
    kept = TypeAdapter(Network)
    assert kept.validate_python(json.loads(kept.dump_json(read))) == read


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{index: 0}", Match(index=0)),
        ("{replaces: Ethernet 2}", Match(replaces="Ethernet 2")),
        ("{stays: Ethernet0}", Match(stays="Ethernet0")),
        ("{only: true}", Match(only=True)),
        ("{mac: 0015.5D0A.0B0C}", Match(mac="00:15:5d:0a:0b:0c")),
    ],
)
def test_the_ways_to_mean_an_adapter(match: str, expected: Match) -> None:
    found = interface("dhcp: true", match).match
    assert found == expected
    assert str(found)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("interfaces: [{match: {only: true}, dhcp: true, adresses: []}]", "2:48: unknown key"),
        ("interfaces: [{match: {}, dhcp: true}]", "takes exactly one of mac, index, replaces, stays, only"),
        ("interfaces: [{match: {only: true, index: 1}, dhcp: true}]", "here is index and only"),
        ("interfaces: [{match: {only: false}, dhcp: true}]", "2:29: interfaces[0].match.only"),
        ("interfaces: [{match: {mac: 0015}, dhcp: true}]", "is not a MAC address"),
        ('interfaces: [{match: {mac: "01:00:5e:00:00:01"}, dhcp: true}]', "not the MAC address of one"),
        ("interfaces: [{match: {only: true}}]", "2:14: says nothing of IPv4"),
        ("interfaces: [{match: {only: true}, addresses: ['2001:db8::1/64']}]", "says nothing of IPv4"),
        ("interfaces: [{match: {only: true}, addresses: [192.0.2.1]}]", "has no prefix length"),
        ("interfaces: [{match: {only: true}, addresses: [192.0.2.256/24]}]", "does not appear to be"),
        ("interfaces: [{match: {only: true}, addresses: [7]}]", "7 is not an address with its prefix"),
        ("interfaces: [{match: {only: true}, addresses: [192.0.2.0/24]}]", "address of the subnet"),
        ("interfaces: [{match: {only: true}, addresses: [192.0.2.255/24]}]", "broadcast address"),
        ("interfaces: [{match: {only: true}, addresses: [169.254.1.1/16]}]", "automatic (link-local)"),
        ("interfaces: [{match: {only: true}, addresses: [127.0.0.2/8]}]", "a loopback address"),
        ("interfaces: [{match: {only: true}, addresses: [224.0.0.5/24]}]", "a multicast address"),
        ("interfaces: [{match: {only: true}, addresses: [250.0.0.5/24]}]", "a reserved address"),
        ("interfaces: [{match: {only: true}, addresses: [192.0.2.1/0]}]", "leaves no subnet"),
        (
            "interfaces: [{match: {only: true}, dhcp: true, addresses: ['2001:db8::/64']}]",
            "anycast address",
        ),
        ("interfaces: [{match: {only: true}, dhcp: true, addresses: ['fe80::1%3/64']}]", "has a scope"),
        ("interfaces: [{match: {only: true}, dhcp: true, addresses: ['fe80::1/64']}]", "link-local"),
        (
            "interfaces: [{match: {only: true}, addresses: [192.0.2.1/24, 192.0.2.1/25]}]",
            "192.0.2.1 is here twice",
        ),
        ("interfaces: [{match: {only: true}, addresses: [10.0.0.1/8, 10.1.0.1/16]}]", "overlap"),
        (
            "interfaces: [{match: {only: true}, addresses: [192.0.2.2/24], gateways: [192.0.3.1]}]",
            "2:74: the gateway 192.0.3.1 lies outside every subnet of the adapter (192.0.2.0/24)",
        ),
        (
            "interfaces: [{match: {only: true}, addresses: [192.0.2.2/24], gateways: ['2001:db8::1']}]",
            "needs an IPv6 address in the same subnet",
        ),
        (
            "interfaces: [{match: {only: true}, addresses: [192.0.2.2/24], gateways: [192.0.2.2]}]",
            "the adapter's own address",
        ),
        (
            "interfaces: [{match: {only: true}, addresses: [192.0.2.2/24], gateways: [0.0.0.0]}]",
            "not the address of a router",
        ),
        (
            "interfaces: [{match: {only: true}, dhcp: true, addresses: [192.0.2.2/24]}]",
            "asks for DHCP and for the fixed address",
        ),
        (
            "interfaces: [{match: {only: true}, dhcp: true, gateways: [192.0.2.1]}]",
            "the gateway comes from the server",
        ),
        (
            "interfaces: [{match: {only: true}, dhcp: true, routes: [{to: 192.0.2.1/24, via: 10.0.0.1}]}]",
            "is a host in the network 192.0.2.0/24",
        ),
        (
            "interfaces: [{match: {only: true}, dhcp: true, routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]}]",
            "write it under gateways",
        ),
        (
            "interfaces: [{match: {only: true}, dhcp: true, routes: [{to: 10.0.0.0/8, via: '2001:db8::1'}]}]",
            "not of one family",
        ),
        ("interfaces: [{match: {only: true}, dhcp: true, dns: [192.0.2.1/24]}]", "has a prefix length"),
        ("interfaces: [{match: {only: true}, dhcp: true, dns: [192.0.2.1, 192.0.2.1]}]", "here twice"),
        ("interfaces: [{match: {only: true}, dhcp: true, dns: [0.0.0.0]}]", "not the address of a server"),
        ("interfaces: [{match: {only: true}, dhcp: true, wins: ['2001:db8::1']}]", "not an IPv4 address"),
        ("interfaces: [{match: {only: true}, dhcp: true, metric: 0}]", "greater than or equal to 1"),
        ("interfaces: [{match: {only: true}, dhcp: true, mtu: 100}]", "greater than or equal to 576"),
        (
            "interfaces: [{match: {only: true}, dhcp: true, mtu: 900, addresses: ['2001:db8::5/64']}]",
            "below 1280",
        ),
        ("interfaces: [{match: {only: true}, dhcp: true, name: 'a/b'}]", "Windows takes no '/'"),
        ("interfaces: [{match: {only: true}, dhcp: true, name: ' '}]", "a name has 1 to"),
        ("interfaces: [{match: {only: true}, dhcp: true, dns-suffix: -x.y}]", "not a DNS suffix"),
        ("interfaces: [{match: {only: true}, dhcp: true, takeover: true}]", "needs carry-over"),
        (
            "interfaces: [{match: {stays: A}, carry-over: A, takeover: true}]",
            "has its identity already",
        ),
        (
            "interfaces: [{match: {only: true}, dhcp: true}, {match: {index: 1}, dhcp: true}]",
            "means the only adapter",
        ),
        (
            "interfaces: [{match: {index: 1}, dhcp: true}, {match: {index: 1}, dhcp: true}]",
            "index 1 is here twice",
        ),
        (
            "interfaces: [{match: {replaces: A}, dhcp: true}, {match: {index: 1}, dhcp: true}]",
            "match all of them by it, or none",
        ),
        (
            TWO.format("name: a, dhcp: true", "name: A, dhcp: true"),
            "the name 'A' is here twice",
        ),
        (
            TWO.format("addresses: [10.0.0.5/8]", "addresses: [10.0.0.5/8]"),
            "interface 0 has the address 10.0.0.5 already",
        ),
        (
            "interfaces: [{match: {index: 0}, carry-over: A}, {match: {index: 1}, carry-over: a}]",
            "carried over to another interface already",
        ),
        ("settings: {autotuning: of}", "'of' is not a value of the setting 'autotuning'"),
        ("settings: {speed: fast}", "there is no setting 'speed'"),
        ("settings: {autotuning: true}", "settings.autotuning"),
        ("interfaces: []", "says nothing"),
        (
            "settings: {multi-homing: on}\n"
            + TWO.format("addresses: [10.0.0.5/8], gateways: [10.0.0.1, 10.0.0.2]", "dhcp: true"),
            "at most one IPv4 default gateway",
        ),
    ],
)
def test_what_is_refused_and_where(body: str, expected: str) -> None:
    found = fault(body)
    assert found.startswith(("net.yaml:2:", "net.yaml:1:1", "net.yaml:3:"))
    assert expected in found


def test_two_faults_are_told_at_once() -> None:
    told = faults(WHOLE.replace("via: 192.0.2.1,", "via: 192.0.9.1,").replace("ipv6: on", "ipv6: perhaps"))
    assert len(told) == 2
    assert "(and 1 more)" not in told[0]


def test_another_schema_is_named() -> None:
    assert "this is 'p2vprep.profile/1'" in faults_of_schema("p2vprep.profile/1")


def faults_of_schema(schema: str) -> str:
    with pytest.raises(DocumentError) as caught:
        load(f"schema: {schema}\ninterfaces: []\n", "net.yaml")
    return caught.value.message


def test_a_link_local_gateway_needs_no_address_of_its_own() -> None:
    found = interface("dhcp: true, gateways: ['fe80::1']")
    assert found.gateways == (Gateway(ip_address("fe80::1")),)


def test_several_addresses_of_one_subnet_and_both_families() -> None:
    found = interface("addresses: [192.0.2.5/24, 192.0.2.6/24, 198.51.100.1/31, '2001:db8::5/64']")
    assert len(found.addresses) == 4


def test_what_carry_over_will_tell_is_not_asked_for() -> None:
    assert interface("carry-over: A, gateways: [192.0.2.1]").gateways
    assert network("settings: {multi-homing: on}").interfaces == ()


def test_the_schema_for_editors_knows_every_setting() -> None:
    schema = json_schema()
    json.dumps(schema)
    assert set(schema["properties"]["settings"]["properties"]) == set(NETWORK_SETTINGS)
    assert schema["$id"] == "p2vprep.network/1"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["match", "name", "dhcp", "addresses", "gateways", "dns", "routes", "mtu", "carry-over", "takeover"]
PART = st.dictionaries(st.sampled_from(KEYS), PLAIN | st.just({"only": True}) | st.just(["192.0.2.1/24"]))


@given(st.lists(PART, max_size=3), st.dictionaries(st.sampled_from(sorted(NETWORK_SETTINGS)), PLAIN))
def test_whatever_is_in_it_gives_a_network_or_one_clear_error(parts: object, switches: object) -> None:
    text = json.dumps({"schema": "p2vprep.network/1", "interfaces": parts, "settings": switches})
    try:
        found = load(text, "net.yaml")
    except DocumentError as problem:
        told = problem.message
    else:
        told = "net.yaml" if found.interfaces or found.settings else "an empty network"
    assert told.startswith("net.yaml")
