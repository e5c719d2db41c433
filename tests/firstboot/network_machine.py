"""Adapters in Wine's registry, and stand-ins for the programs that Wine lacks.

The stand-in for netsh does in the registry what netsh of Windows leaves there, as far as the job
reads it back, and notes every call. It is told to fail by files in its folder.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2vprep.core.model import Adapter
from p2vprep.core.regtext import Section
from p2vprep.core.values import Data, RegType
from tests.support.wine import Prefix

ROOT = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet"
CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
NETWORK = rf"{ROOT}\Control\Network\{CLASS}"
INTERFACES = rf"{ROOT}\Services\Tcpip\Parameters\Interfaces"
ENGINE = "/p2vprep/firstboot.cmd"


@dataclass(frozen=True)
class Nic:
    """One adapter of the machine. ``mac`` without signs between."""

    guid: str
    instance: str
    driver: str
    mac: str
    name: str
    place: str = ""
    present: bool = True
    ready: bool = True
    old_layout: bool = False
    """Without NetworkSetup2: the address is only known to getmac."""


FIRST = Nic(
    "{11111111-1111-1111-1111-111111111111}",
    r"PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4&REV_00\3&267a616a&0&18",
    "0007",
    "00155D0A0B0C",
    "Ethernet 2",
    "@System32\\drivers\\pci.sys,#65536;PCI bus %1, device %2, function %3;(0,3,0)",
)
SECOND = Nic(
    "{22222222-2222-2222-2222-222222222222}",
    r"PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4&REV_00\3&267a616a&0&90",
    "0005",
    "00155D0A0B0D",
    "Ethernet 3",
    "@System32\\drivers\\pci.sys,#65536;PCI bus %1, device %2, function %3;(0,18,0)",
)
GHOST = Nic(
    "{99999999-9999-9999-9999-999999999999}",
    r"PCI\VEN_14E4&DEV_1639&SUBSYS_1917103C&REV_20\4&1&0&0008",
    "0003",
    "00155D0A0B0C",
    "Production",
    present=False,
)


def as_adapter(nic: Nic) -> Adapter:
    """The same as the facts know it."""
    pairs = [nic.mac[at : at + 2].lower() for at in range(0, 12, 2)]
    return Adapter(
        guid=nic.guid,
        name=nic.name,
        description="",
        mac=":".join(pairs),
        kind="physical",
        ghost=not nic.present,
        why="",
        addresses=(),
        dhcp=True,
        instance=nic.instance,
        class_key=rf"ControlSet001\Control\Class\{CLASS}\{nic.driver}",
    )


def sections(nic: Nic) -> list[Section]:
    """The adapter's keys."""
    made = [
        Section(
            rf"{NETWORK}\{nic.guid}\Connection",
            (("Name", Data.sz(nic.name)), ("PnpInstanceID", Data.sz(nic.instance))),
        ),
        Section(
            rf"{ROOT}\Enum\{nic.instance}",
            (("Driver", Data.sz(rf"{CLASS}\{nic.driver}")), ("LocationInformation", Data.sz(nic.place))),
        ),
        Section(rf"{ROOT}\Control\Class\{CLASS}\{nic.driver}", (("NetCfgInstanceId", Data.sz(nic.guid)),)),
        Section(
            rf"{ROOT}\Control\Class\{CLASS}\{nic.driver}\Linkage",
            (("Export", Data.multi_sz([rf"\Device\{nic.guid}"])),),
        ),
    ]
    if nic.present:
        made.append(Section(rf"{ROOT}\Enum\{nic.instance}\Control", (("ActiveService", Data.sz("netkvm")),)))
    if nic.ready:
        made.append(Section(rf"{INTERFACES}\{nic.guid}", (("EnableDHCP", Data.dword(1)),)))
    if not nic.old_layout:
        made.append(
            Section(
                rf"{ROOT}\Control\NetworkSetup2\Interfaces\{nic.guid}\Kernel",
                (("CurrentAddress", Data(RegType.BINARY, bytes.fromhex(nic.mac))),),
            )
        )
    return made


def remove_all() -> list[Section]:
    """Takes away what earlier tests left."""
    keys = (NETWORK, rf"{ROOT}\Enum\PCI", rf"{ROOT}\Control\Class\{CLASS}", INTERFACES)
    more = (
        rf"{ROOT}\Control\NetworkSetup2",
        rf"{ROOT}\Services\NetBT",
        rf"{ROOT}\Services\Tcpip6",
        rf"{ROOT}\Services\Tcpip\Parameters\PersistentRoutes",
        rf"{ROOT}\Services\ClusSvc",
    )
    return [Section(key, delete=True) for key in (*keys, *more)]


