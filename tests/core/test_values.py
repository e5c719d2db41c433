"""Registry data: nothing is lost on the way to plain values and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.values import Data, RegType, type_name, type_number
from p2vprep.errors import DocumentError

TYPES = st.one_of(
    st.integers(0, 12), st.sampled_from([0xFFFF0012, 0xFFFF1000, 0xFFFFFFFF]), st.integers(0, 2**32 - 1)
)
TEXT_PARTS = st.lists(st.sampled_from([b"a\0", b"\0\0", b"\xe4\0", b"\0\xd8", b"\0\xdc", b"x"]), max_size=8)
RAW = st.one_of(st.binary(max_size=40), TEXT_PARTS.map(b"".join))
PLAIN_TEXT = st.text(st.characters(exclude_characters="\0"), max_size=20)


@given(st.builds(Data, TYPES, RAW))
def test_json_gives_every_value_back(data: Data) -> None:
    document = json.loads(json.dumps(data.to_json()))
    assert Data.from_json(document) == data


@given(st.builds(Data, TYPES, RAW))
def test_reading_never_fails_and_shows_something(data: Data) -> None:
    assert data.number is None or data.number >= 0
    assert data.text is None or "\0" not in data.text
    assert data.strings is None or all(data.strings)
    assert 0 < len(data.show(20)) <= 20


@given(st.integers(0, 2**32 - 1))
def test_type_names_lead_back_to_their_numbers(number: int) -> None:
    assert type_number(type_name(number)) == number


@pytest.mark.parametrize(
    "name",
    ["REG_0x-1", "REG_0x1_0", "REG_0x", "REG_0x 1", "REG_0x100000000", "REG_WORD", "DWORD", "reg_sz", ""],
)
def test_other_type_names_are_refused(name: str) -> None:
    with pytest.raises(DocumentError, match="unknown registry type"):
        type_number(name)


@given(PLAIN_TEXT)
def test_text_is_read_as_written(text: str) -> None:
    for data in (Data.sz(text), Data.expand_sz(text), Data.from_plain(RegType.LINK, text)):
        assert data.text == text
        assert "raw" not in data.to_json()


@given(st.lists(PLAIN_TEXT.filter(bool), max_size=5))
def test_lists_are_read_as_written(items: list[str]) -> None:
    data = Data.multi_sz(items)
    assert data.strings == tuple(items)
    assert data.raw.endswith(b"\0\0")
    assert "raw" not in data.to_json()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"a\0b\0", "ab"),
        (b"a\0b", "a"),
        (b"a\0\0\0rest", "a"),
        (b"\x00\xd8", "\ud800"),
        (b"\x3d\xd8\x00\xde\0\0", "\U0001f600"),
    ],
)
def test_odd_texts_keep_their_bytes(raw: bytes, text: str) -> None:
    data = Data(RegType.EXPAND_SZ, raw)
    assert data.text == text
    assert Data.from_json(data.to_json()) == data


@pytest.mark.parametrize(
    ("raw", "items"),
    [
        (b"", ()),
        (b"\0\0", ()),
        (b"a\0\0\0", ("a",)),
        (b"a\0\0\0\0\0\0\0", ("a",)),
        (b"a\0\0\0\0\0b\0\0\0\0\0", ("a", "b")),
        (b"a\0b", ("a",)),
    ],
)
def test_odd_lists_keep_their_bytes(raw: bytes, items: tuple[str, ...]) -> None:
    data = Data(RegType.MULTI_SZ, raw)
    assert data.strings == items
    assert Data.from_json(data.to_json()) == data


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (Data.dword(7), 7),
        (Data.qword(1 << 40), 1 << 40),
        (Data(RegType.DWORD_BIG_ENDIAN, b"\0\0\1\0"), 256),
        (Data(RegType.DWORD, b"\1"), None),
        (Data(RegType.QWORD, b"\1\0\0\0"), None),
        (Data(RegType.BINARY, b"\1\0\0\0"), None),
        (Data(0xFFFF0007, b"\1\0\0\0"), None),
    ],
)
def test_numbers_need_their_type_and_length(data: Data, number: int | None) -> None:
    assert data.number == number


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (RegType.DWORD, -1),
        (RegType.DWORD, 1 << 32),
        (RegType.QWORD, 1 << 64),
        (RegType.DWORD, True),
        (RegType.DWORD, 1.0),
        (RegType.DWORD, None),
        (RegType.DWORD, "4 bytes"),
        (RegType.SZ, 4),
        (RegType.SZ, ["a"]),
        (RegType.SZ, "a\0b"),
        (RegType.MULTI_SZ, "00"),
        (RegType.MULTI_SZ, ["a", 1]),
        (RegType.MULTI_SZ, ["a", ""]),
        (RegType.MULTI_SZ, ["a\0b"]),
        (RegType.BINARY, "0"),
        (RegType.BINARY, "xx"),
        (RegType.BINARY, 4),
        (RegType.BINARY, [1]),
    ],
)
def test_plain_values_that_do_not_fit_are_refused(kind: RegType, plain: object) -> None:
    with pytest.raises(DocumentError):
        Data.from_plain(kind, plain)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "REG_SZ",
        {},
        {"type": 4, "data": 1},
        {"type": "REG_DWORD"},
        {"type": "REG_SZ", "data": "a", "raw": 5},
        {"type": "REG_SZ", "data": "a", "raw": "6"},
        {"type": "REG_SZ", "data": "shown", "raw": "68006900640064006500"},
        {"type": "REG_SZ", "raw": "61000000"},
        {"type": "REG_DWORD", "data": 4, "raw": "05000000"},
    ],
)
def test_documents_that_are_no_value_are_refused(document: object) -> None:
    with pytest.raises(DocumentError):
        Data.from_json(document)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (Data.dword(4), "4"),
        (Data.sz("x"), '"x"'),
        (Data.multi_sz(["a", "b"]), "[a, b]"),
        (Data.binary(b"\x01\x02"), "hex:0102"),
        (Data.sz("x" * 100), '"' + "x" * 58 + "…"),
    ],
)
def test_people_see_a_short_text(data: Data, shown: str) -> None:
    assert data.show() == shown
