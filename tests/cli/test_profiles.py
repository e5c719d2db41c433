"""`profile explain` and `profile check --image`, as people and scripts see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.flow import as_json, done, failed, p2vprep
from tests.support.profiles import HEAD

BODY = """\
parameters:
  quiet: {default: keep, values: [keep, disable], help: The helper is disabled.}
actions:
  - {id: agents, why: the agents watch hardware that is gone, source: our own lists, disable: [CqMg*, Nobody]}
  - {id: helper, why: the helper has nothing to help, source: our own lists,
     when: {parameter: {quiet: disable}}, disable: CqMgHost}
  - {id: old, why: only old Windows has it, source: our own lists, when: {windows: '<6.0'}, disable: CqMgHost}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "our-agents.yaml"
    path.write_text(HEAD.format(name="our-agents", kind="source") + BODY, encoding="utf-8")
    return path


def test_a_profile_is_explained_in_words(own: Path) -> None:
    ran = p2vprep("profile", "explain", "our-agents", "--profile-dir", own.parent)
    assert ran.status == 0
    assert "agents: disables for good the services and drivers CqMg*, Nobody." in ran.stdout
    assert "quiet=keep (default), disable: The helper is disabled." in ran.stdout
    assert "When: only with --set quiet=disable; so off unless you set it." in ran.stdout
    assert "Why: the agents watch hardware that is gone." in ran.stdout
    assert "A: sure: the exact name is documented or was seen" in ran.stdout
    assert all(line == line.rstrip() for line in ran.stdout.splitlines())


def test_the_words_are_in_the_document_as_well(own: Path) -> None:
    document = done("profile", "explain", "our-agents", "--profile-dir", own.parent)
    assert document["schema"] == "p2vprep.profile-shown/1"
    assert [action["applies"] for action in document["actions"]] == [
        "always",
        "only with --set quiet=disable; so off unless you set it",
        "only on Windows <6.0",
    ]
    assert document["actions"][0]["does"] == "disables for good the services and drivers CqMg*, Nobody"


def test_a_profile_is_held_against_an_image(own: Path, disk: Path) -> None:
    before = disk.read_bytes()
    document = done("profile", "check", own, "--image", disk)
    assert document["faults"] == {str(own): []}
    agents, helper, old = document["actions"]["our-agents"]
    assert agents["absent"] == ["Nobody"]
    assert "CqMgHost" in agents["met"]["CqMg*"]
    assert agents["changes"] == len(agents["met"]["CqMg*"])
    assert helper["reason"] == "off: needs --set quiet=disable (it is keep)"
    assert old["reason"].startswith("for Windows <6.0; this is 6.3")
    assert disk.read_bytes() == before
    assert not disk.with_name(f"{disk.name}.p2vprep").exists()


def test_people_see_what_would_do_nothing(own: Path, disk: Path) -> None:
    ran = p2vprep("profile", "check", own, "--image", disk, "--set", "quiet=disable")
    assert ran.status == 0
    assert f"{own}: valid" in ran.stdout
    assert "2 of 3 actions would do something." in ran.stdout
    assert "CqMg* means CqMgHost" in ran.stdout
    assert "not on this disk: Nobody" in ran.stdout
    assert "Nothing to do here:\n  old (disable): for Windows <6.0" in ran.stdout


def test_a_setting_that_nobody_has_is_a_usage_error(own: Path, disk: Path) -> None:
    failed(2, "usage", "profile", "check", own, "--image", disk, "--set", "other=x")


def test_of_several_profiles_each_has_its_own_settings(own: Path, disk: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(HEAD.format(name="plain", kind="source"), encoding="utf-8")
    document = done("profile", "check", own, plain, "--image", disk, "--set", "quiet=disable")
    assert document["actions"]["plain"] == []
    assert document["actions"]["our-agents"][1]["changes"] > 0


def test_a_faulty_profile_is_not_held_against_the_image(own: Path, disk: Path) -> None:
    own.write_text(own.read_text() + "oops: 1\n")
    ran = as_json("profile", "check", own, "--image", disk)
    assert ran.status == 7
    assert "actions" not in ran.document


def test_an_image_that_is_not_there_is_an_error(own: Path, tmp_path: Path, fake: None) -> None:
    ran = as_json("profile", "check", own, "--image", tmp_path / "none.raw")
    assert ran.status in (2, 6)
    assert ran.document["schema"] == "p2vprep.error/1"
