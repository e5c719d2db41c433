from __future__ import annotations

import pytest

from p2vprep.core.documents.actions import KINDS
from p2vprep.core.profile_words import confidences, known_from, signs, switch, what, when
from p2vprep.profile_store import ProfileStore
from tests.support.profiles import actions, profile

STORE = ProfileStore()

WORDS = [
    ("disable: Agent", "disables for good the service or driver Agent"),
    (
        "disable: {names: [a, b], type: driver, boot-start: true, image-path: x}",
        (
            "disables for good the drivers a, b, also as drivers that start with Windows (the guard allows "
            "that for known guest drivers), if its path fits /x/"
        ),
    ),
    (
        "disable: {names: 'hpq*', image-path: x, display-name: y}",
        "disables for good the services and drivers hpq*, if its path fits /x/ or its display name fits /y/",
    ),
    ("demand: Agent", "lets the service or driver Agent start on demand only"),
    (
        "park: {names: BITS, type: service, start: disabled}",
        "parks the service BITS until the first boot is done (it does not start meanwhile)",
    ),
    ("filter-remove: [f, g]", "takes the filters f, g out of UpperFilters and LowerFilters"),
    (
        "filter-remove: {names: f, position: UpperFilters, classes: '{x}'}",
        "takes the filter f out of UpperFilters of the device classes {x}",
    ),
    (
        "driver-enable: {names: d, devices: 'pci#cc_0101'}",
        (
            "lets the boot loader start the service or driver d; before Vista, the devices pci#cc_0101 lead "
            "to it (class hdc)"
        ),
    ),
    (
        "value: {key: 'Setup\\A', name: V, type: REG_DWORD, data: 1, create: true}",
        "sets the value V of SYSTEM\\Setup\\A to 1 (REG_DWORD); the key is made where it is absent",
    ),
    (
        "value: {hive: SOFTWARE, key: 'A\\B', name: '', type: REG_MULTI_SZ, data: [a, b]}",
        "sets the value (default) of SOFTWARE\\A\\B to 'a, b' (REG_MULTI_SZ)",
    ),
    ("value-delete: {key: 'Setup\\A', name: V}", "deletes the value V of SYSTEM\\Setup\\A"),
    ("key-delete: {key: 'Setup\\A'}", "deletes the key SYSTEM\\Setup\\A with all below it"),
    (
        "uninstall: {products: [^A, ^B], publisher: ^C, silent: /S}",
        (
            "with --set uninstall=first-boot, uninstalls programs whose name fits /^A/, /^B/ of a publisher "
            "that fits /^C/ with /S, in this order, at the first boot"
        ),
    ),
    (
        "file: {path: /a/b.cmd, content: ver}",
        "writes the file /a/b.cmd (3 characters; only administrators can change it)",
    ),
    ("file-delete: {path: /a/b.cmd}", "deletes the file /a/b.cmd"),
    ("first-boot: {commands: [ver, dir]}", "runs at the first boot (last): ver; dir"),
    (
        "boot-path: {controller: IDE, drivers: [a, b], windows: '<6.0', architecture: x86}",
        "knows that Windows starts from IDE with a, b (on Windows <6.0; on x86)",
    ),
    ("warn: {code: c, products: ^P}", "warns (c) where it finds a program whose name fits /^P/"),
    (
        "warn: {code: c, services: s, devices: ^D}",
        "warns (c) where it finds the service or driver s or a device whose id fits /^D/",
    ),
]


@pytest.mark.parametrize(("line", "words"), WORDS)
def test_actions_in_words(line: str, words: str) -> None:
    kind = "target" if line.startswith(("driver-enable", "boot-path")) else "source"
    assert what(actions(line, kind=kind).actions[0].action) == words


def test_every_kind_has_its_words() -> None:
    assert {line.split(":")[0] for line, _ in WORDS} == set(KINDS)


@pytest.mark.parametrize("name", STORE.names())
def test_every_shipped_action_has_words_of_its_own(name: str) -> None:
    for owned in STORE.get(name).actions:
        words = what(owned.action)
        assert not words.startswith(owned.action.kind + ":")
        assert not words.endswith(".")


CONDITIONS = [
    ("windows: ['<6.0', '>=10.0']", "only on Windows <6.0 or >=10.0"),
    ("architecture: x64", "only on x64"),
    ("role: [client, server]", "only on a client or server"),
    ("domain-member: true", "only on members of a domain"),
    ("domain-member: false", "only outside a domain"),
    ("service-exists: [a, b]", "only where there is a service a or b"),
    ("service-missing: a, windows: '>=6.0'", "only on Windows >=6.0; where there is no service a"),
    ("key-exists: 'S\\K'", "only where there is a key S\\K"),
    ("key-missing: 'S\\K'", "only where there is no key S\\K"),
]


@pytest.mark.parametrize(("condition", "words"), CONDITIONS)
def test_conditions_in_words(condition: str, words: str) -> None:
    found = actions(f"disable: a, when: {{{condition}}}")
    assert when(found.actions[0].action, found.parameters) == words


def test_switches_and_what_they_keep_off() -> None:
    found = profile(
        """\
        parameters:
          more: {default: keep, values: [keep, disable, park], help: More is disabled.}
        detect: {services: [a, b], bios: ^HP}
        actions:
          - {id: a, why: a good reason, source: a test, when: {parameter: {more: disable}}, disable: Agent}
          - {id: b, why: a good reason, source: a test, when: {parameter: {more: keep}}, disable: Agent}
        """
    )
    off, on = (when(owned.action, found.parameters) for owned in found.actions)
    assert off == "only with --set more=disable; so off unless you set it"
    assert on == "only with --set more=keep"
    assert switch("more", found.parameters["more"]) == "more=keep (default), disable, park: More is disabled."
    assert signs(found.detect) == ("a service: a, b", "a BIOS string that fits: ^HP")
    assert known_from(found.actions[0].action) == "a test (A)"
    assert confidences([found.actions[0].action]) == ("A: sure: the exact name is documented or was seen",)
