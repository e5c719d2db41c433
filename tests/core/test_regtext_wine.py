"""The .reg text in the hands of an independent regedit: Wine's imports ours, and writes the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from p2vprep.core import regtext
from p2vprep.core.regtext import Section
from p2vprep.core.values import Data, RegType
from tests.support.wine import MISSING, WINE, Prefix

pytestmark = [pytest.mark.long, pytest.mark.skipif(WINE is None, reason=MISSING)]

KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\p2vprep test"
VALUES: tuple[tuple[str, Data | None], ...] = (
    ("", Data.sz('the "default" \\ value')),
    ("A number", Data.dword(0xDEADBEEF)),
    ("Bytes", Data.binary(bytes(range(256)))),
    ("Empty", Data.binary(b"")),
    ("Large", Data.qword(1 << 40)),
    ("List", Data.multi_sz(["a", "ü", "日本"])),
    ("Odd type", Data(0xFFFF0012, b"\1\2\3")),
    ("Path", Data.expand_sz("%SystemRoot%\\System32\\" + "x" * 80)),
    ('Quoted "name" \\ with', Data.sz("x")),
    ("größe 日本", Data.sz("ß")),
)
# Wine's regedit writes these in another form than the one of Windows, but reads them.
ODD: tuple[tuple[str, Data | None], ...] = (
    ("Unterminated", Data(RegType.SZ, b"a\0b\0")),
    ("Two numbers", Data(RegType.DWORD, b"\1\0\0\0\2\0\0\0")),
    ("Lines", Data.sz("one\r\ntwo")),
)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefix]:
    made = Prefix(tmp_path_factory.mktemp("regtext"))
    yield made
    made.close()


def exported(prefix: Prefix) -> bytes:
    assert prefix.run("regedit", "/E", "C:\\out.reg", KEY) == 0
    return (prefix.drive / "out.reg").read_bytes()


def test_regedit_imports_ours_and_writes_the_same(prefix: Prefix) -> None:
    prefix.import_reg([Section(KEY, VALUES), Section(f"{KEY}\\below [it]", (("x", Data.dword(1)),))])
    theirs = exported(prefix)
    found, below = regtext.parse(theirs)
    assert dict(found.values) == dict(VALUES)
    assert theirs == regtext.encode(regtext.render([found, below]))


def test_regedit_reads_what_it_writes_otherwise(prefix: Prefix) -> None:
    prefix.import_reg([Section(KEY, delete=True), Section(KEY, ODD)])
    held = prefix.tree("HKLM\\SOFTWARE\\p2vprep test")["HKLM\\SOFTWARE\\p2vprep test"]
    assert held["Unterminated"] == "ab"
    assert set(held) == {"Unterminated", "Two numbers", "Lines"}


def test_regedit_deletes_what_the_text_deletes(prefix: Prefix) -> None:
    prefix.import_reg([Section(KEY, delete=True)])
    prefix.import_reg([Section(KEY, (("keep", Data.dword(1)), ("go", Data.dword(2)), ("", Data.sz("x"))))])
    prefix.import_reg([Section(f"{KEY}\\a\\b", (("x", Data.dword(1)),))])
    prefix.import_reg([Section(KEY, (("go", None), ("", None))), Section(f"{KEY}\\a", delete=True)])
    (found,) = regtext.parse(exported(prefix))
    assert found == Section(KEY, (("keep", Data.dword(1)),))
