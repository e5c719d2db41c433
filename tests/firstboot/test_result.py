from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.model import PutFile
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.firstboot import build, read_result
from p2vprep.firstboot.result import FirstBootResult, ServiceResult, StepResult
from tests.firstboot.machine import ITEMS, facts

BUNDLE = {
    edit.path: edit.content for edit in build(ITEMS, facts(), ["ControlSet001"]) if isinstance(edit, PutFile)
}
GIVE_BACK = b"""step 500-give-back\r
given-back 001 sc 0 reg 0 "BITS"\r
failed 002 sc 5 reg 1 "Agent (x64) & Co"\r
gone 003 sc - reg - "EventSystem"\r
given-back 004 sc - reg 0 "see names.txt, 004"\r
invented 005 sc 0 reg 0 "X"\r
exit 1\r
"""


def hive(values: dict[str, str] | None = None, *, entry: bool = False) -> MemoryHive:
    keys: dict[str, dict[str, Data]] = {"ControlSet001": {}}
    if values:
        keys[r"p2vprep\Result"] = {name: Data.sz(text) for name, text in values.items()}
    if entry:
        keys[r"ControlSet001\Services\p2vprep"] = {"Start": Data.dword(2)}
    return MemoryHive(keys)


def read(system: MemoryHive, **files: bytes) -> FirstBootResult:
    added = {f"/p2vprep/results/{name.replace('_', '-')[1:]}.txt": content for name, content in files.items()}
    return read_result(system, "ControlSet001", {**BUNDLE, **added})


def test_a_finished_first_boot() -> None:
    done = {"400-values": "done", "500-give-back": "done", "600-start": "done"}
    system = hive({"Boot1": "begun", "State": "finished", "Finished": "yes", **done})
    result = read(system, _400_values=b"step 400-values\r\nvalues reg 0\r\nexit 0\r\n")
    assert (result.state, result.boots, result.ok) == ("finished", 1, True)
    assert result.steps[0] == StepResult(
        "400-values", "done", lines=("step 400-values", "values reg 0", "exit 0")
    )
    assert [step.name for step in result.steps] == ["400-values", "500-give-back", "600-start"]


def test_what_failed_is_told_per_service_by_its_real_name() -> None:
    steps = {"400-values": "late", "500-give-back": "failed 1"}
    system = hive({"Boot1": "begun", "Boot2": "begun", "State": "failed", **steps})
    result = read(system, _500_give_back=GIVE_BACK)
    assert (result.state, result.boots, result.ok) == ("failed", 2, False)
    late, failed, missing = result.steps
    assert (late.outcome, missing.outcome) == ("late", "not-run")
    assert (failed.outcome, failed.detail) == ("failed", "1")
    assert failed.services == (
        ServiceResult("BITS", "given-back", "0", "0"),
        ServiceResult("Agent (x64) & Co", "failed", "5", "1"),
        ServiceResult("EventSystem", "gone", "-", "-"),
        ServiceResult("Überwachung", "given-back", "-", "0"),
    )


def test_the_report_as_json() -> None:
    system = hive({"Boot1": "begun", "State": "failed", "400-values": "failed 1"})
    log = {"/p2vprep/firstboot.log": b"one\r\n"}
    result = read_result(system, "ControlSet001", {**BUNDLE, **log})
    document = json.loads(json.dumps(result.to_json()))
    assert document["steps"][0] == {
        "name": "400-values",
        "outcome": "failed",
        "status": "failed because it ended with exit code 1",
        "detail": "1",
        "services": [],
        "adapter": None,
        "works": [],
        "lines": [],
    }
    assert {name: document[name] for name in ("state", "ok", "boots", "log")} == {
        "state": "failed",
        "ok": False,
        "boots": 1,
        "log": ["one"],
    }


def test_the_log_is_kept_as_lines() -> None:
    files = {"/p2vprep/firstboot.log": b"one\r\ntwo\xff\r\n"}
    assert read_result(hive({"Boot1": "begun"}), "ControlSet001", files).log == ("one", "two�")


def test_without_any_trace_there_was_no_first_boot() -> None:
    result = read_result(hive(), "ControlSet001", {})
    assert result == FirstBootResult("absent", 0, (), ())
    assert not result.ok


def test_an_entry_that_has_not_run_yet_waits_whatever_files_an_earlier_run_left() -> None:
    result = read(hive(entry=True), _500_give_back=GIVE_BACK)
    assert (result.state, result.boots) == ("waiting", 0)
    assert {step.outcome for step in result.steps} == {"not-run"}


def test_files_without_entry_and_key_tell_nothing() -> None:
    assert read(hive(), _500_give_back=GIVE_BACK).steps == ()


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"Boot1": "begun"}, "running"),
        ({"Boot1": "begun", "State": "running"}, "running"),
        ({"Boot1": "begun", "State": "again"}, "again"),
        ({"Boot1": "begun", "State": "gave-up"}, "gave-up"),
        ({"Boot1": "begun", "State": "invented"}, "running"),
    ],
)
def test_states(values: dict[str, str], state: str) -> None:
    assert read(hive(values, entry=True)).state == state


def test_finished_with_a_step_that_is_not_done_is_not_ok() -> None:
    assert not read(hive({"Boot1": "begun", "State": "finished", "400-values": "done"})).ok


@given(st.binary(), st.binary(), st.binary(), st.text(), st.text())
def test_nothing_a_guest_writes_makes_it_fail(
    names: bytes, result: bytes, log: bytes, a: str, b: str
) -> None:
    system = MemoryHive(
        {r"p2vprep\Result": {"State": Data.sz(a), "500-give-back": Data.sz(b), "Boot1": Data(1, log)}}
    )
    files = {
        "/p2vprep/firstboot.cmd": BUNDLE["/p2vprep/firstboot.cmd"] + result,
        "/p2vprep/data/names.txt": names,
        "/p2vprep/results/500-give-back.txt": result,
        "/p2vprep/firstboot.log": log,
    }
    assert len(read_result(system, "ControlSet001", files).steps) >= 3
