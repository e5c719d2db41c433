"""What was done, as documents: JSON, CSV for a spreadsheet, JUnit XML for pipelines, a page for people.

Everything is made machine by machine, so that a wave of ten thousand needs no more memory than one
of ten. Names and texts from guests are data: nothing of them is ever markup or a formula.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from p2vprep.disk.image import shown
from p2vprep.disk.state import utc_now
from p2vprep.errors import UsageError
from p2vprep.wave.conduct import Ran
from p2vprep.wave.job import Told
from p2vprep.wave.ledger import Entry, Ledger
from p2vprep.wave.told import why_not

SUFFIXES = {"html": ".html", "json": ".report.json", "csv": ".report.csv", "junit": ".junit.xml"}
_FORMS = {".html": "html", ".htm": "html", ".json": "json", ".csv": "csv", ".xml": "junit"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    "name", "state", "windows", "source", "values", "keys", "files", "hazards", "attempts", "started",
    "finished", "seconds", "host", "error", "message", "first boot", "as planned", "disks",
)  # fmt: skip
_OURS = (b"<!DOCTYPE html>", b'<?xml version="1.0"', b'{\n "schema": "p2vprep.', b"\xef\xbb\xbfname,state,")
"""How the reports begin."""
_START = 32
Chosen = Callable[[str], bool]


def form_of(target: Path | None) -> str:
    """The form of a report by the suffix of its file; a page where it does not tell."""
    return "html" if target is None else _FORMS.get(target.suffix.lower(), "html")


def pieces(ledger: Ledger, form: str, chosen: Chosen) -> Iterator[str]:
    """The report in pieces of text."""
    if form == "html":
        from p2vprep.wave.page import page

        return page.pieces(ledger, chosen)
    if form == "json":
        return _json(ledger, chosen)
    if form == "csv":
        return _csv(_entries(ledger, chosen))
    return _junit(ledger, chosen)


def write(place: Path, parts: Iterable[str]) -> None:
    """Writes a report: whole or not at all.

    Raises UsageError where that is impossible, or where something else than a report is there: a
    manifest, an image.
    """
    _require_place(place)
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.writelines(parts)
        partial.replace(place)
    except OSError as problem:
        with suppress(OSError):  # the first fault is the one to report
            partial.unlink()
        raise UsageError(
            f"the report cannot be written: {problem.strerror}", subject=shown(place)
        ) from problem


def _require_place(place: Path) -> None:
    try:
        with place.open("rb") as held:
            start = held.read(_START)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise UsageError(
            f"the report cannot be written: {problem.strerror}", subject=shown(place)
        ) from problem
    if start and not start.startswith(_OURS):
        raise UsageError(
            "there is a file that is no report; it is not replaced",
            code="not-a-report",
            subject=shown(place),
            hint="Name another file with -o.",
        )


def status_document(ledger: Ledger, entries: Sequence[Entry]) -> Told:
    """The document ``p2vprep.wave-status/1``."""
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.state] = counts.get(entry.state, 0) + 1
    return {
        "schema": "p2vprep.wave-status/1",
        "wave": ledger.name,
        "counts": counts,
        "machines": [entry.to_json() for entry in entries],
        "sessions": [dict(one) for one in ledger.sessions()],
    }


def run_document(ledger: Ledger, ran: Ran) -> Told:
    """The document ``p2vprep.wave-run/1``: how one run ended, and how every machine is now."""
    tally = ran.tally
    return {
        "schema": "p2vprep.wave-run/1",
        "wave": ledger.name,
        "applied": tally.applied,
        "nothing_to_do": tally.unchanged,
        "failed": tally.failed,
        "retried": tally.retried,
        "left": tally.left,
        "done_before": ran.already,
        "changed_in_manifest": list(ran.changed),
        "no_longer_listed": list(ran.unlisted),
        "interrupted": tally.interrupted is not None,
        "machines": [entry.to_json() for entry in ledger.entries()],
    }


def _entries(ledger: Ledger, chosen: Chosen) -> Iterator[Entry]:
    return (entry for entry in ledger.entries() if chosen(entry.name))


def _json(ledger: Ledger, chosen: Chosen) -> Iterator[str]:
    """The document ``p2vprep.wave-report/1``, with every change of every machine."""
    head = {"schema": "p2vprep.wave-report/1", "wave": ledger.name, "made": _now()}
    sessions = json.dumps([dict(one) for one in ledger.sessions()])
    yield json.dumps(head, indent=1)[:-2] + f',\n "sessions": {sessions},\n "machines": ['
    separator = "\n"
    for name in [entry.name for entry in _entries(ledger, chosen)]:
        entry = ledger.entry(name)
        yield separator + json.dumps({**entry.to_json(), **ledger.details(name)})
        separator = ",\n"
    yield "\n ]\n}\n"


def _csv(entries: Iterable[Entry]) -> Iterator[str]:
    """One row per machine; the byte order mark makes spreadsheets read UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield "\ufeff"
    writer.writerow(_COLUMNS)
    for entry in entries:
        writer.writerow([cell(one) for one in _row(entry)])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula, whatever a guest has put into it."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _row(entry: Entry) -> list[object]:
    outcome = entry.outcome
    result: Told = {} if outcome is None else outcome.result
    error: Told = {} if outcome is None or outcome.error is None else outcome.error
    checked = entry.verification
    return [
        entry.name,
        entry.state,
        str(result.get("guest", {}).get("product", "")),
        " ".join(map(str, result.get("profiles", ()))),
        result.get("values", ""),
        result.get("keys", ""),
        result.get("files", ""),
        " ".join(dict.fromkeys(str(one["code"]) for one in result.get("hazards", ()))),
        entry.attempts,
        entry.started or "",
        entry.finished or "",
        "" if outcome is None else f"{outcome.seconds:.1f}",
        "" if outcome is None else outcome.host,
        error.get("code", ""),
        error.get("message", ""),
        entry.first_boot,
        "" if checked is None else ("yes" if entry.is_as_planned else "no"),
        " ".join(entry.disks),
    ]


