r"""Adapters are taken out of the lists of bindings: ``Linkage`` keys of services and protocols.

``Bind``, ``Export`` and ``Route`` name adapters in parallel (``\Device\Tcpip_{GUID}``,
``"Tcpip" "{GUID}"``); on XP and 2003 ``Route`` has fewer entries, as dial-up's interfaces share one
(observed). So every entry that names an adapter leaves its own list, and the lists stay parallel as
they were. ``NetBIOS`` keeps two bytes for each entry of ``Bind`` in ``LanaMap``, whether it is enabled
and its number; those of the entries that leave go, and no number of another changes. A list that gets
empty stays as an empty one, as Windows writes it itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2vprep.core.facts.adapter_config import aligned_strings
from p2vprep.core.facts.keys import below, children
from p2vprep.core.facts.mentions import LINKS
from p2vprep.core.facts.teams import GUID, TEAM_SERVICES
from p2vprep.core.model import SetValue, Skip
from p2vprep.core.registry import Key, fold
from p2vprep.core.values import Data, RegType

_LANA_MAP = "LanaMap"
_LANA_BYTES = 2


def binding_keys(control_set: Key, *, teams: bool) -> Iterator[Key]:
    """The ``Linkage`` keys of all services and protocols, ``Disabled`` below them included.

    Without ``teams`` those of teaming protocols are left out: their bindings are the team.
    """
    for service in children(control_set.subkey("Services")):
        if teams or fold(service.name) not in TEAM_SERVICES:
            yield from _linkage(service)
    for sort in children(below(control_set, r"Control\Network")):
        for component in sort.subkeys():
            yield from _linkage(component)


def _linkage(owner: Key) -> Iterator[Key]:
    linkage = owner.subkey("Linkage")
    if linkage is not None:
        yield linkage
        disabled = linkage.subkey("Disabled")
        if disabled is not None:
            yield disabled


def names_any(entry: str, guids: frozenset[str]) -> bool:
    """Whether an entry of a list names one of the adapters (folded GUIDs with braces)."""
    return any(guid in guids for guid in GUID.findall(fold(entry)))


def take_out(keys: Iterable[Key], guids: frozenset[str], rule: str, why: str) -> Iterator[SetValue | Skip]:
    """The lists below these ``Linkage`` keys without the entries that name one of the adapters."""
    for key in keys:
        for name, data in key.values():
            if fold(name) not in LINKS or data.type != RegType.MULTI_SZ:
                continue
            entries = aligned_strings(data)
            kept = [place for place, entry in enumerate(entries) if not names_any(entry, guids)]
            if len(kept) == len(entries):
                continue
            after = Data.multi_sz([entries[place] for place in kept])
            yield SetValue("SYSTEM", key.path, name, after, rule, why)
            if fold(name) == "BIND":
                yield from _lana_map(key, len(entries), kept, rule, why)


def _lana_map(key: Key, entries: int, kept: list[int], rule: str, why: str) -> Iterator[SetValue | Skip]:
    """The map without the places that left ``Bind``, where there is one and it fits."""
    held = key.value(_LANA_MAP)
    if held is None:
        return
    if len(held.raw) != _LANA_BYTES * entries:
        yield Skip(rule, f"{key.path}: {_LANA_MAP}", "it does not have two bytes for each entry of Bind")
        return
    raw = b"".join(held.raw[_LANA_BYTES * place : _LANA_BYTES * (place + 1)] for place in kept)
    yield SetValue("SYSTEM", key.path, _LANA_MAP, Data(held.type, raw), rule, why)
