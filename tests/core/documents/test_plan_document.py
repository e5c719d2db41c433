from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.documents.plan_document import differences, dumps, load, to_document
from p2vprep.core.model import (
    FileChange,
    FileState,
    Guest,
    Hazard,
    HiveState,
    KeyChange,
    Plan,
    RestoreService,
    RestoreValue,
    Role,
    Skip,
    ValueChange,
    WindowsVersion,
)
from p2vprep.core.values import Data
from p2vprep.errors import DocumentError

SHA = "ab" * 32
GUEST = Guest(
    product="Windows Server 2008 R2",
    version=WindowsVersion(6, 1, 7601),
    role=Role.SERVER,
    architecture="x64",
    installation_type="Server",
    computer_name="SRV01",
    system_root="/Windows",
    domain_member=None,
)
KEY = r"ControlSet001\Services\CqMgHost"
PLAN = Plan(
    guest=GUEST,
    control_sets=("ControlSet001", "ControlSet002"),
    profiles=("hpe-proliant 1",),
    changes=(
        ValueChange("SYSTEM", KEY, "Start", Data.dword(2), Data.dword(4), "services", "why"),
        ValueChange("SYSTEM", KEY, "List", Data.multi_sz(["a", "b"]), None, "services", "why"),
        ValueChange("SYSTEM", KEY, "Odd", None, Data(0xFFFF0012, b"\1\2\3"), "services", "why"),
        KeyChange("SYSTEM", "p2vprep", False, True, "park", "why"),
        KeyChange("SYSTEM", r"Setup\Old", True, False, "park", "why"),
        FileChange("/p2vprep/a.cmd", None, FileState(SHA, 3), "first-boot", "why", b"abc"),
        FileChange("/x", FileState(SHA, 9), None, "first-boot", "why", locked=False),
    ),
    hazards=(Hazard("dependency", "warn", "message", ("a <- b",), "cure", liftable=False),),
    skips=(Skip("services", "x", "reason"),),
    first_boot=(
        RestoreService("Spooler", 2, True, "why"),
        RestoreService("Other", 3, None, "why"),
        RestoreValue(r"SYSTEM\CurrentControlSet\X", "N", Data.dword(1), "why"),
        RestoreValue(r"SYSTEM\CurrentControlSet\X", "M", None, "why"),
    ),
    hives=(
        HiveState(
            "SYSTEM", "/Windows/System32/config/SYSTEM", SHA, "cd" * 32, True, {"LOG1": SHA}, 4, ("LOG1",)
        ),
    ),
)
OTHER_FILE = FileChange("/p2vprep/a.cmd", None, FileState(SHA, 4), "first-boot", "why", b"abcd")
REQUEST = {"stage": "isolated-first-boot", "set": {"ncsi": "park"}, "sources": ["auto"]}


def text(plan: Plan = PLAN) -> str:
    return dumps(plan, request=REQUEST, tool="p2vprep 1.0")


def changed(edit: Any) -> str:
    document = json.loads(text())
    edit(document)
    return json.dumps(document)


def test_a_plan_comes_back_as_it_was() -> None:
    found = load(text())
    assert found.plan == PLAN
    assert found.request == REQUEST
    assert found.tool == "p2vprep 1.0"
    assert text(found.plan) == text()


def test_the_document_has_the_promised_shape() -> None:
    document = to_document(PLAN, request=REQUEST, tool="p2vprep 1.0")
    assert document["schema"] == "p2vprep.plan/1"
    assert document["changes"][0] == {
        "kind": "value",
        "hive": "SYSTEM",
        "key": KEY,
        "name": "Start",
        "before": {"type": "REG_DWORD", "data": 2},
        "after": {"type": "REG_DWORD", "data": 4},
        "rule": "services",
        "why": "why",
    }
    assert document["changes"][1]["before"] == {"type": "REG_MULTI_SZ", "data": ["a", "b"]}
    assert document["changes"][1]["after"] is None
    assert document["changes"][5]["path"] == "/p2vprep/a.cmd"
    assert document["changes"][5]["sha256"] == SHA
    assert {"code", "severity", "message", "evidence"} <= set(document["hazards"][0])
    assert document["skips"] == [{"rule": "services", "subject": "x", "reason": "reason"}]
    assert document["guest"]["version"]["text"] == "6.1.7601"
    assert document["guest"]["role"] == "server"


