"""Every shipped profile held against real hives: the report agrees with the plan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.model import FileState
from p2vprep.core.planner import Draft, draft, file_paths, finish
from p2vprep.core.profile_check import examine
from p2vprep.core.regf.reader import HiveReader
from p2vprep.profile_store import ProfileStore
from tests.support import corpus

STORE = ProfileStore()
QUICK = ("vmware-tools", "win10-21h2-x64_dissect.regf_1.SYSTEM")
CASES = [
    pytest.param(name, hive, marks=[] if (name, hive) == QUICK else [pytest.mark.long])
    for hive in corpus.system_hive_names()
    for name in STORE.names()
]


@lru_cache(maxsize=2)
def real(name: str) -> HiveReader:
    return HiveReader(corpus.hive_bytes(name))


def nothing(paths: Sequence[str]) -> dict[str, FileState | None]:
    return dict.fromkeys(paths)


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "hive_name"), CASES)
def test_an_action_that_would_change_something_is_in_the_plan(name: str, hive_name: str) -> None:
    """And where no action would, the profile adds nothing to the plan of the rules alone."""
    hive, profile = real(hive_name), STORE.get(name)
    hives = {"SYSTEM": hive}
    facts = gather(hive, None, system_root="/Windows")
    reports = examine(profile, facts, hives, nothing)
    assert [report.id for report in reports] == [owned.action.id for owned in profile.actions]

    # The profile's settings are left out of both plans: only its actions are compared.
    settings = dict(profile.settings)
    with_it = draft(facts, hives, [profile], overrides=settings, control_sets="boot")
    without = draft(facts, hives, [], overrides=settings, control_sets="boot")
    added = set(finish(with_it, hives, files=_files(with_it)).changes) - set(
        finish(without, hives, files=_files(without)).changes
    )
    assert bool(added) == any(report.changes for report in reports)
    for report in reports:
        assert bool(report.reason) == report.idle


def _files(wanted: Draft) -> dict[str, FileState | None]:
    """None of the files that a draft names is there."""
    return dict.fromkeys((path.upper() for path in file_paths(wanted)), None)
