r"""The record in the guest of what was parked, so that the first boot can give it back.

It lies outside the control sets (a fall-back to the last known good set does
not lose it): ``p2vprep\Parked\<service>`` holds ``Start`` and, unless it was
absent, ``DelayedAutostart``; ``p2vprep\ParkedValues\<id>`` holds ``Key`` (as
the running Windows sees it), ``Name`` and, unless the value was absent,
``Data`` with the type it had. The first record counts; a later plan never
writes over it. The first-boot job deletes what it gave back.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.facts.parked import PARKED_KEY
from p2vprep.core.model import DeleteKey, RestoreService, RestoreValue, Service, SetValue
from p2vprep.core.registry import Hive, find, join
from p2vprep.core.values import Data

PARKED_VALUES = r"p2vprep\ParkedValues"


def service_key(service: str) -> str:
    """Where a parked service is recorded."""
    return join(PARKED_KEY, service)


def record_service(service: Service, rule: str, why: str) -> Iterator[SetValue]:
    """The edits that record a service as it is now."""
    numbers = {"Start": service.start}
    if service.delayed is not None:
        numbers["DelayedAutostart"] = int(service.delayed)
    for name, number in numbers.items():
        key = service_key(service.name)
        yield SetValue("SYSTEM", key, name, Data.dword(number), rule, why, create=True)


def forget_service(service: str, rule: str, why: str) -> DeleteKey:
    """The edit that drops a record, for a service that is disabled for good."""
    return DeleteKey("SYSTEM", service_key(service), rule, why)


def as_restore(service: Service, why: str) -> RestoreService:
    """What the first boot shall give back for a service as it is now."""
    return RestoreService(service.name, service.start, service.delayed, why)


def value_key(identifier: str) -> str:
    """Where a parked registry value is recorded."""
    return join(PARKED_VALUES, identifier)


def record_value(identifier: str, item: RestoreValue, rule: str, why: str) -> Iterator[SetValue]:
    """The edits that record a registry value as it was."""
    held = {"Key": Data.sz(item.key), "Name": Data.sz(item.name)}
    if item.data is not None:
        held["Data"] = item.data
    for name, data in held.items():
        yield SetValue("SYSTEM", value_key(identifier), name, data, rule, why, create=True)


def forget_value(identifier: str, rule: str, why: str) -> DeleteKey:
    """The edit that drops the record of a value that shall not be given back."""
    return DeleteKey("SYSTEM", value_key(identifier), rule, why)


def recorded_value(system: Hive, identifier: str, why: str) -> RestoreValue | None:
    """The value recorded by an earlier plan, or None."""
    record = find(system, value_key(identifier))
    key, name = (None, None) if record is None else (record.value("Key"), record.value("Name"))
    if record is None or key is None or name is None or not key.text or name.text is None:
        return None
    return RestoreValue(key.text, name.text, record.value("Data"), why)
