"""What the first boot will do, for people: adapters with all they get, tuning, steps, what is given back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.core.model import (
    ConfigureInterface,
    FirstBootItem,
    OnlineDisks,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RestoreValue,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.core.network import Gateway, InterfaceConfig, Route

_RESETS = {"tcpip": "TCP/IP", "winsock": "Winsock", "both": "TCP/IP and Winsock"}


def first_boot_view(items: Iterable[FirstBootItem], *, verbose: bool = False) -> Iterator[RenderableType]:
    """What the first boot does, in the order of the job, and what it gives back; ``verbose``: reasons too."""
    held = tuple(items)
    restored = [item for item in held if isinstance(item, RestoreService | RestoreValue)]
    others = tuple(item for item in held if not isinstance(item, RestoreService | RestoreValue))
    if others:
        yield Text(f"first boot does  ({len(others)})", style="bold")
        yield from _before(others)
        for item in others:
            if isinstance(item, ConfigureInterface):
                yield from _interface(item, verbose=verbose)
        yield from _steps(others, verbose=verbose)
        yield Text("")
    if restored:
        yield Text(f"first boot gives back  ({len(restored)})", style="bold")
        yield from _given_back(restored)
        yield Text("")


def _before(items: tuple[FirstBootItem, ...]) -> Iterator[Text]:
    for item in items:
        if isinstance(item, ResetNetwork):
            yield _line("resets", _RESETS[item.what])
    devices = [item.instance for item in items if isinstance(item, RemoveDevice)]
    if devices:
        yield _line("removes devices", ", ".join(devices))
    tuned = [" ".join(item.arguments) for item in items if isinstance(item, TuneNetwork)]
    for arguments in tuned:
        yield _line("tunes", f"netsh {arguments}")
    if any(isinstance(item, OnlineDisks) for item in items):
        yield _line("disks", "data disks are brought online")


def _steps(items: tuple[FirstBootItem, ...], *, verbose: bool) -> Iterator[Text]:
    for item in items:
        if isinstance(item, RunCommands):
            yield _line("runs", f"{item.name} ({item.phase}, {len(item.commands)} commands)")
            if verbose:
                yield from (_line("", command) for command in item.commands)
        elif isinstance(item, RunScript):
            yield _line("runs", f"{item.path} ({item.phase})")


def _given_back(items: Sequence[RestoreService | RestoreValue]) -> Iterator[Text]:
    services = [item.service for item in items if isinstance(item, RestoreService)]
    if services:
        yield _line("services", ", ".join(services))
    values = [item.name for item in items if isinstance(item, RestoreValue)]
    if values:
        yield _line("values", ", ".join(values))


def _line(what: str, told: str) -> Text:
    return Text(f"  {what + ': ' if what else '    '}{printable(told)}")


# --- one adapter -------------------------------------------------------------------------------


def _interface(item: ConfigureInterface, *, verbose: bool) -> Iterator[RenderableType]:
    yield _line("configures adapter", str(item.config.match))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, told in config_rows(item.config):
        table.add_row(f"    {name}", Text(printable(told)))
    if item.takeover_guid is not None:
        table.add_row("    identity", Text(printable(f"takes over {item.takeover_guid}")))
    if verbose:
        table.add_row("    why", Text(printable(item.why), style="dim"))
    yield table


def config_rows(config: InterfaceConfig) -> Iterator[tuple[str, str]]:
    """What an adapter shall have, as pairs of a word and its value; what is left to Windows is left out."""
    if config.carry_over is not None:
        yield "from", config.carry_over
    if config.name is not None:
        yield "name", config.name
    told = ", ".join([*(["DHCP"] if config.dhcp else []), *map(str, config.addresses)])
    if told or config.carry_over is None:
        yield "addresses", told or "none"
    lists: tuple[tuple[str, Iterable[object]], ...] = (
        ("gateways", map(_hop, config.gateways)),
        ("DNS servers", config.dns),
        ("WINS servers", config.wins),
        ("routes", map(_route, config.routes)),
    )
    for name, held in lists:
        told = ", ".join(str(one) for one in held)
        if told:
            yield name, told
    singles: tuple[tuple[str, object], ...] = (
        ("DNS suffix", config.dns_suffix),
        ("registers in DNS", {True: "yes", False: "no", None: None}[config.register_dns]),
        ("metric", config.metric),
        ("MTU", config.mtu),
        ("NetBIOS", config.netbios),
    )
    for name, single in singles:
        if single is not None:
            yield name, str(single)


def _hop(gateway: Gateway) -> str:
    return f"{gateway.via}" + ("" if gateway.metric is None else f" (metric {gateway.metric})")


def _route(route: Route) -> str:
    metric = "" if route.metric is None else f" (metric {route.metric})"
    return f"{route.to} via {route.via}{metric}"
