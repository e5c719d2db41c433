"""What the first boot does, as values. Import them from :mod:`p2vprep.core.model`.

Rules yield these; :mod:`p2vprep.firstboot` turns them into the job on the disk. They are part
of the plan document, so what they hold is all that the job will be made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2vprep.core.network import InterfaceConfig
from p2vprep.core.values import Data

Phase = Literal["before-network", "after-network", "last"]


@dataclass(frozen=True)
class RestoreService:
    """First boot shall give a parked service its start type back."""

    service: str
    start: int
    delayed: bool | None
    why: str


@dataclass(frozen=True)
class RestoreValue:
    r"""First boot shall give a registry value back (``data`` None: delete it). Path below HKLM."""

    key: str
    r"""As the running Windows sees it: ``SYSTEM\CurrentControlSet\…``, ``SOFTWARE\…``."""
    name: str
    data: Data | None
    why: str


@dataclass(frozen=True)
class ConfigureInterface:
    """First boot shall find the adapter and give it this configuration, then read it back."""

    config: InterfaceConfig
    """Complete: ``carry_over`` is resolved already; what it says here only tells where it came from."""
    why: str
    takeover_guid: str | None = None
    """The old interface GUID (with braces) that the adapter shall take, where asked for."""


@dataclass(frozen=True)
class TuneNetwork:
    """First boot shall run one ``netsh`` (arguments without ``netsh`` itself), that has no offline form.

    The words come from a table of ours, never from the guest.
    """

    arguments: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class RunCommands:
    """First boot shall run command lines, in this order: a profile's, or those that uninstall a product."""

    name: str
    """Short and unique: letters, digits, dashes. The step's name in log and results."""
    commands: tuple[str, ...]
    phase: Phase
    timeout: int
    """Seconds for each command."""
    why: str
    good: tuple[int, ...] = (0,)
    """Exit codes that mean success."""
    reboot: tuple[int, ...] = (1641, 3010)
    """Exit codes that mean success once Windows was started again."""


@dataclass(frozen=True)
class RunScript:
    """First boot shall run a file of the user's, which lies in the job's folder as ``path``."""

    path: str
    """Below the job's folder, forward slashes: ``user/010-tools.cmd``."""
    phase: Phase
    timeout: int
    why: str


@dataclass(frozen=True)
class RemoveDevice:
    """First boot shall remove a device instance through Plug and Play where this Windows has the means."""

    instance: str
    why: str


@dataclass(frozen=True)
class ResetNetwork:
    """First boot shall reset TCP/IP, Winsock, or both, before adapters are configured."""

    what: Literal["tcpip", "winsock", "both"]
    why: str


@dataclass(frozen=True)
class OnlineDisks:
    """First boot shall bring data disks online and make them writable (SAN policy of servers)."""

    why: str


FirstBootItem = (
    RestoreService
    | RestoreValue
    | ConfigureInterface
    | TuneNetwork
    | RunCommands
    | RunScript
    | RemoveDevice
    | ResetNetwork
    | OnlineDisks
)
