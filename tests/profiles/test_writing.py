"""The worked example of docs/writing-profiles.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from p2vprep.core.documents.actions import KINDS
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.profile_files import shipped_folder
from tests.support.flow import Shelf, done, fake, p2vprep, sample, shelf, with_system

__all__ = ["fake", "shelf"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "writing-profiles.md").read_text(encoding="utf-8")
NAME = "acme-proliant"
SERVICES = {"AcmeWatch": r"C:\Acme\Watch.exe", "LabelPrint": r"C:\Program Files\Acme\Labels\print.exe"}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The YAML of the page, in a file of its own."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / f"{NAME}.yaml"
    path.write_text(blocks[0], encoding="utf-8")
    return path


@pytest.fixture
def disk(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """The sample server with Acme's services."""

    def acme(hive: MemoryHive) -> None:
        for name, path in SERVICES.items():
            key = hive.root.make(rf"ControlSet001\Services\{name}")
            key.set("Type", Data.dword(0x10)).set("Start", Data.dword(2)).set("ImagePath", Data.sz(path))

    return shelf.disk(tmp_path, spec=with_system(acme, sample()), name="acme")


def test_the_example_is_valid_and_is_explained(example: Path) -> None:
    ran = p2vprep("profile", "check", example)
    assert (ran.status, ran.stdout) == (0, f"{example}: valid\n")
    words = p2vprep("profile", "explain", NAME, "--profile-dir", example.parent).stdout
    assert "watch: disables for good the services and drivers AcmeWatch, AcmeWatchUpdate." in words
    assert "cqmghost" in words.lower()  # what it inherits


def test_the_example_held_against_the_server(example: Path, disk: Path) -> None:
    document = done("profile", "check", example, "--image", disk, "--set", "label-printer=disable")
    actions = {action["id"]: action for action in document["actions"][NAME]}
    assert actions["watch"]["changes"] == 1
    assert actions["watch"]["absent"] == ["AcmeWatchUpdate"]
    assert actions["labels"]["met"] == {"Label*": ["LabelPrint"]}
    assert actions["owner"]["changes"] == 3  # two keys and a value
    assert actions["uninstall"]["absent"] == ["/^Acme Watch/"]


def test_the_example_is_found_by_itself_and_planned(example: Path, disk: Path) -> None:
    plan = done("plan", disk, "--profile-dir", example.parent, "--set", "label-printer=disable")
    assert f"{NAME} 1" in plan["profiles"]
    changed = {change["key"].rpartition("\\")[2] for change in plan["changes"] if change["kind"] == "value"}
    assert {"AcmeWatch", "LabelPrint", "Inventory"} <= changed


def test_the_page_names_every_kind_of_action() -> None:
    told = set(re.findall(r"`([a-z-]+)`", PAGE))
    assert set(KINDS) <= told


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for name in ("writing-profiles.md", "virtio.md"):
        text = (DOCS / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (DOCS / link).exists(), f"{name}: {link}"
    assert shipped_folder().is_dir()
