"""What a view may ask of the console it lies on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from textual.screen import ModalScreen

from p2vprep.console.collected import Collection, Entry
from p2vprep.console.ports import Browsing
from p2vprep.core.model import Facts

Answer = TypeVar("Answer")


class Desk(Protocol):
    """The console, as its views see it."""

    @property
    def collection(self) -> Collection:
        """The edits collected so far."""
        ...

    @property
    def facts(self) -> Facts | None:
        """What is known of the machine; None until it is open."""
        ...

    async def ask(self, work: Callable[[Browsing], Answer]) -> Answer:
        """Does ``work`` with the machine in its thread. Raises P2vprepError."""
        ...

    async def show(self, screen: ModalScreen[Answer]) -> Answer | None:
        """Shows a dialog and waits for its answer."""
        ...

    def begin(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        """Begins work beside the screen; it ends what was begun in the same group. Errors are shown."""
        ...

    def collect(self, entry: Entry) -> None:
        """Adds to the collected edits. Raises UsageError where it collides."""
        ...

    def drop(self, subject: str) -> None:
        """Takes what was collected about a subject out."""
        ...

    def tell(self, text: str) -> None:
        """Shows a short message for a moment."""
        ...

    def go_to_key(self, hive: str, key: str) -> None:
        """Shows a key in the registry."""
        ...
