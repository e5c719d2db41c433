from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.documents.positions import Position, Positions, show_path
from p2vprep.core.documents.yamltext import Plain, parse
from p2vprep.errors import DocumentError


def test_plain_values_of_yaml_1_2() -> None:
    text = "a: off\nb: [1, 0x10, 010, 2024-01-02, 'x', 1.5, true, null, ~]\n"
    plain, _positions = parse(text, "f")
    assert plain == {"a": "off", "b": [1, 16, 10, "2024-01-02", "x", 1.5, True, None, None]}


def test_every_value_and_key_has_its_place() -> None:
    _plain, positions = parse("a:\n  - b: 1\n    c: 2\n", "f.yaml")
    assert positions.of(("a", 0, "c")) == Position(3, 8)
    assert positions.of_key(("a", 0, "c")) == Position(3, 5)
    assert positions.place(("a", 0, "c"), key=True) == "f.yaml:3:5"


def test_the_place_of_something_missing_is_what_is_around_it() -> None:
    _plain, positions = parse("a:\n  - b: 1\n", "f.yaml")
    assert positions.of(("a", 0, "zzz", 4)) == positions.of(("a", 0))
    assert Positions("f").of(("a",)) == Position(1, 1)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: [", "f:1:5", "stream end"),
        ("a: &x 1\nb: *x", "f:1:4", "aliases"),
        ("a: 1\nb: 2\na: 3", "f:3:1", "twice"),
        ("", "f:1:1", "empty"),
        ("a: !!python/object 1", "f:1:4", "tag"),
        ("a: 1\n---\nb: 2", "f:2:1", "another document"),
        ("? [1]\n: 2", "f:1:3", "key must be a text"),
        ("a: \x00", "f:1:1", "not YAML"),
        ("a:\n\tb: 1", "f:2:1", "\\t"),
        ("[" * 500, "f:1:1", "recursion"),
        ("[" * 60 + "]" * 60, "f:1:42", "nested too deeply"),
        ("a: " + "x" * 5_000_000, "f", "longer"),
    ],
)
def test_what_is_not_a_plain_document_is_refused_with_its_place(text: str, place: str, what: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, "f")
    assert place in caught.value.message
    assert what in caught.value.message
    assert caught.value.subject == "f"


@given(st.text(alphabet="a:-[]{}&*!|>'\"#\n\t ,?%@`0\\", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        plain, positions = parse(text, "f")
    except DocumentError:
        return
    assert _paths(plain, ()) <= set(positions.values)


def _paths(plain: Plain, path: tuple[str | int, ...]) -> set[tuple[str | int, ...]]:
    found: set[tuple[str | int, ...]] = {path}
    children = (
        plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    )
    for key, value in children:
        found |= _paths(value, (*path, key))
    return found


def test_paths_are_shown_for_people() -> None:
    assert show_path(("actions", 3, "when", "windows")) == "actions[3].when.windows"
    assert show_path(()) == ""


def test_an_escaped_sign_of_two_halves_is_one_sign() -> None:
    plain, _positions = parse('{"a": "\\ud83d\\ude00", "\\ud83d\\ude00": 1}', "f.yaml")
    assert plain == {"a": "\U0001f600", "\U0001f600": 1}


def test_half_a_sign_is_refused_where_it_stands() -> None:
    with pytest.raises(DocumentError, match=r"f\.yaml:1:7: .*half a sign"):
        parse('{"a": "\\ud83d"}', "f.yaml")
