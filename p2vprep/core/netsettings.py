"""The machine-wide switches of the network: for ``--set``, for profiles, and for the network document.

One list, so that a document can be checked where it is read and each rule takes its own from here.
``keep`` is always the default.
"""

from __future__ import annotations

from p2vprep.core.profiles import Setting

KEEP = "keep"


def _setting(name: str, values: tuple[str, ...], what: str) -> Setting:
    return Setting(name, default=KEEP, values=(KEEP, *values), help=what)


_ALL = (
    _setting(
        "multi-homing",
        ("on",),
        "Several adapters that all stay reachable: dead-gateway detection off, a fixed metric for each "
        "adapter, persistent routes, at most one default gateway for each adapter.",
    ),
    _setting(
        "dead-gateway-detection",
        ("off", "on"),
        "Whether Windows changes to another default gateway by itself (2000, XP and 2003 obey).",
    ),
    _setting(
        "autotuning",
        ("disabled", "highlyrestricted", "restricted", "normal", "experimental"),
        "TCP receive window auto-tuning (Vista and later, at first boot).",
    ),
    _setting(
        "heuristics",
        ("off", "on"),
        "Whether Windows may restrict auto-tuning by itself (Vista and later, at first boot).",
    ),
    _setting("window-scaling", ("off", "on"), "TCP window scaling of 2000, XP and 2003 (Tcp1323Opts)."),
    _setting(
        "timestamps", ("off", "on"), "TCP time stamps: Tcp1323Opts up to 2003, at first boot from Vista on."
    ),
    _setting("task-offload", ("off", "on"), "Whether the stack hands any work to network cards."),
    _setting("chimney", ("off", "on"), "TCP Chimney offload (2003 with its networking pack to 2012 R2)."),
    _setting("rss", ("off", "on"), "Receive side scaling (2003 with its networking pack and later)."),
    _setting("netdma", ("off", "on"), "NetDMA (2003 with its networking pack to 2008 R2)."),
    _setting("jumbo-frames", ("off",), "Jumbo frames of adapters that stay: back to ordinary frames."),
    _setting("interrupt-moderation", ("off", "on"), "Interrupt moderation of adapters that stay."),
    _setting("sr-iov", ("off",), "SR-IOV of adapters that stay: off where the target has none."),
    _setting(
        "ipv6",
        ("on", "prefer-ipv4", "off"),
        "IPv6 (DisabledComponents, Vista and later): on, on with IPv4 preferred, or off.",
    ),
    _setting(
        "ncsi-passive",
        ("park", "off"),
        "Watching traffic for signs of the internet (7 and later): park (off until the first boot is "
        "done) or off for good.",
    ),
    _setting(
        "domain-detection",
        ("park", "insist"),
        "Look for the domain again and again, so that its firewall profile comes: park (until the first "
        "boot is done) or insist for good.",
    ),
    _setting(
        "network-location",
        ("carry-over", "private"),
        "Firewall profile of the new networks: private if the source's last network was, or private.",
    ),
    _setting(
        "proxy-discovery",
        ("park", "off"),
        "Automatic discovery of a proxy by WinHTTP (10 1809, 2019 and later): park or off for good.",
    ),
    _setting(
        "policy-wait",
        ("park",),
        "A domain member's wait for the network at start (policies): short until the first boot is done.",
    ),
    _setting(
        "network-reset",
        ("winsock", "tcpip", "both"),
        "Reset the Winsock catalogue, TCP/IP, or both at first boot, before adapters are configured.",
    ),
)
NETWORK_SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _ALL}
"""All of them, by name."""


def pick(*names: str) -> tuple[Setting, ...]:
    """The settings of these names, for a rule's ``SETTINGS``."""
    return tuple(NETWORK_SETTINGS[name] for name in names)
