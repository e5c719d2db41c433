"""How values, changes and findings are told, and what is typed becomes a value."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.console.words import (
    adapter_addresses,
    adapter_details,
    findings_lines,
    from_input,
    movement,
    review,
    service_details,
    shown,
    start_choice,
    subject,
    to_input,
)
from p2vprep.core.hand.listing import Row
from p2vprep.core.model import (
    FileChange,
    FileState,
    Hazard,
    KeyChange,
    Plan,
    Service,
    Skip,
    ValueChange,
)
from p2vprep.core.values import Data, RegType
from p2vprep.errors import DocumentError
from tests.console.fakes import facts

LETTERS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
)
HELD = (
    st.integers(0, 2**32 - 1).map(Data.dword)
    | st.integers(0, 2**64 - 1).map(Data.qword)
    | LETTERS.map(Data.sz)
    | LETTERS.map(Data.expand_sz)
    | st.lists(LETTERS.filter(bool)).map(Data.multi_sz)
    | st.binary().map(Data.binary)
)


@given(HELD)
def test_what_an_editor_shows_is_what_it_would_keep(data: Data) -> None:
    assert from_input(data.type, to_input(data)) == data


@pytest.mark.parametrize(
    ("kind", "text", "data"),
    [
        (RegType.DWORD, " 0x1F ", Data.dword(31)),
        (RegType.QWORD, "12", Data.qword(12)),
        (RegType.BINARY, "de ad\nBEEF", Data.binary(b"\xde\xad\xbe\xef")),
        (RegType.MULTI_SZ, "a\n\nb\n", Data.multi_sz(["a", "b"])),
        (RegType.SZ, "", Data.sz("")),
    ],
)
def test_what_is_typed(kind: int, text: str, data: Data) -> None:
    assert from_input(kind, text) == data


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (RegType.DWORD, ""),
        (RegType.DWORD, "many"),
        (RegType.DWORD, "-1"),
        (RegType.DWORD, "4294967296"),
        (RegType.DWORD, "0xzz"),
        (RegType.BINARY, "abc"),
        (RegType.BINARY, "no hex"),
        (RegType.SZ, "a\0b"),
    ],
)
def test_what_does_not_fit_is_said(kind: int, text: str) -> None:
    with pytest.raises(DocumentError):
        from_input(kind, text)


def test_values_in_a_line() -> None:
    assert shown(Data.dword(255)) == "255 (0xff)"
    assert shown(Data.sz("a\x1b[31mb")) == '"a\\x1b[31mb"'
    assert shown(None) == "(absent)"


def test_a_review_tells_everything_of_every_change() -> None:
    old, new = Data.dword(2), Data.dword(4)
    file = FileState("", 5)
    plan = Plan(
        facts().guest,
        ("ControlSet001",),
        (),
        (
            ValueChange("SYSTEM", "K", "Start", old, new, "by-hand", "why"),
            ValueChange("SYSTEM", "K", "", new, None, "by-hand", "why"),
            KeyChange("SYSTEM", "K\\Gone", True, False, "by-hand", "why"),
            KeyChange("SOFTWARE", "New", False, True, "by-hand", "why"),
            FileChange("/a", None, file, "by-hand", "why"),
            FileChange("/b", file, None, "by-hand", "why"),
        ),
        (Hazard("odd", "refuse", "Look out."), Hazard("mild", "warn", "Hm.")),
        (Skip("by-hand", "Nobody", "it is not there"),),
        (),
        (),
    )
    assert list(review(plan)) == [
        "stop: odd: Look out.",
        "SYSTEM\\K\\Start",
        "    2 (0x2) → 4 (0x4)",
        "SYSTEM\\K\\(default)",
        "    4 (0x4) → (absent)",
        "SYSTEM\\K\\Gone",
        "    deleted with all below it",
        "SOFTWARE\\New",
        "    made",
        "/a",
        "    absent → 5 bytes",
        "/b",
        "    5 bytes → absent",
        "note: mild: Hm.",
        "not done: Nobody: it is not there",
    ]
    start = ValueChange("SYSTEM", "ControlSet001\\Services\\x", "start", old, None, "by-hand", "why")
    assert movement(start) == "auto (2) → (absent)"
    assert movement(replace(start, before=Data.dword(9))) == "9 (0x9) → (absent)"
    assert subject(plan.changes[0]) == "SYSTEM\\K\\Start"
    assert movement(plan.changes[0]) == "2 (0x2) → 4 (0x4)"


@pytest.mark.parametrize(
    ("start", "delayed", "told"),
    [(2, True, "delayed"), (2, None, "auto"), (4, None, "disabled"), (9, None, "9")],
)
def test_start_types(start: int, delayed: bool | None, told: str) -> None:
    service = Service("s", "K", 16, start, "service", delayed=delayed)
    assert start_choice(service) == told


def test_a_service_in_full() -> None:
    service = Service(
        "Spooler",
        "K",
        16,
        2,
        "service",
        "Print Spooler",
        image_path="spoolsv.exe",
        deleted=True,
        depends_on_services=("RPCSS",),
    )
    lines = list(service_details(Row(service, "Print Spooler", ("Fax",), "Acme", False)))
    assert lines[0] == "Spooler: Print Spooler"
    told = {"runs: spoolsv.exe", "needs: RPCSS", "needed by: Fax", "whose: Acme", "marked for deletion"}
    assert told <= set(lines)
    assert "whose: part of Windows" in service_details(Row(service, "", (), "Microsoft", True))


def test_adapters_in_words() -> None:
    told = {one.name: adapter_addresses(one) for one in facts().boot.adapters}
    assert told["Production"] == "DHCP, last 10.20.30.41"
    assert told["Local Area Connection 2"].startswith("10.20.40.15/24 via ")
    ghost = next(one for one in facts().boot.adapters if one.ghost)
    assert any("a ghost" in line for line in adapter_details(ghost))


def test_findings_that_stop_come_first() -> None:
    assert list(findings_lines(())) == ["Nothing stands in the way of an apply."]
    found = [Hazard("a", "warn", "Hm."), Hazard("z", "refuse", "No.", ("here",), "Do this.")]
    assert list(findings_lines(found)) == [
        "stop  z: No.",
        "      here",
        "      next: Do this.",
        "",
        "note  a: Hm.",
        "",
    ]
