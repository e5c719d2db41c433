"""Text of others made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """A name safe for a terminal: control characters and lone surrogates are escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )


def paragraphs(text: str) -> str:
    """A text of ours with names of others in it: safe for a terminal, line ends kept."""
    return "\n".join(printable(line) for line in text.split("\n"))
