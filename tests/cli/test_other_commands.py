"""The commands about profiles and about this host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from p2vprep.disk import doctor
from tests.support.flow import as_json, done, failed, p2vprep

OWN = """\
schema: p2vprep.profile/1
name: quiet
version: 3
kind: stage
summary: Fewer services
extends: isolated-first-boot
parameters:
  printing: {default: keep, values: [keep, off], help: Whether anybody prints here.}
actions:
  - id: spooler
    why: nobody prints here
    source: our own practice
    when: {parameter: {printing: "off"}}
    disable: Spooler
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "quiet.yaml").write_text(OWN)
    return tmp_path


def test_profiles_are_listed(own: Path) -> None:
    shipped = {(one["name"], one["kind"]) for one in done("profile", "list")["profiles"]}
    assert shipped >= {("hpe-proliant", "source"), ("isolated-first-boot", "stage")}
    assert "hpe-proliant" in p2vprep("profile", "list").stdout
    mine = {one["name"]: one for one in done("profile", "list", "--profile-dir", own)["profiles"]}
    assert mine["quiet"] == {"name": "quiet", "kind": "stage", "version": 3, "summary": "Fewer services"}


@pytest.mark.parametrize("command", ["show", "explain"])
def test_a_profile_is_shown_with_what_it_inherits(own: Path, command: str) -> None:
    found = done("profile", command, "quiet", "--profile-dir", own)
    ids = [action["id"] for action in found["actions"]]
    assert {"spooler", "w32time"} <= set(ids)
    assert found["parameters"]["printing"]["values"] == ["keep", "off"]
    shown = p2vprep("profile", command, "quiet", "--profile-dir", own).stdout
    assert "quiet" in shown
    disabled = r"spooler +disable +Spooler" if command == "show" else "spooler: disables for good .*Spooler"
    assert re.search(disabled, shown)
    assert ("nobody prints here" in shown) is (command == "explain")
    failed(2, "no-such-profile", "profile", command, "none")


def test_every_fault_of_a_profile_is_told_with_its_place(own: Path) -> None:
    good, bad, text = own / "quiet.yaml", own / "bad.yaml", own / "text.yaml"
    bad.write_text(OWN.replace("name: quiet", "name: bad").replace("disable:", "disabel:"))
    text.write_bytes(b"\xff\xfe\x00")
    ran = as_json("profile", "check", good, bad, text)
    assert ran.status == 7
    faults = ran.document["faults"]
    assert faults[str(good)] == []
    assert any(fault.startswith(f"{bad}:14:5: ") for fault in faults[str(bad)])
    assert faults[str(text)] == [f"{text}: is not UTF-8 text"]
    shown = p2vprep("profile", "check", good, bad)
    assert shown.status == 7
    assert f"{good}: valid" in shown.stdout.replace("\n", "")
    assert p2vprep("profile", "check", good).status == 0
    failed(2, "usage", "profile", "check", own / "none.yaml")


def test_the_schema_is_one_for_editors() -> None:
    ran = p2vprep("profile", "schema")
    assert ran.document["$schema"].startswith("https://json-schema.org/")
    assert "actions" in ran.document["properties"]


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("warn", 0), ("fail", 6)])
def test_the_doctor_says_whether_this_host_can_do_it(
    monkeypatch: pytest.MonkeyPatch, state: doctor.State, status: int
) -> None:
    items = (
        doctor.Item("appliance", "ok", "starts within 9 s"),
        doctor.Item(
            "accelerator", state, "KVM\x1b[31m does not work", mend="nothing" if state == "ok" else "load it"
        ),
    )
    monkeypatch.setattr(doctor, "examine", lambda **_named: doctor.Report(items, "tcg"))
    ran = as_json("doctor")
    assert ran.status == status
    assert ran.document["schema"] == "p2vprep.doctor/1"
    shown = p2vprep("doctor")
    assert shown.status == status
    assert r"KVM\x1b[31m does not work" in shown.stdout
    assert ("next: load it" in shown.stdout) is (state != "ok")


def test_what_every_kind_of_action_is_about_is_shown() -> None:
    shown = p2vprep("profile", "show", "hyper-v-gen1").stdout
    assert [line.split(maxsplit=2)[2].strip() for line in shown.splitlines() if "boot-ide" in line] == ["IDE"]
    assert "guest-tools-missing" in shown
    assert "SentinelKeysServer" in p2vprep("profile", "show", "licence-dongles").stdout
