"""The plan as a document ``p2vprep.plan/1``, and back.

The document holds everything of a plan but the contents of files, of which it
holds path, size and SHA-256. ``request`` are the options the plan was made
with, so that it can be made again and compared; ``tool`` names who made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from p2vprep.core.documents import first_boot
from p2vprep.core.documents.plan_models import PlanModel
from p2vprep.core.model import Change, FileChange, FirstBootItem, Guest, Plan
from p2vprep.core.registry import join
from p2vprep.errors import DocumentError

SCHEMA = "p2vprep.plan/1"
_LONGEST = 64 * 1024 * 1024
_SHOWN = 40


@dataclass(frozen=True)
class PlanDocument:
    """A plan with the options it was made with."""

    plan: Plan
    request: Mapping[str, Any]
    tool: str


# --- to the document ---------------------------------------------------------------------------


def to_document(plan: Plan, *, request: Mapping[str, Any], tool: str) -> dict[str, Any]:
    """The plan as plain values, ready for JSON."""
    return {
        "schema": SCHEMA,
        "tool": tool,
        "request": dict(request),
        "guest": guest_to_json(plan.guest),
        "control_sets": list(plan.control_sets),
        "profiles": list(plan.profiles),
        "hives": [asdict(state) | {"replayed_from": list(state.replayed_from)} for state in plan.hives],
        "changes": [change_to_json(change) for change in plan.changes],
        "hazards": [hazard.to_json() | {"liftable": hazard.liftable} for hazard in plan.hazards],
        "skips": [skip.to_json() for skip in plan.skips],
        "first_boot": [first_boot.to_plain(item) for item in plan.first_boot],
    }


def dumps(plan: Plan, *, request: Mapping[str, Any], tool: str) -> str:
    """The plan as JSON text; the same plan gives the same text.

    It can always be written as UTF-8: half surrogates, which real hives hold,
    make it fall back to escapes.
    """
    document = to_document(plan, request=request, tool=tool)
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        return json.dumps(document, indent=2) + "\n"
    return text


def guest_to_json(guest: Guest) -> dict[str, Any]:
    """What was found, as plain values."""
    version = asdict(guest.version) | {"text": str(guest.version)}
    return asdict(guest) | {"version": version, "role": guest.role.value}


def change_to_json(change: Change) -> dict[str, Any]:
    """A change as plain values; a file also tells whether it is locked to administrators."""
    document = change.to_json()
    if isinstance(change, FileChange):
        document["locked"] = change.locked
    return document


# --- from the document -------------------------------------------------------------------------


def load(text: str, source: str = "the plan") -> PlanDocument:
    """A plan document from JSON text.

    Raises DocumentError with a JSON pointer to the first fault (``details``
    has them all), also for a schema version this release does not know.
    """
    if len(text) > _LONGEST:
        raise DocumentError(f"{source} is longer than {_LONGEST // 1024 // 1024} MiB", subject=source)
    try:
        plain = json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as problem:
        place = f"{source}:{problem.lineno}:{problem.colno}"
        raise DocumentError(f"{place}: is not JSON: {problem.msg}", subject=source) from problem
    except (ValueError, RecursionError) as problem:
        raise DocumentError(f"{source}: is not JSON: {problem}", subject=source) from problem
    _check_schema(plain, source)
    try:
        model = PlanModel.model_validate(plain)
        plan = model.plan()
    except ValidationError as problem:
        faults = tuple(_fault(error, plain, source) for error in problem.errors(include_url=False))
        raise DocumentError(faults[0], subject=source, details=faults[:_SHOWN]) from problem
    return PlanDocument(plan, model.request, model.tool)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return plain


def _check_schema(plain: object, source: str) -> None:
    if not isinstance(plain, dict):
        raise DocumentError(f"{source}: is not a plan document", subject=source)
    if plain.get("schema") != SCHEMA:
        raise DocumentError(
            f"{source}: /schema: this is {plain.get('schema')!r}; this release reads {SCHEMA!r}",
            subject=source,
            hint="Make the plan again with this release.",
        )


def _fault(error: Any, plain: object, source: str) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{source}: {_pointer(error['loc'], plain) or '/'}: {message}"


def _pointer(parts: Sequence[str | int], plain: Any) -> str:
    """The JSON pointer to a fault; what names a variant (``value``, ``file``) and no key is left out."""
    pointer = ""
    for part in parts:
        inside = part in plain if isinstance(plain, dict) else isinstance(plain, list)
        if not inside and part != parts[-1]:
            continue
        plain = plain[part] if inside else None
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer


# --- is the plan still the one for this disk? --------------------------------------------------


def differences(document: PlanDocument, plan: Plan) -> tuple[str, ...]:
    """In what a plan made now differs from the one in the document, in words; empty where in nothing.

    Hazards and skips are told to people and not compared.
    """
    return tuple(_differences(document.plan, plan))


def _differences(old: Plan, new: Plan) -> Iterator[str]:
    if guest_to_json(old.guest) != guest_to_json(new.guest):
        yield f"the plan is for {_guest(old.guest)}, this is {_guest(new.guest)}"
    if old.control_sets != new.control_sets:
        yield f"control sets: {', '.join(old.control_sets)} then, {', '.join(new.control_sets)} now"
    if old.profiles != new.profiles:
        yield f"profiles: {', '.join(old.profiles) or 'none'} then, {', '.join(new.profiles) or 'none'} now"
    states = {state.name: state for state in old.hives}
    for state in new.hives:
        before = states.pop(state.name, None)
        if before != state:
            yield f"the hive {state.name} is not the one the plan was made for"
    for name in states:
        yield f"the hive {name} is not here any more"
    yield from _changed(old.changes, new.changes)
    yield from _given_back(old.first_boot, new.first_boot)


def _guest(guest: Guest) -> str:
    return f"{guest.computer_name or 'a machine without a name'} ({guest.product} {guest.version})"


def _subject(change: Change) -> str:
    if isinstance(change, FileChange):
        return change.path
    name = getattr(change, "name", None)
    return join(change.hive, change.key) + ("" if name is None else f": {name or '(default)'}")


def _changed(old: Sequence[Change], new: Sequence[Change]) -> Iterator[str]:
    then = {_subject(change): change_to_json(change) for change in old}
    now = {_subject(change): change_to_json(change) for change in new}
    for subject in then:
        if subject not in now:
            yield f"{subject}: planned then, not needed now"
        elif then[subject]["before"] != now[subject]["before"]:
            yield f"{subject}: is not what it was"
        elif then[subject] != now[subject]:
            yield f"{subject}: another change than planned"
    for subject in now:
        if subject not in then:
            yield f"{subject}: needed now, not planned then"


def _given_back(old: Sequence[FirstBootItem], new: Sequence[FirstBootItem]) -> Iterator[str]:
    then = [first_boot.to_plain(item) for item in old]
    now = [first_boot.to_plain(item) for item in new]
    if then != now:
        yield "what the first boot gives back is not the same"
