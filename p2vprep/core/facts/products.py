"""Installed programs from SOFTWARE's Uninstall keys, of both word sizes."""

from __future__ import annotations

from p2vprep.core.facts.keys import Snapshot, children, dword, text
from p2vprep.core.model import Product
from p2vprep.core.registry import Hive, find

_PLACES = (
    r"Microsoft\Windows\CurrentVersion\Uninstall",
    r"Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
)


def read_products(software: Hive) -> tuple[Product, ...]:
    """The programs that have a name; ``uninstall`` is the silent command line where one is given."""
    found = []
    for place in _PLACES:
        for key in children(find(software, place)):
            held = Snapshot(key)
            name = text(held, "DisplayName")
            if name:
                found.append(_product(key.path, name, held))
    return tuple(found)


def _product(path: str, name: str, held: Snapshot) -> Product:
    command, quiet = text(held, "UninstallString"), text(held, "QuietUninstallString")
    return Product(
        key=path,
        display_name=name,
        publisher=text(held, "Publisher"),
        version=text(held, "DisplayVersion"),
        uninstall=quiet or command,
        command=command,
        quiet=quiet,
        msi=dword(held, "WindowsInstaller") == 1,
    )
