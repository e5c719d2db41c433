"""The commands as the program knows them: what `--help` says, as pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc

import click

from bench.reference.words import code, head, page, plain, table
from p2vprep.cli.main import main

PROGRAM = "p2vprep"
WIDE = 10_000
"""Help is not wrapped: paragraphs are one line."""


@dataclass(frozen=True)
class Option:
    """One option or argument, as people write it."""

    name: str
    words: str


@dataclass(frozen=True)
class Command:
    """A command with its full name: ``p2vprep wave run``."""

    name: str
    usage: str
    paragraphs: tuple[str, ...]
    options: tuple[Option, ...]
    below: tuple[Command, ...]

    @property
    def summary(self) -> str:
        """The first sentence."""
        return re.split(r"(?<=[.?])\s", " ".join(self.paragraphs) + " ")[0] if self.paragraphs else ""


def read(command: click.Command = main, name: str = PROGRAM, above: click.Context | None = None) -> Command:
    """A command and all below it, by name."""
    context = command.make_context(
        name, [], parent=above, resilient_parsing=True, terminal_width=WIDE, max_content_width=WIDE
    )
    below: tuple[Command, ...] = ()
    if isinstance(command, click.Group):
        names = sorted(command.list_commands(context))
        found = [(each, command.get_command(context, each)) for each in names]
        below = tuple(read(one, each, context) for each, one in found if one is not None and not one.hidden)
    return Command(
        name=context.command_path,
        usage=" ".join((context.command_path, *command.collect_usage_pieces(context))),
        paragraphs=tuple(paragraphs(command.help or "")),
        options=tuple(_options(command, context)),
        below=below,
    )


def paragraphs(text: str) -> Iterator[str]:
    r"""The paragraphs of a help text; one that begins with ``\b`` keeps its lines."""
    for part in re.split(r"\n\s*\n", cleandoc(text)):
        if part.startswith("\b"):
            yield "\b\n" + part.lstrip("\b\n")
        elif part.strip():
            yield " ".join(part.split())


def _options(command: click.Command, context: click.Context) -> Iterator[Option]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield Option(record[0], " ".join(record[1].split()))


def every(command: Command) -> Iterator[Command]:
    """A command and all below it."""
    yield command
    for each in command.below:
        yield from every(each)


def commands_page() -> str:
    """docs/reference/commands.md."""
    return page(_lines(read()))


def _lines(program: Command) -> Iterator[str]:
    yield from head(
        "Commands",
        "Every command also has `-h`. Exit status: [exit-status.md](exit-status.md).",
    )
    rows = [
        (f"[`{one.name}`](#{anchor(one.name)})", plain(one.summary))
        for one in every(program)
        if not one.below
    ]
    yield from table(("command", "what it does"), rows)
    for one in every(program):
        yield from _section(one)


def anchor(name: str) -> str:
    """The anchor of a heading that is a command's name."""
    return name.replace(" ", "-")


def _section(command: Command) -> Iterator[str]:
    yield from (f"## {command.name}", "")
    yield from ("```text", command.usage, "```", "")
    for paragraph in command.paragraphs:
        if paragraph.startswith("\b"):
            yield from ("```text", *paragraph[2:].splitlines(), "```", "")
        else:
            yield from (plain(paragraph), "")
    if command.options:
        yield from table(("option", ""), [(code(one.name), plain(one.words)) for one in command.options])
