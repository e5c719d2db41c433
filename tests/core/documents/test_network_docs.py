"""What docs/network.md shows is valid, and it tells of every key, setting and code there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from p2vprep.core.documents.network import InterfacePart, MatchPart, load
from p2vprep.core.netsettings import NETWORK_SETTINGS

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
SOURCES = ("nethazards.py", "netresolve.py", "rules/location.py", "rules/netwaits.py", "rules/wds.py")


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_are_valid(example: str) -> None:
    assert load(example, "docs/network.md").interfaces


def test_every_key_and_setting_is_told() -> None:
    fields = {field.replace("_", "-") for part in (InterfacePart, MatchPart) for field in part.model_fields}
    missing = [name for name in (*fields, *NETWORK_SETTINGS) if f"`{name}" not in TEXT and name != "match"]
    assert missing == []
    for name, setting in NETWORK_SETTINGS.items():
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |")]
        for value in setting.values[1:]:
            assert value in row, f"{name}: {value}"


def test_every_code_is_told() -> None:
    codes = {
        code
        for source in SOURCES
        for code in re.findall(
            r'Hazard\(\s*"([a-z0-9-]+)"', (ROOT / "p2vprep" / "core" / source).read_text(encoding="utf-8")
        )
    }
    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in TEXT] == []
