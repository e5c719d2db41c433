r"""What people ask for by hand, as edits: a start type by its word, a value, a key, a file.

Edits of ``SYSTEM`` may name ``CurrentControlSet``; the planner puts the control sets that are
edited in its place (:mod:`p2vprep.core.hand.resolving`).
"""

from __future__ import annotations

from typing import Literal, get_args

from p2vprep.core.hand import places
from p2vprep.core.model import DeleteKey, DeleteValue, Edit, MakeKey, PutFile, SetValue, Start
from p2vprep.core.registry import join, split
from p2vprep.core.values import Data
from p2vprep.errors import RefusedError, UsageError

StartWord = Literal["auto", "delayed", "demand", "disabled", "boot", "system"]
START_WORDS: tuple[StartWord, ...] = get_args(StartWord)
SERVICE_WORDS = ("auto", "delayed", "demand", "disabled")
DRIVER_WORDS = ("boot", "system", "auto", "demand", "disabled")
RULE = "by-hand"
WHY = "asked for by hand"
DELAYED = "DelayedAutostart"
"""1 beside a start type of auto: started after the others (Vista and later)."""
_STARTS: dict[str, Start] = {
    "boot": Start.BOOT,
    "system": Start.SYSTEM,
    "auto": Start.AUTO,
    "delayed": Start.AUTO,
    "demand": Start.DEMAND,
    "disabled": Start.DISABLED,
}


def service_edits(name: str, start: str, *, why: str = WHY) -> tuple[Edit, ...]:
    """The edits that give a service or driver a start type, in every control set that is edited.

    ``start`` is one of START_WORDS. ``auto`` also takes a delay away, as ``sc config`` does.
    Raises UsageError for another word and for what is no service's name.
    """
    if start not in _STARTS:
        raise UsageError(
            f"{start!r} is no start type; it is one of {', '.join(START_WORDS)}", code="bad-start-type"
        )
    if not name or "\\" in name or "/" in name:
        raise UsageError("not the name of a service or driver", code="bad-service-name", subject=name)
    key = join(places.CURRENT, "Services", name)
    edits: list[Edit] = [SetValue("SYSTEM", key, "Start", Data.dword(_STARTS[start]), RULE, why)]
    if start == "delayed":
        edits.append(SetValue("SYSTEM", key, DELAYED, Data.dword(1), RULE, why))
    elif start == "auto":
        edits.append(DeleteValue("SYSTEM", key, DELAYED, RULE, why))
    return tuple(edits)


def value_edits(path: str, name: str, data: Data, *, why: str = WHY) -> tuple[Edit, ...]:
    """Sets a value; the keys on the way are made. Raises UsageError, RefusedError ``hive-read-only``."""
    place = _writable(path)
    return (SetValue(place.hive, place.key, name, data, RULE, why, create=True),)


def value_deletion(path: str, name: str, *, why: str = WHY) -> tuple[Edit, ...]:
    """Deletes a value. Raises as :func:`value_edits`."""
    place = _writable(path)
    return (DeleteValue(place.hive, place.key, name, RULE, why),)


def key_edits(path: str, *, why: str = WHY) -> tuple[Edit, ...]:
    """Makes a key, and those above it. Raises as :func:`value_edits`."""
    place = _writable(path)
    return (MakeKey(place.hive, place.key, RULE, why),)


def key_deletion(path: str, *, why: str = WHY) -> tuple[Edit, ...]:
    """Deletes a key with all below it. Raises as :func:`value_edits`."""
    place = _writable(path)
    return (DeleteKey(place.hive, place.key, RULE, why),)


def file_edits(path: str, content: bytes, *, why: str = WHY) -> tuple[Edit, ...]:
    """Writes a file of the guest; it gets the access list that a new file in its folder gets.

    Raises UsageError for a path outside the volume, RefusedError ``guest-path-protected``.
    """
    return (PutFile(guest_path(path, writing=True), content, RULE, why, locked=False),)


def guest_path(path: str, *, writing: bool = False) -> str:
    r"""A path inside the Windows volume with forward slashes, from ``C:\Tools`` or ``/Tools``.

    Raises UsageError for a relative path or one that climbs, and, where it is for ``writing``,
    RefusedError for what Windows or this tool keeps there.
    """
    plain = path.replace("\\", "/")
    if plain[1:2] == ":":
        if plain[0] not in "cC":
            raise UsageError(
                "only the volume that holds Windows can be reached, as C:",
                code="bad-guest-path",
                subject=path,
            )
        plain = plain[2:]
    names = tuple(name for name in plain.split("/") if name)
    bad = not plain.startswith("/") or any(name in (".", "..") or not _spellable(name) for name in names)
    if bad or (writing and not names):
        raise UsageError(
            "not a path inside the guest",
            code="bad-guest-path",
            subject=path,
            hint=r"Write it from the top of the Windows volume: /Tools/agent.msi or C:\Tools\agent.msi.",
        )
    if writing:
        _refuse_protected(path, names)
    return "/" + "/".join(names)


_FORBIDDEN_LETTERS = frozenset('<>:"|?*')


def _spellable(name: str) -> bool:
    """Whether Windows can have a file of this name ([MS-FSCC] 2.1.5): neither streams nor wildcards."""
    return not any(letter in _FORBIDDEN_LETTERS or ord(letter) < 32 for letter in name)


def _refuse_protected(path: str, names: tuple[str, ...]) -> None:
    upper = tuple(name.upper().rstrip(". ") for name in names)
    why = None
    if upper[0] == "P2VPREP":
        why = "it runs as SYSTEM at the first boot; use --first-boot-step or --add-files"
    elif upper[0].startswith("$") or upper[0] in ("PAGEFILE.SYS", "HIBERFIL.SYS", "SWAPFILE.SYS"):
        why = "the file system or Windows itself keeps it"
    elif upper[1:3] == ("SYSTEM32", "CONFIG") or upper[-1].startswith("NTUSER.DAT"):
        why = "registry hives are edited with `p2vprep registry`"
    if why is not None:
        raise RefusedError(f"this file is not written: {why}", code="guest-path-protected", subject=path)


def _writable(path: str) -> places.Place:
    place = places.parse(path)
    if not split(place.key):
        raise UsageError("the root of a hive is never edited", code="bad-registry-path", subject=path)
    refuse_read_only(place, path)
    return place


def refuse_read_only(place: places.Place, subject: str) -> None:
    """Raises RefusedError ``hive-read-only`` for a place in SAM or SECURITY."""
    if place.hive in places.READ_ONLY:
        raise RefusedError(
            f"{place.hive} holds accounts and secrets; it is read and never edited",
            code="hive-read-only",
            subject=subject,
        )
