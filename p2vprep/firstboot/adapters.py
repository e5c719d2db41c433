r"""The steps that configure adapters: one per adapter, made of its configuration and the shared scripts.

An adapter's step finds the adapter, prepares the takeover of an old GUID where asked for, configures,
reads back and compares, up to three times. Where netsh cannot set an IPv4 address, the values are written
as Windows keeps them, and the step goes on after a restart (windows-facts 8.3).
"""

from __future__ import annotations

from collections.abc import Sequence

from p2vprep.core import regtext
from p2vprep.core.model import Adapter, ConfigureInterface, Facts
from p2vprep.core.network import InterfaceConfig
from p2vprep.core.registry import fold, join
from p2vprep.errors import UsageError
from p2vprep.firstboot import templates_adapter, templates_network
from p2vprep.firstboot.interface import VISTA, InterfacePlan, plan_interface
from p2vprep.firstboot.quoting import is_guid
from p2vprep.firstboot.step import Step

FIRST = 200
MOST = 100
LIMIT = 1500
"""Seconds: five minutes until the adapter is there, three rounds, and a netsh that takes its time."""
_CARRIER = r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Adapters"
_SOFTWARE_BUSES = frozenset({"ROOT", "SWD", "SW", "BTH", "COMPOSITEBUS", "HTREE", "UMB"})
_TAKEOVER_FROM = (10, 0)


def adapter_steps(items: Sequence[ConfigureInterface], facts: Facts) -> list[Step]:
    """The steps in the order of the items. Raises UsageError for what cannot be carried out here."""
    if len(items) > MOST:
        raise UsageError(
            f"the first boot configures {MOST} adapters at most, not {len(items)}",
            code="first-boot-too-many",
        )
    return [_step(number, item, len(items), facts) for number, item in enumerate(items)]


def _step(number: int, item: ConfigureInterface, of: int, facts: Facts) -> Step:
    name = f"{FIRST + number}-adapter"
    _require_plain_addresses(item.config)
    plan = plan_interface(item.config, facts.guest.version.nt)
    text = "\n".join(_script(name, item, plan, of, facts)) + "\n"
    data = {f"{name}-checks.txt": _listed([check.label for check in plan.checks])}
    data[f"{name}-commands.txt"] = _listed([shown(command) for command in plan.commands])
    sections = [
        regtext.Section(join(_CARRIER, name, place), tuple(values.items()))
        for place, values in plan.carried.items()
    ]
    data[f"{name}.reg"] = regtext.encode(regtext.render(sections))
    shared = {
        "find.cmd": templates_network.FIND,
        "adapter.cmd": templates_adapter.ADAPTER,
        "takeover.cmd": templates_network.TAKEOVER,
    }
    if item.takeover_guid is None:
        del shared["takeover.cmd"]
    return Step(name, text, LIMIT, always=False, data=data, shared=shared)


def shown(command: str) -> str:
    """A command as people know it."""
    return command.replace("%NETSH%", "netsh").replace("%ROUTE%", "route").replace("%%I", "<adapter>")


def _listed(texts: Sequence[str]) -> bytes:
    return "".join(f"{number}\t{text}\r\n" for number, text in enumerate(texts, start=1)).encode()


def _script(name: str, item: ConfigureInterface, plan: InterfacePlan, of: int, facts: Facts) -> list[str]:
    adapter = r'call "%P2V%\lib\adapter.cmd"'
    modern = "yes" if facts.guest.version.nt >= VISTA else "no"
    lines = [
        "@echo off",
        "rem Configures one adapter. What the numbers of commands and checks mean stands in the data folder.",
        "setlocal EnableExtensions DisableDelayedExpansion",
        f"set MODERN={modern}",
        *_wanted(item.config, of, facts),
        r'call "%P2V%\lib\find.cmd"',
        "if defined FOUND goto found",
        '>>"%OUT%" echo adapter %WHY%',
        "exit 1",
        ":found",
        '>>"%OUT%" echo found %FOUND% %GUID% "%P2VINST%"',
        *_takeover(item, facts),
        'if not "%LATER%"=="yes" goto configure',
        '>>"%OUT%" echo adapter after-restart %GUID%',
        "exit 3011",
        ":configure",
        "set TRY=1",
        ":try",
        '>"%LOOK%.ran" echo rem',
        '>>"%LOOK%.out" echo try %TRY%',
        f"{adapter} handle",
        f"{adapter} carry",
        *_commands(plan, adapter),
    ]
    if plan.rename:
        lines.append(f'{adapter} rename "{item.config.name}"')
    lines.append(f"{adapter} dump")
    for number, check in enumerate(plan.checks, start=1):
        lines += [f"{adapter} {check.call}", f"{adapter} note {number}{' stored' if check.stored else ''}"]
    return [*lines, *_ending(plan, adapter)]


def _commands(plan: InterfacePlan, adapter: str) -> list[str]:
    lines = []
    for number, command in enumerate(plan.commands, start=1):
        redirected = f'{command} >>"%LOOK%.out" 2>&1 <nul'
        if "%%I" in command:
            redirected = f'for /f "usebackq tokens=1* delims==" %%H in ("%LOOK%.if") do {redirected}'
        lines += [redirected, f"{adapter} told {number}"]
    return lines


