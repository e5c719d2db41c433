"""Security descriptors, built here entry by entry."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.ntfs_security import (
    ADMINISTRATORS,
    CREATOR_OWNER,
    EVERYONE,
    SYSTEM,
    TRUSTED_INSTALLER,
    WRITING,
    granted_to_others,
    parse,
    removable_from_parent,
    writable_by_others,
)

USERS = "S-1-5-32-545"
USER = "S-1-5-21-1-2-3-1001"
FULL, READ, MODIFY = 0x1F01FF, 0x1200A9, 0x1301BF
ADD_FILE, DELETE_CHILD, INHERIT_ONLY = 0x2, 0x40, 0x0B


def sid(text: str) -> bytes:
    _, revision, authority, *parts = text.split("-")
    head = struct.pack("<BB", int(revision), len(parts)) + int(authority).to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *map(int, parts))


def entry(who: str, mask: int, flags: int = 0, kind: int = 0) -> bytes:
    body = struct.pack("<I", mask) + (struct.pack("<I", 0) if kind in (5, 6, 11, 12) else b"") + sid(who)
    return struct.pack("<BBH", kind, flags, 4 + len(body)) + body


def descriptor(entries: Sequence[bytes] | None, owner: str = ADMINISTRATORS) -> bytes:
    acl = b"" if entries is None else struct.pack("<BBHHH", 2, 0, 8 + len(b"".join(entries)), len(entries), 0)
    acl += b"".join(entries or ())
    control = 0x8000 if entries is None else 0x8004
    place = 20 + len(acl)
    head = struct.pack("<BBHIIII", 1, 0, control, place, place + len(sid(owner)), 0, 20 if acl else 0)
    return head + acl + sid(owner) + sid(SYSTEM)


LOCKED = [entry(ADMINISTRATORS, FULL), entry(SYSTEM, FULL), entry(USERS, READ), entry(EVERYONE, 0x120088)]


def test_reads_owner_group_and_entries() -> None:
    found = parse(descriptor([entry(USER, MODIFY, 3), entry(EVERYONE, FULL, 0, 1)]))
    assert (found.owner, found.group) == (ADMINISTRATORS, SYSTEM)
    assert found.entries is not None
    assert [(one.allows, one.flags, one.mask, one.sid) for one in found.entries] == [
        (True, 3, MODIFY, USER),
        (False, 0, FULL, EVERYONE),
    ]


@pytest.mark.parametrize(
    "entries",
    [
        LOCKED,
        [entry(TRUSTED_INSTALLER, FULL), entry(SYSTEM, MODIFY)],
        [entry(CREATOR_OWNER, FULL, INHERIT_ONLY)],
        [entry(EVERYONE, FULL, kind=1)],
        [],
    ],
)
def test_nobody_else_may_write(entries: list[bytes]) -> None:
    assert not writable_by_others(parse(descriptor(entries)))


@pytest.mark.parametrize(
    "entries",
    [
        [*LOCKED, entry(USER, MODIFY)],
        [*LOCKED, entry(USERS, ADD_FILE)],
        [*LOCKED, entry(USERS, ADD_FILE, INHERIT_ONLY)],
        [*LOCKED, entry(EVERYONE, 0x40000)],
        [*LOCKED, entry(EVERYONE, 0x10000000)],
        [*LOCKED, entry(EVERYONE, 0x40000000)],
        [*LOCKED, entry(USERS, FULL, kind=5)],
        [entry(CREATOR_OWNER, FULL)],
        None,
    ],
)
def test_somebody_else_may_write(entries: list[bytes] | None) -> None:
    assert writable_by_others(parse(descriptor(entries)))


def test_an_owner_may_always_change_the_access_list() -> None:
    assert granted_to_others(parse(descriptor(LOCKED, owner=USER)), WRITING) == (USER,)
    assert not writable_by_others(parse(descriptor(LOCKED, owner=TRUSTED_INSTALLER)))


def test_no_access_list_is_open_to_everyone() -> None:
    assert granted_to_others(parse(descriptor(None)), WRITING) == (EVERYONE,)


@pytest.mark.parametrize(
    ("entries", "removable"),
    [
        (LOCKED, False),
        ([*LOCKED, entry(USERS, ADD_FILE)], False),
        ([*LOCKED, entry(USERS, MODIFY, INHERIT_ONLY)], False),
        ([*LOCKED, entry(USERS, FULL, INHERIT_ONLY)], False),
        ([*LOCKED, entry(USERS, DELETE_CHILD)], True),
        ([*LOCKED, entry(EVERYONE, FULL)], True),
        (None, True),
    ],
)
def test_what_lies_in_a_folder_may_be_removed_from_there(
    entries: list[bytes] | None, removable: bool
) -> None:
    assert removable_from_parent(parse(descriptor(entries))) is removable
    assert removable_from_parent(parse(descriptor(entries, owner=USER)))


@pytest.mark.parametrize("length", [0, 1, 19, 25, 40, 60])
def test_what_ends_too_early_is_an_error(length: int) -> None:
    with pytest.raises(ValueError):
        parse(descriptor(LOCKED)[:length])


def test_another_revision_is_an_error() -> None:
    with pytest.raises(ValueError, match="revision"):
        parse(b"\x02" + descriptor(LOCKED)[1:])


@given(st.binary(max_size=200), st.integers(0, 120))
def test_nothing_makes_more_than_a_value_error(noise: bytes, place: int) -> None:
    raw = bytearray(descriptor(LOCKED))
    raw[place : place + len(noise)] = noise
    try:
        writable_by_others(parse(bytes(raw)))
    except ValueError:
        return
