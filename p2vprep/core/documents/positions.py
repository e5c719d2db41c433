"""Where in a document each value stands, so that an error can name its line and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""The way from the document's root to a value: keys and list indices."""


@dataclass(frozen=True)
class Position:
    """A place in a text; both numbers count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class Positions:
    """The places of all values and of all keys of one document.

    ``source`` is what errors call the document: a file name, as a rule.
    """

    source: str
    values: Mapping[Path, Position] = field(default_factory=dict)
    keys: Mapping[Path, Position] = field(default_factory=dict)

    def of(self, path: Path) -> Position:
        """The place of a value, or of the nearest value around it; the start where nothing is known."""
        for length in range(len(path), -1, -1):
            if found := self.values.get(path[:length]):
                return found
        return Position(1, 1)

    def of_key(self, path: Path) -> Position:
        """The place of a key itself (for a key that should not be there), else as :meth:`of`."""
        return self.keys.get(path) or self.of(path)

    def place(self, path: Path, *, key: bool = False) -> str:
        """``file:line:column``."""
        return f"{self.source}:{self.of_key(path) if key else self.of(path)}"


def show_path(path: Path) -> str:
    """``actions[3].when.windows`` for people."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{part}" if shown else part
    return shown
