"""What is wrong or odd about a Windows volume, as hazards with what would cure it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2vprep.core import volumes
from p2vprep.core.model import Hazard
from p2vprep.core.volumes import NtfsState
from p2vprep.disk.guestfiles import ENCRYPTED, GuestFiles, parent, parts

SHUT_DOWN_FULLY = (
    "On the source, switch hibernation off (powercfg /h off) and shut Windows down (shutdown /s /t 0), "
    "then convert again."
)

SPACE_NEEDED = 4 << 20
"""Bytes that must be free: the first-boot files take far less than 1 MiB, a hive grows by less than 2."""


@dataclass(frozen=True)
class Refusal:
    """Why a kind of volume cannot be opened at all."""

    code: str
    message: str
    cure: str


REFUSALS = {
    "bitlocker": Refusal(
        "bitlocker",
        "a volume is encrypted by BitLocker (a suspended protection is encrypted all the same)",
        "On the source, decrypt the volume (manage-bde -off C:), wait until it is done, and convert again.",
    ),
    "dynamic": Refusal(
        "dynamic-disk",
        "the disk is a dynamic disk (LDM), which cannot be changed offline",
        "Convert the source's disk to a basic disk, or copy its volumes to a basic disk.",
    ),
    "storage-spaces": Refusal(
        "storage-spaces",
        "the disk is part of Storage Spaces, which cannot be read here",
        "Copy the system volume to a plain disk.",
    ),
    "refs": Refusal(
        "refs",
        "the only volume is ReFS, which cannot be read here",
        "Name the disk that holds the NTFS system volume too.",
    ),
}
"""By the kind that a search has seen; the first that applies is told."""


def of_state(state: NtfsState | None) -> list[Hazard]:
    """Hazards of a volume's dirty flag and log; a saved session is told by :func:`saved_session`."""
    if state is None:
        return [
            Hazard(
                "ntfs-damaged",
                "warn",
                "The state of the NTFS volume cannot be read; its system files may be damaged.",
                cure="Run chkdsk on the source, then convert again.",
            )
        ]
    found = []
    if state.dirty:
        found.append(
            Hazard(
                "ntfs-dirty",
                "warn",
                "The NTFS volume is marked dirty; Windows will run chkdsk when it boots.",
                ("$Volume has the dirty flag",),
                "Let chkdsk run on the source before the conversion, or let it run at the first boot.",
            )
        )
    if state.log == "unclean":
        found.append(
            Hazard(
                "ntfs-unclean",
                "warn",
                "The NTFS volume was not unmounted cleanly; its log is reset when it is changed here.",
                ("$LogFile is not clean",),
                "Convert from a machine that was shut down, or from a snapshot made by VSS.",
            )
        )
    return found


def saved_session(session: bytes, allow: str, *, discarding: bool) -> Hazard:
    """Windows is hibernated or was shut down by Fast Startup; ``session``: hiberfil.sys' first bytes."""
    evidence = (
        f"hiberfil.sys begins with {session[:4].decode('ascii')}"
        if volumes.is_hibernated(session)
        else "$LogFile is of version 2.0: metadata is kept in a saved session"
    )
    if discarding:
        return Hazard(
            "hibernated",
            "warn",
            "Windows is hibernated or was shut down by Fast Startup; its saved session is thrown away.",
            (evidence,),
        )
    return Hazard(
        "hibernated",
        "refuse",
        "Windows is hibernated or was shut down by Fast Startup; a change made now would be lost or "
        "damage the volume when the session resumes.",
        (evidence,),
        f"{SHUT_DOWN_FULLY} Or throw the saved session away: --allow {allow}",
        liftable=False,
    )


def of_hive_attributes(files: GuestFiles, hives: Mapping[str, str]) -> list[Hazard]:
    """A hive that is encrypted by EFS cannot be read; a compressed one can, and is no hazard."""
    return [
        Hazard(
            "hive-encrypted",
            "refuse",
            "A registry hive is encrypted by EFS and cannot be read here.",
            (hives[name],),
            "On the source, decrypt it (cipher /d), then convert again.",
            liftable=False,
        )
        for name in ("SYSTEM", "SOFTWARE")
        if name in hives and files.attributes(hives[name]) & ENCRYPTED
    ]


def of_open_parent(files: GuestFiles, paths: Iterable[str]) -> list[Hazard]:
    """Files that run as SYSTEM, in a folder of the root where any user may put another one in its place.

    So on Windows 2000 as it was installed: Everyone has full access to the root of the system drive.
    """
    tops = dict.fromkeys("/" + parts(path)[0] for path in paths)
    return [
        Hazard(
            "guest-root-open",
            "refuse",
            f"Any user of this Windows may replace the folder {top}, and what lies there runs as SYSTEM.",
            (f"the access list of {parent(top)}",),
            "Lock the root folder on the source, or leave the first-boot job out: --no-first-boot",
        )
        for top in tops
        if files.replaceable(top)
    ]


def of_free_space(free: int) -> list[Hazard]:
    """A volume without room for the first-boot files and a hive that grows."""
    if free >= SPACE_NEEDED:
        return []
    return [
        Hazard(
            "guest-volume-full",
            "refuse",
            f"The Windows volume is full: {free >> 10} KiB are free, {SPACE_NEEDED >> 10} KiB are needed.",
            (f"{free} bytes free",),
            "Free some space on the source, or make the volume larger.",
        )
    ]
