"""Profiles for people: in words, and held against an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.core.profile_check import ActionReport, is_pattern
from p2vprep.core.profile_words import confidences, known_from, signs, switch, what, when
from p2vprep.core.profiles import OwnedAction, ResolvedProfile
from p2vprep.engine.profile_checking import OnDisk
from p2vprep.profile_faults import Checked

_MOST_NAMES = 12


def explanation(profile: ResolvedProfile) -> Iterator[RenderableType]:
    """A profile in words: what it is for, its switches, and every action with its reason."""
    yield _bold(f"{profile.title} ({profile.kind})")
    yield _line(f"{profile.summary}.")
    found = signs(profile.detect)
    if found:
        yield from _part("What speaks for it on a disk", found)
    if profile.parameters:
        switches = (switch(name, parameter) for name, parameter in profile.parameters.items())
        yield from _part("What you can set with --set NAME=VALUE", switches)
    if profile.settings:
        yield from _part(
            "What it sets, unless you set it", (f"{name}={value}" for name, value in profile.settings.items())
        )
    yield Text()
    yield _bold("What it does")
    for owned in profile.actions:
        yield Text()
        yield from _action(profile, owned)
    yield from _part("How sure", confidences(owned.action for owned in profile.actions))


def _action(profile: ResolvedProfile, owned: OwnedAction) -> Iterator[RenderableType]:
    action = owned.action
    yield _line(f"{action.id}: {what(action)}.", 2)
    condition = when(action, profile.parameters)
    if condition:
        yield _line(f"When: {condition}.", 6)
    yield _line(f"Why: {action.why}.", 6)
    yield _line(f"Known from: {known_from(action)}.", 6)


def checked_files(checked: Iterable[Checked]) -> Iterator[RenderableType]:
    """The faults of each file, or that it has none."""
    for one in checked:
        for fault in one.faults:
            yield Text(printable(fault), style="red")
        if not one.faults:
            yield Text(f"{printable(str(one.path))}: valid", style="green", no_wrap=True)


def on_disk(images: Sequence[Path], found: OnDisk) -> Iterator[RenderableType]:
    """What each action would do to a machine, those that do nothing last."""
    names = ", ".join(str(image) for image in images)
    for profile, actions in found.profiles:
        busy = [action for action in actions if not action.idle]
        idle = [action for action in actions if action.idle]
        yield Text()
        yield _bold(f"{profile.title} on {names} ({found.guest.product}, {found.control_set})")
        yield _line(f"{len(busy)} of {len(actions)} actions would do something.")
        for action in busy:
            yield _line(f"{action.id} ({action.kind}): {_does(action)}", 2)
            yield from _details(action)
        if idle:
            yield _line("Nothing to do here:")
        for action in idle:
            yield _line(f"{action.id} ({action.kind}): {action.reason}", 2)
            yield from _details(action)


def _does(action: ActionReport) -> str:
    counted = [(action.changes, "change"), (action.steps, "step of the first boot")]
    words = [f"{number} {_plural(number, word)}" for number, word in counted if number]
    return ", ".join(words)


def _plural(number: int, word: str) -> str:
    first, space, rest = word.partition(" ")
    return word if number == 1 else f"{first}s{space}{rest}"


def _details(action: ActionReport) -> Iterator[RenderableType]:
    for met in action.met:
        if is_pattern(met.name):
            yield _line(f"{met.name} means {_few(met.found)}", 6)
    plain = [name for met in action.met if not is_pattern(met.name) for name in met.found]
    if plain:
        yield _line(f"here: {_few(plain)}", 6)
    if action.absent:
        yield _line(f"not on this disk: {_few(action.absent)}", 6)
    for note in action.notes:
        yield _line(note, 6)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _part(title: str, lines: Iterable[str]) -> Iterator[RenderableType]:
    yield Text()
    yield _bold(title)
    yield from (_line(line, 2) for line in lines)


def _bold(text: str) -> Text:
    return Text(printable(text), style="bold")


def _line(text: str, indent: int = 0) -> RenderableType:
    return _Indented(Text(printable(text)), indent)


@dataclass(frozen=True)
class _Indented:
    """A text whose every line begins at a column, with nothing after its end."""

    text: Text
    indent: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.text.wrap(console, max(options.max_width - self.indent, 20)):
            line.rstrip()
            line.pad_left(self.indent)
            yield line
