r"""The script that ends what virtio drivers need: marks and placeholders go once the real packages are there.

Plain cmd of Vista and later. All names in it are ours or were checked before they got here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from p2vprep.core.driver_database import BootDevice, id_key, placeholder

NAME = "finish.cmd"
_DATABASE = r"HKLM\SYSTEM\DriverDatabase"


def script(marks: str, placed: Sequence[tuple[str, BootDevice]]) -> bytes:
    """The script; ``placed`` are the INF names of the drivers that have a placeholder, with their devices.

    A placeholder stays where the real package is missing: without it Windows would not start.
    """
    lines = ["@echo off", rf'reg.exe delete "HKLM\SYSTEM\{marks}" /f >nul 2>&1']
    if placed:
        lines.append(rf'reg.exe query {_DATABASE}\DriverPackages >"%~dp0packages.txt" 2>nul')
    for number, (inf_name, device) in enumerate(placed, start=1):
        lines += _without_placeholder(number, inf_name.lower(), device)
    if placed:
        lines.append('del /q "%~dp0packages.txt" >nul 2>&1')
    return _ended([*lines, "exit /b 0"])


def _without_placeholder(number: int, inf_name: str, device: BootDevice) -> Iterator[str]:
    held = placeholder(device.service)
    yield rf'find.exe "\{inf_name}_" "%~dp0packages.txt" >nul 2>&1'
    yield f"if errorlevel 1 goto next{number}"
    for one in (*device.hardware_ids, *device.compatible_ids):
        yield rf'reg.exe delete "HKLM\SYSTEM\{id_key(one)}" /v {held.inf} /f >nul 2>&1'
    for key in held.keys:
        yield rf'reg.exe delete "HKLM\SYSTEM\{key}" /f >nul 2>&1'
    yield f":next{number}"


def _ended(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