@settings(max_examples=60)
@given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=12), st.text(max_size=5))
def test_any_value_comes_back_byte_by_byte(kind: int, raw: bytes, name: str) -> None:
    change = ValueChange("SYSTEM", KEY, name, Data(kind % 14, raw), Data(kind, raw), "r", "w")
    plan = replace(PLAN, changes=(change,))
    assert load(text(plan)).plan == plan


def test_the_text_can_be_written_whatever_a_hive_holds() -> None:
    odd = Data(1, b"\x00\xd8A\0")
    plan = replace(PLAN, changes=(ValueChange("SYSTEM", KEY, "x", odd, None, "r", "w"),))
    written = text(plan).encode("utf-8")
    assert load(written.decode("utf-8")).plan == plan
    umlaut = replace(PLAN, skips=(Skip("r", "Müller", "x"),))
    assert "Müller" in text(umlaut)


@pytest.mark.parametrize(
    ("edit", "pointer"),
    [
        (lambda d: d.update(extra=1), "/extra: Extra inputs"),
        (lambda d: d.pop("hives"), "/hives: Field required"),
        (
            lambda d: d["changes"][0].update(before={"type": "REG_DWORD", "data": "zz"}),
            "/changes/0/before",
        ),
        (lambda d: d["changes"][0].update(after=4), "/changes/0/after: not a registry value"),
        (lambda d: d["changes"][0].pop("why"), "/changes/0/why: Field required"),
        (lambda d: d["changes"][0].update(kind="magic"), "/changes/0"),
        (lambda d: d["changes"][5].update(sha256="zz"), "/changes/5/sha256"),
        (lambda d: d["hives"][0].update(dirty="no"), "/hives/0/dirty"),
        (lambda d: d["guest"].update(role="boss"), "/guest/role"),
        (lambda d: d["first_boot"][0].update(start=9), "/first_boot/0/start"),
        (lambda d: d["hazards"][0].update(severity="fatal"), "/hazards/0/severity"),
        (lambda d: d.update(request=[]), "/request"),
    ],
)
def test_faults_are_told_with_a_pointer(edit: Any, pointer: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load(changed(edit), "plan.json")
    assert f"plan.json: {pointer}" in caught.value.message
    assert caught.value.details


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("{", "plan.json:1:2: is not JSON"),
        ("[]", "is not a plan document"),
        ('{"schema": "p2vprep.plan/2"}', "/schema: this is 'p2vprep.plan/2'"),
        ("{}", "/schema: this is None"),
        ('{"schema": 1, "schema": 2}', "'schema' is there twice"),
        ("[" * 100_000, "is not JSON"),
        (" " * (64 * 1024 * 1024 + 1), "longer than 64 MiB"),
    ],
)
def test_what_is_no_plan_document_is_refused(given: str, what: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load(given, "plan.json")
    assert what in caught.value.message


# --- staleness ---------------------------------------------------------------------------------


def stale(**changes: Any) -> tuple[str, ...]:
    return differences(load(text()), replace(PLAN, **changes))


def test_the_same_plan_is_not_stale() -> None:
    assert stale() == ()
    assert stale(hazards=(), skips=()) == (), "words for people do not count"


def first(**changes: Any) -> tuple[Any, ...]:
    return (replace(PLAN.changes[0], **changes), *PLAN.changes[1:])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"guest": replace(GUEST, computer_name="SRV02")}, "the plan is for SRV01"),
        ({"control_sets": ("ControlSet001",)}, "control sets: "),
        ({"profiles": ("hpe-proliant 2",)}, "profiles: hpe-proliant 1 then, hpe-proliant 2 now"),
        ({"profiles": ()}, "none now"),
        ({"hives": (replace(PLAN.hives[0], primary="00" * 32),)}, "the hive SYSTEM is not the one"),
        ({"hives": ()}, "the hive SYSTEM is not here any more"),
        ({"changes": PLAN.changes[1:]}, rf"SYSTEM\{KEY}: Start: planned then, not needed now"),
        ({"changes": first(before=Data.dword(3))}, rf"SYSTEM\{KEY}: Start: is not what it was"),
        ({"changes": first(after=Data.dword(3))}, rf"SYSTEM\{KEY}: Start: another change than planned"),
        ({"changes": first(name="Stop")}, rf"SYSTEM\{KEY}: Stop: needed now, not planned then"),
        ({"changes": (*PLAN.changes[:5], OTHER_FILE, PLAN.changes[6])}, "/p2vprep/a.cmd: another change"),
        ({"first_boot": ()}, "what the first boot gives back"),
    ],
)
def test_what_differs_is_told(changes: dict[str, Any], what: str) -> None:
    assert any(what in line for line in stale(**changes))