NETSH = r"""@echo off
setlocal EnableExtensions DisableDelayedExpansion
>>"C:\standin\calls.txt" echo netsh %*
set "REG=%SystemRoot%\System32\reg.exe"
if exist C:\standin\netsh-fails exit 1
if "%3 %4"=="show interfaces" goto interfaces
if "%3 %4"=="show addresses" goto addresses
if "%2 %3 %4"=="ipv6 show route" goto routes6
if "%2 %3 %4"=="ipv4 show route" goto routes4
set "FAMILY=%2"
set "VERB=%3 %4"
if "%1 %2"=="winsock reset" exit 0
if "%3"=="reset" exit 0
set "I="
set "ADDRESS="
set "MASK="
set "GATEWAY="
set "SOURCE="
set "REGISTER="
set "METRIC="
set "MTU="
set "PREFIX="
set "NEXTHOP="
set "NEWNAME="
:next
if "%1"=="" goto act
if "%1"=="name" set "I=%~2"
if "%1"=="interface" set "I=%~2"
if "%1"=="address" set "ADDRESS=%2"
if "%1"=="addr" set "ADDRESS=%2"
if "%1"=="mask" set "MASK=%2"
if "%1"=="gateway" set "GATEWAY=%2"
if "%1"=="source" set "SOURCE=%2"
if "%1"=="register" set "REGISTER=%2"
if "%1"=="metric" set "METRIC=%2"
if "%1"=="mtu" set "MTU=%2"
if "%1"=="prefix" set "PREFIX=%2"
if "%1"=="nexthop" set "NEXTHOP=%2"
if "%1"=="newname" set "NEWNAME=%~2"
shift
goto next
:act
set "GUID="
if "%I%"=="11" set "GUID={11111111-1111-1111-1111-111111111111}"
if "%I%"=="12" set "GUID={22222222-2222-2222-2222-222222222222}"
if "%I%"=="Ethernet 2" set "GUID={11111111-1111-1111-1111-111111111111}"
if exist C:\standin\guid.txt for /f "usebackq" %%A in ("C:\standin\guid.txt") do set "GUID=%%A"
if not defined GUID exit 1
set "KEY=HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\%GUID%"
set "SIX=HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters\Interfaces\%GUID%"
set "NBT=HKLM\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces\Tcpip_%GUID%"
set "NET=HKLM\SYSTEM\CurrentControlSet\Control\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}"
if defined NEWNAME goto rename
if "%VERB%"=="set address" goto setaddress
if "%VERB%"=="add address" goto addaddress
if "%VERB%"=="set dnsservers" goto setdns
if "%VERB%"=="set dnsserver" goto setdns
if "%VERB%"=="set dns" goto setdns
if "%VERB%"=="add dnsservers" goto adddns
if "%VERB%"=="add dnsserver" goto adddns
if "%VERB%"=="add dns" goto adddns
if "%VERB%"=="set winsservers" goto setwins
if "%VERB%"=="set wins" goto setwins
if "%VERB%"=="add winsservers" goto addwins
if "%VERB%"=="add wins" goto addwins
if "%VERB%"=="add route" goto addroute
if "%VERB%"=="set interface" goto setinterface
exit 1

:rename
if exist C:\standin\rename-fails exit 1
%REG% add "%NET%\%GUID%\Connection" /v Name /t REG_SZ /d "%NEWNAME%" /f >nul
exit 0
:setaddress
if "%SOURCE%"=="dhcp" %REG% add "%KEY%" /v EnableDHCP /t REG_DWORD /d 1 /f >nul
if "%SOURCE%"=="dhcp" exit 0
if exist C:\standin\address-fails exit 1
%REG% add "%KEY%" /v EnableDHCP /t REG_DWORD /d 0 /f >nul
>"C:\standin\%GUID%.ip" echo %ADDRESS%
%REG% add "%KEY%" /v IPAddress /t REG_MULTI_SZ /d "%ADDRESS%" /f >nul
%REG% add "%KEY%" /v SubnetMask /t REG_MULTI_SZ /d "%MASK%" /f >nul
if not "%GATEWAY%"=="none" %REG% add "%KEY%" /v DefaultGateway /t REG_MULTI_SZ /d "%GATEWAY%" /f >nul
exit 0
:addaddress
if "%FAMILY%"=="ipv6" >>"C:\standin\six.txt" echo Manual     Preferred    infinite   infinite %ADDRESS:/64=%
if "%FAMILY%"=="ipv6" exit 0
if defined GATEWAY exit 0
set "HELD="
for /f "usebackq" %%A in ("C:\standin\%GUID%.ip") do set "HELD=%%A"
>"C:\standin\%GUID%.ip" echo %HELD%\0%ADDRESS%
%REG% add "%KEY%" /v IPAddress /t REG_MULTI_SZ /d "%HELD%\0%ADDRESS%" /f >nul
%REG% add "%KEY%" /v SubnetMask /t REG_MULTI_SZ /d "%MASK%\0%MASK%" /f >nul
exit 0
:setdns
if "%FAMILY%"=="ipv6" set "KEY=%SIX%"
if "%REGISTER%"=="none" %REG% add "%KEY%" /v RegistrationEnabled /t REG_DWORD /d 0 /f >nul
if "%SOURCE%"=="dhcp" exit 0
%REG% add "%KEY%" /v NameServer /t REG_SZ /d "%ADDRESS%" /f >nul
>"C:\standin\%GUID%.%FAMILY%" echo %ADDRESS%
exit 0
:adddns
if "%FAMILY%"=="ipv6" set "KEY=%SIX%"
for /f "usebackq" %%A in ("C:\standin\%GUID%.%FAMILY%") do set "HELD=%%A"
%REG% add "%KEY%" /v NameServer /t REG_SZ /d "%HELD%,%ADDRESS%" /f >nul
exit 0
:setwins
%REG% add "%NBT%" /v NameServerList /t REG_MULTI_SZ /d "%ADDRESS%" /f >nul
>"C:\standin\%GUID%.wins" echo %ADDRESS%
exit 0
:addwins
for /f "usebackq" %%A in ("C:\standin\%GUID%.wins") do set "HELD=%%A"
%REG% add "%NBT%" /v NameServerList /t REG_MULTI_SZ /d "%HELD%\0%ADDRESS%" /f >nul
exit 0
:addroute
set WAY=%NEXTHOP%
if not defined WAY set WAY=On-link
>>"C:\standin\route-%FAMILY%.txt" echo No       Manual    5    %PREFIX%    %I%  %WAY%
exit 0
:setinterface
if defined METRIC if not exist C:\standin\mtu-only >"C:\standin\metric.txt" echo %METRIC%
if defined MTU >"C:\standin\mtu.txt" echo %MTU%
exit 0

:interfaces
set METRIC=25
set MTU=1500
if exist C:\standin\metric.txt for /f "usebackq" %%A in ("C:\standin\metric.txt") do set METRIC=%%A
if exist C:\standin\mtu.txt for /f "usebackq" %%A in ("C:\standin\mtu.txt") do set MTU=%%A
echo.
echo Idx     Met         MTU          State                Name
echo ---  ----------  ----------  ------------  ---------------------------
echo   1          75  4294967295  connected     Loopback Pseudo-Interface 1
type C:\standin\names.txt
echo  11          %METRIC%        %MTU%  connected     Ethernet 2
echo  11          %METRIC%        %MTU%  connected     Production
echo  12          25        1500  connected     Ethernet 3
exit 0
:addresses
echo.
echo Interface 11: Ethernet 2
echo.
echo Addr Type  DAD State   Valid Life Pref. Life Address
if exist C:\standin\six.txt type C:\standin\six.txt
exit 0
:routes4
if exist C:\standin\route-ipv4.txt type C:\standin\route-ipv4.txt
exit 0
:routes6
if exist C:\standin\route-ipv6.txt type C:\standin\route-ipv6.txt
exit 0
"""

