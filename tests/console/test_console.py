"""The console, driven by keys on a fake machine: what is collected, shown, applied, taken back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Tree
from textual.widgets.tree import TreeNode

from p2vprep.console.app import Console
from p2vprep.console.registry import Place
from p2vprep.core.model import DeleteKey, DeleteValue, Hazard, MakeKey, PutFile, SetValue
from p2vprep.core.values import Data
from p2vprep.errors import FailedError
from tests.console.driving import Drive, driven, driving
from tests.console.fakes import MANY, README, FakeBackend, host_file

PARAMETERS = "ControlSet001\\Services\\Tcpip\\Parameters"


# --- opening and looking --------------------------------------------------------------------------


@pytest.mark.long
def test_it_is_there_before_the_machine_is_and_can_be_left() -> None:
    backend = FakeBackend(gate=threading.Event())

    async def play() -> None:
        async with driving(backend) as drive:
            await drive.until(lambda: "Starting the appliance" in drive.screen, "the step")
            await drive.press("q")
            await drive.until(lambda: drive.app.return_value == 0, "the end")
            assert backend.gate is not None
            backend.gate.set()

    asyncio.run(play())
    assert backend.closed == backend.opened


@pytest.mark.long
@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_everything_is_in_sight(size: tuple[int, int]) -> None:
    async def scene(drive: Drive) -> None:
        await drive.until(lambda: "q Quit" in drive.screen, "the keys")
        screen = drive.screen
        assert "SRV-ERP01: Windows Server 2012 R2" in screen
        for tab in ("1 Services", "2 Drivers", "3 Adapters", "4 Registry", "5 Files", "6 Findings"):
            assert tab in screen
        assert "Collected: 0" in screen
        assert "BITS                 auto (delayed)     Windows" in screen

    driven(scene, FakeBackend(), size)


@pytest.mark.long
def test_every_tab_is_a_key_away() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("2")
        assert "ACPI" in drive.screen
        await drive.press("3")
        assert "DHCP, last 10.20.30.41" in drive.screen
        await drive.press("6")
        assert "stop  bitlocker: It is locked." in drive.screen
        await drive.press("5")
        await drive.until(lambda: "Tools/" in drive.screen)
        await drive.press("4")
        assert "SAM (read only)" in drive.screen

    driven(scene, FakeBackend(findings=(Hazard("bitlocker", "refuse", "It is locked."),)))


@pytest.mark.long
def test_a_tab_can_be_clicked() -> None:
    async def scene(drive: Drive) -> None:
        await drive.pilot.click(offset=(25, 1))
        await drive.until(lambda: "Production" in drive.screen, "the adapters")

    driven(scene, FakeBackend())


@pytest.mark.long
def test_help_tells_the_keys() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("question_mark")
        assert "take the last apply back" in await drive.dialog("Keys")
        await drive.press("escape")
        assert "Collected" in drive.screen

    driven(scene, FakeBackend())


# --- services and drivers -------------------------------------------------------------------------


def test_a_start_type_is_chosen_and_changed_back() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("down", "enter")
        await drive.until(lambda: isinstance(drive.app.screen.query("#choices").first(), OptionList))
        assert drive.option() == "(o) delayed"
        assert "needs: RpcSs" in drive.screen
        await drive.press("down", "down", "enter")
        await drive.until(lambda: drive.collected == [("service BITS", "delayed → disabled")])
        assert drive.cells("#services")[:3] == ["*", "BITS", "delayed → disabled"]
        await drive.press("enter")
        await drive.until(lambda: len(drive.app.screen.query("#choices")) == 1)
        await drive.press("enter")  # as it is: nothing is left of the wish
        await drive.until(lambda: not drive.collected)
        assert drive.cells("#services")[:3] == ["", "BITS", "auto (delayed)"]

    driven(scene, FakeBackend())


@pytest.mark.long
def test_a_driver_is_disabled_with_a_key() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("2", "x")
        await drive.until(lambda: len(drive.collected) == 1)
        (edit,) = drive.app.collection.edits
        assert isinstance(edit, SetValue)
        assert (edit.key, edit.data.number) == ("CurrentControlSet\\Services\\ACPI", 4)

    driven(scene, FakeBackend())


@pytest.mark.long
def test_the_filter_narrows_the_list() -> None:
    async def scene(drive: Drive) -> None:
        whole = drive.rows("#services")
        await drive.press("slash")
        await drive.type("insight")
        await drive.press("enter")
        names = drive.column("#services", 1)
        assert 0 < len(names) < whole
        assert all(name.startswith(("CIM", "Cpq", "Cq", "cpq")) for name in names)
        drive.app.query_one("#services Input", Input).value = ""
        await drive.press("t")
        assert 0 < drive.rows("#services") < whole
        assert "Windows" not in drive.column("#services", 3)
        assert "CIMnotify" in drive.column("#services", 1)
        await drive.press("t")
        assert drive.rows("#services") == whole
        await drive.press("slash")
        await drive.type("zzz")
        await drive.press("enter", "x", "enter", "k")  # nothing there: nothing happens
        assert not drive.collected

    driven(scene, FakeBackend())


def test_the_key_of_a_service_is_shown_with_what_was_collected() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("x", "k")
        await drive.until(lambda: drive.path == "SYSTEM\\ControlSet001\\Services\\BFE", "the key")
        await drive.until(lambda: "Start" in drive.column("#registry", 1))
        row = drive.column("#registry", 1).index("Start")
        assert drive.column("#registry", 0)[row] == "*"
        assert drive.column("#registry", 3)[row] == "2 (0x2) → 4 (0x4)"

    driven(scene, FakeBackend())


# --- adapters -------------------------------------------------------------------------------------


@pytest.mark.long
def test_an_adapter_leads_to_its_addresses() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("3", "enter")
        assert "a ghost" in await drive.dialog("Adapter Local Area Connection 2")
        await drive.press("right", "enter")
        await drive.until(lambda: "Tcpip\\Parameters\\Interfaces\\{" in drive.path, "the key")
        assert "IPAddress" in drive.column("#registry", 1)

    driven(scene, FakeBackend())


# --- registry -------------------------------------------------------------------------------------


def test_the_tree_is_read_as_it_is_opened_and_in_pieces() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", "ControlSet001\\Enum\\Many\\Child0350")
        many = next(node for node in _nodes(drive.tree) if node.data and node.data.key.endswith("\\Many"))
        assert len(many.children) == 601
        assert str(many.children[-1].label) == f"… {MANY - 600} more (Enter)"
        drive.tree.move_cursor(many.children[-1])
        await drive.press("enter")
        await drive.until(lambda: len(many.children) == MANY, "the rest")

    driven(scene, FakeBackend())


def _nodes(tree: Tree[Place]) -> list[TreeNode[Place]]:
    found: list[TreeNode[Place]] = []
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(node.children)
    return found


def test_a_value_is_edited_made_and_deleted() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", PARAMETERS)
        table = drive.table("#registry")
        table.focus()
        row = drive.column("#registry", 1).index("Hostname")
        table.move_cursor(row=row)
        await drive.press("enter")
        await drive.until(lambda: len(drive.app.screen.query("#data")) == 1)
        await drive.press("end")
        await drive.type("x")
        await drive.press("ctrl+s")
        await drive.until(lambda: drive.column("#registry", 3)[row] == '"SRV-ERP01" → "SRV-ERP01x"')
        await drive.press("n")
        await drive.until(lambda: len(drive.app.screen.query("#name")) == 1)
        await drive.type("Later")
        await drive.press("tab", "tab")
        await drive.type("yes")
        await drive.press("ctrl+s")
        await drive.until(lambda: "Later" in drive.column("#registry", 1))
        table.move_cursor(row=drive.column("#registry", 1).index("Domain"))
        await drive.press("d")
        await drive.until(lambda: len(drive.collected) == 3)
        host, later, domain = drive.app.collection.edits
        assert isinstance(host, SetValue)
        assert host.data == Data.sz("SRV-ERP01x")
        assert isinstance(later, SetValue)
        assert (later.name, later.data) == ("Later", Data.sz("yes"))
        assert isinstance(domain, DeleteValue)
        table.move_cursor(row=drive.column("#registry", 1).index("Later"))
        await drive.press("d")  # it is only wished for: the wish goes
        await drive.until(lambda: len(drive.collected) == 2)

    driven(scene, FakeBackend())


@pytest.mark.long
def test_what_does_not_fit_a_type_is_said_at_once() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", "ControlSet001\\Services\\BFE")
        table = drive.table("#registry")
        table.focus()
        table.move_cursor(row=drive.column("#registry", 1).index("Start"))
        await drive.press("enter")
        await drive.until(lambda: len(drive.app.screen.query("#data")) == 1)
        await drive.type("many")
        await drive.press("ctrl+s")
        await drive.until(lambda: "! REG_DWORD takes a number, not 'many2'" in drive.screen, "the fault")
        await drive.press("escape")
        assert not drive.collected

    driven(scene, FakeBackend())


@pytest.mark.long
def test_a_name_that_is_taken_is_refused() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", "ControlSet001\\Services\\BFE")
        await drive.press("n")
        await drive.until(lambda: len(drive.app.screen.query("#name")) == 1)
        await drive.type("start")
        await drive.press("ctrl+s")
        assert "there is a value of this name" in await drive.dialog("Error: value-exists")

    driven(scene, FakeBackend())


@pytest.mark.long
def test_keys_are_made_and_deleted() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", "ControlSet001\\Services\\BFE")
        await drive.press("m")
        await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
        await drive.type("New")
        await drive.press("enter")
        await drive.until(lambda: len(drive.collected) == 1)
        assert isinstance(drive.app.collection.edits[0], MakeKey)
        await drive.press("u", "d")
        await drive.dialog("Delete a key")
        await drive.press("right", "enter")
        await drive.until(lambda: len(drive.collected) == 1)
        assert isinstance(drive.app.collection.edits[0], DeleteKey)
        await drive.until(lambda: drive.path.endswith("* to be deleted"), "the mark")
        await drive.press("n")
        await drive.until(lambda: len(drive.app.screen.query("#name")) == 1)
        await drive.type("more")
        await drive.press("ctrl+s")
        await drive.dialog("Error: edits-collide")

    driven(scene, FakeBackend())


@pytest.mark.long
@pytest.mark.parametrize("key", ["d", "n", "m"])
def test_accounts_are_shown_and_never_changed(key: str) -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SAM", "SAM\\Domains")
        await drive.press(key)
        await drive.dialog("Error: hive-read-only")

    driven(scene, FakeBackend())


def test_the_search_goes_from_hit_to_hit_and_ends() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", "ControlSet001\\Enum")
        await drive.press("slash")
        await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
        await drive.type("child069")
        await drive.press("enter")
        await drive.until(lambda: drive.path.endswith("Many\\Child0690"), "the first")
        await drive.press("f")
        await drive.until(lambda: drive.path.endswith("Many\\Child0691"), "the next")
        await drive.press("slash")
        await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
        drive.input().value = "nowhere to be found"
        await drive.press("enter")
        await drive.until(lambda: drive.path.endswith("nothing more in SYSTEM"), "the end")

    driven(scene, FakeBackend())


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_folders_are_walked_and_files_looked_at() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("5")
        await drive.until(lambda: drive.rows("#files") == 2)
        await drive.press("enter")
        await drive.until(lambda: drive.column("#files", 1) == ["agent.bin", "readme.txt", "setup.log"])
        await drive.press("enter")
        assert "00000000  00 01 02" in await drive.dialog("/Tools/agent.bin")
        for name in ("readme.txt", "setup.log"):
            await drive.press("escape", "down", "enter")
            assert README.strip() in await drive.dialog(f"/Tools/{name}")
        await drive.press("escape", "backspace")
        await drive.until(lambda: drive.rows("#files") == 2)
        assert drive.cells("#files")[1] == "Tools/"

    driven(scene, FakeBackend())


@pytest.mark.long
def test_a_file_is_taken_out_and_nothing_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"

    async def scene(drive: Drive) -> None:
        await drive.press("5", "enter")
        await drive.until(lambda: drive.rows("#files") == 3)
        await drive.press("down")
        for _ in range(2):
            await drive.press("g")
            await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
            drive.input().value = str(target)
            await drive.press("enter")
            await drive.until(target.exists, "the file")
        assert "it is not replaced" in await drive.dialog("Error: file-exists")

    driven(scene, FakeBackend())
    assert target.read_text() == README.replace("\r\n", "\n")


def test_a_file_is_put_in_and_one_deleted(tmp_path: Path) -> None:
    new = host_file(tmp_path, "readme.txt", b"new")

    async def scene(drive: Drive) -> None:
        await drive.press("5", "enter")
        await drive.until(lambda: drive.rows("#files") == 3)
        await drive.press("p")
        await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
        drive.input().value = str(new)
        await drive.press("enter")
        await drive.until(lambda: drive.collected == [("file /Tools/readme.txt", "18 bytes → 3 bytes")])
        (edit,) = drive.app.collection.edits
        assert isinstance(edit, PutFile)
        assert edit.content == b"new"
        assert not edit.locked
        assert drive.column("#files", 0) == ["", "*", ""]
        await drive.press("d")
        await drive.until(lambda: len(drive.collected) == 2)
        assert drive.collected[1] == ("file /Tools/agent.bin", "64 bytes → absent")
        await drive.press("p")
        await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
        drive.input().value = str(tmp_path / "nowhere")
        await drive.press("enter")
        await drive.dialog("Error: no-such-file")

    driven(scene, FakeBackend())


# --- apply, rollback, quit ------------------------------------------------------------------------


def test_what_was_collected_is_reviewed_applied_and_seen_anew() -> None:
    backend = FakeBackend()

    async def scene(drive: Drive) -> None:
        await drive.press("a")
        await drive.until(lambda: "Nothing is collected" in drive.screen, "the word")
        await drive.press("x", "a")
        text = await drive.dialog("What will be done: 1 change")
        assert "SYSTEM\\ControlSet001\\Services\\BFE\\Start" in text
        assert "auto (2) → disabled (4)" in text
        assert not backend.applied
        await drive.press("escape", "a")
        await drive.dialog("What will be done")
        await drive.press("tab", "tab", "enter")
        assert "1 changes" in await drive.dialog("Applied")
        assert not drive.collected
        await drive.press("enter")
        await drive.opened()
        await drive.until(lambda: "Open." in drive.screen)

    app = driven(scene, backend)
    assert len(backend.applied) == 1
    assert backend.opened == backend.closed == 2
    assert not app.collection


def test_while_it_is_applied_nothing_cuts_it_off() -> None:
    backend = FakeBackend()

    async def scene(drive: Drive) -> None:
        backend.gate = threading.Event()
        await drive.press("x", "a")
        await drive.dialog("What will be done")
        await drive.press("tab", "tab", "enter")
        await drive.until(lambda: "Applying" in drive.screen, "the work")
        await drive.press("q", "escape", "a", "r", "o", "x", "ctrl+c", "ctrl+q")
        assert "Applying" in drive.screen
        assert drive.app.return_value is None
        assert len(drive.collected) == 1
        backend.gate.set()
        await drive.dialog("Applied")

    driven(scene, backend)


@pytest.mark.long
def test_a_signal_meanwhile_ends_it_after_the_work() -> None:
    backend = FakeBackend()

    async def scene(drive: Drive) -> None:
        backend.gate = threading.Event()
        await drive.press("x", "a")
        await drive.dialog("What will be done")
        await drive.press("tab", "tab", "enter")
        await drive.until(lambda: "Applying" in drive.screen, "the work")
        drive.app._terminated()
        assert drive.app.return_value is None
        backend.gate.set()
        await drive.until(lambda: drive.app.return_value == 143, "the end")

    driven(scene, backend)
    assert len(backend.applied) == 1


def test_a_failed_apply_keeps_what_was_collected() -> None:
    problem = FailedError("the storage is full", code="no-space", hint="Make room.")
    backend = FakeBackend(fail=problem)

    async def scene(drive: Drive) -> None:
        await drive.press("x", "a")
        await drive.dialog("What will be done")
        await drive.press("tab", "tab", "enter")
        text = await drive.dialog("Error: no-space")
        assert "the storage is full" in text
        assert "Nothing was changed." in text
        assert "next: Make room." in text
        await drive.press("enter")
        await drive.opened()
        assert drive.collected == [("service BFE", "auto → disabled")]
        await drive.until(lambda: "auto → disabled" in drive.cells("#services"))

    driven(scene, backend)
    assert not backend.applied


@pytest.mark.long
def test_the_last_apply_is_taken_back_after_asking() -> None:
    backend = FakeBackend()

    async def scene(drive: Drive) -> None:
        await drive.press("r")
        await drive.dialog("Rollback")
        await drive.press("enter")  # Back is the first button
        assert backend.rolled_back == 0
        await drive.press("r")
        await drive.dialog("Rollback")
        await drive.press("right", "enter")
        assert "Run 1 was taken back." in await drive.dialog("Taken back")
        await drive.press("enter")
        await drive.opened()

    driven(scene, backend)
    assert backend.rolled_back == 1


@pytest.mark.long
def test_what_is_like_that_already_is_not_applied() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("4")
        await drive.at_key("SYSTEM", PARAMETERS)
        drive.registry._collect_value(drive.registry._shown, "Hostname", None, Data.sz("SRV-ERP01"))  # type: ignore[arg-type]
        await drive.press("a")
        assert "nothing would change" in await drive.dialog("What will be done: 0 changes")
        assert [button.id for button in drive.app.screen.query("Button")] == ["back"]

    driven(scene, FakeBackend())


@pytest.mark.parametrize(
    "key",
    ["q", pytest.param("ctrl+q", marks=pytest.mark.long), pytest.param("ctrl+c", marks=pytest.mark.long)],
)
def test_leaving_asks_where_something_was_collected(key: str) -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("x", key)
        assert "1 collected edit will be lost" in await drive.dialog("Quit without applying?")
        await drive.press("enter")
        assert drive.app.return_value is None
        await drive.press(key)
        await drive.dialog("Quit without applying?")
        await drive.press("right", "enter")
        await drive.until(lambda: drive.app.return_value == 0, "the end")

    driven(scene, FakeBackend())


@pytest.mark.long
def test_leaving_does_not_ask_for_nothing() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("x", "u", "q")
        await drive.until(lambda: drive.app.return_value == 0, "the end")

    driven(scene, FakeBackend())


@pytest.mark.long
def test_entries_are_taken_out_one_by_one() -> None:
    async def scene(drive: Drive) -> None:
        await drive.press("x", "down", "x", "down", "x")
        await drive.until(lambda: len(drive.collected) == 3)
        await drive.press("c", "up", "d")
        await drive.until(lambda: len(drive.collected) == 2)
        assert [subject for subject, _ in drive.collected] == ["service BFE", "service CIMnotify"]

    driven(scene, FakeBackend())


@pytest.mark.long
def test_a_machine_that_cannot_be_opened_is_told_and_can_be_tried_again() -> None:
    problem = FailedError("no appliance", code="appliance-launch")

    class Broken(FakeBackend):
        def browse(self, sink):  # type: ignore[no-untyped-def]
            if self.fail is not None:
                raised, self.fail = self.fail, None
                raise raised
            return super().browse(sink)

    async def play() -> None:
        async with driving(Broken(fail=problem)) as drive:
            assert "no appliance" in await drive.dialog("Error: appliance-launch")
            await drive.press("enter", "o")
            await drive.opened()

    asyncio.run(play())


def test_leaving_while_an_error_comes_up_is_no_fault() -> None:
    class Missing(FakeBackend):
        def browse(self, sink):  # type: ignore[no-untyped-def]
            raise FailedError("There is no such file.", code="image-missing")

    async def play() -> Console:
        async with driving(Missing()) as drive:
            drive.app.exit(0)
        return drive.app

    for _ in range(3):
        app = asyncio.run(play())
        assert (app.return_code, app.return_value) == (0, 0)
