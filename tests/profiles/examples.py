r"""What vendors leave behind, to be grafted onto hives: no real hive of a server with agents is at hand.

Keys, display names, types and image paths as the public sources of the
profiles describe them; start types and dependencies are plausible, not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from p2vprep.core.registry import Hive, value
from p2vprep.core.values import Data
from tests.support.changed import ChangedHive

SERVICE, DRIVER = 0x10, 1


@dataclass(frozen=True)
class Example:
    """A service or driver as a vendor's set-up writes it."""

    name: str
    display_name: str = ""
    image_path: str = ""
    type: int = SERVICE
    start: int = 2
    needs: tuple[str, ...] = ()


def _driver(name: str, display_name: str, file: str, start: int = 3) -> Example:
    return Example(name, display_name, rf"system32\drivers\{file}", DRIVER, start)


def _agent(name: str, display_name: str, file: str, *needs: str) -> Example:
    return Example(name, display_name, rf"C:\WINDOWS\system32\{file}", needs=needs)


def _program(name: str, display_name: str, file: str, *needs: str) -> Example:
    return Example(name, display_name, rf"C:\Program Files\{file}", needs=needs)


HPE_PROLIANT = (
    _agent("CqMgHost", "HP Insight Foundation Agents", r"CpqMgmt\cqmghost\cqmghost.exe"),
    _agent("CqMgServ", "HP Insight Server Agents", r"CpqMgmt\cqmgserv\cqmgserv.exe", "CqMgHost"),
    _agent("CqMgStor", "HP Insight Storage Agents", r"CpqMgmt\cqmgstor\cqmgstor.exe", "CqMgHost"),
    _agent("CpqNicMgmt", "HP Insight NIC Agents", r"CPQNiMgt\cpqnimgt.exe", "CqMgHost"),
    _agent("CIMnotify", "HP Insight Event Notifier", r"CIMntfy\cimntfy.exe"),
    _agent("CpqRcmc", "HP ProLiant Remote Monitor Service", "cpqrcmc.exe"),
    _agent("CpqRcmc3", "HP ProLiant Remote Monitor Service", "cpqrcmc3.exe"),
    _agent("sysdown", "HP ProLiant System Shutdown Service", "sysdown.exe"),
    _program("ProLiantMonitor", "HP ProLiant Health Monitor Service", r"HP\PLM\ProLiantMonitor.exe"),
    _program("Cissesrv", "HP Smart Array SAS/SATA Event Notification Service", r"HP\Cissesrv\cissesrv.exe"),
    _program("SysMgmtHp", "HP System Management Homepage", r"HP\hpsmh\bin\smhstart.exe"),
    _program("cpqvcagent", "HP Version Control Agent", r"HP\hpvca\vcagent.exe", "SysMgmtHp"),
    _program("HPWMISTOR", "HP WMI Storage Providers", r"HP\hpwbem\storage\service\hpwmistor.exe"),
    _program("hpqams", "HP ProLiant Agentless Management Service", r"HP\AMS\service\hpqams.exe"),
    _program("HpAmsStor", "HP AMS Storage Service", r"HP\AMS\service\storage.exe"),
    _program("ams", "Agentless Management Service", r"Hewlett Packard Enterprise\AMS\ams.exe"),
    _program("AmsStor", "AMS Storage Service", r"HPE\AMS\amsstor.exe"),
    _program("SUT Service", "HPE Smart Update Tools", r"HP\Smart Update Tools\bin\sut.exe"),
    _agent("hplopts", "HP Lights-Out Passthrough Service", "hplopts.exe"),
    _agent("cpqriis", "HP ProLiant Rack Infrastructure Service", "cpqriis.exe"),
    _agent("cpqalert", "Compaq Local Alerter", "cpqalert.exe"),
    _program("cpqdmi", "Compaq DMI", r"Compaq\DMI\dmi.exe"),
    _program("WebDmi", "Compaq Web Agent", r"Compaq\DMI\webdmi.exe"),
    _program("cim", "Compaq Insight Agent", r"Compaq\cim\cim.exe"),
    _program("ipmi_service_main", "IPMI Service", r"HP\ipmi\ipmi_service_main.exe"),
    _agent("ietsms", "Intel Ethernet Thermal Sensor Monitor Service", "ietsms.exe"),
    _program("CPMEXEC", "HP Power Manager", r"HP\Power Manager\cpmexec.exe"),
    _driver("hpqilo2", "HP ProLiant iLO 2 Management Controller Driver", "hpqilo2.sys"),
    _driver("hpqilo3", "HP ProLiant iLO 3/4 Management Controller Driver", "hpqilo3.sys"),
    _driver("hpqilo3core", "iLO Core Driver", "hpqilo3core.sys"),
    _driver("hpqilo3chif", "iLO CHIF Driver", "hpqilo3chif.sys"),
    _driver("hpqilo3whea", "iLO WHEA Driver", "hpqilo3whea.sys"),
    _driver("hpeqilo5", "iLO 5 Driver", "hpeqilo5.sys"),
    _driver("cpqasm2", "Compaq Advanced System Management", "cpqasm2.sys", start=2),
    _driver("CpqCiDrv", "HP ProLiant iLO Channel Interface", "CpqCiDrv.sys"),
    _driver("CPQTeam", "HP Network Teaming", "CPQTEAM.sys"),
    _driver("CPQTeamMP", "HP Network Teaming Miniport", "cpqtmmp.sys"),
    _driver("hpeaadsm", "HP EVA DSM", "hpeaadsm.sys"),
    _driver("hpmsadsm", "HP MSA DSM", "hpmsadsm.sys"),
    _driver("hpqdsm", "HP XP DSM", "hpqdsm.sys"),
    _driver("hpdskflt", "HP Mobile Data Protection", "hpdskflt.sys"),
    _driver("Accelerometer", "HP Accelerometer", "Accelerometer.sys"),
)

