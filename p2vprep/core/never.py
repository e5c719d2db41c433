"""Services and drivers that are never disabled, parked or demoted, and why.

The list is data of the guard. Nothing lifts it: no profile, no option.
Sources: Microsoft's guidance on disabling system services, the dependency
lists of real hives (XP to 10), and the drivers that Windows itself ships for
storage and network controllers, which the target may need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.documents.patterns import any_name_matches
from p2vprep.core.model import Guest, Role, Service

_VISTA = (6, 0)


@dataclass(frozen=True)
class Never:
    """Names (with wildcards) that stay as they are; the other fields narrow it where given."""

    names: tuple[str, ...]
    reason: str
    kind: Literal["service", "driver"] | None = None
    role: Role | None = None
    before: tuple[int, int] | None = None

    def meets(self, service: Service, guest: Guest) -> bool:
        """Whether this entry speaks of a service of this guest."""
        return (
            (self.kind is None or service.kind == self.kind)
            and (self.role is None or guest.role == self.role)
            and (self.before is None or guest.version.nt < self.before)
            and any_name_matches(self.names, service.name)
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NEVER: tuple[Never, ...] = (
    Never(
        _names(
            "disk partmgr volmgr volmgrx volsnap mountmgr fvevol spaceport Wof FltMgr Ntfs CLFS pci ACPI "
            "msisadrv ftdisk dmio dmload dmboot vdrvroot rdyboost iorate volume"
        ),
        "it belongs to the chain of drivers between Windows and its disk (stop 0x7B without it)",
    ),
    Never(
        _names("RpcSs RpcEptMapper DcomLaunch LSM SamSs"),
        "Windows does not reach the logon without it",
    ),
    Never(
        _names("Netlogon NTDS Kdc NtFrs DFSR IsmServ ADWS DNS"),
        "a domain controller does not work without it",
        role=Role.DOMAIN_CONTROLLER,
    ),
    Never(_names("NTDS Kdc"), "a domain controller does not work without it"),
    Never(
        _names("PlugPlay DeviceInstall DsmSvc NetSetupSvc Netman netprofm nsi nsiproxy"),
        "the new virtual network adapter is installed and configured with it",
    ),
    Never(
        _names(
            "Power ProfSvc UserManager gpsvc StateRepository BrokerInfrastructure SystemEventsBroker "
            "CoreMessagingRegistrar Schedule EventLog Winmgmt CryptSvc KeyIso VaultSvc TrustedInstaller "
            "AppReadiness sppsvc AppIDSvc"
        ),
        "logon, servicing or activation hangs without it",
    ),
    Never(_names("BFE MpsSvc"), "the firewall and everything that depends on it stops without it"),
    Never(
        _names("Tcpip Tcpip6 AFD tdx tdi NetBT NDIS Mup rdbss mrxsmb* srv srv2 srvnet"),
        "networking rests on this driver",
        kind="driver",
    ),
    Never(
        _names("Dhcp"), "network location and, before Vista, DNS registration of fixed addresses rest on it"
    ),
    Never(_names("TermService UmRdpService SessionEnv"), "it is the way into the new machine"),
    Never(
        _names("SharedAccess"),
        "before Vista this service is the Windows Firewall, not only Internet Connection Sharing",
        before=_VISTA,
    ),
    Never(_names("p2vprep*"), "it is this tool's own first-boot job"),
)

IN_BOX_DRIVERS: tuple[str, ...] = _names(
    "adp94xx adpahci adpu320 ADP80XX aic78xx amdsata amdsbs amdxata arc arcsas b06bdrv b57nd60a b57nd60x "
    "bxvbda cht4vbd cht4iscsi E1G60 e1iexpress ebdrv ebdrv0 elxstor HpSAMD iaStorAVC iaStorV iirsp LSI_FC "
    "LSI_SAS LSI_SAS2 LSI_SAS2i LSI_SAS3 LSI_SAS3i LSI_SCSI LSI_SSS megasas megasas2i megasas35i MegaSR "
    "mlx4_bus ibbus ndfltr WinMad WinVerbs nfrd960 nvraid nvstor percsas2i percsas3i pvscsi pvscsii ql2300 "
    "ql40xx SiSRaid2 SiSRaid4 SmartSAMD stexstor storahci stornvme vsmraid VSTXRAID 3ware symmpi "
    "atapi intelide pciide msahci intelpep IntelPMT intelpmax iagpio iai2c iaLPSS* ICCWDT MEIx64 nvmedisk "
    "mpio msdsm MsLbfoProvider NdisImPlatform IPMIDRV vmbus storvsc netvsc storflt vmstorfl vms3cap vmgid "
    "vmgencounter"
)
"""Drivers Windows ships for hardware of other makers, and its own: a target's controller may need them."""


