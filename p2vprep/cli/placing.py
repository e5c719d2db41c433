"""Commands that read `p2vprep services IMAGE... set NAME`: the images first, then what to do with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_MARK = "\0"
Function = TypeVar("Function", bound=Callable[..., Any])


class PlacedGroup(click.Group):
    """A group whose subcommand may stand behind the images; ``default`` runs where none is named.

    `services A B set NAME` becomes `services set A B <mark> NAME`; `services set A NAME` is
    understood as well, with one image.
    """

    default = "list"

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and not set(arguments) <= set(self.get_help_option_names(context)):
            place = next((index for index, one in enumerate(arguments) if one in self.commands), None)
            if place is None:
                arguments = [self.default, *arguments, _MARK]
            elif place > 0:
                arguments = [arguments[place], *arguments[:place], _MARK, *arguments[place + 1 :]]
        return super().parse_args(context, arguments)


def placed(least: int, most: int | None, metavar: str) -> Callable[[Function], Function]:
    """The positional words of a subcommand: images, and from ``least`` to ``most`` words of its own."""

    def split(_context: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> Any:
        if _MARK in words:
            place = words.index(_MARK)
            images, own = words[:place], words[place + 1 :]
        else:
            images, own = words[:1], words[1:]
        if not images:
            raise click.MissingParameter(param_hint="IMAGE", param_type="argument")
        if len(own) < least or (most is not None and len(own) > most):
            raise click.UsageError(f"it takes IMAGE... and then {metavar or 'nothing'}")
        return tuple(Path(image) for image in images), own

    return click.argument(
        "words",
        nargs=-1,
        type=click.UNPROCESSED,
        metavar=" ".join(part for part in ("IMAGE...", metavar) if part),
        callback=split,
    )