LEFT_ALONE = (
    _driver("HpCISSs2", "HP Smart Array SAS/SATA Controller", "HpCISSs2.sys", start=0),
    _driver("HpSAMD", "HpSAMD", "HpSAMD.sys"),
    Example("CimAgent", "Another vendor's agent", r"C:\Acme\cim.exe"),
)
"""Of HP or named alike, and not to be touched."""

ISOLATED_FIRST_BOOT = tuple(
    Example(name, start=2)
    for name in (
        "W32Time", "wuauserv", "BITS", "CcmExec", "Browser", "lmhosts", "iphlpsvc", "WinHttpAutoProxySvc",
        "WebClient", "SharedAccess", "RemoteAccess", "WDSServer", "BINLSVC", "DHCPServer",
        "MSExchangeADTopology", "MSExchangeIS", "SNMP", "SNMPTRAP", "Spooler", "WSearch", "SysMain", "DPS",
        "DiagTrack", "Netlogon", "ClusSvc", "MSiSCSI", "MSSQLSERVER", "MSSQL$SHOP", "SQLSERVERAGENT",
        "SQLAgent$SHOP", "SQLBrowser", "ReportServer$SHOP", "MSOLAP$SHOP",
    )
)  # fmt: skip


CONNECTED_FIRST_BOOT = tuple(
    Example(name, start=2)
    for name in (
        "wuauserv", "CcmExec", "DHCPServer", "WDSServer", "BINLSVC", "RemoteAccess", "SharedAccess",
        "WSearch", "SysMain", "DPS", "DiagTrack", "ClusSvc", "MSSQLSERVER", "MSSQL$SHOP", "SQLSERVERAGENT",
        "SQLAgent$SHOP", "SQLBrowser", "MSExchangeADTopology",
    )
)  # fmt: skip

_PROCESSORS = tuple(
    _driver(name, "Processor Driver", f"{name}.sys", start=1)
    for name in ("intelppm", "amdppm", "amdk6", "amdk7", "amdk8", "p3", "crusoe")
)
_STORAGE = {
    name: _driver(name, "", file or f"{name}.sys")
    for name, file in {
        "atapi": "", "intelide": "", "pciide": "", "msahci": "", "storahci": "", "stornvme": "",
        "LSI_SAS": "lsi_sas.sys", "LSI_SCSI": "lsi_scsi.sys", "symmpi": "", "vmbus": "", "storvsc": "",
        "storflt": "vmstorfl.sys", "pvscsi": "pvscsii.sys", "pvscsii": "", "viostor": "", "vioscsi": "",
    }.items()
}  # fmt: skip
_HYPER_V, _KVM = "vmbus storvsc storflt", "msahci storahci stornvme viostor vioscsi"
TARGETS = {
    name: (*_PROCESSORS, *(_STORAGE[driver] for driver in f"atapi intelide pciide {more}".split()))
    for name, more in {
        "virtual-machine": "",
        "hyper-v-gen1": _HYPER_V,
        "hyper-v-gen2": _HYPER_V,
        "vmware": "LSI_SAS LSI_SCSI symmpi msahci storahci stornvme pvscsi pvscsii",
        "kvm": _KVM,
        "proxmox": _KVM,
        "nutanix": _KVM,
        "virtualbox": "msahci storahci LSI_SAS stornvme",
        "xen": "",
        "any-hypervisor": f"{_HYPER_V} {_KVM} LSI_SAS LSI_SCSI symmpi",
    }.items()
}


