"""The console: tabs over an open machine, edits collected at the side, reviewed, applied, taken back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ClassVar, TypeVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Footer, Label, Static, TabbedContent, TabPane
from textual.worker import Worker

from p2vprep.console.adapters import Adapters
from p2vprep.console.collected import NOTHING, Collection, Entry
from p2vprep.console.files import Files
from p2vprep.console.panel import Panel
from p2vprep.console.ports import Backend, Browsing, HiveName
from p2vprep.console.registry import Registry
from p2vprep.console.screens import Dialog, Page, Working, of_error
from p2vprep.console.services import Services
from p2vprep.console.session import Session
from p2vprep.console.style import CSS
from p2vprep.console.words import findings_lines, heading, review
from p2vprep.core.hand import listing
from p2vprep.core.hand.listing import Row
from p2vprep.core.model import Facts, Hazard
from p2vprep.core.printable import printable
from p2vprep.errors import P2vprepError
from p2vprep.events import Event, StepFailed, StepFinished, StepStarted

Answer = TypeVar("Answer")

TABS = ("services", "drivers", "adapters", "registry", "files", "findings")
HELP = (
    "1 to 6, or the mouse    another tab",
    "Tab, Shift+Tab          another part of the screen",
    "Enter                   what is under the cursor: start type, value, folder, file",
    "/                       filter services and drivers; find in the registry (f: next)",
    "t                       services and drivers: only what Windows does not bring itself",
    "x                       disable a service or driver",
    "k                       its key in the registry",
    "n, m, d                 registry: new value, new key, delete",
    "g, p, d                 files: get from the disk, put on it, delete",
    "a                       review what was collected, and apply it",
    "u                       take the newest edit out again; c goes to the list, d takes one out",
    "r                       take the last apply back (rollback)",
    "o                       open the machine again",
    "q                       quit",
    "",
    "Nothing is written before you apply. An apply edits an overlay, compares the whole",
    "registry, commits all or nothing, and can be taken back bit for bit.",
)


class Told(Message):
    """The engine tells of its work."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class Console(App[int]):
    """Computer Management and Registry Editor for an offline disk."""

    CSS = CSS
    TITLE = "p2vprep"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it as an instance's
        (0, "-narrow"),
        (116, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "Apply"),
        Binding("u", "take_out", "Undo edit"),
        Binding("r", "rollback", "Rollback"),
        Binding("c", "collected", "Collected", show=False),
        Binding("o", "reopen", "Open again", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+q,ctrl+c", "leave", show=False, priority=True),
        *(Binding(str(at), f"tab('{name}')", show=False) for at, name in enumerate(TABS, 1)),
    ]

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self._session = Session(backend, lambda event: self._heard(event))
        self._collection = NOTHING
        self._facts: Facts | None = None
        self._working: Working | None = None
        self._stop_with: int | None = None

    # --- what views see (see Desk)

    @property
    def collection(self) -> Collection:
        return self._collection

    @property
    def facts(self) -> Facts | None:
        return self._facts

    async def ask(self, work: Callable[[Browsing], Answer]) -> Answer:
        return await asyncio.wrap_future(self._session.ask(work))

    async def show(self, screen: ModalScreen[Answer]) -> Answer | None:
        return await self.push_screen_wait(screen)

    def begin(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        async def guarded() -> None:
            await self._guarded(work)

        _begun: Worker[None] = self.run_worker(guarded, group=group, exclusive=True)

    def collect(self, entry: Entry) -> None:
        self._changed(self._collection.adding(entry))

    def drop(self, subject: str) -> None:
        self._changed(self._collection.without_subject(subject))

    def tell(self, text: str) -> None:
        self.notify(printable(text), markup=False)

    def go_to_key(self, hive: str, key: str) -> None:
        self.action_tab("registry")
        self.query_one(Registry).reveal(hive, key)

    # --- the screen

    def compose(self) -> ComposeResult:
        yield Label(printable(f"p2vprep  {self._backend.title}"), id="title", markup=False)
        with Horizontal(id="main"):
            with TabbedContent(id="tabs"):
                with TabPane("1 Services", id="services"):
                    yield Services(self, "service")
                with TabPane("2 Drivers", id="drivers"):
                    yield Services(self, "driver")
                with TabPane("3 Adapters", id="adapters"):
                    yield Adapters(self)
                with TabPane("4 Registry", id="registry"):
                    yield Registry(self)
                with TabPane("5 Files", id="files"):
                    yield Files(self)
                with TabPane("6 Findings", id="findings"), VerticalScroll(id="finding-scroll"):
                    yield Static("", id="finding-view", markup=False)
            yield Panel()
        yield Label("", id="status", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._terminated)
        self.begin(self._open, "machine")

    def end(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Closes the machine; to be called once the screen is gone. See :meth:`Session.end`."""
        self._session.end(waiting)

    def _heard(self, event: Event) -> None:
        self.post_message(Told(event))

    @on(Told)
    def told(self, message: Told) -> None:
        line = _line(message.event)
        if line:
            self._say(printable(line))
            if self._working is not None and not isinstance(message.event, StepStarted):
                self._working.tell(printable(line))

    @on(TabbedContent.TabActivated)
    def activated(self, event: TabbedContent.TabActivated) -> None:
        if event.pane.id == "files" and self._facts is not None:
            self.query_one(Files).load()

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except P2vprepError as problem:
            await self.show(of_error(problem))

    def _say(self, text: str) -> None:
        self.query_one("#status", Label).update(text)

    def _changed(self, collection: Collection) -> None:
        self._collection = collection
        self.query_one(Panel).load(collection)
        if self._facts is not None:
            self._show_marks()

    def _show_marks(self) -> None:
        for view in self.query(Services):
            view.refresh_rows()
        self.query_one(Registry).refresh_rows()
        self.query_one(Files).refresh_rows()

    # --- opening

    async def _open(self) -> None:
        self._facts = None
        self._say("Opening the machine; its disk is only read")
        await asyncio.wrap_future(self._session.open())
        facts, findings, hives, rows = await self.ask(_everything)
        self._facts = facts
        self._changed(self._collection.on(facts.boot_set))
        self.query_one("#title", Label).update(f"{printable(self._backend.title)}  {heading(facts)}")
        for view in self.query(Services):
            view.load(rows)
        self.query_one(Adapters).load(facts.boot)
        self.query_one(Registry).load(hives)
        self.query_one(Files).load()
        self.query_one("#finding-view", Static).update("\n".join(findings_lines(findings)))
        self.call_later(self._say, "Open. Nothing is written before you apply; ? helps")
        self._focus_view(self.query_one("#tabs", TabbedContent).active)

    # --- actions

    def action_tab(self, name: str) -> None:
        self.query_one("#tabs", TabbedContent).active = name
        self._focus_view(name)

    def _focus_view(self, name: str) -> None:
        if name == "findings":
            self.query_one("#finding-scroll").focus()
            return
        view = self.query_one(f"#{name} > *")
        if isinstance(view, Services | Adapters | Registry | Files):
            view.focus_table()

    def action_collected(self) -> None:
        self.query_one("#collected").focus()

    def action_help(self) -> None:
        self.push_screen(Page("Keys", HELP, (("ok", "Back"),)))

    def action_take_out(self) -> None:
        if self._collection:
            self._changed(self._collection.without(len(self._collection) - 1))

    @on(Panel.TakenOut)
    def taken_out(self, message: Panel.TakenOut) -> None:
        self._changed(self._collection.without(message.number))

    def action_reopen(self) -> None:
        self.begin(self._open, "machine")

    def action_apply(self) -> None:
        self.begin(self._review, "machine-change")

    def action_rollback(self) -> None:
        self.begin(self._rollback, "machine-change")

    def action_leave(self) -> None:
        if self._working is not None:
            self.tell("This must not be cut off; it takes only a moment.")
        else:
            self.begin(self._leave, "leave")

    async def _leave(self) -> None:
        count = len(self._collection)
        if count:
            text = f"{count} collected edit{'s' if count > 1 else ''} will be lost; the disk is as it was."
            buttons = (("stay", "Stay"), ("quit", "Quit"))
            if await self.show(Dialog("Quit without applying?", text, buttons)) != "quit":
                return
        self.exit(0)

    async def _review(self) -> None:
        edits = self._collection.edits
        if not edits:
            self.tell("Nothing is collected: there is nothing to apply.")
            return
        plan = await self.ask(lambda machine: machine.plan(edits))
        lines = tuple(review(plan)) or ("The disk is like this already: nothing would change.",)
        buttons = (("back", "Back"), ("apply", "Apply")) if plan.changes else (("back", "Back"),)
        count = len(plan.changes)
        title = f"What will be done: {count} change{'' if count == 1 else 's'}, before → after"
        if await self.show(Page(title, lines, buttons)) != "apply":
            return
        done = await self._work("Applying", self._session.apply(edits, plan))
        if done is not None:
            self._changed(self._collection.emptied())
            await self.show(Dialog("Applied" if done.committed else "Nothing was done", done.summary))

    async def _rollback(self) -> None:
        text = "The newest apply is taken back: the disk is then, bit for bit, what it was before it."
        if self._collection:
            text += "\nCollected edits stay collected."
        buttons = (("back", "Back"), ("go", "Take it back"))
        if await self.show(Dialog("Rollback", text, buttons)) != "go":
            return
        told = await self._work("Taking the last apply back", self._session.rollback())
        if told is not None:
            await self.show(Dialog("Taken back", printable(told)))

    async def _work(self, title: str, future: Future[Answer]) -> Answer | None:
        """Waits for work that must not be cut off, showing its steps; None where it failed."""
        self._facts = None
        self._working = Working(title)
        await self.push_screen(self._working)
        problem: P2vprepError | None = None
        done: Answer | None = None
        try:
            done = await asyncio.wrap_future(future)
        except P2vprepError as fault:
            problem = fault
        finally:
            working, self._working = self._working, None
            await working.dismiss()
        if self._stop_with is not None:
            self.exit(self._stop_with)
            return None
        self.begin(self._open, "machine")  # it is opened while the outcome is read
        if problem is not None:
            await self.show(of_error(problem))
        return done

    def _terminated(self) -> None:
        """SIGTERM: ends at once where nothing is being written, else as soon as that is done."""
        self._stop_with = 128 + signal.SIGTERM
        if self._working is None:
            self.exit(self._stop_with)


def _everything(
    machine: Browsing,
) -> tuple[Facts, tuple[Hazard, ...], tuple[HiveName, ...], tuple[Row, ...]]:
    rows = listing.rows(machine.facts.boot, machine.hive("SYSTEM"))
    return machine.facts, machine.findings, machine.hives(), rows


def _line(event: Event) -> str:
    """An event in one line; empty for what is only for the curious."""
    if isinstance(event, StepStarted):
        return f"{event.text} …"
    if isinstance(event, StepFinished):
        return f"done: {event.text}" + (f": {event.outcome}" if event.outcome else "")
    if isinstance(event, StepFailed):
        return f"failed: {event.text}"
    return "" if event.verbose else event.text
