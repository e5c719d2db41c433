"""Where output goes: documents and tables to stdout, progress and errors to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from typing import IO, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from p2vprep.core.printable import paragraphs as paragraphs
from p2vprep.core.printable import printable as printable
from p2vprep.errors import P2vprepError

_PIPE_WIDTH = 140


@dataclass(frozen=True)
class Output:
    """The two streams and how much the user wants to see.

    With ``as_json`` stdout gets exactly one JSON document per command, also when
    the command fails.
    """

    as_json: bool
    verbose: bool
    out: Console
    err: Console

    @staticmethod
    def create(as_json: bool, verbose: bool) -> Output:
        """Consoles that honour NO_COLOR, and COLUMNS where there is no terminal to ask.

        What a stream's encoding cannot say is escaped: no name and no locale makes a command fail.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if sys.stdout is None:  # closed by the caller
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        if sys.stderr is None:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return Output(as_json, verbose, _console(sys.stdout, stderr=False), _console(sys.stderr, stderr=True))

    def document(self, document: dict[str, object]) -> None:
        """Prints the one JSON document of a command."""
        sys.stdout.write(as_json(document, sys.stdout.encoding or "ascii"))
        sys.stdout.flush()

    def show(self, *renderables: RenderableType) -> None:
        """Prints tables and sentences for people; silent with ``--json``.

        A text with ``no_wrap`` stays in one piece however long it is: a path that is copied or
        looked for.
        """
        if not self.as_json:
            for renderable in renderables:
                whole = isinstance(renderable, Text) and bool(renderable.no_wrap)
                self.out.print(renderable, soft_wrap=whole)

    def error(self, problem: P2vprepError) -> None:
        """Says what happened, to what, what was left changed and what to do next."""
        if self.as_json:
            self.document(problem.to_json())
        lines = Text()
        lines.append("error: ", style="bold red")
        lines.append(_subject(problem))
        lines.append(paragraphs(problem.message))
        lines.append(f"  [{problem.code}]", style="dim")
        for detail in problem.details:
            lines.append(f"\n  {printable(detail)}")
        if problem.changed:
            lines.append(f"\n{paragraphs(problem.changed)}")
        if problem.hint:
            lines.append("\nnext: ", style="bold")
            lines.append(paragraphs(problem.hint))
        self.err.print(lines)


def _console(stream: TextIO, *, stderr: bool) -> Console:
    """Into a pipe or a file, lines may be longer than on a terminal that nobody can see."""
    wide = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Pipe(stderr=stderr, highlight=False, width=wide)


class _Pipe(Console):
    """A console whose reader may go away: an error for what was asked for, nothing for progress."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        to_nowhere(self.file)
        if not self.stderr:
            raise BrokenPipeError


def to_nowhere(stream: IO[str]) -> None:
    """Nobody reads the stream any more: what is still to be written, also at the exit, is dropped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


def _subject(problem: P2vprepError) -> str:
    subject = problem.subject
    return f"{printable(subject)}: " if subject and subject not in problem.message else ""


def as_json(document: dict[str, object], encoding: str = "utf-8") -> str:
    """The document as JSON text that can be encoded: names with half surrogates are escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(document, indent=2) + "\n"
    return text
