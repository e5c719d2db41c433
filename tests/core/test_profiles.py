from __future__ import annotations

import pytest

from p2vprep.core.documents.profile import Profile
from p2vprep.core.profiles import Setting, choose, in_order, resolve
from p2vprep.errors import DocumentError, UsageError
from tests.support.profiles import document, profile

SETTINGS = (
    Setting("ncsi", "keep", ("park", "off", "keep"), "the probe"),
    Setting("stale-dhcp", "clear", ("clear", "keep"), "the leases"),
)

PARENT = """\
detect: {services: [Agent], bios: [Maker]}
parameters: {teaming: {default: keep, values: [keep, disable], help: the team}}
settings: {ncsi: park}
actions:
  - {id: agent, why: a good reason, source: a test, disable: Agent}
  - {id: team, why: a good reason, source: a test, confidence: C, disable: Team,
     when: {parameter: {teaming: disable}}}
"""


def lookup(*documents: Profile) -> dict[str, Profile]:
    return {one.name: one for one in documents}


def test_a_profile_has_what_it_extends() -> None:
    known = lookup(
        document(PARENT, name="parent"),
        document(
            """\
            extends: parent
            detect: {services: [Other]}
            settings: {stale-dhcp: keep}
            actions:
              - {id: other, why: a good reason, source: a test, disable: Other}
            """,
            name="child",
        ),
    )
    found = resolve("child", known.__getitem__)
    assert [owned.name for owned in found.actions] == ["child: agent", "child: team", "child: other"]
    assert found.detect.services == ("Agent", "Other")
    assert found.detect.bios == ("Maker",)
    assert found.settings == {"ncsi": "park", "stale-dhcp": "keep"}
    assert set(found.parameters) == {"teaming"}
    assert found.title == "child 1"


def test_the_same_name_replaces_what_is_inherited() -> None:
    known = lookup(
        document(PARENT, name="parent"),
        document(
            """\
            extends: [parent]
            parameters: {teaming: {default: disable, values: [keep, disable], help: the team}}
            actions:
              - {id: agent, why: another reason, source: a test, demand: Agent}
              - {id: team, why: a good reason, source: a test, disable: Team,
                 when: {parameter: {teaming: disable}}}
            """,
            name="child",
        ),
    )
    found = resolve("child", known.__getitem__)
    assert [owned.action.kind for owned in found.actions] == ["demand", "disable"]
    assert found.parameters["teaming"].default == "disable"


def test_faults_that_only_show_with_the_inherited_parameters() -> None:
    child = document(
        """\
        extends: parent
        parameters: {teaming: {default: disable, values: [keep, disable], help: the team}}
        """,
        name="child",
    )
    with pytest.raises(DocumentError, match=r"'child': action 'team': confidence C"):
        resolve("child", lookup(document(PARENT, name="parent"), child).__getitem__)
    lost = document(
        """\
        extends: parent
        actions:
          - {id: x, why: a good reason, source: a test, when: {parameter: {unheard: a}}, disable: X}
        """,
        name="lost",
    )
    with pytest.raises(DocumentError, match="no parameter 'unheard'; there are: teaming"):
        resolve("lost", lookup(document(PARENT, name="parent"), lost).__getitem__)


def test_circles_and_other_kinds_are_refused() -> None:
    known = lookup(document("extends: b\n", name="a"), document("extends: a\n", name="b"))
    with pytest.raises(DocumentError, match="circle: a > b > a"):
        resolve("a", known.__getitem__)
    mixed = lookup(document("", name="a", kind="stage"), document("extends: a\n", name="b"))
    with pytest.raises(DocumentError, match="is a source; it cannot extend the stage 'a'"):
        resolve("b", mixed.__getitem__)


def test_two_ways_to_one_ancestor_are_no_circle() -> None:
    known = lookup(
        document(PARENT, name="top"),
        document("extends: top\n", name="left"),
        document("extends: top\n", name="right"),
        document("extends: [left, right]\n", name="bottom"),
    )
    assert len(resolve("bottom", known.__getitem__).actions) == 2


def test_settings_come_from_defaults_then_profiles_then_overrides() -> None:
    source = profile("settings: {ncsi: 'off'}\n", name="a")
    stage = profile("settings: {ncsi: park}\n", name="b", kind="stage")
    assert choose([], SETTINGS, {}).settings == {"ncsi": "keep", "stale-dhcp": "clear"}
    assert choose([stage, source], SETTINGS, {}).settings["ncsi"] == "park"
    assert choose([stage, source], SETTINGS, {"ncsi": "keep"}).settings["ncsi"] == "keep"
    assert [one.name for one in in_order([stage, source])] == ["a", "b"]


def test_parameters_are_those_of_each_profile() -> None:
    a, b = profile(PARENT, name="a"), profile(PARENT, name="b")
    chosen = choose([a, b], SETTINGS, {"teaming": "disable"})
    assert chosen.parameters == {"a": {"teaming": "disable"}, "b": {"teaming": "disable"}}
    assert choose([a], SETTINGS, {}).parameters == {"a": {"teaming": "keep"}}


def test_what_nobody_knows_is_a_usage_error_that_lists_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        choose([profile(PARENT)], SETTINGS, {"teeming": "disable"})
    assert caught.value.subject == "teeming"
    assert caught.value.hint == "With these profiles there are: ncsi, stale-dhcp, teaming."
    with pytest.raises(UsageError) as caught:
        choose([profile(PARENT)], SETTINGS, {"teaming": "on"})
    assert caught.value.hint == "It takes one of: disable, keep."
    with pytest.raises(UsageError):
        choose([], SETTINGS, {"ncsi": "on"})


def test_a_setting_nobody_knows_is_a_fault_of_the_profile() -> None:
    with pytest.raises(DocumentError, match="no setting 'ncsy'; there are: ncsi, stale-dhcp"):
        choose([profile("settings: {ncsy: park}\n")], SETTINGS, {})
    with pytest.raises(DocumentError, match="'on' is not a value of the setting 'ncsi'"):
        choose([profile("settings: {ncsi: 'on'}\n")], SETTINGS, {})
