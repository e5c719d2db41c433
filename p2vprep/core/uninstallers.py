r"""How an installed program is removed without a question asked, or why nobody knows.

The Uninstall keys of a guest are data: a command line from there is only ever taken where it is
``msiexec`` with a product code, or one program below ``Program Files`` with plain switches. Everything
else is told and left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from p2vprep.core.documents.actions import UninstallTarget
from p2vprep.core.documents.patterns import is_switch, regex
from p2vprep.core.model import Product
from p2vprep.core.registry import split

MSI_SWITCHES = ("/qn", "/norestart", "REBOOT=ReallySuppress")
"""Silent, and never a restart of its own: the first boot decides about that."""
_CODE = r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}"
_MSIEXEC = re.compile(
    rf'"?(?:[A-Z]:\\Windows\\System32\\)?msiexec(?:\.exe)?"?\s+/[IX]\s*"?({_CODE})"?(?:\s+/(?:qn|quiet|passive|norestart))*',
    re.IGNORECASE,
)
_NAME = r"[A-Za-z0-9_+()-](?:[A-Za-z0-9 ._+()-]*[A-Za-z0-9_+()-])?"
_PROGRAM = re.compile(
    rf"[A-Z]:\\(?:Program Files(?: \(x86\))?|PROGRA~[12])(?:\\{_NAME}){{1,12}}\.exe", re.IGNORECASE
)
_MOST_SWITCHES = 8


def matching(target: UninstallTarget, products: Iterable[Product]) -> tuple[tuple[Product, ...], ...]:
    """For each of the action's patterns the programs it means, in the order of the registry."""
    held = [
        product
        for product in products
        if target.publisher is None or regex(target.publisher).search(product.publisher)
    ]
    return tuple(
        tuple(product for product in held if regex(pattern).search(product.display_name))
        for pattern in target.products
    )


def product_code(product: Product) -> str | None:
    """The code by which Windows Installer knows a program; None where it is not one of its."""
    name = split(product.key)[-1]
    if product.msi and re.fullmatch(_CODE, name):
        return name.upper()
    match = _MSIEXEC.fullmatch(product.command.strip())
    return None if match is None else match[1].upper()


def command(product: Product, silent: Sequence[str]) -> str | None:
    """The command line that removes a program silently; None where none can be made.

    ``silent`` are the profile's switches; without them a program that does not come from Windows
    Installer needs a silent command of its own (``QuietUninstallString``).
    """
    code = product_code(product)
    if code is not None:
        return " ".join(("msiexec.exe", "/x", code, *(silent or MSI_SWITCHES)))
    own = program(product.command) if silent else None
    if own is not None:
        return " ".join((f'"{own[0]}"', *silent))
    quiet = program(product.quiet)
    return " ".join((f'"{quiet[0]}"', *quiet[1])) if quiet is not None and quiet[1] else None


def program(line: str) -> tuple[str, tuple[str, ...]] | None:
    """The program and the switches of a command line; None where it holds anything but these.

    The program lies below ``Program Files``, where only administrators can put one.
    """
    text = line.strip()
    if text.startswith('"'):
        path, quote, rest = text[1:].partition('"')
        if not quote or (rest and not rest.startswith(" ")):
            return None
    else:
        ends = text.lower().find(".exe")
        path, rest = text[: ends + 4], text[ends + 4 :]
        if ends < 0 or (rest and not rest.startswith(" ")):
            return None
    switches = tuple(rest.split())
    plain = _PROGRAM.fullmatch(path) is not None and ".." not in path
    if not plain or len(switches) > _MOST_SWITCHES or not all(map(is_switch, switches)):
        return None
    return path, switches
