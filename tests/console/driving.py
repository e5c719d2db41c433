"""Driving the console: it is started on a fake machine, keys are pressed, what is shown is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList, Static, Tree

from p2vprep.console.app import Console
from p2vprep.console.ports import Backend
from p2vprep.console.registry import Place, Registry
from p2vprep.console.screens import Dialog, Page

PATIENCE = 60.0
"""Seconds that something may take to show; on an idle machine it is there at once."""


class Drive:
    """The console under test, with words for what a person does and sees."""

    def __init__(self, app: Console, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Types a text, letter by letter."""
        names = {" ": "space", "\\": "backslash", "/": "slash", "-": "minus", ".": "full_stop"}
        names |= {"_": "underscore"}
        await self.press(*(names.get(letter, letter) for letter in text))

    async def until(self, seen: Callable[[], bool], what: str = "what was waited for") -> None:
        """Waits until something is true; fails with what is on the screen."""
        end = time.monotonic() + PATIENCE
        while not seen():
            if time.monotonic() > end:
                raise AssertionError(f"{what} never came:\n{self.screen}")
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    async def opened(self) -> None:
        await self.until(lambda: self.app.facts is not None and self.rows("#services") > 0, "the machine")

    @property
    def screen(self) -> str:
        """The screen as text."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in lines)

    def rows(self, within: str) -> int:
        return self.table(within).row_count

    def table(self, within: str) -> DataTable[Any]:
        found: DataTable[Any] = self.app.query_one(f"{within} DataTable", DataTable)
        return found

    def cells(self, within: str) -> list[str]:
        """The row under the cursor."""
        table = self.table(within)
        return [str(cell) for cell in table.get_row_at(table.cursor_row)]

    def column(self, within: str, number: int) -> list[str]:
        table = self.table(within)
        return [str(table.get_row_at(row)[number]) for row in range(table.row_count)]

    @property
    def collected(self) -> list[tuple[str, str]]:
        return [(entry.subject, entry.movement) for entry in self.app.collection.entries]

    async def dialog(self, title: str) -> str:
        """Waits for a dialog or page of this title; returns its text."""

        def there() -> bool:
            screen = self.app.screen
            return isinstance(screen, Dialog | Page) and title in screen._title

        await self.until(there, f"the dialog {title!r}")
        return str(self.app.screen.query_one(Static).content) + "\n" + self._texts()

    def _texts(self) -> str:
        return "\n".join(str(one.content) for one in self.app.screen.query(Static))

    def option(self) -> str:
        """The choice under the cursor."""
        choices = self.app.screen.query_one(OptionList)
        assert choices.highlighted is not None
        return str(choices.get_option_at_index(choices.highlighted).prompt)

    def input(self) -> Input:
        return self.app.screen.query_one(Input)

    @property
    def tree(self) -> Tree[Place]:
        found: Tree[Place] = self.app.query_one("#keys", Tree)
        return found

    async def at_key(self, hive: str, key: str) -> None:
        """Goes to a key and waits until its values are shown."""
        self.app.go_to_key(hive, key)
        await self.until(lambda: self.path == f"{hive}\\{key}", key)

    @property
    def path(self) -> str:
        return str(self.app.query_one("#key-path", Static).content)

    @property
    def registry(self) -> Registry:
        return self.app.query_one(Registry)


@asynccontextmanager
async def driving(backend: Backend, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Drive]:
    """The console on a terminal of this size."""
    app = Console(backend)
    app.animation_level = "none"
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Drive(app, pilot)
    finally:
        app.end()


def driven(
    scene: Callable[[Drive], Awaitable[None]], backend: Backend, size: tuple[int, int] = (80, 24)
) -> Console:
    """Runs a scene against the console, opened; returns the console as it ended."""

    async def play() -> Console:
        async with driving(backend, size) as drive:
            await drive.opened()
            await scene(drive)
        return drive.app

    return asyncio.run(play())


Scene = Callable[[Drive], Coroutine[Any, Any, None]]
