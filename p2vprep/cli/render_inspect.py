"""Facts for people: which Windows, whose hardware, which adapters, what stands in the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.cli.render_plan import hazard_lines, heading
from p2vprep.core.facts.ghosts import after_move
from p2vprep.core.facts.mentions import places
from p2vprep.core.model import Adapter, ControlSet, Interface, Service
from p2vprep.core.registry import fold
from p2vprep.engine.results import Inspection


def inspection_view(inspection: Inspection, *, verbose: bool = False) -> RenderableType:
    """The whole inspection; ``verbose`` adds every service."""
    facts = inspection.facts
    parts: list[RenderableType] = [heading(facts.guest)]
    for image in inspection.images:
        size = image.virtual_size / (1 << 30)
        parts.append(Text(f"  {printable(image.path.name)}: {image.kind}, {size:.1f} GiB", style="dim"))
    present = ", ".join(control_set.name for control_set in facts.sets)
    parts.append(Text(f"  boots next: {facts.boot_set} (present: {present})", style="dim"))
    for hive in inspection.hives:
        state = "clean"
        if hive.dirty:
            state = f"dirty, {hive.replayed_pages} pages replayed from {' and '.join(hive.replayed_from)}"
        parts.append(Text(f"  {hive.name} hive: {state}", style="dim"))
    parts.append(Text(""))
    parts.extend(_vendors(inspection))
    parts.append(adapter_table(facts.boot.adapters, inspection.hypervisors))
    if verbose:
        parts.extend(mention_lines(inspection))
    parts.extend(_orphans(facts.boot))
    parts.append(Text(""))
    parts.append(_services_line(facts.boot.services))
    if verbose:
        parts.append(service_table(facts.boot.services))
    parts.append(Text(""))
    parts.extend(hazard_lines(inspection.findings))
    return Group(*parts)


def adapter_table(adapters: Iterable[Adapter], hypervisors: Collection[str] = frozenset()) -> RenderableType:
    """Physical adapters, teams and whatever has an address; the plumbing of Windows is counted only.

    Whether an adapter is a ghost is told for the hypervisors it goes to; without any, for all there are.
    """
    shown = [adapter for adapter in adapters if _worth_showing(adapter)]
    if not shown:
        return Text("No network adapters of the source.")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("Adapter", "MAC", "Kind", "Ghost", "Addresses", "Why"):
        table.add_column(column, overflow="fold")
    for adapter in shown:
        expected = after_move(adapter, hypervisors)
        ghost = {True: "yes", False: "no", None: "?"}[expected.ghost]
        name = Text(printable(adapter.name or "(no name)"))
        name.append("\n" + printable(adapter.description), style="dim")
        table.add_row(
            name,
            Text(adapter.mac or "-"),
            Text(adapter.kind),
            Text(ghost, style="yellow" if expected.ghost else "default"),
            Text(_addresses(adapter)),
            Text(printable(expected.why), style="dim"),
        )
    return table


def mention_lines(inspection: Inspection) -> Iterable[RenderableType]:
    """For each adapter that the table shows, how many places of which sort mention it."""
    for adapter in inspection.facts.boot.adapters:
        held = inspection.mentions.get(fold(adapter.guid), ())
        if _worth_showing(adapter) and held:
            counted = ", ".join(
                f"{place} {number}" if number > 1 else place for place, number in places(held).items()
            )
            yield Text(f"{printable(adapter.name or adapter.guid)} is mentioned as: {counted}", style="dim")


def service_table(services: Iterable[Service]) -> RenderableType:
    """Name, start type, display name; services before drivers, by name."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("Service", "Kind", "Start", "Display name"):
        table.add_column(column, overflow="fold")
    for service in sorted(services, key=lambda item: (item.kind != "service", item.name.lower())):
        if service.instance:
            continue
        table.add_row(
            Text(printable(service.name)),
            Text(service.kind),
            Text(service.start_name),
            Text(printable(service.display_name)),
        )
    return table


def _worth_showing(adapter: Adapter) -> bool:
    return bool(adapter.addresses or adapter.lease) or adapter.kind in {"physical", "team", "virtual", "vpn"}


def _addresses(adapter: Adapter) -> str:
    told = [printable(address) for address in adapter.addresses]
    if adapter.dhcp:
        told.append(f"DHCP, last {printable(adapter.lease)}" if adapter.lease else "DHCP")
    elif adapter.lease:
        told.append(f"old lease {printable(adapter.lease)}")
    if adapter.gateways:
        told.append("via " + printable(", ".join(adapter.gateways)))
    return "\n".join(told) or "-"


def _vendors(inspection: Inspection) -> Iterable[RenderableType]:
    if not inspection.detections:
        yield Text("Source hardware: no profile fits what was found.")
    for detection in inspection.detections:
        yield Text(f"Source hardware: {printable(detection.words)}")
    yield Text("")


def _orphans(control_set: ControlSet) -> Iterable[RenderableType]:
    orphans: list[Interface] = [
        item for item in control_set.interfaces if not item.adapter and item.addresses
    ]
    for orphan in orphans:
        told = ", ".join(orphan.addresses)
        yield Text(f"{orphan.guid} has {told} and no device", style="yellow")


def _services_line(services: Iterable[Service]) -> Text:
    held = [service for service in services if not service.instance]
    drivers = sum(service.kind == "driver" for service in held)
    auto = sum(service.kind == "service" and service.start == 2 for service in held)
    return Text(f"{len(held) - drivers} services ({auto} start by themselves), {drivers} drivers")
