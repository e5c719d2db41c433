r"""Other waits for the network at a first boot, and what removed software left in Winsock.

Found: providers of other makers in the Winsock catalogue (a layered provider whose file is gone breaks
every socket), policies that make a domain member wait for the network (Microsoft: ADMX Logon, GroupPolicy,
Scripts), long checks of signatures and an update server by policy, and a way of switching IPv6 off that
costs five seconds at each start (KB 929852). Done where asked for: the wait is short, automatic proxy
discovery rests (``DisableWpad``: Windows 10 1809, 2019 and later), the catalogue or TCP/IP is reset at the
first boot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from p2vprep.core.facts.keys import children, dword, text, value
from p2vprep.core.model import Hazard, ResetNetwork, RuleYield, Skip
from p2vprep.core.netsettings import KEEP, pick
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import Hive, find, fold
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.resting import Resting, Wanted, rest
from p2vprep.core.values import Data

NAME = "network-waits"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = pick("proxy-discovery", "policy-wait", "network-reset")

_VISTA = (6, 0)
_FIRST_WITH_DISABLE_WPAD = 17763
_WINLOGON = r"Policies\Microsoft\Windows NT\CurrentVersion\Winlogon"
_SYSTEM_POLICY = r"Policies\Microsoft\Windows\System"
_SCRIPTS = r"Microsoft\Windows\CurrentVersion\Policies\System"
_UPDATE = r"Policies\Microsoft\Windows\WindowsUpdate"
_DEFAULT_WAIT, _DEFAULT_SCRIPTS = 30, 600
_CHAINS = r"Policies\Microsoft\SystemCertificates\ChainEngine\Config"
_CHAIN_WAITS = {
    "ChainUrlRetrievalTimeoutMilliseconds": 15_000,
    "ChainRevAccumulativeUrlRetrievalTimeoutMilliseconds": 20_000,
}
"""Milliseconds that a signature's check waits for one server, and for all, where no policy says otherwise
(Group Policy, Certificate Path Validation Settings, Network Retrieval)."""
_SHORTEST = 1
"""Seconds; what the policy takes (its ADMX file)."""
_ALWAYS_OFF = 0xFFFFFFFF
_CATALOGUES = r"Services\WinSock2\Parameters"
_PROVIDER_BYTES = 260
r"""``PackedCatalogItem`` begins with the path of the provider, MAX_PATH bytes (observed on XP to 10)."""
_OWN_PROVIDERS = frozenset(
    fold(name)
    for name in (
        "mswsock.dll",
        "rsvpsp.dll",
        "winrnr.dll",
        "rnr20.dll",
        "napinsp.dll",
        "pnrpnsp.dll",
        "nlaapi.dll",
        "wshbth.dll",
        "nwprovau.dll",
        "wshqos.dll",
    )
)
_OWN_FOLDER = re.compile(r"%(SYSTEMROOT|WINDIR)%\\SYSTEM32\\[^\\]+|[A-Z]:\\[^\\]+\\SYSTEM32\\[^\\]+")
_WPAD = Resting(
    "proxy-discovery",
    "SOFTWARE",
    r"Microsoft\Windows\CurrentVersion\Internet Settings\WinHttp",
    "DisableWpad",
    Data.dword(1),
    "without its network the discovery of a proxy only waits",
    create=True,
)
_SHORT_WAITS = (
    Resting(
        "policy-foreground",
        "SOFTWARE",
        _WINLOGON,
        "SyncForegroundPolicy",
        Data.dword(0),
        "without its network a domain member waits for its policies before the logon",
        create=True,
    ),
    Resting(
        "policy-wait",
        "SOFTWARE",
        _SYSTEM_POLICY,
        "GpNetworkStartTimeoutPolicyValue",
        Data.dword(_SHORTEST),
        "without its network a domain member waits this long for it at each start",
        create=True,
    ),
)
_RESETS: dict[str, Literal["tcpip", "winsock", "both"]] = {
    "tcpip": "tcpip",
    "winsock": "winsock",
    "both": "both",
}
_WANTED: dict[str, Wanted] = {"keep": "keep", "park": "park", "off": "for-good"}


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Findings once, and what was asked for."""
    if not context.boots_next:
        return
    yield from _proxy(context)
    yield from _policy(context)
    reset = context.setting("network-reset")
    if reset in _RESETS:
        yield ResetNetwork(_RESETS[reset], f"the setting network-reset is {reset}")
    yield from _providers(context, asked=reset in ("winsock", "both"))
    yield from _ipv6_delay(context)
    software = context.hives.get("SOFTWARE")
    if software is not None:
        yield from _waits(context, software)


def _proxy(context: RuleContext) -> Iterator[RuleYield]:
    wanted = _WANTED[context.setting("proxy-discovery")]
    version = context.facts.guest.version
    if wanted != "keep" and version.build < _FIRST_WITH_DISABLE_WPAD:
        yield Skip(NAME, _WPAD.name, f"ignored by this Windows ({version}): known of 10 1809 and 2019 on")
        wanted = "keep"
    yield from rest(context, _WPAD, wanted, NAME)


