"""The profile document ``p2vprep.profile/1``: what a vendor leaves behind, what a target needs.

Names, reasons and conditions are data; how a service is disabled or a value
cleared is a rule's concern (``p2vprep.core.rules``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from p2vprep.core.documents.actions import Action, OneOrMore, Strict
from p2vprep.core.documents.patterns import NamePattern, Regex, too_wide
from p2vprep.core.documents.positions import Positions
from p2vprep.core.documents.yamltext import parse, validate
from p2vprep.errors import DocumentError

SCHEMA = "p2vprep.profile/1"
ProfileKind = Literal["source", "target", "stage"]
_HINT = "`p2vprep profile schema` prints the schema of profiles for editors."
_NAME = r"^[a-z0-9][a-z0-9-]*$"
ActionList = BeforeValidator(lambda plain: tuple(plain) if isinstance(plain, list) else plain)
Name = Annotated[str, Field(pattern=_NAME, max_length=60)]


class Detect(Strict):
    """What speaks for this profile on a disk.

    ``pci-subsystems`` are four hex digits: the subsystem vendor in the hardware
    id of a PCI device; ``devices`` searches whole device ids without their
    instances (``PCI\\VEN_15AD&DEV_0740…``, ``VMBUS\\{…}``). ``bios`` and ``products``
    search BIOS strings and the display names of installed programs. ``enough`` is
    how many points it takes for ``--source auto`` (a driver is one, a service two).
    """

    services: Annotated[tuple[NamePattern, ...], OneOrMore] = ()
    drivers: Annotated[tuple[NamePattern, ...], OneOrMore] = ()
    bios: Annotated[tuple[Regex, ...], OneOrMore] = ()
    pci_subsystems: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{4}$")], ...], OneOrMore] = ()
    devices: Annotated[tuple[Regex, ...], OneOrMore] = ()
    products: Annotated[tuple[Regex, ...], OneOrMore] = ()
    enough: Annotated[int, Field(ge=1, le=5)] = 2

    @model_validator(mode="after")
    def _not_everything(self) -> Detect:
        for name in (*self.services, *self.drivers):
            if too_wide(name):
                raise ValueError(f"the name {name!r} is too wide; give three plain signs")
        return self


class Parameter(Strict):
    """A switch of the profile: its values, the one that holds without ``--set``, and what it does."""

    default: str
    values: Annotated[tuple[str, ...], OneOrMore, Field(min_length=2)]
    help: Annotated[str, Field(min_length=8)]

    @model_validator(mode="after")
    def _default_is_a_value(self) -> Parameter:
        if self.default not in self.values:
            raise ValueError(f"the default {self.default!r} is not one of {', '.join(self.values)}")
        return self


class Profile(Strict):
    """A whole profile document, before ``extends`` is resolved."""

    schema_id: Annotated[Literal["p2vprep.profile/1"], Field(alias="schema")]
    name: Name
    version: Annotated[int, Field(ge=1)]
    kind: ProfileKind
    summary: Annotated[str, Field(min_length=8, max_length=400)]
    extends: Annotated[tuple[Name, ...], OneOrMore] = ()
    hypervisor: Annotated[tuple[Name, ...], OneOrMore] = ()
    """The hypervisors whose guests a source is, or whose guest tools a target needs."""
    detect: Detect = Detect()
    parameters: dict[Name, Parameter] = Field(default_factory=dict)
    settings: dict[Name, str] = Field(default_factory=dict)
    actions: Annotated[tuple[Action, ...], ActionList] = ()


def load(text: str, source: str) -> Profile:
    """A profile from YAML text. Raises DocumentError with file, line and column of every fault."""
    plain, positions = parse(text, source)
    if isinstance(plain, dict) and plain.get("schema") not in (SCHEMA, None):
        raise DocumentError(
            f"{positions.place(('schema',))}: this is {plain['schema']!r}, not {SCHEMA!r}", subject=source
        )
    profile = validate(Profile, plain, positions, hint=_HINT)
    faults = list(_faults(profile, positions))
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DocumentError(faults[0] + more, subject=source, details=tuple(faults), hint=_HINT)
    return profile


def _faults(profile: Profile, positions: Positions) -> Iterator[str]:
    """What single fields cannot know: duplicate ids, and rows that rest on recollection alone."""
    seen: set[str] = set()
    for index, action in enumerate(profile.actions):
        if action.id in seen:
            place = positions.place(("actions", index, "id"))
            yield f"{place}: the action id {action.id!r} is here twice"
        seen.add(action.id)
        if fault := parameter_fault(action, profile.parameters, complete=not profile.extends):
            yield f"{positions.place(('actions', index, 'when', 'parameter'))}: {fault}"
        if fault := confidence_fault(action, profile.parameters):
            yield f"{positions.place(('actions', index))}: {fault}"


def parameter_fault(action: Action, known: Mapping[str, Parameter], *, complete: bool) -> str | None:
    """What is wrong with the parameters an action asks for; ``complete``: there are no inherited ones."""
    for name, values in action.when.parameter.items():
        parameter = known.get(name)
        if parameter is None:
            if complete:
                return f"action {action.id!r}: no parameter {name!r}; there are: {', '.join(known) or 'none'}"
        elif strange := [value for value in values if value not in parameter.values]:
            return f"action {action.id!r}: {strange[0]!r} is not a value of the parameter {name!r}"
    return None


def off_by_default(action: Action, known: Mapping[str, Parameter]) -> bool:
    """Whether a parameter keeps the action off until ``--set`` switches it on."""
    return any(
        name in known and known[name].default not in values for name, values in action.when.parameter.items()
    )


def confidence_fault(action: Action, known: Mapping[str, Parameter]) -> str | None:
    """Confidence C needs a condition on the service itself, or a parameter that is off by default."""
    services = action.names_services
    if action.confidence != "C" or (services is not None and services.conditioned):
        return None
    inherited = any(name not in known for name in action.when.parameter)
    if inherited or off_by_default(action, known):
        return None
    return f"action {action.id!r}: confidence C needs image-path or display-name, or to be off by default"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the profile document, for editors."""
    schema = Profile.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **schema,
        "title": "p2vprep profile",
    }
