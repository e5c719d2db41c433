r"""The adapters of the source as the network document speaks of them, also after they were cleared away.

What an adapter had is recorded in the guest before it gives it up: ``p2vprep\OldAdapters\{GUID}``, outside
the control sets, with ``Name`` for people and ``Held`` as JSON. So a later plan of the same document still
finds the adapter by its old name, and carries the same over. The first record counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError

from p2vprep.core.facts.adapter_config import OldConfiguration, read_configuration
from p2vprep.core.facts.adapterkinds import Kind
from p2vprep.core.facts.addresses import NETWORK_CLASS
from p2vprep.core.facts.keys import children, text
from p2vprep.core.model import Adapter, ControlSet, SetValue
from p2vprep.core.network import InterfaceConfig
from p2vprep.core.registry import Hive, find, fold, join
from p2vprep.core.values import Data

RECORDS = r"p2vprep\OldAdapters"
_BUS_PLACE = re.compile(r"(\d+)\D+(\d+)\D+(\d+)\D*$")
_NO_BUS_PLACE = (1 << 16, 0, 0)
_CONFIG = TypeAdapter(InterfaceConfig)


@dataclass(frozen=True)
class _Record:
    """An adapter as it was when its part was taken."""

    adapter: Adapter
    place: tuple[int, ...]
    config: InterfaceConfig


@dataclass
class OldAdapters:
    """The adapters of one control set, and those that an earlier plan recorded."""

    control_set: ControlSet
    system: Hive
    _records: dict[str, _Record] = field(init=False)

    def __post_init__(self) -> None:
        found = (_read(key.name, text(key, "Held")) for key in children(find(self.system, RECORDS)))
        self._records = {fold(one.adapter.guid): one for one in found if one is not None}

    def find(self, name: str | None) -> tuple[Adapter, ...]:
        """The adapters of a connection name, or of a GUID with or without braces; a record goes first."""
        if name is None:
            return ()
        guids = {fold(name), fold(f"{{{name}}}")}
        recorded = [one.adapter for one in self._records.values()]
        for adapters in (recorded, self.control_set.adapters, self._without_device()):
            found = [one for one in adapters if fold(one.guid) in guids]
            found = found or [one for one in adapters if one.name and fold(one.name) == fold(name)]
            if found:
                return tuple(found)
        return ()

    def _without_device(self) -> list[Adapter]:
        """What is left of adapters whose device is gone: interfaces that belong to nothing."""
        found = []
        for interface in self.control_set.interfaces:
            if interface.owner == "none":
                path = rf"Control\Network\{NETWORK_CLASS}\{interface.guid}\Connection"
                name = text(find(self.system, join(self.control_set.name, path)), "Name")
                found.append(
                    _adapter(interface.guid, (name, "unknown", "", ""), None, "no device belongs to it")
                )
        return found

    def configuration(self, adapter: Adapter) -> OldConfiguration:
        """What the adapter was configured to, as recorded or as it is now."""
        record = self._records.get(fold(adapter.guid))
        if record is not None:
            return OldConfiguration(record.config)
        return read_configuration(self.system, self.control_set.name, adapter.guid)

    def place(self, adapter: Adapter) -> tuple[int, ...]:
        r"""Bus, device and function; ``LocationInformation`` ends in them, in every language (observed)."""
        record = self._records.get(fold(adapter.guid))
        if record is not None:
            return record.place
        key = find(self.system, join(self.control_set.name, "Enum", adapter.instance))
        match = _BUS_PLACE.search(text(key, "LocationInformation"))
        return tuple(int(number) for number in match.groups()) if match else _NO_BUS_PLACE

    def record(self, adapter: Adapter, rule: str) -> Iterator[SetValue]:
        """The edits that record an adapter as it is now; none where it is recorded already."""
        if fold(adapter.guid) in self._records:
            return
        held = {
            "name": adapter.name,
            "kind": adapter.kind,
            "mac": adapter.mac,
            "description": adapter.description,
            "instance": adapter.instance,
            "place": list(self.place(adapter)),
            "config": _CONFIG.dump_python(self.configuration(adapter).config, mode="json"),
        }
        key = join(RECORDS, adapter.guid)
        why = f"what {adapter.name or adapter.guid} had is kept here"
        for name, told in (("Name", adapter.name), ("Held", json.dumps(held, sort_keys=True))):
            yield SetValue("SYSTEM", key, name, Data.sz(told), rule, why, create=True)


def _read(guid: str, held: str) -> _Record | None:
    """A record, or None where it is not one that :meth:`OldAdapters.record` can have written."""
    try:
        plain: dict[str, Any] = json.loads(held)
        config = _CONFIG.validate_python(plain["config"])
        place = tuple(int(number) for number in plain["place"])
        texts = [plain[name] for name in ("name", "kind", "description", "instance")]
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
    mac = plain.get("mac")
    if not all(isinstance(one, str) for one in texts) or texts[1] not in get_args(Kind):
        return None
    name, kind, description, instance = texts
    adapter = _adapter(
        guid,
        (name, cast(Kind, kind), description, instance),
        mac if isinstance(mac, str) else None,
        "its part was taken by an earlier plan",
    )
    return _Record(adapter, place, config)


def _adapter(guid: str, told: tuple[str, Kind, str, str], mac: str | None, why: str) -> Adapter:
    """An adapter that is a ghost for sure; ``told``: its name, kind, description and device instance."""
    name, kind, description, instance = told
    return Adapter(
        guid=guid,
        name=name,
        description=description,
        mac=mac,
        kind=kind,
        ghost=True,
        why=why,
        addresses=(),
        dhcp=None,
        instance=instance,
    )