def _from_line(line: str) -> Example:
    name, display_name, image_path, *start = (part.strip() for part in line.split(" | "))
    driver = image_path.endswith(".sys")
    usual = 3 if driver else 2
    return Example(
        name, display_name, image_path, DRIVER if driver else SERVICE, int(start[0]) if start else usual
    )


def _tables() -> dict[str, tuple[Example, ...]]:
    """The examples of ``examples.txt`` by profile."""
    tables: dict[str, list[Example]] = {}
    for line in Path(__file__).with_name("examples.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = tables.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            current.append(_from_line(line))
    return {name: tuple(examples) for name, examples in tables.items()}


EXAMPLES = {
    "hpe-proliant": HPE_PROLIANT,
    "isolated-first-boot": ISOLATED_FIRST_BOOT,
    "connected-first-boot": CONNECTED_FIRST_BOOT,
    "seal": (),
    **TARGETS,
    **_tables(),
}

SYSTEM_CLASS = "{4d36e97d-e325-11ce-bfc1-08002be10318}"
HDC_CLASS = "{4d36e96a-e325-11ce-bfc1-08002be10318}"
DISK_CLASS = "{4d36e967-e325-11ce-bfc1-08002be10318}"
MOUSE_CLASS = "{4d36e96f-e325-11ce-bfc1-08002be10318}"
KEYBOARD_CLASS = "{4d36e96b-e325-11ce-bfc1-08002be10318}"
VOLUME_CLASS = "{71a27cdd-812a-11d0-bec7-08002be2092f}"
FILTERS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "hpe-proliant": ((DISK_CLASS, "UpperFilters", "hpdskflt"),),
    "xen-guest": (
        (SYSTEM_CLASS, "UpperFilters", "xenfilt"),
        (HDC_CLASS, "UpperFilters", "xenfilt"),
        (HDC_CLASS, "LowerFilters", "scsifilt"),
    ),
    "parallels": (
        (DISK_CLASS, "LowerFilters", "prl_strg"),
        (MOUSE_CLASS, "UpperFilters", "prl_mouf"),
    ),
    "virtualbox-guest": ((MOUSE_CLASS, "UpperFilters", "VBoxMouse"),),
    "vmware-tools": (
        (MOUSE_CLASS, "UpperFilters", "vmmouse"),
        (KEYBOARD_CLASS, "UpperFilters", "vmkbd"),
    ),
    "laptop-workstation": (
        (DISK_CLASS, "UpperFilters", "hpdskflt"),
        (DISK_CLASS, "UpperFilters", "Shockprf"),
        (DISK_CLASS, "LowerFilters", "ApsX64"),
        (MOUSE_CLASS, "UpperFilters", "SynTP"),
        (MOUSE_CLASS, "UpperFilters", "Apfiltr"),
    ),
    "multipath": tuple((DISK_CLASS, "UpperFilters", name) for name in ("EmcpBase", "EmcpClas")),
    "conversion-tools": (
        (VOLUME_CLASS, "UpperFilters", "bmdrvr"),
        (VOLUME_CLASS, "UpperFilters", "vcbt"),
    ),
    "raid-utilities": ((DISK_CLASS, "LowerFilters", "iaStorAfs"),),
}
"""Classes, positions and names of the filters that come with the examples of a profile."""


def graft_profile(hive: Hive, control_set: str, profile: str) -> ChangedHive:
    """The hive with everything that a profile means: services, drivers and filters."""
    grown = graft(hive, control_set, EXAMPLES[profile])
    for guid, position, name in FILTERS.get(profile, ()):
        path = rf"{control_set}\Control\Class\{guid}"
        held = value(grown, path, position)
        names = () if held is None else held.strings or ()
        if name not in names:
            grown.put(path, position, Data.multi_sz((*names, name)))
    return grown


def graft(hive: Hive, control_set: str, examples: Iterable[Example]) -> ChangedHive:
    """The hive with the examples among the services of a control set."""
    grown = ChangedHive(hive)
    for example in examples:
        path = rf"{control_set}\Services\{example.name}"
        grown.put(path, "Type", Data.dword(example.type))
        grown.put(path, "Start", Data.dword(example.start))
        if example.display_name:
            grown.put(path, "DisplayName", Data.sz(example.display_name))
        if example.image_path:
            grown.put(path, "ImagePath", Data.expand_sz(example.image_path))
        if example.needs:
            grown.put(path, "DependOnService", Data.multi_sz(example.needs))
    return grown