IN_BOX_FILTERS: tuple[str, ...] = _names(
    "partmgr fvevol iorate storqosflt wcifs EhStorClass storflt vmstorfl volsnap rdyboost spldr volmgrx "
    "kbdclass mouclass redbook imapi ksthunk irenum scfilter WpdUpFltr SpatialGraphFilter bthenum "
    "serenum agp440 ndistapi ptilink"
)
"""Filters of classes and devices that ship with Windows; the kinds seen in the lists of XP to 10 hives."""

GUEST_BOOT_DRIVERS: tuple[str, ...] = _names(
    "xenfilt xenbus xenvbd xendisk xen xencrsh scsifilt rhelscsi "
    "prl_strg prl_boot prl_dd prl_eth5 prl_fs prl_memdev prl_mouf prl_pv32 prl_pv64 prl_scsi prl_sound "
    "prl_tg prl_time prl_uprof prl_va "
    "vmci vsock vmhgfs vmrawdsk vmdebug vsepflt vnetflt vnetWFP "
    "VBoxGuest VBoxSF BALLOON VirtioFsDrv"
)
"""Drivers of hypervisors that start with Windows and serve nothing but devices of their hypervisor.

Only these may a profile disable with ``boot-start``: none ships with Windows, and the disk of
another machine does not hang on them once they are in no filter list. What carries the disk there
as well (pvscsi, viostor, vioscsi, storvsc, LSI) is not among them.
"""

PROCESSOR_DRIVERS: tuple[str, ...] = _names("intelppm amdppm amdk6 amdk7 amdk8 p3 crusoe")
"""Drivers for the power states of one maker's processors; before Vista they start with Windows.

On another processor, or in a virtual machine that does not show those states, they stop Windows (0x7E,
KB 953356). Without them the processor just runs. From Vista on Plug and Play starts them where they fit.
"""

GUEST_PARTS: Mapping[str, tuple[str, ...]] = {
    "hyper-v": _names(
        "vmic* vmbus storvsc netvsc storflt vmstorfl VMBusHID VMBusHIDv hyperkbd HyperVideo SynthVid s3cap "
        "vms3cap dmvsc gencounter vmgencounter vmgid vpci hvsocketcontrol hvservice hvcrash"
    ),
    "kvm": _names("viostor vioscsi netkvm netkvmp"),
    "vmware": _names("pvscsi pvscsii vmxnet vmxnet3 vmxnet3ndis6"),
}
"""What a machine needs of its hypervisor's parts, by the hypervisor: its disk, its network, its clock.

The list for Hyper-V holds Microsoft's own parts, which ship with Windows (the integration services).
"""


def in_box_filter(name: str) -> bool:
    """Whether a filter of this name ships with Windows."""
    return any_name_matches(IN_BOX_FILTERS, name)


def guest_boot_driver(service: Service) -> bool:
    """Whether a driver belongs to a hypervisor alone, so that it may go although it starts with Windows."""
    return service.kind == "driver" and any_name_matches(GUEST_BOOT_DRIVERS, service.name)


def processor_driver(service: Service, guest: Guest) -> bool:
    """Whether a driver is for the power states of one maker's processors and starts with Windows."""
    return (
        service.kind == "driver"
        and guest.version.nt < _VISTA
        and any_name_matches(PROCESSOR_DRIVERS, service.name)
    )


def part_of(service: Service, hypervisors: Iterable[str]) -> str | None:
    """The hypervisor, of those given, whose guests need this service or driver; None where there is none."""
    for hypervisor in sorted(hypervisors):
        if any_name_matches(GUEST_PARTS.get(hypervisor, ()), service.name):
            return hypervisor
    return None


def never(service: Service, guest: Guest) -> str | None:
    """Why a service is on the never-list, or None."""
    return next((entry.reason for entry in NEVER if entry.meets(service, guest)), None)


def in_box(service: Service) -> bool:
    """Whether a driver is one that ships with Windows for storage or network controllers."""
    return service.kind == "driver" and any_name_matches(IN_BOX_DRIVERS, service.name)
