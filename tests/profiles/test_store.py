from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.errors import DocumentError, UsageError
from p2vprep.profile_files import shipped_folder
from p2vprep.profile_store import ProfileStore
from tests.support.profiles import HEAD


def write(folder: Path, name: str, *, kind: str = "source", named: str | None = None, body: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(HEAD.format(name=named or name, kind=kind) + body, encoding="utf-8")
    return path


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    write(tmp_path / "shipped" / "sources", "vendor")
    write(tmp_path / "shipped" / "stages", "isolated", kind="stage")
    return tmp_path / "shipped"


def test_profiles_are_found_by_name_and_kind(shipped: Path) -> None:
    store = ProfileStore(shipped=shipped)
    assert store.names() == ("isolated", "vendor")
    assert store.names("stage") == ("isolated",)
    assert store.names("target") == ()
    assert store.get("vendor").kind == "source"
    assert [one.name for one in store.all("source")] == ["vendor"]
    assert store.path("vendor") == shipped / "sources" / "vendor.yaml"


def test_a_users_profile_extends_a_shipped_one(shipped: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine", "ours", body="extends: vendor\n")
    write(tmp_path / "mine" / "stages", "our-stage", kind="stage")
    store = ProfileStore([tmp_path / "mine"], shipped=shipped)
    assert store.names() == ("isolated", "our-stage", "ours", "vendor")
    assert store.get("ours").name == "ours"
    assert store.names("source") == ("ours", "vendor")


def test_unknown_names_list_what_there_is(shipped: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ProfileStore(shipped=shipped).get("vender")
    assert caught.value.hint == "There are: isolated, vendor."


def test_the_wrong_kind_is_told_with_the_right_option(shipped: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ProfileStore(shipped=shipped).get("isolated", "source")
    assert caught.value.hint == "Use --stage isolated."


def test_two_files_of_one_name_are_refused(shipped: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine", "vendor")
    with pytest.raises(DocumentError, match="two profiles are named 'vendor'"):
        ProfileStore([tmp_path / "mine"], shipped=shipped)


def test_a_folder_that_is_not_there_is_refused(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        ProfileStore([tmp_path / "nowhere"], shipped=shipped)


def test_name_and_kind_are_those_of_the_file(shipped: Path) -> None:
    write(shipped / "sources", "renamed", named="other")
    write(shipped / "targets", "astray", kind="stage")
    store = ProfileStore(shipped=shipped)
    with pytest.raises(DocumentError, match="is named 'other', its file 'renamed'"):
        store.get("renamed")
    with pytest.raises(DocumentError, match="a stage does not belong into targets"):
        store.get("astray")


def test_a_broken_profile_only_troubles_who_asks_for_it(shipped: Path) -> None:
    path = write(shipped / "sources", "broken", body="oops: 1\n")
    store = ProfileStore(shipped=shipped)
    assert store.get("vendor").name == "vendor"
    with pytest.raises(DocumentError) as caught:
        store.get("broken")
    assert f"{path}:{HEAD.count(chr(10)) + 1}:1: unknown key 'oops'" in caught.value.message


def test_what_cannot_be_read_is_told(shipped: Path) -> None:
    (shipped / "sources" / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (shipped / "sources" / "folder.yaml").mkdir()
    (shipped / "sources" / "huge.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    store = ProfileStore(shipped=shipped)
    for name, what in (("binary", "not UTF-8"), ("folder", "cannot be read"), ("huge", "too large")):
        with pytest.raises(DocumentError, match=what):
            store.get(name)


def test_the_shipped_folder_is_there() -> None:
    assert (shipped_folder() / "sources" / "hpe-proliant.yaml").is_file()
    assert "hpe-proliant" in ProfileStore().names("source")


def test_a_hypervisors_name_as_a_source_stands_for_its_guests(shipped: Path) -> None:
    write(shipped / "sources", "xen-guest")
    write(shipped / "targets", "xen", kind="target")
    store = ProfileStore(shipped=shipped)
    assert store.get("xen", "source").name == "xen-guest"
    assert store.get("xen-guest", "source").name == "xen-guest"
    assert store.get("xen", "target").name == "xen"
    assert store.get("xen").kind == "target"
    write(shipped / "targets", "kvm", kind="target")
    with pytest.raises(UsageError):
        ProfileStore(shipped=shipped).get("kvm", "source")
