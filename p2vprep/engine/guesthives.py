r"""Where the other hives of a machine lie: SAM, SECURITY, DEFAULT, and the NTUSER.DAT of every user.

The profiles of users are found as Windows records them (``ProfileList`` in SOFTWARE, "User
profiles", Microsoft) and by looking into the two folders that profiles lie in since Windows 2000.
Only what is on the volume of Windows itself can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from p2vprep.core.facts.keys import children, text
from p2vprep.core.hand.places import USERS, is_user, user_of
from p2vprep.core.registry import Hive, find, fold, join
from p2vprep.disk.guestfiles import GuestFiles
from p2vprep.disk.volume import WindowsVolume
from p2vprep.errors import HiveError

PROFILE_FOLDERS = ("/Users", "/Documents and Settings")
_PROFILE_LIST = r"Microsoft\Windows NT\CurrentVersion\ProfileList"
_NTUSER = "NTUSER.DAT"
_SUFFIXES = ("LOG", "LOG1", "LOG2")
_IN_CONFIG = ("SAM", "SECURITY", "DEFAULT")


@dataclass(frozen=True)
class User:
    """A user with a profile on the Windows volume; ``sid`` is empty where Windows does not record one."""

    name: str
    folder: str
    sid: str = ""

    @property
    def hive(self) -> str:
        """The name of the user's hive."""
        return join(USERS, self.name)


def find_users(files: GuestFiles, volume: WindowsVolume, software: Hive | None) -> tuple[User, ...]:
    """The users that have a hive, by name. SOFTWARE tells their SIDs and profiles in other folders."""
    recorded = dict(_recorded(volume, software))
    folders = [f"{top}/{name}" for top in PROFILE_FOLDERS for name in files.names(top)]
    sids = {fold(folder): sid for sid, folder in recorded.items()}
    found: dict[str, User] = {}
    for folder in dict.fromkeys((*folders, *recorded.values())):
        spelt = files.find(folder)
        if spelt is None or files.find(f"{spelt}/{_NTUSER}") is None:
            continue
        name = spelt.rpartition("/")[2]
        found.setdefault(fold(name), User(name, spelt, sids.get(fold(spelt), "")))
    return tuple(found[name] for name in sorted(found))


def user_named(users: tuple[User, ...], name: str) -> User:
    """The user of a name or SID. Raises HiveError ``no-such-user`` with those there are."""
    for user in users:
        if fold(name) in (fold(user.name), fold(user.sid)):
            return user
    raise HiveError(
        f"there is no user {name} with a profile on the Windows volume",
        code="no-such-user",
        subject=join(USERS, name),
        hint="There are: " + (", ".join(user.name for user in users) or "none"),
    )


def located(
    files: GuestFiles, volume: WindowsVolume, software: Hive | None, name: str
) -> tuple[str, WindowsVolume]:
    """The hive's name as it is spelt here, and the volume with that hive and its logs among its hives.

    Raises HiveError ``hive-missing``, ``no-such-user``.
    """
    if name in volume.hives:
        return name, volume
    if is_user(name):
        user = user_named(find_users(files, volume, software), user_of(name))
        return user.hive, _with(files, volume, user.hive, user.folder, _NTUSER)
    if name not in _IN_CONFIG:
        raise HiveError(f"there is no hive {name}", code="hive-missing", subject=name)
    return name, _with(files, volume, name, volume.config, name)


def _with(files: GuestFiles, volume: WindowsVolume, hive: str, folder: str, file: str) -> WindowsVolume:
    spelt = {fold(name): f"{folder}/{name}" for name in files.names(folder)}
    if fold(file) not in spelt:
        raise HiveError(
            f"the registry hive {hive} is missing", code="hive-missing", subject=f"{folder}/{file}"
        )
    held: dict[str, str] = {**volume.hives, hive: spelt[fold(file)]}
    for suffix in _SUFFIXES:
        path = spelt.get(fold(f"{file}.{suffix}"))
        if path is not None:
            held[f"{hive}.{suffix}"] = path
    return replace(volume, hives=held)


def _recorded(volume: WindowsVolume, software: Hive | None) -> Iterator[tuple[str, str]]:
    """SIDs and profile folders inside the volume, from SOFTWARE."""
    listed = None if software is None else find(software, _PROFILE_LIST)
    for key in children(listed):
        folder = _inside(text(key, "ProfileImagePath"), volume.root)
        if folder is not None:
            yield key.name, folder


_VARIABLES: Mapping[str, str] = {"%SYSTEMDRIVE%": "", "C:": ""}


def _inside(path: str, root: str) -> str | None:
    """A path as Windows writes it, inside its volume; None where it lies elsewhere."""
    for start, stands_for in {**_VARIABLES, "%SYSTEMROOT%": root, "%WINDIR%": root}.items():
        if fold(path).startswith(start + "\\"):
            plain = stands_for + path[len(start) :].replace("\\", "/").rstrip("/")
            return None if ".." in plain.split("/") else plain
    return None
