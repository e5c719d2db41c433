r"""Registry keys that no rule and no profile may touch, whatever they want.

``CurrentControlSet`` does not exist in a file at rest, ``Select`` decides what
boots, ``ProductOptions`` and ``Nsi`` hold values that cannot be written back
safely, and the class names of four keys below ``Control\Lsa`` are the boot key:
deleting one of them locks everybody out. A service's key is disabled, never
deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from p2vprep.core.model import DeleteKey, DeleteValue, MakeKey, SetValue
from p2vprep.core.registry import Key, fold, split
from p2vprep.errors import RefusedError

_CONTROL_SET = re.compile(r"CONTROLSET\d{3}")
_READ_ONLY = ("SAM", "SECURITY")
_NEVER_WRITTEN = (("CONTROL", "PRODUCTOPTIONS"), ("CONTROL", "NSI"))
_NEVER_DELETED_ABOVE_SETS = {("SETUP",), ("MOUNTEDDEVICES",)}
_NEVER_DELETED = (
    ("SERVICES",),
    ("ENUM",),
    *(("CONTROL", "LSA", name) for name in ("JD", "SKEW1", "GBG", "DATA")),
)


def refuse_forbidden(edit: SetValue | DeleteValue | DeleteKey | MakeKey, key: Key | None) -> None:
    """Raises RefusedError ``forbidden-key`` for an edit that must not be made.

    ``key`` is the key as it is in the hive, or None where it is not there.
    """
    reason = why_forbidden(edit, key)
    if reason is not None:
        raise RefusedError(
            f"the rule {edit.rule!r} wants to edit {edit.hive}\\{edit.key}: {reason}",
            code="forbidden-key",
            subject=f"{edit.hive}\\{edit.key}",
            hint="Take the action out of the profile; nothing lifts this refusal.",
        )


def why_forbidden(edit: SetValue | DeleteValue | DeleteKey | MakeKey, key: Key | None) -> str | None:
    """Why an edit must not be made, or None."""
    parts = tuple(fold(part) for part in split(edit.key))
    if not parts:
        return "the root of a hive is never edited"
    if edit.hive in _READ_ONLY:
        return "it holds accounts and secrets, and is only read"
    if edit.hive != "SYSTEM":
        return None
    if parts[0] == "CURRENTCONTROLSET":
        return "it does not exist in a hive at rest; name the control set"
    if parts[0] == "SELECT":
        return "it decides which control set boots"
    if _CONTROL_SET.fullmatch(parts[0]) is None:
        lost = isinstance(edit, DeleteKey) and parts in _NEVER_DELETED_ABOVE_SETS
        return "Windows does not start without it or what is below it" if lost else None
    below = parts[1:]
    if any(below[: len(never)] == never for never in _NEVER_WRITTEN):
        return "it holds values that cannot be written back safely"
    return _why_not_deleted(below, key) if isinstance(edit, DeleteKey) else None


def _why_not_deleted(below: tuple[str, ...], key: Key | None) -> str | None:
    if any(never[: len(below)] == below for never in (*_NEVER_DELETED, *_NEVER_WRITTEN)):
        return "Windows does not start without it or what is below it"
    if below[0] == "SERVICES" and len(below) == 2 and key is not None and _is_service(key.values()):
        return "a service is disabled, its key is never deleted"
    return None


def _is_service(values: Iterable[tuple[str, object]]) -> bool:
    return {"TYPE", "START"} <= {fold(name) for name, _data in values}
