"""Faults of profile files, each with the place where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.errors import UsageError
from p2vprep.profile_faults import Checked, check_files
from p2vprep.profile_store import ProfileStore
from tests.support.profiles import HEAD

STORE = ProfileStore()


def written(
    folder: Path, name: str, body: str = "", *, file: str | None = None, kind: str = "source"
) -> Path:
    path = folder / (file or f"{name}.yaml")
    path.write_text(HEAD.format(name=name, kind=kind) + body, encoding="utf-8")
    return path


def check(*paths: Path, store: ProfileStore = STORE) -> tuple[Checked, ...]:
    return check_files(paths, store)


def test_a_sound_profile_is_resolved_with_what_it_extends(tmp_path: Path) -> None:
    (found,) = check(written(tmp_path, "our-hp", "extends: hpe-proliant\n"))
    assert found.faults == ()
    assert found.profile is not None
    assert {owned.action.id for owned in found.profile.actions} >= {"uninstall-agents"}


def test_files_may_extend_each_other_in_any_order(tmp_path: Path) -> None:
    upper = written(tmp_path, "upper", "extends: lower\n")
    lower = written(
        tmp_path, "lower", "actions:\n  - {id: a, why: a good reason, source: me, disable: Agent}\n"
    )
    found = check(upper, lower)
    assert [one.faults for one in found] == [(), ()]
    assert found[0].profile is not None
    assert [owned.action.id for owned in found[0].profile.actions] == ["a"]


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ("extends: [hpe-proliant, nobody]\n", "6:25", "there is no profile 'nobody'"),
        ("settings: {nothing: x}\n", "6:21", "there is no setting 'nothing'"),
        ("settings: {uninstall: now}\n", "6:23", "uninstall takes keep, first-boot, not 'now'"),
        ("extends: isolated-first-boot\n", "6:10", "it cannot extend the stage"),
        ("actions:\n  - {id: a, why: a good reason, source: me, disable: 'x*'}\n", "7:54", "too wide"),
        ("unknown: 1\n", "6:1", "unknown key 'unknown'"),
    ],
)
def test_every_fault_has_its_place(tmp_path: Path, body: str, place: str, words: str) -> None:
    path = written(tmp_path, "ours", body)
    (found,) = check(path)
    assert found.profile is None
    assert found.faults[0].startswith(f"{path}:{place}: ")
    assert words in found.faults[0]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    (found,) = check(written(tmp_path, "ours", "extends: nobody\nsettings: {nothing: x, uninstall: now}\n"))
    assert len(found.faults) == 3


def test_a_file_is_named_as_its_profile(tmp_path: Path) -> None:
    path = written(tmp_path, "ours", file="other.yaml")
    (found,) = check(path)
    assert found.faults == (f"{path}:2:7: the profile 'ours' belongs into a file ours.yaml",)


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    (found,) = check(written(tmp_path, "vmware-tools"))
    assert "is named 'vmware-tools' as well" in found.faults[0]


def test_a_file_in_a_folder_of_the_store_is_no_namesake_of_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "ours")
    assert check(path, store=ProfileStore([tmp_path]))[0].faults == ()


def test_a_circle_is_a_fault(tmp_path: Path) -> None:
    paths = [written(tmp_path, "one", "extends: two\n"), written(tmp_path, "two", "extends: one\n")]
    assert all("in a circle" in one.faults[0] for one in check(*paths))


def test_what_is_no_profile_at_all_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "b.yaml").write_text("[")
    (tmp_path / "c.yaml").write_bytes(b"#" * ((4 << 20) + 1))
    found = check(*(tmp_path / f"{name}.yaml" for name in "abc"))
    assert ["UTF-8" in found[0].faults[0], "b.yaml:1:" in found[1].faults[0]] == [True, True]
    assert "too large" in found[2].faults[0]


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        check(tmp_path / "none.yaml")
