r"""Which Windows this is: from the SOFTWARE hive, or as well as SYSTEM alone allows.

From SOFTWARE only one key is read (it may be fetched page by page from the
guest). Without it the version is guessed, best source first:

- ``DriverDatabase\Version`` (8 and later): high bytes are major and minor,
  observed 0x06030000 on 8.1 and 0x0A000000 on 10;
- ``DriverVersion`` of Microsoft's own devices (``machine.inf``), observed
  "6.1.7601.17514" on 7 SP1, "5.2.3790.3959" on XP x64 SP2: gives the build too;
- keys and services that only came with a version.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from p2vprep.core.facts.keys import Snapshot, below, children, dword, text
from p2vprep.core.model import Guest, Role, WindowsVersion
from p2vprep.core.registry import Hive, Key, find, fold

_CURRENT_VERSION = r"Microsoft\Windows NT\CurrentVersion"
_SYSTEM_CLASS = r"Control\Class\{4D36E97D-E325-11CE-BFC1-08002BE10318}"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)\.\d+")
_RELEASED = {(5, 0), (5, 1), (5, 2), (6, 0), (6, 1), (6, 2), (6, 3), (10, 0)}
_FIRST_WINDOWS_11_BUILD = 22000

_ROLES = {"WINNT": Role.CLIENT, "SERVERNT": Role.SERVER, "LANMANNT": Role.DOMAIN_CONTROLLER}
_ARCHITECTURES = {"X86": "x86", "AMD64": "x64", "ARM64": "arm64", "IA64": "ia64"}
# PROCESSOR_ARCHITECTURE_* of winnt.h as stored in DriverDatabase\Architecture.
_ARCHITECTURE_NUMBERS = {0: "x86", 6: "ia64", 9: "x64", 12: "arm64"}

_CLIENT_NAMES = {
    (5, 0): "Windows 2000 Professional",
    (5, 1): "Windows XP",
    (5, 2): "Windows XP x64",
    (6, 0): "Windows Vista",
    (6, 1): "Windows 7",
    (6, 2): "Windows 8",
    (6, 3): "Windows 8.1",
    (10, 0): "Windows 10",
}
_SERVER_NAMES = {
    (5, 0): "Windows 2000 Server",
    (5, 2): "Windows Server 2003",
    (6, 0): "Windows Server 2008",
    (6, 1): "Windows Server 2008 R2",
    (6, 2): "Windows Server 2012",
    (6, 3): "Windows Server 2012 R2",
    (10, 0): "Windows Server 2016 or later",
}
_SERVER_BUILDS = ((26100, "2025"), (20348, "2022"), (17763, "2019"), (14393, "2016"))


def read_guest(system: Hive, boot: Key, software: Hive | None, *, system_root: str) -> Guest:
    """The guest's identity; ``boot`` is the key of the control set that boots next."""
    told = None if software is None else find(software, _CURRENT_VERSION)
    role = _ROLES.get(fold(text(below(boot, r"Control\ProductOptions"), "ProductType")), Role.UNKNOWN)
    version = _told_version(told) or guess_version(system, boot, role)
    netlogon = dword(below(boot, r"Services\Netlogon"), "Start")
    return Guest(
        product=_product(text(told, "ProductName"), version, role),
        version=version,
        role=role,
        architecture=_architecture(system, boot),  # type: ignore[arg-type]
        installation_type=text(told, "InstallationType"),
        computer_name=text(below(boot, r"Control\ComputerName\ComputerName"), "ComputerName"),
        system_root=system_root,
        domain_member=None if netlogon is None else netlogon == 2,
    )


def _told_version(told: Key | None) -> WindowsVersion | None:
    """The version as SOFTWARE tells it; 10 and later keep 6.3 in CurrentVersion, so numbers go first."""
    build = text(told, "CurrentBuildNumber") or text(told, "CurrentBuild")
    number = int(build) if build.isascii() and build.isdigit() else 0
    major, minor = dword(told, "CurrentMajorVersionNumber"), dword(told, "CurrentMinorVersionNumber")
    if major is None or minor is None:
        match = re.fullmatch(r"(\d+)\.(\d+)", text(told, "CurrentVersion"), re.ASCII)
        if match is None:
            return None
        major, minor = int(match.group(1)), int(match.group(2))
    return WindowsVersion(major, minor, number)


