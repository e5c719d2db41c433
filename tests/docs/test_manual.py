"""The manual pages: one for each command, and troff has nothing to say against them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bench.reference.commands import every, read
from bench.reference.manual import manuals, roff

MANUALS = manuals()


def test_every_command_has_a_page() -> None:
    assert set(MANUALS) == {f"{one.name.replace(' ', '-')}.1" for one in every(read())}
    assert "p2vprep-apply.1" in MANUALS


def test_a_page_has_what_a_manual_page_has() -> None:
    page = MANUALS["p2vprep-apply.1"]
    for heading in (".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS", ".SH SEE ALSO"):
        assert heading in page
    assert ".SH EXIT STATUS" in MANUALS["p2vprep.1"]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("--yes", "\\-\\-yes"),
        (".bss", "\\&.bss"),
        ("C:\\x", "C:\\ex"),
        ("it's", "it\\(aqs"),
        ("'x", "\\(aqx"),
        ("a … b", "a \\[u2026] b"),
    ],
)
def test_nothing_of_a_text_is_a_request(text: str, escaped: str) -> None:
    assert roff(text) == escaped


@pytest.mark.long
@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_troff_has_nothing_to_say() -> None:
    for name, page in MANUALS.items():
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-Wbreak"],
            input=page,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), name
        assert "p2vprep" in done.stdout