def _policy(context: RuleContext) -> Iterator[RuleYield]:
    wanted = _WANTED[context.setting("policy-wait")]
    guest = context.facts.guest
    if wanted != "keep" and guest.domain_member is not True:
        yield Skip(NAME, "policy-wait", "this machine is no member of a domain")
        wanted = "keep"
    foreground, wait = _SHORT_WAITS
    yield from rest(context, foreground, wanted, NAME)
    if wanted != "keep" and guest.version.nt < _VISTA:
        yield Skip(NAME, wait.name, f"ignored by this Windows ({guest.version}): Vista and later read it")
        wanted = "keep"
    yield from rest(context, wait, wanted, NAME)


# --- findings ----------------------------------------------------------------------------------


def _providers(context: RuleContext, *, asked: bool) -> Iterator[Hazard]:
    foreign = tuple(dict.fromkeys(_foreign(context)))
    if foreign and not asked:
        yield Hazard(
            "winsock-providers",
            "warn",
            "The Winsock catalogue holds providers of other makers; without its file one breaks every socket",
            foreign,
            "Uninstall their programs by their own means, or `network-reset: winsock` once they are gone.",
        )


def _foreign(context: RuleContext) -> Iterator[str]:
    for catalogue, name in (
        ("Protocol_Catalog9", "PackedCatalogItem"),
        ("NameSpace_Catalog5", "LibraryPath"),
    ):
        for entries in ("Catalog_Entries", "Catalog_Entries64"):
            for entry in children(context.key(rf"{_CATALOGUES}\{catalogue}\{entries}")):
                data = value(entry, name)
                if data is None:
                    continue
                path = data.text
                if path is None:
                    path = data.raw[:_PROVIDER_BYTES].split(b"\0")[0].decode("latin-1")
                if path and not _is_own(path):
                    yield path


def _is_own(path: str) -> bool:
    folded = fold(path)
    return _OWN_FOLDER.fullmatch(folded) is not None and folded.rpartition("\\")[2] in _OWN_PROVIDERS


def _ipv6_delay(context: RuleContext) -> Iterator[Hazard]:
    key = context.key(r"Services\Tcpip6\Parameters")
    if context.setting("ipv6") == KEEP and dword(key, "DisabledComponents") == _ALWAYS_OFF:
        yield Hazard(
            "ipv6-start-delay",
            "warn",
            "IPv6 is switched off by 0xFFFFFFFF, which costs five seconds at each start",
            ("DisabledComponents is 0xffffffff",),
            "--set ipv6=off writes 0xFF, which has no delay; prefer-ipv4 keeps IPv6 on.",
        )


def _waits(context: RuleContext, software: Hive) -> Iterator[Hazard]:
    server = text(find(software, _UPDATE), "WUServer")
    if server:
        yield Hazard(
            "update-server",
            "warn",
            "Updates come from a server of the old network by policy",
            (server,),
            "Check that the new network reaches it.",
        )
    slow = tuple(_long_checks(software))
    if slow:
        yield Hazard(
            "revocation-waits",
            "warn",
            "By policy the check of a signature waits long for revocation servers it cannot reach",
            slow,
            "A service that is signed may miss its start; shorten the policy, or let the network reach them.",
        )
    if context.facts.guest.domain_member is not True or context.setting("policy-wait") != KEEP:
        return
    told = tuple(_long_waits(software))
    if told:
        yield Hazard(
            "policy-waits",
            "warn",
            "Policies make this domain member wait for the network at each start",
            told,
            "--set policy-wait=park makes the wait short until the first boot is done.",
        )


def _long_checks(software: Hive) -> Iterator[str]:
    for name, usual in _CHAIN_WAITS.items():
        wait = dword(find(software, _CHAINS), name)
        if wait is not None and wait > usual:
            yield f"{name} is {wait / 1000:g} seconds (Windows' own: {usual // 1000})"


def _long_waits(software: Hive) -> Iterator[str]:
    if dword(find(software, _WINLOGON), "SyncForegroundPolicy") == 1:
        yield "SyncForegroundPolicy is 1: the logon waits for policies"
    wait = dword(find(software, _SYSTEM_POLICY), "GpNetworkStartTimeoutPolicyValue")
    if wait is not None and wait > _DEFAULT_WAIT:
        yield f"GpNetworkStartTimeoutPolicyValue is {wait} seconds (Windows' own: {_DEFAULT_WAIT})"
    scripts = dword(find(software, _SCRIPTS), "MaxGPOScriptWait")
    if scripts is not None and (scripts == 0 or scripts > _DEFAULT_SCRIPTS):
        yield f"MaxGPOScriptWait is {scripts} seconds (Windows' own: {_DEFAULT_SCRIPTS}; 0: without end)"
