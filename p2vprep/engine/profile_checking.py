"""Profiles held against the Windows of an image, for those who write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from p2vprep.core.model import Guest
from p2vprep.core.profile_check import ActionReport, examine
from p2vprep.core.profiles import ResolvedProfile, choose
from p2vprep.core.rules import SETTINGS
from p2vprep.engine import operations
from p2vprep.engine.options import Options
from p2vprep.events import Sink, step


@dataclass(frozen=True)
class OnDisk:
    """What the profiles would do to one machine."""

    guest: Guest
    control_set: str
    profiles: tuple[tuple[ResolvedProfile, tuple[ActionReport, ...]], ...]


def check_on_image(
    paths: Sequence[Path], profiles: Sequence[ResolvedProfile], options: Options, sink: Sink
) -> OnDisk:
    """Holds each profile for itself against the image, which is opened for reading only.

    Raises UsageError for a setting that none of them has, and as :func:`p2vprep.engine.operations.plan`.
    """
    choose(profiles, SETTINGS, dict(options.settings))
    with operations.opened(paths, options, sink, operations.WarmUp()) as machine:
        facts, hives = machine.facts, machine.hives
        with step(sink, "Looking for what the profiles name"):
            reports = tuple(
                (profile, examine(profile, facts, hives, machine.files.states, _settings(profile, options)))
                for profile in profiles
            )
        return OnDisk(facts.guest, facts.boot_set, reports)


def _settings(profile: ResolvedProfile, options: Options) -> dict[str, str]:
    """The ``--set`` pairs that mean this profile or the rules; those of other profiles are left out."""
    known = {setting.name for setting in SETTINGS} | set(profile.parameters)
    return {name: value for name, value in options.settings if name in known}