def _product(told: str, version: WindowsVersion, role: Role) -> str:
    """The product's name; 11 still calls itself 10 in ProductName, only the build tells."""
    if told:
        if version.build >= _FIRST_WINDOWS_11_BUILD and role is Role.CLIENT:
            return told.replace("Windows 10", "Windows 11")
        return told
    if role is Role.CLIENT:
        if version.build >= _FIRST_WINDOWS_11_BUILD:
            return "Windows 11"
        return _CLIENT_NAMES.get(version.nt, "Windows")
    if role is Role.UNKNOWN:
        return f"Windows NT {version.major}.{version.minor}" if version.major else "Windows"
    for build, year in _SERVER_BUILDS:
        if version.build >= build:
            return f"Windows Server {year}"
    return _SERVER_NAMES.get(version.nt, "Windows Server")


def _architecture(system: Hive, boot: Key) -> str:
    named = text(below(boot, r"Control\Session Manager\Environment"), "PROCESSOR_ARCHITECTURE")
    if fold(named) in _ARCHITECTURES:
        return _ARCHITECTURES[fold(named)]
    number = dword(find(system, "DriverDatabase"), "Architecture")
    return _ARCHITECTURE_NUMBERS.get(-1 if number is None else number, "unknown")


# --- the guess ---------------------------------------------------------------------------------


def guess_version(system: Hive, boot: Key, role: Role) -> WindowsVersion:
    """The version as SYSTEM lets guess it, ``known`` False; 0.0 where it holds no sign at all."""
    versions = _inbox_versions(boot)
    nt = _driver_database(system) or _most_common(versions) or _by_landmarks(system, boot, role)
    builds = [build for major, minor, build in versions if (major, minor) == nt]
    return WindowsVersion(*(nt or (0, 0)), max(builds, default=0), known=False)


def _driver_database(system: Hive) -> tuple[int, int] | None:
    number = dword(find(system, "DriverDatabase"), "Version")
    nt = None if number is None else (number >> 24, number >> 16 & 0xFF)
    return nt if nt in _RELEASED else None


def _inbox_versions(boot: Key) -> list[tuple[int, int, int]]:
    """Versions of Microsoft's drivers: of the machine's own devices, else of all classes.

    Elsewhere Microsoft's drivers may be newer than Windows (observed: 6.1.7600 on XP, by Windows Update).
    """
    devices = list(_microsoft_drivers(below(boot, _SYSTEM_CLASS)))
    own = [version for inf, version in devices if inf == "MACHINE.INF"]
    if own:
        return own
    classes = children(below(boot, r"Control\Class"))
    return [version for key in classes for _inf, version in _microsoft_drivers(key)]


def _microsoft_drivers(device_class: Key | None) -> Iterator[tuple[str, tuple[int, int, int]]]:
    for device in children(device_class):
        held = Snapshot(device)
        match = _VERSION.fullmatch(text(held, "DriverVersion"))
        if match is None or fold(text(held, "ProviderName")) != "MICROSOFT":
            continue
        major, minor, build = (int(number) for number in match.groups())
        if (major, minor) in _RELEASED:
            yield fold(text(held, "InfPath")), (major, minor, build)


def _most_common(versions: list[tuple[int, int, int]]) -> tuple[int, int] | None:
    counted = Counter((major, minor) for major, minor, _build in versions)
    return max(counted, key=lambda nt: (counted[nt], nt)) if counted else None


def _by_landmarks(system: Hive, boot: Key, role: Role) -> tuple[int, int] | None:
    """The version by what only came with it; the weakest of the guesses."""

    def has(path: str) -> bool:
        return below(boot, path) is not None

    if has(r"Control\NetworkSetup2"):
        return (10, 0)
    if find(system, "HardwareConfig") is not None or find(system, "DriverDatabase") is not None:
        return (6, 2)
    if has(r"Services\Power") or has(r"Services\pcw"):
        return (6, 1)
    if has(r"Services\nsiproxy") or has(r"Services\BFE"):
        return (6, 0)
    if not has("Control"):
        return None
    if find(system, "WPA") is None and not has(r"Services\Themes"):
        return (5, 0)
    wide = _architecture(system, boot) not in ("x86", "unknown")
    return (5, 2) if wide or role in (Role.SERVER, Role.DOMAIN_CONTROLLER) else (5, 1)
