"""No dead links: every relative link and anchor in Markdown leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SKIPPED = {"build", "node_modules", "dist"}
_LINK = re.compile(
    r"(?<!\\)\[(?:[^\]\\]|\\.)*\]\(([^()\s]+(?:\([^()]*\)[^()\s]*)?)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE
)
_FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def documents() -> list[Path]:
    found = [path for path in CHECKOUT.rglob("*.md") if not any(_skipped(part) for part in path.parts)]
    return sorted(found)


def _skipped(part: str) -> bool:
    return part in SKIPPED or (part.startswith(".") and len(part) > 1)


def links(text: str) -> Iterator[str]:
    """The targets of links that lead to no other host."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        target = match.group(1) or match.group(2)
        if not re.match("[a-z]+:", target):
            yield target


@lru_cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors of a page's headings, as code forges and the site name them."""
    counted: dict[str, int] = {}
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
        name = anchor(heading)
        found.add(name if name not in counted else f"{name}-{counted[name]}")
        counted[name] = counted.get(name, 0) + 1
    return frozenset(found)


def anchor(heading: str) -> str:
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", "").replace("*", "")).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("path", documents(), ids=lambda one: one.relative_to(CHECKOUT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(path.read_text(encoding="utf-8")):
        name, _, part = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        assert place.exists(), f"{target} leads nowhere"
        if part and place.suffix == ".md":
            assert part in anchors(place), f"{target}: there is no such heading"


def test_every_page_can_be_reached_from_the_index() -> None:
    """By links alone, as a reader would."""
    start = CHECKOUT / "docs" / "index.md"
    seen, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        for target in links(page.read_text(encoding="utf-8")):
            place = (page.parent / target.partition("#")[0]).resolve()
            if place.suffix == ".md" and place.exists() and place not in seen:
                seen.add(place)
                waiting.append(place)
    assert set((CHECKOUT / "docs").rglob("*.md")) <= seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](b.md) and [c](d.md#e)", ["b.md", "d.md#e"]),
        ("[a](https://example.org/x)", []),
        ("`[a](b.md)`", []),
        ("```\n[a](b.md)\n```\n[c](d.md)", ["d.md"]),
        ("[ref]: other.md", ["other.md"]),
        ("![picture](images/a.svg)", ["images/a.svg"]),
    ],
)
def test_links_are_found(text: str, found: list[str]) -> None:
    assert list(links(text)) == found


def test_anchors_are_those_of_code_forges() -> None:
    assert anchor("What `apply` does: step by step") == "what-apply-does-step-by-step"
    assert anchor("p2vprep wave run") == "p2vprep-wave-run"
