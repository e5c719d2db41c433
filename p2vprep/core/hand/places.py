r"""Registry places as people write them, and the hives they lie in.

``HKLM\SYSTEM\CurrentControlSet\Services`` is in the hive ``SYSTEM``, ``HKU\.DEFAULT`` in
``DEFAULT``, ``HKU\Anna`` in Anna's ``NTUSER.DAT``; that hive is named ``HKU\Anna``. The long
forms of the roots are understood, and the bare name of a hive as plans show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2vprep.core.registry import fold, join, split
from p2vprep.errors import UsageError

CURRENT = "CurrentControlSet"
"""Does not exist in a hive at rest: it stands for the control set that boots next, or for all edited ones."""
USERS = "HKU"
READ_ONLY = ("SAM", "SECURITY")
"""Accounts and secrets: they are read and never edited."""
MACHINE_HIVES = ("SYSTEM", "SOFTWARE", *READ_ONLY)
DEFAULT = "DEFAULT"
_DEFAULT_NAMES = (".DEFAULT", "S-1-5-18")
_LONG = {
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_USERS": "HKU",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_CURRENT_CONFIG": "HKCC",
}
_CLASSES = "Classes"


@dataclass(frozen=True)
class Place:
    r"""A key: the hive's name and the path inside it, ``CurrentControlSet`` left as it was written."""

    hive: str
    key: str

    def __str__(self) -> str:
        return shown(self.hive, self.key)


def parse(path: str) -> Place:
    """The place of a key. Raises UsageError ``bad-registry-path`` where no hive on a disk holds it."""
    parts = list(split(path))
    if parts and fold(parts[0]) in ("COMPUTER", "MY COMPUTER"):
        parts = parts[1:]
    if not parts:
        raise _bad(path, "it is empty")
    first = _LONG.get(fold(parts[0]), fold(parts[0]))
    rest = parts[1:]
    if first == "HKLM":
        return _of_machine(path, rest)
    if first == USERS:
        return _of_user(path, rest)
    if first == "HKCR":
        return Place("SOFTWARE", join(_CLASSES, *rest))
    if first in (*MACHINE_HIVES, DEFAULT):
        return Place(first, join(*rest))
    reasons = {
        "HKCU": r"it depends on who is logged on; name the user: HKU\<user>",
        "HKCC": r"it is made when Windows starts; edit HKLM\SYSTEM\CurrentControlSet\Hardware Profiles",
    }
    raise _bad(path, reasons.get(first, f"{parts[0]} is no root of the registry"))


def is_user(hive: str) -> bool:
    r"""Whether a hive's name stands for a user's NTUSER.DAT: ``HKU\Anna``."""
    return fold(hive).startswith(USERS + "\\")


def user_of(hive: str) -> str:
    """The user's name in the name of a hive of :func:`is_user`."""
    return hive.split("\\", 1)[1]


def shown(hive: str, key: str) -> str:
    r"""A key as regedit would show it, with short roots: ``HKLM\SYSTEM\Select``."""
    if is_user(hive):
        return join(hive, key)
    root = join(USERS, ".DEFAULT") if hive == DEFAULT else join("HKLM", hive)
    return join(root, key)


def is_current(key: str) -> bool:
    """Whether a path inside SYSTEM begins with ``CurrentControlSet``."""
    parts = split(key)
    return bool(parts) and fold(parts[0]) == fold(CURRENT)


def in_set(key: str, control_set: str) -> str:
    """The path with its first name, ``CurrentControlSet``, replaced by a control set's name."""
    return join(control_set, *split(key)[1:])


def _of_machine(path: str, rest: list[str]) -> Place:
    if rest and fold(rest[0]) in MACHINE_HIVES:
        return Place(fold(rest[0]), join(*rest[1:]))
    what = f"HKLM\\{rest[0]} is no hive on the disk" if rest else "HKLM is not one hive"
    raise _bad(path, f"{what}; name one of {_listed(join('HKLM', name) for name in MACHINE_HIVES)}")


def _of_user(path: str, rest: list[str]) -> Place:
    if not rest:
        raise _bad(path, r"HKU is not one hive; name HKU\.DEFAULT or HKU\<user>")
    if fold(rest[0]) in _DEFAULT_NAMES:
        return Place(DEFAULT, join(*rest[1:]))
    return Place(join(USERS, rest[0]), join(*rest[1:]))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _bad(path: str, why: str) -> UsageError:
    return UsageError(
        f"not a place in the registry: {why}",
        code="bad-registry-path",
        subject=path,
        hint=r"Write it as regedit does, for example HKLM\SYSTEM\CurrentControlSet\Services\Tcpip.",
    )
