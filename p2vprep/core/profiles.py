"""Profiles made ready: ``extends`` resolved, parameters and rule settings chosen.

A profile that extends others has all their actions; an action, parameter or
setting of the same name replaces the inherited one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from p2vprep.core.documents.actions import Action
from p2vprep.core.documents.profile import (
    Detect,
    Parameter,
    Profile,
    ProfileKind,
    confidence_fault,
    parameter_fault,
)
from p2vprep.errors import DocumentError, UsageError

_KIND_ORDER: tuple[ProfileKind, ...] = ("source", "target", "stage")


@dataclass(frozen=True)
class OwnedAction:
    """An action and the profile it is used by."""

    profile: str
    action: Action

    @property
    def name(self) -> str:
        """``hpe-proliant: cqmghost`` for people."""
        return f"{self.profile}: {self.action.id}"


@dataclass(frozen=True)
class ResolvedProfile:
    """A profile with everything it inherits."""

    name: str
    version: int
    kind: ProfileKind
    summary: str
    detect: Detect
    parameters: Mapping[str, Parameter]
    settings: Mapping[str, str]
    actions: tuple[OwnedAction, ...]
    hypervisors: tuple[str, ...] = ()
    """Of a source: whose guest it was. Of a target: whose guest tools it can use. Own, else inherited."""

    @property
    def title(self) -> str:
        """Name and version, as the plan shows it."""
        return f"{self.name} {self.version}"


def resolve(name: str, lookup: Callable[[str], Profile]) -> ResolvedProfile:
    """The profile of a name with what it extends. ``lookup`` finds documents and raises for unknown names.

    Raises DocumentError for circles, for extending another kind and for faults
    that only show with the inherited parameters.
    """
    profile = lookup(name)
    lineage = _lineage(profile, lookup, ())
    parameters = {key: value for part in lineage for key, value in part.parameters.items()}
    actions = {action.id: action for part in lineage for action in part.actions}
    for action in actions.values():
        fault = parameter_fault(action, parameters, complete=True) or confidence_fault(action, parameters)
        if fault:
            raise DocumentError(f"profile {name!r}: {fault}", subject=name)
    return ResolvedProfile(
        name=profile.name,
        version=profile.version,
        kind=profile.kind,
        summary=profile.summary,
        detect=_merged_detect(part.detect for part in lineage),
        parameters=parameters,
        settings={key: value for part in lineage for key, value in part.settings.items()},
        actions=tuple(OwnedAction(profile.name, action) for action in actions.values()),
        hypervisors=next((part.hypervisor for part in reversed(lineage) if part.hypervisor), ()),
    )


def _lineage(profile: Profile, lookup: Callable[[str], Profile], above: tuple[str, ...]) -> list[Profile]:
    """The profile's ancestors, the farthest first, each once, and itself as the last."""
    if profile.name in above:
        circle = " > ".join((*above, profile.name))
        raise DocumentError(f"profiles extend each other in a circle: {circle}", subject=profile.name)
    found: dict[str, Profile] = {}
    for parent_name in profile.extends:
        parent = lookup(parent_name)
        if parent.kind != profile.kind:
            raise DocumentError(
                f"profile {profile.name!r} is a {profile.kind}; it cannot extend the {parent.kind} "
                f"{parent.name!r}",
                subject=profile.name,
            )
        for ancestor in _lineage(parent, lookup, (*above, profile.name)):
            found.setdefault(ancestor.name, ancestor)
    return [*found.values(), profile]


def _merged_detect(parts: Iterable[Detect]) -> Detect:
    merged: dict[str, dict[str, None]] = {}
    enough = Detect().enough
    for part in parts:
        for field_name in Detect.model_fields.keys() - {"enough"}:
            merged.setdefault(field_name, {}).update(dict.fromkeys(getattr(part, field_name)))
        if "enough" in part.model_fields_set:
            enough = part.enough
    return Detect(enough=enough, **{name: tuple(values) for name, values in merged.items()})


# --- settings and parameters -------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A switch of a rule: its values, which one holds by default, and what it does."""

    name: str
    default: str
    values: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Choices:
    """What every setting of the rules and every parameter of the profiles is set to."""

    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By profile name, then by parameter name."""
    hypervisors: frozenset[str] = frozenset()
    """The hypervisors of the targets: their guest parts are needed there."""


def choose(
    profiles: Sequence[ResolvedProfile], settings: Sequence[Setting], overrides: Mapping[str, str]
) -> Choices:
    """Settings and parameters from defaults, then profiles, then ``--set``.

    Profiles count in the order source, target, stage, then as given; the last
    one wins. Raises UsageError for an override nobody knows or a value that is
    not allowed, DocumentError where a profile itself sets such a thing.
    """
    known = {setting.name: setting for setting in settings}
    chosen = {setting.name: setting.default for setting in settings}
    for profile in in_order(profiles):
        for name, value in profile.settings.items():
            if name not in known or value not in known[name].values:
                raise DocumentError(
                    f"profile {profile.name!r}: {_setting_fault(name, value, known)}", subject=profile.name
                )
            chosen[name] = value
    parameters = {
        profile.name: {name: parameter.default for name, parameter in profile.parameters.items()}
        for profile in profiles
    }
    for name, value in overrides.items():
        _override(name, value, known, chosen, profiles, parameters)
    return Choices(chosen, parameters, target_hypervisors(profiles))


def target_hypervisors(profiles: Iterable[ResolvedProfile]) -> frozenset[str]:
    """The hypervisors of the targets among these profiles."""
    targets = (profile for profile in profiles if profile.kind == "target")
    return frozenset(name for profile in targets for name in profile.hypervisors)


def in_order(profiles: Sequence[ResolvedProfile]) -> list[ResolvedProfile]:
    """Sources, then targets, then stages; otherwise as given."""
    return sorted(profiles, key=lambda profile: _KIND_ORDER.index(profile.kind))


def _setting_fault(name: str, value: str, known: Mapping[str, Setting]) -> str:
    if name not in known:
        return f"there is no setting {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
    return f"{value!r} is not a value of the setting {name!r} ({', '.join(known[name].values)})"


def _override(
    name: str,
    value: str,
    known: Mapping[str, Setting],
    chosen: dict[str, str],
    profiles: Sequence[ResolvedProfile],
    parameters: Mapping[str, dict[str, str]],
) -> None:
    owners = [profile for profile in profiles if name in profile.parameters]
    allowed = {choice for profile in owners for choice in profile.parameters[name].values}
    if name in known:
        allowed |= set(known[name].values)
    if not owners and name not in known:
        names = sorted({*known, *(key for profile in profiles for key in profile.parameters)})
        raise UsageError(
            f"--set {name}={value}: nothing is called {name!r}",
            subject=name,
            hint=f"With these profiles there are: {', '.join(names) or 'none'}.",
        )
    if value not in allowed:
        raise UsageError(
            f"--set {name}={value}: {value!r} is not a value of {name!r}",
            subject=name,
            hint=f"It takes one of: {', '.join(sorted(allowed))}.",
        )
    if name in known and value in known[name].values:
        chosen[name] = value
    for profile in owners:
        if value in profile.parameters[name].values:
            parameters[profile.name][name] = value
