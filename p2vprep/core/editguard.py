r"""What actions of profiles may not write or delete, beside the keys that nobody may touch.

``value``, ``value-delete`` and ``key-delete`` must not go around the other guards: start types and
filter lists have kinds of their own, which look at what depends on them; the ground a driver or a
vital service stands on is not taken away; and no key is deleted that is a house and not a room.
Which drivers start with Windows is a matter of driver-enable alone.
:mod:`p2vprep.core.forbidden` holds what no edit at all may touch. Files: the registry, what starts
Windows, and the first-boot job's own.
"""

from __future__ import annotations

from p2vprep.core.forbidden import why_forbidden
from p2vprep.core.model import ControlSet, DeleteFile, DeleteKey, DeleteValue, Guest, PutFile, SetValue
from p2vprep.core.never import in_box, never
from p2vprep.core.registry import Hive, find, fold, split

RegistryEdit = SetValue | DeleteValue | DeleteKey

_OF_A_SERVICE = frozenset(
    fold(name)
    for name in (
        "Start", "Type", "ErrorControl", "ImagePath", "ObjectName", "Group", "Tag",
        "DependOnService", "DependOnGroup", "DeleteFlag",
    )
)  # fmt: skip
_FILTERS = frozenset({"UPPERFILTERS", "LOWERFILTERS"})
_GROUND = frozenset({"PARAMETERS", "LINKAGE", "ENUM", "SECURITY", "INSTANCES"})
_FEWEST_PARTS = {"SYSTEM": 4, "SOFTWARE": 4}
r"""``ControlSet001\Control\X\Y``, ``Microsoft\Windows\CurrentVersion\X``: what is shorter holds too much."""
_CRITICAL = ("CONTROL", "CRITICALDEVICEDATABASE")
_OVERRIDE = ("STARTOVERRIDE",)
_HOUSES = frozenset({"CLASS", "LSA", "NETWORK", "SAFEBOOT", "SESSION MANAGER"})
_DRIVERS_FOLDER = ("SYSTEM32", "DRIVERS")
_AT_THE_TOP = frozenset(
    fold(name)
    for name in ("bootmgr", "BOOTNXT", "ntldr", "ntdetect.com", "boot.ini", "arcldr.exe", "bootfont.bin")
)
_FOLDERS_AT_THE_TOP = frozenset({"BOOT", "EFI", "RECOVERY", "SYSTEM VOLUME INFORMATION"})
_OURS = "P2VPREP"
_OF_THE_JOB = frozenset({"FIRSTBOOT.CMD", "STEPS", "DATA", "USER"})


def why_refused(edit: RegistryEdit, guest: Guest, control_set: ControlSet, hive: Hive | None) -> str | None:
    """Why an action of a profile may not make this edit, or None. ``hive`` is the one it is about."""
    reason = why_forbidden(edit, None if hive is None else find(hive, edit.key))
    if reason is not None:
        return reason
    parts = tuple(fold(part) for part in split(edit.key))
    if edit.hive == "SYSTEM" and parts[0] == _OURS:
        return "it holds what the first boot gives back"
    in_set = edit.hive == "SYSTEM" and parts[0].startswith("CONTROLSET")
    if in_set and (parts[1:3] == _CRITICAL or (parts[1] == "SERVICES" and parts[3:4] == _OVERRIDE)):
        return "what starts with Windows is changed by driver-enable, which looks at the driver's file"
    if isinstance(edit, DeleteKey):
        return _why_not_deleted(edit, parts, guest, control_set, in_set=in_set)
    name = fold(edit.name)
    if name in _FILTERS and {"CLASS", "ENUM"} & set(parts):
        return "filter lists are changed by filter-remove, which looks at their drivers"
    if in_set and len(parts) == 3 and parts[1] == "SERVICES" and name in _OF_A_SERVICE:
        return "how a service starts is changed by disable, park, demand or driver-enable"
    return None


def _why_not_deleted(
    edit: DeleteKey, parts: tuple[str, ...], guest: Guest, control_set: ControlSet, *, in_set: bool
) -> str | None:
    fewest = _FEWEST_PARTS.get(edit.hive, 0) if in_set or edit.hive == "SOFTWARE" else 0
    if len(parts) < fewest:
        return "too much hangs on a key so far up"
    if edit.hive == "SYSTEM" and parts[0] == "DRIVERDATABASE":
        return "devices are installed by it"
    if in_set and parts[1] == "ENUM":
        return "devices are removed by the rule about ghosts, or by the first boot"
    if in_set and len(parts) == 4 and parts[1] == "CONTROL" and parts[2] in _HOUSES:
        return "Windows or a whole class of devices does not start without it"
    if not in_set or parts[1] != "SERVICES":
        return None
    service = next((one for one in control_set.services if fold(one.name) == parts[2]), None)
    if service is None or len(parts) != 4 or parts[3] not in _GROUND:
        return None
    reason = never(service, guest) or ("it ships with Windows" if in_box(service) else None)
    return None if reason is None else f"{service.name} needs it, and {reason}"


def why_file_refused(edit: PutFile | DeleteFile, system_root: str) -> str | None:
    """Why an action of a profile may not write or delete this file of the guest, or None."""
    parts = tuple(fold(part) for part in edit.path.split("/") if part)
    root = tuple(fold(part) for part in system_root.split("/") if part)
    below = parts[len(root) :] if parts[: len(root)] == root else ()
    if below[:2] == ("SYSTEM32", "CONFIG"):
        return "the registry's files are never written or deleted as files"
    if below[:2] == _DRIVERS_FOLDER and (isinstance(edit, DeleteFile) or parts[-1].endswith(".SYS")):
        return "drivers come and go with their services, not as files"
    if below and len(below) <= 2 and below[-1].endswith((".EXE", ".DLL", ".SYS")):
        return "programs of Windows itself are not touched"
    at_the_top = len(parts) == 1 and parts[0] in _AT_THE_TOP
    if at_the_top or parts[0] in _FOLDERS_AT_THE_TOP:
        return "Windows does not start without it"
    if parts[0] == _OURS and (len(parts) == 1 or parts[1] in _OF_THE_JOB):
        return "it belongs to the first-boot job"
    return None
