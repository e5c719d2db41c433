"""NTFS security descriptors: who owns a file and who may change it.

The binary form is the self-relative SECURITY_DESCRIPTOR of [MS-DTYP] 2.4.6, as
ntfs-3g gives it in the extended attribute ``system.ntfs_acl``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ADMINISTRATORS = "S-1-5-32-544"
SYSTEM = "S-1-5-18"
TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
CREATOR_OWNER = "S-1-3-0"
EVERYONE = "S-1-1-0"

_TRUSTED = {ADMINISTRATORS, SYSTEM, TRUSTED_INSTALLER}

DELETE_CHILD = 0x40
WRITING = 0x2 | 0x4 | 0x10 | DELETE_CHILD | 0x10000 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000
"""Rights that let their holder change an object or take it over ([MS-DTYP] 2.4.3, file access rights):

write or add a file, append or add a folder, write extended attributes, delete a child, delete, change
the access list, take ownership, generic all, generic write. Changing mere attributes does not count.
"""

_DACL_PRESENT = 0x4
_ALLOW_TYPES = (0x00, 0x05, 0x09, 0x0B)
"""Plain, object, callback and callback-object entries that allow."""

_OBJECT_TYPES = (0x05, 0x06, 0x0B, 0x0C)
_INHERIT_ONLY = 0x8


@dataclass(frozen=True)
class Entry:
    """One entry of an access list: it allows, or it is some other kind (deny and the rest)."""

    allows: bool
    flags: int
    mask: int
    sid: str

    @property
    def for_children_only(self) -> bool:
        """The entry says nothing about the object itself, only about what will be made in it."""
        return bool(self.flags & _INHERIT_ONLY)


@dataclass(frozen=True)
class SecurityDescriptor:
    """Owner, group and access list; ``entries`` None is no access list: everybody may do everything."""

    owner: str
    group: str
    entries: tuple[Entry, ...] | None


def parse(raw: bytes) -> SecurityDescriptor:
    """Reads a self-relative security descriptor. Raises ValueError where it is not one."""
    try:
        revision, _, control, owner, group, _, dacl = struct.unpack_from("<BBHIIII", raw)
        if revision != 1:
            raise ValueError(f"security descriptor revision {revision}")
        entries = _entries(raw, dacl) if control & _DACL_PRESENT and dacl else None
        return SecurityDescriptor(_sid(raw, owner), _sid(raw, group), entries)
    except (struct.error, IndexError) as problem:
        raise ValueError(f"a security descriptor that ends too early ({problem})") from problem


def _entries(raw: bytes, start: int) -> tuple[Entry, ...]:
    _, _, size, count, _ = struct.unpack_from("<BBHHH", raw, start)
    entries = []
    place, end = start + 8, start + size
    for _ in range(count):
        kind, flags, length = struct.unpack_from("<BBH", raw, place)
        if length < 8 or place + length > min(end, len(raw)):
            raise ValueError("an access list entry that does not fit")
        (mask,) = struct.unpack_from("<I", raw, place + 4)
        sid = place + 8
        if kind in _OBJECT_TYPES:
            (guids,) = struct.unpack_from("<I", raw, sid)
            sid += 4 + 16 * ((guids & 1) + (guids >> 1 & 1))
        entries.append(Entry(kind in _ALLOW_TYPES, flags, mask, _sid(raw, sid)))
        place += length
    return tuple(entries)


def _sid(raw: bytes, start: int) -> str:
    if start == 0:
        return ""
    revision, count = struct.unpack_from("<BB", raw, start)
    authority = int.from_bytes(raw[start + 2 : start + 8], "big")
    parts = struct.unpack_from(f"<{count}I", raw, start + 8)
    return "-".join(["S", str(revision), str(authority), *map(str, parts)])


def granted_to_others(descriptor: SecurityDescriptor, rights: int) -> tuple[str, ...]:
    """The SIDs beyond Administrators, SYSTEM and TrustedInstaller that hold any of the rights.

    Entries for children count, since what is made later inherits them. Denials are not taken into
    account. An owner who is not trusted counts: owners may change the access list.
    """
    if descriptor.entries is None:
        return (EVERYONE,)
    others = [] if descriptor.owner in _TRUSTED else [descriptor.owner]
    for entry in descriptor.entries:
        harmless = entry.sid in _TRUSTED or (entry.sid == CREATOR_OWNER and entry.for_children_only)
        if entry.allows and entry.mask & rights and not harmless:
            others.append(entry.sid)
    return tuple(dict.fromkeys(others))


def writable_by_others(descriptor: SecurityDescriptor) -> bool:
    """Whether anybody but Administrators, SYSTEM and TrustedInstaller may change the object."""
    return bool(granted_to_others(descriptor, WRITING))


def removable_from_parent(parent: SecurityDescriptor) -> bool:
    """Whether others may rename or delete what lies in a folder, whatever its own access list says."""
    takeover = DELETE_CHILD | 0x40000 | 0x80000 | 0x10000000
    if parent.entries is None:
        return True
    owners = parent.owner not in _TRUSTED
    return owners or any(
        entry.allows and entry.mask & takeover and entry.sid not in _TRUSTED and not entry.for_children_only
        for entry in parent.entries
    )
