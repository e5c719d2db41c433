r"""``.reg`` files of every kind in, and keys out: what goes out and comes in again is the same key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.changes import resolve_edits
from p2vprep.core.hand.regfiles import export, read, to_edits
from p2vprep.core.hand.sequence import in_sequence
from p2vprep.core.model import DeleteKey, DeleteValue, MakeKey, SetValue
from p2vprep.core.registry import MemoryHive, find
from p2vprep.core.regtext import encode
from p2vprep.core.values import Data
from p2vprep.errors import DocumentError, P2vprepError, RefusedError, UsageError
from tests.support.machines import carry_out, dump

NEW = "Windows Registry Editor Version 5.00"
KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Contoso"


def value_of(text: str, *, old: bool = False, encoding: str | None = None) -> Data | None:
    """The only value of a key in a file with this line."""
    header = "REGEDIT4" if old else NEW
    document = f"{header}\r\n\r\n[{KEY}]\r\n{text}\r\n"
    (section,) = read(document.encode(encoding or "utf-8"), "x.reg", encoding=encoding)
    ((_name, data),) = section.values
    return data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('"a"="b"', Data.sz("b")),
        ('@="b"', Data.sz("b")),
        (r'"a\"\\"="C:\\x \"y\""', Data.sz(r'C:\x "y"')),
        ('"a"=dword:0000001f', Data.dword(31)),
        ('"a" = dword:1 ; comment', Data.dword(1)),
        ('"a"=hex:01,02,\\\r\n  03', Data.binary(b"\1\2\3")),
        ('"a"=hex(2):25,00,61,00,00,00', Data(2, "%a\0".encode("utf-16-le"))),
        ('"a"=hex(b):01,00,00,00,00,00,00,00', Data.qword(1)),
        ('"a"=hex(7):', Data(7, b"")),
        ('"a"=hex(0):', Data(0, b"")),
        ('"a"=hex(ffff0012):01', Data(0xFFFF0012, b"\1")),
        ('"a"="one\r\ntwo "', Data.sz("one\r\ntwo ")),
        ('"a"="one  \r\n  two"', Data.sz("one  \r\n  two")),
        ('"a"="one\ntwo"', Data.sz("one\ntwo")),
        ('"a"=-', None),
    ],
)
def test_data_are_read_to_the_byte(text: str, data: Data | None) -> None:
    assert value_of(text) == data


def test_the_old_form_holds_text_in_a_code_page() -> None:
    assert value_of('"a"="Müller"', old=True, encoding="cp1252") == Data.sz("Müller")
    assert value_of('"a"=hex(2):25,61,00', old=True) == Data.expand_sz("%a")
    assert value_of('"a"=hex(7):61,00,62,00,00', old=True) == Data.multi_sz(["a", "b"])
    assert value_of('"a"=hex(2):fc,00', old=True, encoding="cp1252") == Data.expand_sz("ü")
    assert value_of('"a"=hex:fc', old=True) == Data.binary(b"\xfc")
    with pytest.raises(DocumentError, match="code page") as refused:
        read('REGEDIT4\r\n[HKEY_USERS\\x]\r\n"a"="ü"\r\n'.encode("cp1252"), "x.reg")
    assert "--encoding" in (refused.value.hint or "")
    with pytest.raises(DocumentError, match="not ascii") as line:
        value_of('"a"=hex(2):fc,00', old=True)
    assert line.value.subject == "x.reg:4"
    with pytest.raises(UsageError, match="no code page"):
        read(b"REGEDIT4\r\n", "x.reg", encoding="cp-nonsense")


@pytest.mark.parametrize("form", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"])
def test_every_encoding_that_editors_leave(form: str) -> None:
    text = f'{NEW}\r\n\r\n[{KEY}]\r\n"ü"="ß"\r\n'
    raw = text.encode(form)
    if form == "utf-16-be":
        raw = b"\xfe\xff" + raw
    (section,) = read(raw, "x.reg")
    assert section.values == (("ü", Data.sz("ß")),)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"a"="never closed', 4),
        ('"a"=hex:0g', 4),
        ('"a"=dword:123456789', 4),
        ("a=1", 4),
        ("[HKEY_LOCAL_MACHINE", 4),
        ("[HKEY_NOWHERE\\x]", 4),
        (r'"a"="\n"', 4),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(DocumentError) as refused:
        value_of(text)
    assert refused.value.subject is not None
    assert refused.value.subject.startswith("x.reg:")
    assert int(refused.value.subject.rpartition(":")[2]) >= line


def test_a_string_does_not_go_on_for_ever() -> None:
    with pytest.raises(DocumentError, match="more than 2000 lines"):
        value_of('"a"="' + "\r\nx" * 5000)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_the_end_is_typed(raw: bytes) -> None:
    for document in (raw, NEW.encode() + b"\r\n" + raw, b"REGEDIT4\r\n[HKEY_USERS\\a]\r\n" + raw):
        try:
            to_edits(read(document, "x.reg", encoding="latin-1"))
        except P2vprepError:
            continue


def test_sections_become_edits_in_their_order() -> None:
    text = f'{NEW}\r\n\r\n[-{KEY}\\Old]\r\n\r\n[{KEY}]\r\n"a"=-\r\n"b"="c"\r\n\r\n'
    text += "[HKEY_CURRENT_USER\\Software\\X]\r\n"
    sections = read(encode(text), "x.reg")
    edits = to_edits(sections, user="Anna", why="w")
    assert [(type(edit), edit.hive, edit.key) for edit in edits if not hasattr(edit, "path")] == [
        (DeleteKey, "SOFTWARE", r"Contoso\Old"),
        (MakeKey, "SOFTWARE", "Contoso"),
        (DeleteValue, "SOFTWARE", "Contoso"),
        (SetValue, "SOFTWARE", "Contoso"),
        (MakeKey, r"HKU\Anna", r"Software\X"),
    ]
    with pytest.raises(UsageError, match="who is logged on"):
        to_edits(sections)


def test_what_must_not_be_written_is_not_imported() -> None:
    with pytest.raises(RefusedError):
        to_edits(read(encode(f"{NEW}\r\n[HKEY_LOCAL_MACHINE\\SAM\\SAM]\r\n"), "x.reg"))
    with pytest.raises(UsageError, match="root of a hive"):
        to_edits(read(encode(f"{NEW}\r\n[-HKEY_LOCAL_MACHINE\\SOFTWARE]\r\n"), "x.reg"))


names = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=8
).filter(lambda name: "\\" not in name)
data = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).map(Data.sz),
    st.integers(0, 2**32 - 1).map(Data.dword),
    st.builds(Data, st.integers(0, 2**32 - 1), st.binary(max_size=60)),
)
keys = st.dictionaries(names, st.dictionaries(st.one_of(st.just(""), names), data, max_size=3), max_size=4)


@given(keys)
def test_what_is_exported_and_imported_is_the_same(held: dict[str, dict[str, Data]]) -> None:
    source = MemoryHive({"Top": {}, **{rf"Top\{name}": values for name, values in held.items()}})
    key = find(source, "Top")
    assert key is not None
    raw = export(key, r"HKLM\SOFTWARE\Top")
    target = MemoryHive()
    edits = in_sequence(to_edits(read(raw, "x.reg")), {"SOFTWARE": target})
    carry_out(resolve_edits(edits, {"SOFTWARE": target}, {}).changes, {"SOFTWARE": target})
    assert dump(target) == dump(source)


def test_keys_are_named_with_their_long_root() -> None:
    hive = MemoryHive({r"Software\X": {"a": Data.sz("b")}})
    key = find(hive, "Software")
    assert key is not None
    text = export(key, r"HKU\Anna\Software").decode("utf-16")
    assert "[HKEY_USERS\\Anna\\Software]" in text
    assert "[HKEY_USERS\\Anna\\Software\\X]" in text
