r"""Deployment services and connection sharing on one machine: both want UDP 67, and one of them loses.

Sharing's allocator then answers with leases of its own, or fails (event 30002). The setting
``wds-ics`` says which of the two goes; profiles may set it. The service is disabled by the ordinary way
of actions, so that the guard looks at it and nothing gives it back. Before Vista SharedAccess is Windows'
firewall as well and is never just disabled.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.documents.actions import Action
from p2vprep.core.facts.keys import dword
from p2vprep.core.model import Facts, Hazard, RuleYield, Service, Skip, Start
from p2vprep.core.profiles import Choices, OwnedAction, Setting
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.sharing import FIRST_WITH_OWN_FIREWALL, SHARED_ACCESS, service_of, sharing

NAME = "wds-ics"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        NAME,
        default="report",
        values=("report", "ics-off", "wds-off"),
        help="Deployment services and connection sharing on one machine: report it, or disable one of them.",
    ),
)
DEPLOYMENT = ("WDSServer", "BINLSVC")
_OWNER = "settings"
_SOURCE = "Microsoft's documents on WDS ports and on ICS; event 30002 of the ICS allocator"
_WHY = {
    "ics-off": "deployment services and connection sharing both want UDP 67; sharing goes",
    "wds-off": "deployment services and connection sharing both want UDP 67; deployment goes",
}


def actions(facts: Facts, choices: Choices) -> tuple[OwnedAction, ...]:
    """The action that the setting stands for, where both services are able to start; else none."""
    wanted = choices.settings.get(NAME, "report")
    if wanted == "report" or not _both(facts):
        return ()
    vista = facts.guest.version.nt >= FIRST_WITH_OWN_FIREWALL
    if wanted == "ics-off" and not vista:
        return ()
    names = [SHARED_ACCESS] if wanted == "ics-off" else list(DEPLOYMENT)
    action = Action.model_validate(
        {"id": NAME, "why": _WHY[wanted], "source": _SOURCE, "disable": {"names": names}}
    )
    return (OwnedAction(_OWNER, action),)


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """What was found, told once."""
    if not context.boots_next:
        return
    wanted = context.setting(NAME)
    both = _both(context.facts)
    if both and wanted == "report":
        yield _conflict(both)
    elif both and wanted == "ics-off" and context.facts.guest.version.nt < FIRST_WITH_OWN_FIREWALL:
        yield Skip(NAME, SHARED_ACCESS, "before Vista it is Windows' firewall as well and is never disabled")
        yield _conflict(both)
    shared = sharing(context.facts, context.hives)
    if shared.signs:
        yield Hazard(
            "ics-on",
            "warn",
            f"Internet Connection Sharing is likely on: it serves {shared.network} by DHCP",
            shared.signs,
            "Switch sharing off where the new network has a DHCP server or a router of its own.",
        )
    yield from _dhcp_server(context)


def _both(facts: Facts) -> tuple[Service, ...]:
    """Sharing and the deployment services, where both are able to start; else none."""
    shared = _able(facts, SHARED_ACCESS)
    deployment = tuple(one for name in DEPLOYMENT if (one := _able(facts, name)) is not None)
    return (shared, *deployment) if shared is not None and deployment else ()


def _able(facts: Facts, name: str) -> Service | None:
    service = service_of(facts, name)
    return service if service is not None and service.start < Start.DISABLED else None


def _conflict(both: tuple[Service, ...]) -> Hazard:
    return Hazard(
        "wds-and-ics",
        "warn",
        "Deployment services and Internet Connection Sharing are both able to start: both want UDP 67",
        tuple(f"{one.name} starts {one.start_name}" for one in both),
        "--set wds-ics=ics-off, or wds-off; before Vista switch sharing off in the connection's properties.",
    )


def _dhcp_server(context: RuleContext) -> Iterator[Hazard]:
    """Deployment services beside a DHCP server that were not told to leave it its port."""
    server, deployment = _able(context.facts, "DHCPServer"), _able(context.facts, "WDSServer")
    key = context.key(r"Services\WDSServer\Providers\WDSPXE")
    if server is None or deployment is None or dword(key, "UseDhcpPorts") == 0:
        return
    yield Hazard(
        "wds-dhcp-port",
        "warn",
        "Deployment services and a DHCP server are on this machine and both take UDP 67",
        (f"{server.name} starts {server.start_name}", f"{deployment.name} starts {deployment.start_name}"),
        "Set UseDhcpPorts to 0 and DHCP option 60, as Microsoft's WDS documents say.",
    )
