r"""Probes for the internet and for the domain, which keep an isolated first boot waiting.

``NlaSvc\Parameters\Internet`` ``EnableActiveProbing`` 0 stops the DNS and HTTP probes of the Network
Connectivity Status Indicator (Vista and later), the policy ``DisablePassivePolling`` its watching of traffic
(7 and later; Microsoft's NCSI documents, ADMX_NCSI). Programs that trust the indicator go offline without
it, so both are parked: the first boot gives the old values back. A policy counts more than the value; from
11 and 2022 on the indicator lives in the network list service and makes its HTTP probe all the same.

Domain detection goes the other way: without negative caches (``NegativeCachePeriod``,
``MaxNegativeCacheTtl``) and with ``AlwaysExpectDomainController`` (2019 and later) a member looks for its
domain again, so that the firewall's domain profile comes once the network is there (Microsoft:
domain-joined machines cannot detect the domain profile).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2vprep.core.facts.keys import dword
from p2vprep.core.model import RuleYield, Skip
from p2vprep.core.netsettings import pick
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import find
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.resting import Resting, Wanted, rest
from p2vprep.core.values import Data

NAME = "ncsi"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "ncsi",
        default="keep",
        values=("park", "off", "keep"),
        help="The probe for the internet: park (off until the first boot is done), off for good, or keep.",
    ),
    *pick("ncsi-passive", "domain-detection"),
)
_VISTA, _WINDOWS_7 = (6, 0), (6, 1)
_FIRST_IN_NETWORK_LIST, _FIRST_EXPECTING = 20348, 17763
_POLICY = r"Policies\Microsoft\Windows\NetworkConnectivityStatusIndicator"
_WANTED: dict[str, Wanted] = {"keep": "keep", "park": "park", "off": "for-good", "insist": "for-good"}
_WHY_ACTIVE = "without its network the probe for the internet only waits"
_WHY_MOVED = f"{_WHY_ACTIVE}; this Windows may make its HTTP probe all the same"
_WHY_DOMAIN = "the domain is looked for again and again, so that its firewall profile comes"

_ACTIVE = Resting(
    "ncsi",
    "SYSTEM",
    r"Services\NlaSvc\Parameters\Internet",
    "EnableActiveProbing",
    Data.dword(0),
    _WHY_ACTIVE,
)
_PASSIVE = Resting(
    "ncsi-passive",
    "SOFTWARE",
    _POLICY,
    "DisablePassivePolling",
    Data.dword(1),
    "without its network the indicator needs no watching of traffic",
    create=True,
)
_EXPECT = Resting(
    "expect-domain",
    "SYSTEM",
    r"Services\NlaSvc\Parameters",
    "AlwaysExpectDomainController",
    Data.dword(1),
    _WHY_DOMAIN,
)
_NO_NEGATIVE_CACHES = (
    Resting(
        "negative-dc-cache",
        "SYSTEM",
        r"Services\Netlogon\Parameters",
        "NegativeCachePeriod",
        Data.dword(0),
        _WHY_DOMAIN,
    ),
    Resting(
        "negative-dns-cache",
        "SYSTEM",
        r"Services\Dnscache\Parameters",
        "MaxNegativeCacheTtl",
        Data.dword(0),
        _WHY_DOMAIN,
    ),
)


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """The probes' values, with the old ones recorded and given back where they are parked."""
    yield from _active(context)
    yield from _passive(context)
    yield from _domain(context)


def _active(context: RuleContext) -> Iterator[RuleYield]:
    wanted = _WANTED[context.setting("ncsi")]
    version = context.facts.guest.version
    if version.nt < _VISTA and wanted != "keep":
        yield Skip(NAME, _ACTIVE.name, f"Windows has this probe from Vista on; this is {version}")
        wanted = "keep"
    if wanted != "keep" and _policy(context) == 1:
        yield Skip(NAME, _ACTIVE.name, "a policy has switched the probe off already (NoActiveProbe)")
        wanted = "keep"
    moved = version.build >= _FIRST_IN_NETWORK_LIST
    yield from rest(context, replace(_ACTIVE, why=_WHY_MOVED) if moved else _ACTIVE, wanted, NAME)


def _policy(context: RuleContext) -> int | None:
    software = context.hives.get("SOFTWARE")
    return None if software is None else dword(find(software, _POLICY), "NoActiveProbe")


def _passive(context: RuleContext) -> Iterator[RuleYield]:
    wanted = _WANTED[context.setting("ncsi-passive")]
    version = context.facts.guest.version
    if wanted != "keep" and version.nt < _WINDOWS_7:
        if context.boots_next:
            yield Skip(NAME, _PASSIVE.name, f"Windows has this policy from 7 on; this is {version}")
        wanted = "keep"
    yield from rest(context, _PASSIVE, wanted, NAME)


def _domain(context: RuleContext) -> Iterator[RuleYield]:
    wanted = _WANTED[context.setting("domain-detection")]
    guest = context.facts.guest
    if wanted != "keep" and guest.domain_member is not True:
        if context.boots_next:
            yield Skip(NAME, "domain-detection", "this machine is no member of a domain")
        wanted = "keep"
    for value in _NO_NEGATIVE_CACHES:
        yield from rest(context, value, wanted, NAME)
    if wanted != "keep" and guest.version.build < _FIRST_EXPECTING:
        if context.boots_next:
            reason = f"ignored by this Windows ({guest.version}): known of 2019 and later"
            yield Skip(NAME, _EXPECT.name, reason)
        wanted = "keep"
    yield from rest(context, _EXPECT, wanted, NAME)
