r"""What vendors leave behind, to be grafted onto hives: no real hive of a server with agents is at hand.

Keys, display names, types and image paths as the public sources of the
profiles describe them; start types and dependencies are plausible, not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2vprep.core.registry import Hive
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

EXAMPLES = {"hpe-proliant": HPE_PROLIANT, "isolated-first-boot": ISOLATED_FIRST_BOOT}


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
