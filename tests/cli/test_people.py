"""What people see: plans that can be read, questions that are asked, errors without tracebacks."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from p2vprep.cli.main import main
from p2vprep.engine import applying
from tests.support.flow import as_json, done, p2vprep
from tests.support.guest_disk import fingerprint

_PATIENCE = 60.0


@dataclass(frozen=True)
class Talk:
    """How a command on a terminal ended and all that it showed."""

    status: int
    shown: str


def on_terminal(*arguments: str | Path, question: str = "", answer: bytes | signal.Signals = b"") -> Talk:
    """Runs the command on a terminal in a child process; answers when the question is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a runner's own threads do no harm here
        child, terminal = pty.fork()
    if child == 0:
        _command_on_this_terminal(arguments)
    shown = b""
    waiting = bool(question)
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the terminal closes with the child
            break
        if not piece:
            break
        shown += piece
        if waiting and question.encode() in shown:
            waiting = False
            if isinstance(answer, signal.Signals):
                os.kill(child, answer)
            else:
                os.write(terminal, answer)
    else:
        os.kill(child, signal.SIGKILL)
    _pid, status = os.waitpid(child, 0)
    os.close(terminal)
    return Talk(os.waitstatus_to_exitcode(status), shown.decode(errors="replace"))


def _command_on_this_terminal(arguments: tuple[str | Path, ...]) -> None:
    """Never returns; the runner had put its own streams in the place of the terminal."""
    status = 99
    try:
        os.environ.pop("NO_COLOR", None)
        os.environ["TERM"] = "xterm"
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = int(end.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


QUESTION = "Apply this plan? [y/N]"


def test_yes_applies(disk: Path) -> None:
    talk = on_terminal("apply", disk, question=QUESTION, answer=b"y\n")
    assert talk.status == 0, talk.shown
    assert "Prepared." in talk.shown
    assert "p2vprep rollback" in talk.shown
    assert [run["state"] for run in done("history", disk)["runs"]] == ["done"]


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"], ids=["no", "nothing", "end of input"])
def test_anything_else_changes_nothing(disk: Path, answer: bytes) -> None:
    before = fingerprint(disk)
    talk = on_terminal("apply", disk, question=QUESTION, answer=answer)
    assert talk.status == 0, talk.shown
    assert "Not applied. Nothing was changed." in talk.shown
    assert fingerprint(disk) == before
    assert [run["note"] for run in done("history", disk)["runs"]] == ["not approved"]


@pytest.mark.parametrize(
    ("answer", "status"), [(b"\x03", 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_at_the_question_changes_nothing(
    disk: Path, answer: bytes | signal.Signals, status: int
) -> None:
    before = fingerprint(disk)
    talk = on_terminal("apply", disk, question=QUESTION, answer=answer)
    assert talk.status == status, talk.shown
    assert "Nothing was changed." in talk.shown
    assert fingerprint(disk) == before
    assert all(run["state"] == "discarded" for run in done("history", disk)["runs"])


def test_a_plan_can_be_read_without_colour(disk: Path) -> None:
    ran = p2vprep("plan", disk)
    shown = ran.stdout
    assert "\x1b" not in shown + ran.stderr
    assert shown.startswith(
        "SRV-ERP01: Windows Server 2012 R2 Standard, 6.3.9600, x64, server, in /Windows\n"
    )
    assert "pages replayed from LOG1 and LOG2" in shown
    for rule in ("services  (", "park  (", "ncsi  (", "stale-dhcp  (", "first-boot  ("):
        assert rule in shown
    assert re.search(r"sysdown +auto → disabled +\S", shown)
    assert "first boot gives back" in shown
    assert "(-v tells why)" in shown
    assert max(map(len, shown.splitlines())) <= 140
    verbose = p2vprep("plan", disk, "-v").stdout
    assert len(verbose.splitlines()) > len(shown.splitlines())
    assert "Asked for and not done" in verbose


def test_an_inspection_can_be_read_without_colour(disk: Path) -> None:
    shown = p2vprep("inspect", disk).stdout
    assert "Source hardware: hpe-proliant: sure (" in shown
    assert "SYSTEM hive: dirty, " in shown
    assert re.search(r"Local Area Connection 2 .* yes ", shown)
    assert "10.20.40.15/24" in shown
    assert "DHCP, last 10.20.30.41" in shown
    assert "ProLiant System Shutdown" in p2vprep("inspect", disk, "-v").stdout


def test_the_closing_words_of_an_apply(disk: Path) -> None:
    ran = p2vprep("apply", disk, "--yes")
    assert ran.status == 0
    assert "Prepared." in ran.stdout
    assert f"Undo with: p2vprep rollback {disk}" in ran.stdout.replace("\n", "").replace("back/", "back /")
    assert "Starting the appliance" in ran.stderr
    assert "Starting the appliance" not in ran.stdout
    again = p2vprep("apply", disk, "--yes")
    assert "Nothing to do: the disk is as it should be." in again.stdout


def test_progress_is_alive_on_a_terminal_and_ends(disk: Path) -> None:
    talk = on_terminal("inspect", disk)
    assert talk.status == 0
    assert "Starting the appliance" in talk.shown
    assert "SRV-ERP01" in talk.shown
    assert talk.shown.count("\x1b[?25l") == talk.shown.count("\x1b[?25h") > 0, "the cursor is back"


class Mistake(Exception):  # noqa: N818 - what a bug raises is no error of ours
    """What nobody expected."""


@pytest.fixture
def buggy(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk, and an apply that has a bug after it has written to the overlay."""
    honest = applying.write

    def write(*arguments: Any, **named: Any) -> None:
        honest(*arguments, **named)
        raise Mistake("what nobody expected")

    monkeypatch.setattr(applying, "write", write)
    return disk


def test_a_bug_is_told_in_a_line_and_changes_nothing(buggy: Path) -> None:
    before = fingerprint(buggy)
    ran = as_json("apply", buggy, "--yes")
    assert (ran.status, ran.document["code"], ran.document["exit_status"]) == (1, "bug", 1)
    assert "Mistake: what nobody expected (write, line" in ran.document["message"]
    assert "Traceback" not in ran.stderr
    assert fingerprint(buggy) == before
    verbose = p2vprep("apply", buggy, "--yes", "-v")
    assert (verbose.status, "Traceback" in verbose.stderr) == (1, True)
    assert [run["state"] for run in done("history", buggy)["runs"]] == ["discarded"] * 2
    assert "Mistake: what nobody expected" in done("history", buggy)["runs"][0]["note"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["Looking for Windows", "Writing the changes to the overlay"])
def test_a_signal_stops_cleanly(
    disk: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, moment: str
) -> None:
    before = fingerprint(disk)
    monkeypatch.setattr("p2vprep.cli.progress.Progress._show", _raising(moment, number))
    ran = as_json("apply", disk, "--yes")
    assert ran.status == 128 + number
    assert (ran.document["code"], ran.document["exit_status"]) == ("interrupted", 128 + number)
    assert ran.document["changed"] == "Nothing was changed."
    assert number.name in ran.stderr
    assert fingerprint(disk) == before
    assert [run["state"] for run in done("history", disk)["runs"]] == ["discarded"]
    monkeypatch.undo()


def test_a_signal_within_the_commit_waits_for_it(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2vprep.disk.run.OpenRun.forward", _then(signal.SIGTERM))
    ran = as_json("apply", disk, "--yes")
    assert ran.status == 143
    assert ran.document["changed"].startswith("All changes are on the disk")
    assert [run["state"] for run in done("history", disk)["runs"]] == ["done"]


@pytest.mark.parametrize("command", ["inspect", "plan", "verify"])
def test_a_signal_ends_a_look(disk: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    done("apply", disk, "--yes")
    monkeypatch.setattr(
        "p2vprep.cli.progress.Progress._show", _raising("Reading the registry", signal.SIGTERM)
    )
    ran = as_json(command, disk)
    assert (ran.status, ran.document["code"]) == (143, "interrupted")


def _raising(moment: str, number: signal.Signals) -> Callable[..., None]:
    """A sink that sends this process a signal when the step of the given name begins."""

    def show(_progress: object, event: Any) -> None:
        if type(event).__name__ == "StepStarted" and event.text == moment:
            signal.raise_signal(number)

    return show


def _then(number: signal.Signals) -> Callable[..., Any]:
    from p2vprep.disk.run import OpenRun

    honest = OpenRun.forward

    def forward(self: OpenRun, *arguments: Any, **named: Any) -> Any:
        signal.raise_signal(number)
        return honest(self, *arguments, **named)

    return forward
