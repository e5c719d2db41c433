"""Markdown, spelt once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

NOTE = "<!-- Written by `make reference` from the program; do not edit. -->"


def head(title: str, *paragraphs: str) -> Iterator[str]:
    """The head of a page."""
    yield from (NOTE, "", f"# {title}", "")
    for paragraph in paragraphs:
        yield from (paragraph, "")


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table; cells are Markdown, their pipes and line ends are taken care of."""
    titles = tuple(columns)
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield f"| {' | '.join(cell(text) for text in row)} |"
    yield ""


def cell(text: str) -> str:
    """A text as one cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """A text in code letters; empty for none."""
    return f"`{text}`" if text else ""


def page(lines: Iterable[str]) -> str:
    """Lines as a file, without blank lines at its end."""
    return "\n".join(lines).rstrip() + "\n"


def plain(text: str) -> str:
    """A text that is no Markdown, except that what stands in backticks stays code."""
    parts = text.split("`")
    return "`".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "*[]_" else letter for letter in text)