def _junit(ledger: Ledger, chosen: Chosen) -> Iterator[str]:
    """JUnit XML: a machine is a test case; failed ones fail, those not done yet are skipped."""
    counts = {"tests": 0, "failures": 0, "skipped": 0}
    spent = 0.0
    for entry in _entries(ledger, chosen):
        counts["tests"] += 1
        counts["failures"] += entry.state == "failed" or not entry.is_as_planned
        counts["skipped"] += entry.state in ("waiting", "running")
        spent += 0.0 if entry.outcome is None else entry.outcome.seconds
    told = " ".join(f'{name}="{count}"' for name, count in counts.items())
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites>\n<testsuite name={_attribute(ledger.name)} {told} errors="0" time="{spent:.3f}">\n'
    for entry in _entries(ledger, chosen):
        yield _case(ledger.name, entry)
    yield "</testsuite>\n</testsuites>\n"


def _case(wave: str, entry: Entry) -> str:
    outcome = entry.outcome
    spent = 0.0 if outcome is None else outcome.seconds
    head = f'<testcase classname={_attribute(wave)} name={_attribute(entry.name)} time="{spent:.3f}"'
    body = ""
    if outcome is not None and entry.state == "failed" and outcome.error is not None:
        error = outcome.error
        lines = [str(error[key]) for key in ("message", "changed", "hint") if error.get(key)]
        lines += [str(one) for one in error.get("details", ())]
        body = (
            f"<failure type={_attribute(outcome.code)} message={_attribute(why_not(outcome))}>"
            f"{escape(_clean(chr(10).join(lines)))}</failure>"
        )
    elif not entry.is_as_planned:
        body = '<failure type="differs" message="the disk is no longer as planned"></failure>'
    elif entry.state in ("waiting", "running"):
        body = '<skipped message="not done yet"/>'
    return f"{head}/>\n" if not body else f"{head}>{body}</testcase>\n"


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    """The text without what XML 1.0 cannot hold (section 2.2: most control characters, half surrogates)."""
    return "".join(
        sign
        if sign in "\t\n" or " " <= sign < "\ud800" or "\ue000" <= sign < "\ufffe" or sign > "\uffff"
        else "\ufffd"
        for sign in text
    )


def _now() -> str:
    return utc_now().isoformat(timespec="seconds")
