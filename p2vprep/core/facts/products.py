"""Installed programs from SOFTWARE's Uninstall keys, of both word sizes."""

from __future__ import annotations

from p2vprep.core.facts.keys import Snapshot, children, text
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
                command = text(held, "QuietUninstallString") or text(held, "UninstallString")
                found.append(
                    Product(key.path, name, text(held, "Publisher"), text(held, "DisplayVersion"), command)
                )
    return tuple(found)
