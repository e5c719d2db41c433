"""Where profiles are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.errors import DocumentError, UsageError
from p2vprep.profile_files import all_folders, require_known, shipped_folder, user_folder
from p2vprep.profile_store import ProfileStore
from tests.support.profiles import HEAD


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def own(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(HEAD.format(name=name, kind="source"), encoding="utf-8")
    return folder


@pytest.mark.parametrize("variable", ["", "relative/path", None])
def test_without_a_usable_variable_the_home_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    assert user_folder() == home / "config" / "p2vprep" / "profiles"
    if variable is None:
        monkeypatch.delenv("XDG_CONFIG_HOME")
    else:
        monkeypatch.setenv("XDG_CONFIG_HOME", variable)
    assert user_folder() == home / "home" / ".config" / "p2vprep" / "profiles"


def test_without_a_home_there_is_no_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    assert user_folder() is None
    assert all_folders(()) == (shipped_folder(),)


def test_the_own_folder_is_looked_into_where_it_is_there(home: Path) -> None:
    assert all_folders(()) == (shipped_folder(),)
    folder = own(home / "config" / "p2vprep" / "profiles", "our-agents")
    assert all_folders(()) == (shipped_folder(), folder)
    assert ProfileStore().get("our-agents").name == "our-agents"
    require_known(["our-agents"], ())


def test_a_folder_that_is_named_as_well_is_read_once(home: Path) -> None:
    folder = own(home / "config" / "p2vprep" / "profiles", "our-agents")
    again = home / "link"
    again.symlink_to(folder)
    assert all_folders((folder, again)) == (shipped_folder(), folder)
    assert "our-agents" in ProfileStore([again]).names()


def test_two_folders_with_one_name_are_refused(home: Path) -> None:
    own(home / "config" / "p2vprep" / "profiles", "our-agents")
    other = own(home / "other", "our-agents")
    with pytest.raises(DocumentError, match="two profiles are named 'our-agents'"):
        ProfileStore([other])


def test_a_folder_that_is_not_there_is_refused(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        all_folders((home / "nothing",))
    assert caught.value.code == "no-such-folder"
