"""The pages in docs/profiles say what the profiles say."""

from __future__ import annotations

import pytest

from bench import detection_table
from bench.profile_pages import FOLDER, conditions, page, pages, what
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.profile_store import ProfileStore
from tests.support.profiles import actions, profile

PAGES = pages(ProfileStore())


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_as_its_profile(name: str) -> None:
    """Run ``python -m bench.profile_pages`` after a profile was changed."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]


def test_there_are_no_pages_of_profiles_that_are_gone() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == {*PAGES, "detection.md"}


@pytest.mark.corpus
@pytest.mark.long
def test_the_table_of_detection_is_as_the_corpus() -> None:
    """Run ``python -m bench.detection_table`` after a profile was changed."""
    assert (FOLDER / "detection.md").read_text(encoding="utf-8") == detection_table.table()


def shown(found: ResolvedProfile) -> str:
    return what(found.actions[0].action)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("disable: Agent", "**disable** `Agent`"),
        (
            "disable: {names: [a, b], type: driver, image-path: 'x|y', boot-start: true}",
            "**disable** `a`, `b` (drivers only; path fits `x\\|y`; also where it starts with Windows)",
        ),
        ("park: {names: BITS, start: demand}", "**park** `BITS` (rests at demand)"),
        (
            "filter-remove: {names: f, position: UpperFilters, classes: '{x}'}",
            "**filter-remove** `f` (UpperFilters; classes `{x}`)",
        ),
        ("uninstall: {products: '^Acme'}", "**uninstall** programs `^Acme`"),
        ("first-boot: {commands: 'ver'}", "**first-boot** `ver`"),
        ("key-delete: {key: 'Setup\\A'}", "**key-delete** key `Setup\\A`"),
        (
            "driver-enable: {names: atapi, devices: ['*pnp0600']}",
            "**driver-enable** `atapi` (before Vista for `*pnp0600`)",
        ),
        ("driver-enable: {names: a, start: demand}", "**driver-enable** `a` (starts at demand)"),
        (
            "boot-path: {controller: SATA, drivers: [a, b], windows: '>=6.2', architecture: x64}",
            "**boot-path** SATA by `a`, `b` (Windows `>=6.2`; x64)",
        ),
        ("boot-path: {controller: IDE, drivers: a}", "**boot-path** IDE by `a`"),
        ("warn: {code: a-b}", "**warn** `a-b`"),
        (
            "warn: {code: a, services: {names: b, type: driver}, devices: '^USB', products: '^P'}",
            "**warn** `a` where there is `b` (drivers only), devices `^USB`, programs `^P`",
        ),
    ],
)
def test_actions_in_words(line: str, words: str) -> None:
    assert shown(actions(line)) == words


def test_conditions_in_words() -> None:
    found = actions(
        "disable: a, when: {windows: '>=6.0', role: client, service-missing: b, key-exists: 'S\\K'}"
    )
    assert conditions(found.actions[0].action.when) == (
        "Windows `>=6.0`; role client; without service `b`; with key `S\\K`"
    )
    assert conditions(actions("disable: a").actions[0].action.when) == ""


def test_a_page_tells_parameters_and_what_is_off() -> None:
    found = profile(
        """\
        parameters:
          more: {default: keep, values: [keep, disable], help: More is disabled.}
        actions:
          - {id: a, why: a good reason, source: a test, when: {parameter: {more: disable}}, disable: Agent}
        """
    )
    text = page(found, "# What it is\n#\n# Left alone: x\nschema: y\n")
    assert "What it is\n\nLeft alone: x\n" in text
    assert "| `more` | **keep**, disable | More is disabled. |" in text
    assert "`more` is disable; off by default" in text
