"""The steps beside adapters and giving back: reset, disks, tuning, devices, commands, the user's files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from p2vprep.core.model import (
    Facts,
    OnlineDisks,
    RemoveDevice,
    ResetNetwork,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.errors import UsageError
from p2vprep.firstboot import templates_work as texts
from p2vprep.firstboot.interface import VISTA
from p2vprep.firstboot.quoting import LONGEST_LINE, is_plain_instance, is_word, lines
from p2vprep.firstboot.step import Step

_REMOVE_DEVICE_FROM = 19041
"""pnputil /remove-device: Windows 10, version 2004 (Microsoft's pnputil reference)."""
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_USER_FILE = re.compile(r"user/[\w-]+(\.[\w-]+)*\.(cmd|bat|exe|com|reg|msi|vbs|ps1)", re.ASCII)
_STEP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_RUNNERS = {
    "cmd": "%SHELL% {}",
    "bat": "%SHELL% {}",
    "exe": "{}",
    "com": "{}",
    "reg": "%REG% import {}",
    "msi": r"%SYS%\msiexec.exe /i {} /qn /norestart",
    "vbs": r"%SYS%\cscript.exe //nologo //b {}",
    "ps1": (
        r"%SYS%\WindowsPowerShell\v1.0\powershell.exe -NoProfile -NonInteractive "
        "-ExecutionPolicy Bypass -File {}"
    ),
}
KINDS_OF_SCRIPTS = tuple(_RUNNERS)
"""The endings of files that a step can run."""


def reset_step(items: Sequence[ResetNetwork], facts: Facts) -> Step:
    """Resets what any of the items asks for; the adapters are configured after the restart."""
    asked = {item.what for item in items}
    calls = []
    if asked & {"winsock", "both"}:
        calls.append(("winsock", "%NETSH% winsock reset"))
    if asked & {"tcpip", "both"}:
        log = r'"%P2V%\work\reset.log"'
        if facts.guest.version.nt >= VISTA:
            calls.append(("ipv4", f"%NETSH% interface ipv4 reset {log}"))
            calls.append(("ipv6", f"%NETSH% interface ipv6 reset {log}"))
        else:
            calls.append(("ip", f"%NETSH% interface ip reset {log}"))
    text = "\n".join(f"{command} >nul 2>&1 <nul\ncall :told {word}" for word, command in calls)
    return Step("100-reset", texts.RESET_STEP.replace("@RESET@", text), 300, always=False)


def disks_step(items: Sequence[OnlineDisks], facts: Facts) -> Step:
    """Brings data disks online. Windows before 6.0 has nothing that keeps them offline."""
    assert items
    text = texts.DISKS_STEP if facts.guest.version.nt >= VISTA else texts.DISKS_BEFORE_VISTA
    return Step("150-disks", text, 600, always=False)


def tune_step(items: Sequence[TuneNetwork]) -> Step:
    """One netsh after the other. Raises UsageError for arguments that are not plain words."""
    calls, listed = [], []
    for number, item in enumerate(dict.fromkeys(item.arguments for item in items), start=1):
        for word in item:
            if not is_word(word):
                raise UsageError(
                    "this cannot stand in a netsh command", code="first-boot-argument", subject=word
                )
        command = f"netsh {' '.join(item)}"
        calls.append(f'%NETSH% {" ".join(item)} >>"%P2V%\\work\\300-tuning.out" 2>&1 <nul')
        calls.append(f"call :told {number}")
        listed.append(f"{number}\t{command}")
    text = texts.TUNE_STEP.replace("@TUNE@", "\n".join(calls))
    return Step("300-tuning", text, 300, always=False, data={"300-tuning.txt": lines(listed)})


def devices_step(items: Sequence[RemoveDevice], facts: Facts) -> Step:
    """Removes device instances where this Windows can; elsewhere it says that it has no means."""
    means = "no" if facts.guest.version.build < _REMOVE_DEVICE_FROM else "yes"
    listed, names = [], []
    for number, instance in enumerate(dict.fromkeys(item.instance for item in items), start=1):
        plain = is_plain_instance(instance)
        listed.append(f"{number:03d} {'plain' if plain else 'odd'} {instance if plain else '-'}")
        names.append(f"{number:03d}\t{instance}\r\n")
    data = {
        "700-devices.txt": lines(listed),
        "700-devices-names.txt": "".join(names).encode("utf-8", errors="surrogatepass"),
    }
    limit = 60 + 120 * len(listed)
    script = texts.DEVICES_STEP.replace("@MEANS@", means)
    return Step("700-devices", script, limit, always=False, data=data)


def commands_step(number: int, item: RunCommands) -> Step:
    """Runs the command lines in their order, each under its own limit.

    Raises UsageError for a name or a line that cannot stand in a script.
    """
    name = f"{number:03d}-{_checked_name(item.name)}"
    if not item.commands:
        raise UsageError("there is no command to run", code="first-boot-argument", subject=item.name)
    if not 1 <= item.timeout <= _LONGEST_TIMEOUT:
        raise UsageError("the time limit is not between a second and a day", subject=item.name)
    parts, calls = {}, []
    for place, command in enumerate(item.commands, start=1):
        parts[f"{name}.{place}.cmd"] = f"@echo off\n{_checked_command(command, item.name)}\n"
        calls.append(rf'call "%P2V%\lib\command.cmd" {name} {place} {item.timeout}')
    text = "\n".join(
        [
            "@echo off",
            "rem Runs commands, one after the other. What the numbers mean stands in the data folder.",
            "setlocal EnableExtensions DisableDelayedExpansion",
            f'set "GOOD={_codes(item.good)}"',
            f'set "REBOOT={_codes(item.reboot)}"',
            "set BAD=0",
            "set RESTART=no",
            *calls,
            "if %BAD%==1 exit 1",
            "if %RESTART%==yes exit 3010",
            "exit 0",
            "",
        ]
    )
    listed = lines(f"{place}\t{command}" for place, command in enumerate(item.commands, start=1))
    limit = 60 + sum(item.timeout * 2 + 60 for _ in item.commands)
    return Step(
        name,
        text,
        limit,
        always=False,
        data={f"{name}.txt": listed},
        parts=parts,
        shared={"command.cmd": texts.COMMAND},
    )


def script_step(number: int, item: RunScript) -> Step:
    """Runs one file of the user's. Raises UsageError for a path that is none of the job's."""
    match = _USER_FILE.fullmatch(item.path)
    if match is None:
        raise UsageError("the first boot cannot run this file", code="first-boot-step", subject=item.path)
    if not 1 <= item.timeout <= _LONGEST_TIMEOUT:
        raise UsageError("the time limit is not between a second and a day", subject=item.path)
    place = "%P2V%\\" + item.path.replace("/", "\\")
    runner = _RUNNERS[match.group(2)].format(f'"{place}"')
    stem = re.sub(r"[^A-Za-z0-9]+", "-", item.path.removeprefix("user/")).strip("-")[:40].strip("-")
    text = "\n".join(
        [
            "@echo off",
            "rem Runs a file of the user's, as it is. Its exit code is the step's; 3010 and 1641: restart.",
            "setlocal EnableExtensions DisableDelayedExpansion",
            r'set "P2VFILES=%P2V%\files"',
            r'cd /d "%P2V%\user"',
            f'if exist "{place}" goto there',
            '>>"%OUT%" echo script missing',
            "exit 2",
            ":there",
            rf'{runner} >"%P2V%\work\%STEP%.out" 2>&1 <nul',
            "set RC=%ERRORLEVEL%",
            '>>"%OUT%" echo script ended %RC%',
            "if %RC%==1641 exit 3010",
            "rem These mean something to the engine only.",
            "if %RC%==3011 exit 1",
            "if %RC%==3012 exit 1",
            "exit %RC%",
            "",
        ]
    )
    return Step(f"{number:03d}-{stem}", text, item.timeout, always=False)


_LONGEST_TIMEOUT = 86_400


def _checked_name(name: str) -> str:
    if _STEP_NAME.fullmatch(name) is None:
        raise UsageError("this cannot be the name of a first-boot step", code="first-boot-step", subject=name)
    return name


def _checked_command(command: str, owner: str) -> str:
    if _PRINTABLE.fullmatch(command) is None or not command.strip() or len(command) > LONGEST_LINE:
        raise UsageError(
            "a command of the first boot is one line of printable ASCII",
            code="first-boot-argument",
            subject=f"{owner}: {command[:80]!r}",
        )
    return command


def _codes(codes: Sequence[int]) -> str:
    """Exit codes as %ERRORLEVEL% shows them: as signed numbers."""
    return " ".join(_signed(codes))


def _signed(codes: Sequence[int]) -> Iterator[str]:
    for code in codes:
        yield str(code - (1 << 32) if code >= 1 << 31 else code)
