"""docs/targets.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

from p2vprep.core.documents.profile import load
from p2vprep.core.profiles import resolve
from p2vprep.profile_store import ProfileStore

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")


def test_every_target_is_in_the_table() -> None:
    table = PAGE.partition("| target |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z0-9-]+)`", table))
    assert named == set(ProfileStore().names("target"))


def test_the_example_is_a_target_that_resolves() -> None:
    example = load(PAGE.partition("```yaml\n")[2].partition("```")[0], "docs/targets.md")
    store = ProfileStore()
    found = resolve(example.name, lambda name: example if name == example.name else store.document(name))
    assert found.kind == "target"
    assert found.hypervisors == ("kvm",)
    assert found.settings["data-disks"] == "online"


def test_every_code_that_is_told_is_one_of_the_code() -> None:
    table = PAGE.partition("| code |")[2].partition("\n\n")[0]
    codes = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    places = [*(ROOT / "p2vprep" / "core").rglob("*.py"), *(ROOT / "profiles").rglob("*.yaml")]
    text = "\n".join(place.read_text(encoding="utf-8") for place in places)
    assert len(codes) >= 10
    for code in codes:
        assert f'"{code}"' in text or f"code: {code}\n" in text, code