GETMAC = """@echo off
>>"C:\\standin\\calls.txt" echo getmac %*
if exist C:\\standin\\getmac.txt type C:\\standin\\getmac.txt
exit 0
"""

ANSWER = """@echo off
>>"C:\\standin\\calls.txt" echo {0} %*
if exist C:\\standin\\{0}.cmd-answers call C:\\standin\\{0}-answers.cmd %*
exit 0
"""

ONE_SECOND = r"%SystemRoot%\System32\ping.exe -n 2 127.0.0.1 >nul"
PLAIN = ("sc", "route", "pnputil", "diskpart", "shutdown")


def batch(text: str) -> bytes:
    """A script as cmd wants it."""
    return "".join(f"{line}\r\n" for line in text.splitlines()).encode("ascii")


def prepare(windows: Prefix, *nics: Nic, ping: str = "exit 0") -> None:
    """The machine's adapters, the stand-ins, and an engine that uses them and waits as ``ping`` says."""
    windows.import_reg([*remove_all(), *(section for nic in nics for section in sections(nic))])
    windows.put("/standin/names.txt", b"")
    windows.put("/standin/netsh.cmd", batch(NETSH))
    windows.put("/standin/getmac.cmd", batch(GETMAC))
    windows.put("/standin/ping.cmd", batch(f"@echo off\n{ping}\n"))
    for name in PLAIN:
        windows.put(f"/standin/{name}.cmd", batch(ANSWER.replace("{0}", name)))
    file = windows.drive / ENGINE.lstrip("/")
    content = file.read_bytes()
    for name in (*PLAIN, "netsh", "getmac", "ping"):
        old = rf'set "{name.upper()}=%SYS%\{name}.exe"'.encode()
        assert content.count(old) == 1, name
        new = rf'set "{name.upper()}=%SYS%\cmd.exe /d /c C:\standin\{name}.cmd"'.encode()
        content = content.replace(old, new)
    wmic = rb'set "WMIC=%SYS%\wbem\wmic.exe"'
    assert content.count(wmic) == 1
    file.write_bytes(content.replace(wmic, rb'set "WMIC=C:\no-such-program.exe"'))


def answers(windows: Prefix, name: str, text: str) -> None:
    """Lets the stand-in of a program answer by these lines."""
    windows.put(f"/standin/{name}.cmd-answers", b"")
    windows.put(f"/standin/{name}-answers.cmd", batch("@echo off\n" + text))


def calls(windows: Prefix, program: str) -> list[str]:
    """What a program was called with, in order."""
    file = windows.drive / "standin" / "calls.txt"
    if not file.exists():
        return []
    lines = [line.rstrip() for line in file.read_text("cp437").splitlines()]
    return [line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")]
