"""Every row of the table in docs/by-hand.md: as typed on a simulated disk, in few launches on a real one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2vprep.engine import operations
from p2vprep.engine.operations import WarmUp
from p2vprep.engine.options import Options
from p2vprep.events import silent
from testdata.kit.disks import DiskSpec, copy_disk
from tests.support import by_hand, dart_table
from tests.support.dart_table import DISK
from tests.support.flow import Shelf, done, p2vprep
from tests.support.flow import fake as fake
from tests.support.flow import shelf as shelf
from tests.support.guest_disk import fingerprint


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the rows name but the disk; commands run in it."""
    pytest.importorskip("evtx")
    dart_table.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_a_row_for_every_command() -> None:
    commands = {row.arguments[0] for row in dart_table.rows()}
    assert commands >= {
        "inspect",
        "services",
        "drivers",
        "registry",
        "files",
        "events",
        "autoruns",
        "adapters",
    }
    verbs = {word for row in dart_table.rows() for word in row.arguments}
    assert verbs >= {"set", "get", "find", "delete", "export", "import", "ls", "put"}
    text = dart_table.PAGE.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("$ p2vprep"):
            assert shlex.split(line[2:])[0] == "p2vprep"


@pytest.mark.long
def test_every_row_as_it_is_typed(at_work: Path, shelf: Shelf, fake: None) -> None:
    shelf.disk(at_work, "vhd", by_hand.spec(), name="srv")
    disk = at_work / DISK
    before = fingerprint(disk)
    prints = [before]
    *rows, last = dart_table.rows()
    assert last.arguments == ("rollback", DISK)
    for row in rows:
        if row.writes:
            applied = done(*row.arguments, "--yes")
            assert applied["committed"], row.was
            prints.append(fingerprint(disk))
        else:
            ran = p2vprep(*row.arguments)
            assert (ran.status, bool(ran.stdout.strip())) == (0, True), row.was
            assert fingerprint(disk) == prints[-1], row.was
    assert (at_work / "readme.txt").read_bytes() == b"tools\r\n"
    assert (at_work / "tcpip.reg").read_bytes().startswith(b"\xff\xfe")
    dart_table.expected_after(lambda *words: done(words[0], DISK, *words[1:]))
    while len(prints) > 1:
        assert fingerprint(disk) == prints.pop()
        done(*last.arguments)
    assert fingerprint(disk) == before


@pytest.mark.appliance
@pytest.mark.long
def test_every_row_on_a_real_disk(
    at_work: Path,
    built: Callable[[Sequence[DiskSpec]], dict[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows that look and those that plan share one launch; what they collect is applied together."""
    spec = replace(by_hand.spec(), name="by-hand", container="vpc")
    spec = replace(spec, volumes=tuple(replace(one, size=max(one.size, 160)) for one in spec.volumes))
    copy_disk(built([spec])["by-hand"], at_work, DISK)
    before = fingerprint(at_work / DISK)
    *rows, last = dart_table.rows()
    edits = at_work / "edits.json"
    with one_launch(at_work / DISK, monkeypatch):
        for row in rows:
            if row.writes:
                planned = done(*row.arguments, "--plan-only", "-o", edits)
                assert planned["changes"], row.was
            else:
                ran = p2vprep(*row.arguments)
                assert (ran.status, bool(ran.stdout.strip())) == (0, True), (row.was, ran.stderr)
    assert fingerprint(at_work / DISK) == before
    assert (at_work / "readme.txt").read_bytes() == b"tools\r\n"
    written = [row for row in rows if row.writes]
    assert len(json.loads(edits.read_text())["edits"]) >= len(written)
    applied = done("apply", DISK, "--edits", edits, "--only-edits", "--yes")
    assert {change["rule"] for change in applied["plan"]["changes"]} == {"by-hand"}
    with one_launch(at_work / DISK, monkeypatch):
        dart_table.expected_after(lambda *words: done(words[0], DISK, *words[1:]))
        assert done("verify", DISK)["as_planned"]
    done(*last.arguments)
    assert fingerprint(at_work / DISK) == before


@contextmanager
def one_launch(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands that only look find this disk opened already: its appliance is started once for all."""
    with ExitStack() as stack, monkeypatch.context() as patch:
        options = Options(sources=(), stages=())
        real = operations.opened
        machine = stack.enter_context(real([disk], options, silent, WarmUp(options)))

        @contextmanager
        def opened_already(paths: Sequence[Path], options: Options, sink: Any, warm: WarmUp) -> Iterator[Any]:
            assert [path.name for path in paths] == [disk.name]
            warm()
            yield replace(machine.afresh(), options=options)

        patch.setattr(operations, "opened", opened_already)
        yield
