"""The documented syntax of the commands that the first-boot job uses, per Windows version.

Sources: Windows Server 2003 command-line reference (netsh interface ip, netsh interface ipv6, route);
netsh's own help of Windows Server 2008, 2008 R2 and 2012 (netsh interface ipv4, ipv6); Microsoft's
references of sc config, pnputil, diskpart, shutdown, getmac. A command is looked up by its words; its
``tag=value`` arguments are held against the tags that the version knows, with what each may hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network

Version = tuple[int, int]
OLD: Version = (5, 2)
VISTA: Version = (6, 0)
SEVEN: Version = (6, 1)
LAST: Version = (99, 0)


@dataclass(frozen=True)
class Form:
    """One command: from and up to which version, its tags and which of them it needs."""

    since: Version
    before: Version
    tags: dict[str, str]
    needed: frozenset[str]


NAME = "name"
_STORE = {"store": "active|persistent"}


def _form(since: Version, before: Version, needed: str, **tags: str) -> Form:
    return Form(since, before, tags, frozenset(needed.split()))


NETSH: dict[str, list[Form]] = {
    "interface ip set address": [
        _form(
            OLD,
            VISTA,
            "name source",
            name=NAME,
            source="dhcp|static",
            addr="ip4",
            mask="mask",
            gateway="ip4|none",
            gwmetric="number",
        )
    ],
    "interface ip add address": [
        _form(OLD, VISTA, "name", name=NAME, addr="ip4", mask="mask", gateway="ip4", gwmetric="number")
    ],
    "interface ip set dns": [
        _form(
            OLD,
            VISTA,
            "name source",
            name=NAME,
            source="dhcp|static",
            addr="ip4|none",
            register="none|primary|both",
        )
    ],
    "interface ip add dns": [_form(OLD, VISTA, "name addr", name=NAME, addr="ip4", index="number")],
    "interface ip set wins": [
        _form(OLD, VISTA, "name source", name=NAME, source="dhcp|static", addr="ip4|none")
    ],
    "interface ip add wins": [_form(OLD, VISTA, "name addr", name=NAME, addr="ip4", index="number")],
    "interface ipv4 set address": [
        _form(
            VISTA,
            LAST,
            "name",
            name=NAME,
            source="dhcp|static",
            address="ip4",
            mask="mask",
            gateway="ip4|none",
            gwmetric="number",
            type="unicast|anycast",
            **_STORE,
        )
    ],
    "interface ipv4 add address": [
        _form(
            VISTA,
            LAST,
            "name",
            name=NAME,
            address="ip4",
            mask="mask",
            gateway="ip4",
            gwmetric="number",
            **_STORE,
        )
    ],
    "interface ipv4 set dnsserver": [
        _form(
            VISTA,
            SEVEN,
            "name source",
            name=NAME,
            source="dhcp|static",
            address="ip4|none",
            register="none|primary|both",
        )
    ],
    "interface ipv4 set dnsservers": [
        _form(
            SEVEN,
            LAST,
            "name source",
            name=NAME,
            source="dhcp|static",
            address="ip4|none",
            register="none|primary|both",
            validate="yes|no",
        )
    ],
    "interface ipv4 add dnsserver": [
        _form(VISTA, SEVEN, "name address", name=NAME, address="ip4", index="number")
    ],
    "interface ipv4 add dnsservers": [
        _form(SEVEN, LAST, "name address", name=NAME, address="ip4", index="number", validate="yes|no")
    ],
    "interface ipv4 set winsserver": [
        _form(VISTA, SEVEN, "name source", name=NAME, source="dhcp|static", address="ip4|none")
    ],
    "interface ipv4 set winsservers": [
        _form(SEVEN, LAST, "name source", name=NAME, source="dhcp|static", address="ip4|none")
    ],
    "interface ipv4 add winsserver": [
        _form(VISTA, SEVEN, "name address", name=NAME, address="ip4", index="number")
    ],
    "interface ipv4 add winsservers": [
        _form(SEVEN, LAST, "name address", name=NAME, address="ip4", index="number")
    ],
    "interface ipv4 set interface": [
        _form(VISTA, LAST, "interface", interface=NAME, metric="number", mtu="number", **_STORE)
    ],
    "interface ipv4 add route": [
        _form(
            VISTA,
            LAST,
            "prefix interface",
            prefix="net4",
            interface=NAME,
            nexthop="ip4",
            metric="number",
            **_STORE,
        )
    ],
    "interface ipv6 install": [_form(OLD, VISTA, "")],
    "interface ipv6 set interface": [
        _form(VISTA, LAST, "interface", interface=NAME, metric="number", mtu="number", **_STORE)
    ],
    "interface ipv6 add address": [
        # The address may have a prefix length from Vista on only.
        _form(OLD, VISTA, "interface address", interface=NAME, address="ip6", **_STORE),
        _form(VISTA, LAST, "interface address", interface=NAME, address="ip6/length", **_STORE),
    ],
    "interface ipv6 add route": [
        _form(
            OLD,
            LAST,
            "prefix interface",
            prefix="net6",
            interface=NAME,
            nexthop="ip6",
            metric="number",
            **_STORE,
        )
    ],
    "interface ipv6 add dns": [
        _form(OLD, VISTA, "interface address", interface=NAME, address="ip6", index="number")
    ],
    "interface ipv6 set dnsserver": [
        _form(VISTA, SEVEN, "name source", name=NAME, source="dhcp|static", address="ip6|none")
    ],
    "interface ipv6 set dnsservers": [
        _form(
            SEVEN,
            LAST,
            "name source",
            name=NAME,
            source="dhcp|static",
            address="ip6|none",
            validate="yes|no",
        )
    ],
    "interface ipv6 add dnsserver": [
        _form(VISTA, SEVEN, "name address", name=NAME, address="ip6", index="number")
    ],
    "interface ipv6 add dnsservers": [
        _form(SEVEN, LAST, "name address", name=NAME, address="ip6", index="number", validate="yes|no")
    ],
}
_ROUTE = re.compile(r"%ROUTE% -p add (\S+) mask (\S+) (\S+)(?: metric (\d+))?")


def fault(command: str, version: Version) -> str | None:
    """What is wrong with one generated command for this version; None where nothing is."""
    if command.startswith("%ROUTE%"):
        match = _ROUTE.fullmatch(command)
        if match is None or version >= VISTA:
            return "not a route command of this version"
        ip_network(f"{match[1]}/{match[2]}")
        IPv4Address(match[3])
        return None
    if not command.startswith("%NETSH% "):
        return "neither netsh nor route"
    words = command.removeprefix("%NETSH% ").split(" ")
    verbs = [word for word in words if "=" not in word]
    arguments = [word.partition("=") for word in words if "=" in word]
    forms = [form for form in NETSH.get(" ".join(verbs), []) if form.since <= version < form.before]
    if not forms or words[: len(verbs)] != verbs:
        return f"{' '.join(verbs)!r} is no command of {version}"
    (form,) = forms
    names = [name for name, _, _ in arguments]
    if len(set(names)) != len(names) or not form.needed <= set(names) or not set(names) <= set(form.tags):
        return f"the tags {names} are not those of {' '.join(verbs)!r}"
    bad = [f"{name}={told}" for name, _, told in arguments if not _fits(told, form.tags[name])]
    return f"wrong values: {', '.join(bad)}" if bad else None


def _fits(told: str, kinds: str) -> bool:
    return any(_is(told, kind) for kind in kinds.split("|"))


def _is(told: str, kind: str) -> bool:
    try:
        if kind == NAME:
            return told == '"%%I"'
        if kind == "ip4":
            return str(IPv4Address(told)) == told
        if kind == "ip6":
            return str(IPv6Address(told)) == told
        if kind == "ip6/length":
            return "/" in told and ip_interface(told).version == 6
        if kind == "mask":
            return ip_network(f"0.0.0.0/{told}").prefixlen > 0 and "." in told
        if kind in ("net4", "net6"):
            return "/" in told and ip_network(told).version == int(kind[-1])
        if kind == "number":
            return told.isascii() and told.isdigit() and int(told) < 1 << 32
    except ValueError:
        return False
    return told == kind
