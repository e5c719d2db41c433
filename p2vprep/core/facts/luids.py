r"""The number by which the TCP/IP stack of Vista and later knows an interface: its NET_LUID.

Eight bytes, little endian: 24 bits reserved, 24 bits index, 16 bits interface type (Microsoft:
NET_LUID). The class instance holds index and type (``NetLuidIndex``, ``*IfType``); values below
``Control\Nsi`` are named by the hex digits of those bytes, alone or at the head of a longer name
(observed on 7, 8.1 and 10).
"""

from __future__ import annotations

from p2vprep.core.facts.keys import Values, dword

_INDEXES = range(1 << 24)
_TYPES = range(1 << 16)
LUID_DIGITS = 16
"""Hex digits of a LUID."""


def luid(index: int, if_type: int) -> str:
    """The LUID as it stands in names of values: ``0000000700000600`` for index 7, Ethernet (6)."""
    return (bytes(3) + index.to_bytes(3, "little") + if_type.to_bytes(2, "little")).hex()


def luid_of(held: Values) -> str | None:
    """The LUID of the adapter whose class instance holds these values; None where it is not told."""
    index, if_type = dword(held, "NetLuidIndex"), dword(held, "*IfType")
    if index is None or if_type is None or index not in _INDEXES or if_type not in _TYPES:
        return None
    return luid(index, if_type)
