"""What steps wrote, read back as values and told in words."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.model import ConfigureInterface, PutFile, RemoveDevice, RunCommands, TuneNetwork
from p2vprep.core.network import InterfaceConfig, Match
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.firstboot import build, read_result
from p2vprep.firstboot.reports import adapter_result, numbered, work_results
from p2vprep.firstboot.result import FirstBootResult
from tests.firstboot.machine import WHY, facts

GUID = "{11111111-1111-1111-1111-111111111111}"
CONFIG = InterfaceConfig(
    Match(mac="00:15:5d:0a:0b:0c"), name="Büro", addresses=(ip_interface("192.0.2.10/24"),)
)
ITEMS = (
    ConfigureInterface(CONFIG, WHY),
    dataclasses.replace(ConfigureInterface(CONFIG, WHY), config=InterfaceConfig(Match(only=True), dhcp=True)),
    TuneNetwork(("interface", "tcp", "reset"), WHY),
    RunCommands("x", ("one", "two"), "last", 60, WHY),
    RemoveDevice("PCI\\Gerät\\1", WHY),
)
BUNDLE = {
    edit.path: edit.content for edit in build(ITEMS, facts(), ["ControlSet001"]) if isinstance(edit, PutFile)
}


def read(told: dict[str, str], **results: list[str]) -> FirstBootResult:
    held = {name: Data.sz(text) for name, text in {"Boot1": "begun", "State": "failed", **told}.items()}
    files = {
        f"/p2vprep/results/{name[1:].replace('_', '-')}.txt": "\r\n".join(lines).encode()
        for name, lines in results.items()
    }
    return read_result(MemoryHive({r"p2vprep\Result": held}), "ControlSet001", {**BUNDLE, **files})


def test_an_adapter_as_planned() -> None:
    lines = [
        f'found mac {GUID} "PCI\\X&Y\\1"',
        "ran 1 0",
        "check ok 1",
        f"adapter as-planned {GUID}",
        "exit 0",
    ]
    result = read({"200-adapter": "done"}, _200_adapter=lines)
    step = result.steps[0]
    assert step.adapter is not None
    assert (step.status, step.adapter.how, step.adapter.guid) == ("as planned", "mac", GUID)
    assert step.adapter.right == ("static",)
    document = step.to_json()
    assert document["adapter"] == {
        "outcome": "as planned",
        "why": "",
        "guid": GUID,
        "found_by": "mac",
        "as_planned": ["static"],
        "differs": [],
    }


def test_an_adapter_that_differs_says_in_what() -> None:
    lines = [f'found only {GUID} "PCI\\X\\1"', "check ok 1", "check differs 3", f"adapter differs {GUID}"]
    adapter = read({"200-adapter": "failed 1"}, _200_adapter=lines).steps[0].adapter
    assert adapter is not None
    assert (adapter.outcome, adapter.wrong) == ("differs", ("address 192.0.2.10/24",))


@pytest.mark.parametrize(
    ("told", "lines", "status"),
    [
        ({}, [], "not run"),
        ({"200-adapter": "failed 1"}, ["adapter not-found"], "failed because no adapter with this address"),
        ({"200-adapter": "failed 1"}, ["adapter several"], "failed because there is more than one adapter"),
        ({"200-adapter": "failed 1"}, ["adapter taken"], "failed because another part of the network"),
        ({"200-adapter": "late"}, [], "failed because the step broke off"),
        ({"200-adapter": "restart"}, [f"adapter by-registry {GUID}"], "not run"),
        ({"200-adapter": "restart"}, [f"adapter after-restart {GUID}"], "not run"),
        ({"200-adapter": "failed 1"}, ["adapter as-planned", "check differs 1"], "differs"),
    ],
)
def test_what_became_of_an_adapter(told: dict[str, str], lines: list[str], status: str) -> None:
    assert read(told, _200_adapter=lines).steps[0].status.startswith(status)


def test_what_was_written_before_a_step_was_cut_short_counts() -> None:
    files = {**BUNDLE, "/p2vprep/results/200-adapter.part": b"check differs 1\r\n"}
    system = MemoryHive({r"p2vprep\Result": {"200-adapter": Data.sz("late"), "Boot1": Data.sz("begun")}})
    adapter = read_result(system, "ControlSet001", files).steps[0].adapter
    assert adapter is not None
    assert adapter.wrong == ("static",)


def test_every_numbered_part_is_told_by_what_it_stands_for() -> None:
    result = read(
        {"300-tuning": "failed 1", "840-x": "failed 1", "700-devices": "done"},
        _300_tuning=["tune failed 1 5"],
        _840_x=["command ok 1 0", "command late 2 -"],
        _700_devices=["device no-means 001 -"],
    )
    works = {step.name: [work.to_json() for work in step.works] for step in result.steps}
    tuned = {"kind": "tuning", "outcome": "failed", "subject": "netsh interface tcp reset", "detail": "5"}
    assert works["300-tuning"] == [tuned]
    assert [(work["subject"], work["outcome"]) for work in works["840-x"]] == [("one", "ok"), ("two", "late")]
    assert [work["subject"] for work in works["700-devices"]] == ["PCI\\Gerät\\1"]


def test_lines_that_no_step_writes_are_left_out() -> None:
    told = [
        "disk 1 online",
        "disks cluster",
        "reset winsock 1",
        "reset ipv4 0",
        "takeover failed",
        "disk x online",
    ]
    assert [(work.kind, work.outcome, work.subject) for work in work_results(told, {})] == [
        ("disk", "online", "1"),
        ("disks", "cluster", ""),
        ("reset", "failed", "winsock"),
        ("reset", "ok", "ipv4"),
        ("takeover", "failed", ""),
    ]


@given(st.lists(st.text()), st.dictionaries(st.text(), st.text()), st.booleans(), st.binary())
def test_nothing_a_guest_writes_makes_it_fail(
    lines: list[str], labels: dict[str, str], ran: bool, data: bytes
) -> None:
    adapter = adapter_result(lines, labels, ran=ran)
    assert adapter.outcome == ("failed" if ran else "not run") or lines
    assert all(work.kind for work in work_results(lines, labels))
    assert all(isinstance(number, str) for number in numbered(data))