def _ending(plan: InterfacePlan, adapter: str) -> list[str]:
    lines = [
        "if %DIFFERS%==0 goto good",
        "set /a TRY+=1",
        "if %TRY% GTR 3 goto bad",
        "%PING% -n 11 127.0.0.1 >nul 2>&1",
        "goto try",
        ":good",
        f"{adapter} report",
        f"{adapter} forget",
        '>>"%OUT%" echo adapter as-planned %GUID%',
        f"exit {3010 if 'Connection' in plan.carried else 0}",
        ":bad",
        f"{adapter} report",
    ]
    if "Static" in plan.carried:
        # Once: the values are there after the restart, or this way does not help either.
        lines += [
            "if not %STORED%==wrong goto differs",
            '%REG% query "%KEY%" /v %STEP%.registry >nul 2>&1',
            "if not errorlevel 1 goto differs",
            '%REG% add "%KEY%" /v %STEP%.registry /t REG_SZ /d yes /f >nul 2>&1',
            "if errorlevel 1 goto differs",
            f"{adapter} static",
            '>>"%OUT%" echo adapter by-registry %GUID%',
            "exit 3011",
            ":differs",
        ]
    return [*lines, f"{adapter} forget", '>>"%OUT%" echo adapter differs %GUID%', "exit 1"]


# --- which adapter -----------------------------------------------------------------------------


def _wanted(config: InterfaceConfig, of: int, facts: Facts) -> list[str]:
    mac: str | None = config.match.mac
    order: int | None = config.match.index
    count: int | None = None
    named = config.match.replaces or config.match.stays
    if named is not None:
        old = old_adapter(named, facts)
        mac = old.mac
        hardware = _hardware(facts)
        if old in hardware:
            order, count = hardware.index(old), len(hardware)
    if mac is None and order is None and not config.match.only:
        raise UsageError(
            "nothing tells which new adapter is meant: the old one's address is not known",
            code="adapter-not-known",
            subject=named,
            hint="Match by mac, index or only.",
        )
    digits = "" if mac is None else "".join(sign for sign in mac.upper() if sign in "0123456789ABCDEF")
    pairs = [digits[at : at + 2] for at in range(0, 12, 2)]
    held = {
        "WANTMAC": digits,
        "WANTDASH": "-".join(pairs) if digits else "",
        "WANTCOLON": ":".join(pairs) if digits else "",
        "WANTONLY": "yes" if config.match.only else "",
        "WANTORDER": "" if order is None else str(order),
        "WANTCOUNT": "" if count is None else str(count),
        "WANTLEAST": str(of),
    }
    return [f'set "{name}={value}"' for name, value in held.items()]


def old_adapter(wanted: str, facts: Facts) -> Adapter:
    """The adapter of the source with this connection name or GUID. Raises UsageError where there is none."""
    for adapter in facts.boot.adapters:
        if fold(wanted) in (fold(adapter.name), fold(adapter.guid)):
            return adapter
    raise UsageError(
        "the source has no such adapter",
        code="adapter-not-known",
        subject=wanted,
        hint="p2vprep inspect lists the adapters with their names and GUIDs.",
    )


def _hardware(facts: Facts) -> list[Adapter]:
    """The adapters that the finding script would count, in the order in which they were installed."""
    found = [
        adapter
        for adapter in facts.boot.adapters
        if (bus := adapter.instance.split("\\")[0].upper())
        and bus not in _SOFTWARE_BUSES
        and not bus.startswith("{")
    ]
    return sorted(found, key=lambda adapter: adapter.class_key)


def _takeover(item: ConfigureInterface, facts: Facts) -> list[str]:
    if item.takeover_guid is None:
        return []
    version = facts.guest.version
    if version.nt < _TAKEOVER_FROM:
        raise UsageError(
            f"taking over an interface GUID works from Windows 10 and 2016 on, this is {version}",
            code="takeover-not-here",
            subject=item.takeover_guid,
            hint="Use carry-over without takeover: the configuration is set anew.",
        )
    old = old_adapter(item.takeover_guid, facts)
    driver = "\\".join(old.class_key.split("\\")[-2:])
    if not is_guid(item.takeover_guid) or not driver.rsplit("\\", 1)[-1].isdigit():
        raise UsageError(
            "the old adapter has no driver key, its GUID cannot be taken over",
            code="takeover-not-here",
            subject=item.takeover_guid,
        )
    return [
        f'if /i "%GUID%"=="{item.takeover_guid}" goto taken',
        rf'call "%P2V%\lib\takeover.cmd" {item.takeover_guid} {driver}',
        "if errorlevel 1 goto taken",
        '>>"%OUT%" echo adapter after-restart %GUID%',
        "exit 3011",
        ":taken",
    ]


def _require_plain_addresses(config: InterfaceConfig) -> None:
    """An address with a zone names an interface of this host; it means nothing in the guest."""
    every = (
        *(str(address) for address in config.addresses),
        *(str(gateway.via) for gateway in config.gateways),
        *(str(server) for server in config.dns),
        *(str(route.via) for route in config.routes),
    )
    for text in every:
        if "%" in text:
            raise UsageError("an address with a zone cannot be set", code="address-with-zone", subject=text)
