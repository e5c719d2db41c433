"""The site: built from docs/ without a warning, every link of the built pages leads somewhere."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """The targets of a page's links and pictures, and its own anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        for name in ("href", "src"):
            if held.get(name):
                self.targets.append(str(held[name]))
        if held.get("id"):
            self.anchors.add(str(held["id"]))


@pytest.mark.long
def test_the_site_builds_and_has_no_dead_links(tmp_path: Path) -> None:
    """Offline: nothing that a page shows comes from another host."""
    pytest.importorskip("sphinx", reason="the extra 'docs' is not installed (make docs does)")
    pytest.importorskip("myst_parser", reason="the extra 'docs' is not installed (make docs does)")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dirhtml"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), "docs", str(site)],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert site / "index.html" in pages
    for path, page in pages.items():
        for target in page.targets:
            assert _leads_somewhere(path, target, pages), f"{path.relative_to(site)}: {target}"


def _leads_somewhere(path: Path, target: str, pages: dict[Path, Links]) -> bool:
    name, _, anchor = target.partition("#")
    if name.startswith("https://"):
        return True  # a link to read on; nothing that the page needs
    if ":" in name.split("/")[0] or name.startswith("//"):
        return False
    place = (path.parent / name.split("?")[0]).resolve() if name else path
    place = place / "index.html" if place.is_dir() else place
    if not place.exists():
        return False
    return not anchor or place not in pages or anchor in pages[place].anchors
