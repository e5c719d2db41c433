"""Reports: nothing of a guest is ever markup, a formula or a script, and the page is readable everywhere."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.errors import CannotOpenError, UsageError
from p2vprep.wave import reporting
from p2vprep.wave.job import Outcome, failed
from p2vprep.wave.ledger import Ledger
from p2vprep.wave.manifest import Manifest
from p2vprep.wave.page import page
from tests.support import browser as browsers
from tests.wave.simulated import applied, machines

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"
NAMES = ("srv00000", "srv00001", "srv00002", "srv00003")


def evil() -> Outcome:
    """A machine whose guest has markup in everything it can name."""
    told = applied("srv00000")
    change = {**told.details["changes"][0], "key": EVIL, "name": EVIL, "why": EVIL, "rule": EVIL}
    change["after"] = {"type": "REG_SZ", "data": EVIL}
    hazard = {"code": EVIL, "severity": EVIL, "message": EVIL, "evidence": [EVIL], "cure": EVIL}
    result = {**told.result, "guest": {"product": EVIL}, "hazards": [hazard], "profiles": [EVIL]}
    skips = [{"rule": EVIL, "subject": EVIL, "reason": EVIL}]
    times = ((EVIL, 1.5), ("Reading", 0.5))
    return replace(told, result=result, details={"changes": [change], "skips": skips}, times=times, host=EVIL)


def verified(name: str, state: str, *, as_planned: bool) -> Outcome:
    result = {"as_planned": as_planned, "checks": {}, "first_boot": state, "first_boot_lines": [EVIL]}
    return Outcome(name, "verified", result=result)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    manifest = tmp_path / "wave.yaml"
    with Ledger(manifest, create=True) as held:
        held.enter(Manifest(manifest, f"wave <{EVIL}>", tuple(machines(4))))
        session = held.open_session(EVIL)
        held.begin(NAMES[:3])
        problem = CannotOpenError(
            EVIL, code="no-windows", subject=EVIL, hint=EVIL, details=(EVIL, "\x00\x1b[31m")
        )
        held.finish([evil(), failed("srv00001", problem), applied("srv00002")])
        held.verified(verified("srv00000", "finished", as_planned=True))
        held.verified(verified("srv00002", "failed", as_planned=False))
        held.close_session(session, "ended")
        yield held


def report(ledger: Ledger, form: str) -> str:
    return "".join(reporting.pieces(ledger, form, lambda _name: True))


def test_the_json_report_has_every_change(ledger: Ledger) -> None:
    told = json.loads(report(ledger, "json"))
    assert told["schema"] == "p2vprep.wave-report/1"
    assert [one["state"] for one in told["machines"]] == ["applied", "failed", "applied", "waiting"]
    assert len(told["machines"][2]["changes"]) == 40
    assert told["machines"][1]["error"]["code"] == "no-windows"
    assert told["machines"][2]["verification"]["first_boot"] == "failed"


def test_only_chosen_machines_are_reported(ledger: Ledger) -> None:
    told = json.loads("".join(reporting.pieces(ledger, "json", lambda name: name.endswith("2"))))
    assert [one["name"] for one in told["machines"]] == ["srv00002"]


def test_the_table_opens_in_a_spreadsheet_without_becoming_a_formula(ledger: Ledger) -> None:
    text = report(ledger, "csv")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["name"] for row in rows] == list(NAMES)
    assert rows[0]["windows"] == EVIL
    assert (rows[2]["first boot"], rows[2]["as planned"]) == ("failed", "no")


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    held = reporting.cell(text)
    assert isinstance(held, str)
    assert not held.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert held.endswith(text)


def test_junit_is_well_formed_and_counts(ledger: Ledger) -> None:
    suite = ElementTree.fromstring(report(ledger, "junit")).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "4", "failures": "2", "skipped": "1",
    }  # fmt: skip
    failure = suite.findall("testcase")[1].find("failure")
    assert failure is not None
    assert failure.get("type") == "no-windows"
    assert EVIL in (failure.text or "")


@given(st.text(max_size=30))
def test_every_name_is_well_formed_xml(name: str) -> None:
    tree = ElementTree.fromstring(f"<a b={reporting._attribute(name)}/>")
    assert tree.get("b") is not None


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    old = "<!DOCTYPE html> old"
    place.write_text(old)

    def pieces() -> Iterator[str]:
        yield "new"
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError):
        reporting.write(place, pieces())
    assert place.read_text() == old
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.json", "json"), ("a.xml", "junit"), ("a.csv", "csv"), ("a.HTML", "html"), ("a", "html")],
)
def test_the_suffix_tells_the_form(name: str, form: str) -> None:
    assert reporting.form_of(Path(name)) == form


# --- the page ------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a browser would make of a page: elements, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        with closing(self):
            self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "style")]


def test_nothing_of_a_guest_is_markup(ledger: Ledger) -> None:
    seen = Seen(report(ledger, "html"))
    assert seen.tags.count("script") == 1
    assert "img" not in seen.tags
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert seen.links == []


def test_the_page_needs_nothing_from_elsewhere_and_runs_its_own_script_only(ledger: Ledger) -> None:
    text = report(ledger, "html")
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]+=*'", text)
    assert "http:" not in text
    assert "https:" not in text


def test_a_very_large_page_leaves_single_changes_to_the_other_forms(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "BUDGET", 1000)
    text = report(ledger, "html")
    assert "40 by services.disable" in text
    assert text.count('<table class="changes">') == 1


@pytest.fixture
def written(ledger: Ledger, tmp_path: Path) -> Path:
    if missing := browsers.why_not():
        pytest.skip(f"no browser: {missing}")
    place = tmp_path / "report.html"
    reporting.write(place, reporting.pieces(ledger, "html", lambda _name: True))
    return place


_VISIBLE = """return Array.from(document.querySelectorAll("details.machine"))
  .filter((one) => one.offsetParent !== null || one.getClientRects().length).map((one) => one.dataset.name)"""


@pytest.mark.long
def test_the_page_in_a_real_browser(written: Path, tmp_path: Path) -> None:
    with browsers.browser(tmp_path) as page_:
        page_.open(written)
        assert page_.run(_VISIBLE) == list(NAMES)
        # No script of a guest ran, and nothing was asked for.
        assert page_.alert() is None
        assert page_.log() == []
        # Filter.
        filtering = """const field = document.getElementById("filter"); field.value = arguments[0];
          field.dispatchEvent(new Event("input"))"""
        page_.run(filtering, "FAILED")
        assert page_.run(_VISIBLE) == ["srv00001", "srv00002"]  # one machine, and one first boot
        assert page_.run("return document.getElementById('shown').textContent") == "2 of 4"
        page_.run(filtering, "")
        # Sort.
        sorting = """const field = document.getElementById("sort"); field.value = arguments[0];
          field.dispatchEvent(new Event("change"))"""
        page_.run(sorting, "state")
        assert page_.run(_VISIBLE) == ["srv00000", "srv00002", "srv00001", "srv00003"]
        page_.run(sorting, "seconds")
        assert page_.run(_VISIBLE)[0] == "srv00000"
        page_.run("document.getElementById('open').click()")
        assert page_.run("return document.querySelectorAll('details.machine[open]').length") == 4
        # What a guest has called something is shown as it is.
        assert EVIL in page_.run("return document.querySelector('.changes td').textContent")
        # On a phone nothing but the wide table has to be moved sideways.
        page_.resize(500, 800)
        assert page_.run("return document.documentElement.scrollWidth <= window.innerWidth")
        assert page_.print_pdf().startswith(b"%PDF")


@pytest.mark.long
def test_the_page_is_readable_without_scripts(written: Path, tmp_path: Path) -> None:
    with browsers.browser(tmp_path, scripts=False) as page_:
        page_.open(written)
        shown = page_.run("return document.body.innerText")
        assert "srv00001" in shown
        assert not page_.run("return document.getElementById('tools').offsetParent !== null")
        page_.run("document.querySelector('[data-name=srv00001] summary').click()")
        assert "no-windows" in page_.run("return document.querySelector('[data-name=srv00001]').innerText")
