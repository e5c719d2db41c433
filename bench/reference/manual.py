"""Writes a manual page for every command into build/man/man1, from the program itself.

Run from the checkout: ``make man``; read one with ``man -l build/man/man1/p2vprep-apply.1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.reference.commands import Command, every, read
from bench.reference.pages import EXIT_STATUS
from p2vprep import __version__

FOLDER = Path(__file__).resolve().parents[2] / "build" / "man" / "man1"


def manuals() -> dict[str, str]:
    """The text of every manual page by its file name: ``p2vprep-wave-run.1``."""
    program = read()
    return {f"{_dashed(one.name)}.1": "\n".join(_page(one, program)) + "\n" for one in every(program)}


def _dashed(name: str) -> str:
    return name.replace(" ", "-")


def roff(text: str) -> str:
    """A text for troff: nothing of it is taken for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    spelt = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in escaped)
    return f"\\&{spelt}" if spelt.startswith(".") else spelt


def _page(command: Command, program: Command) -> Iterator[str]:
    title = _dashed(command.name)
    yield f'.TH "{title.upper()}" "1" "" "p2vprep {__version__}" "p2vprep"'
    yield ".SH NAME"
    yield f"{roff(title)} \\- {roff(command.summary.rstrip('.') or title)}"
    yield ".SH SYNOPSIS"
    yield f".B {roff(command.usage)}"
    yield ".SH DESCRIPTION"
    for paragraph in command.paragraphs:
        yield from _paragraph(paragraph)
    if command.options:
        yield ".SH OPTIONS"
        for option in command.options:
            yield from (".TP", f".B {roff(option.name)}", roff(option.words) or "\\&")
    if command.below:
        yield ".SH COMMANDS"
        for one in command.below:
            yield from (".TP", f".BR {roff(_dashed(one.name))} (1)", roff(one.summary))
    if command.name == program.name:
        yield from _whole()
    else:
        yield from (".SH SEE ALSO", f".BR {roff(program.name)} (1)")


def _paragraph(paragraph: str) -> Iterator[str]:
    if paragraph.startswith("\b"):
        yield from (".PP", ".nf", *(roff(line) for line in paragraph[2:].splitlines()), ".fi")
    else:
        yield from (".PP", roff(paragraph))


def _whole() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for status, (what, then) in EXIT_STATUS.items():
        words = f"{what}. {then}".replace("`", "").strip().rstrip(".") + "."
        yield from (".TP", f".B {int(status)}", roff(words))
    yield from (".TP", ".B 128+N", roff("stopped by signal N."))
    yield ".SH FILES"
    yield from (".TP", ".I IMAGE.p2vprep/", roff("Lock, journal, undo data, plan and receipt of an image."))
    yield ".SH ENVIRONMENT"
    yield from (".TP", ".B NO_COLOR", roff("No colours."))


def main() -> None:
    """Writes all manual pages and drops those of commands that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = manuals()
    for old in FOLDER.glob("*.1"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
