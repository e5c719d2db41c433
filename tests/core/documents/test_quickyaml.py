"""The quick reader of YAML agrees with the other one wherever it answers at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.documents import quickyaml
from p2vprep.core.documents.yamltext import Plain, parse
from p2vprep.errors import DocumentError

PROFILES = sorted((Path(__file__).parents[3] / "profiles").rglob("*.yaml"))

pytestmark = pytest.mark.skipif(quickyaml._PARSER is None, reason="PyYAML was built without libyaml")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """What the other reader alone makes of a text: the value with all places, or the error."""

    def told(text: str) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(quickyaml, "compose", lambda _text: None)
            return _told(text)

    return told


def _told(text: str) -> object:
    try:
        return parse(text, "f")
    except DocumentError as error:
        return str(error)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles_are_read_quickly_and_alike(path: Path, slow: Callable[[str], object]) -> None:
    text = path.read_text()
    assert quickyaml.compose(text) is not None
    assert _told(text) == slow(text)


ALIKE = (
    "a: off\nb: [1, 0x10, 010, 0o17, 2024-01-02, 'x', 1.5, 1e3, .inf, true, null, ~]\n",
    "h:\ni: =\nj: <<\nk: 1_000\nl: 1:30\nm: TRUE\nn: no\n",
    "# first\n\na:\n- b: ö\n  c: |\n    two\n    lines\n- >-\n  one\n  line\n",
    '{"a": [{"b": "\\u00fc"}], "c": {}}',
    "---\na: ''\n...\n",
    "a: {b: fe80::1, c: ''}\nd: ::1\n",
    "a: &x 1\nb: *x",
    "a: 1\na: 2",
    "a: !!str 1",
    "%YAML 1.1\n---\na: off",
    "a: 1\n---\nb: 2",
    "a: [::1, fe80::1]",
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    "\ufeffa: 1",
    "- a\n-\tb",
    "a: [",
    "? [1]\n: 2",
    "",
    "a: \x07",
)


@pytest.mark.parametrize("text", ALIKE)
def test_odd_documents_are_alike(text: str, slow: Callable[[str], object]) -> None:
    assert _told(text) == slow(text)


@pytest.mark.parametrize("text", ALIKE[6:11] + ALIKE[14:15])
def test_what_is_out_of_the_ordinary_is_left_to_the_other_reader(text: str) -> None:
    if text != ALIKE[7]:
        assert quickyaml.compose(text) is None


def test_depth_is_bounded() -> None:
    """libyaml's own composer ends the process here."""
    for text in ("[" * 200_000 + "]" * 200_000, "- " * 5_000, "{a: " * 100_000):
        assert quickyaml.compose(text) is None
    assert quickyaml.compose("[" * 50 + "]" * 50) is not None


def test_without_libyaml_the_other_reader_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickyaml, "_PARSER", None)
    assert quickyaml.compose("a: 1") is None
    assert parse("a: 1", "f")[0] == {"a": 1}


def plains() -> st.SearchStrategy[Plain]:
    words = st.sampled_from(
        ["off", "yes", "1", "0x1", "1e3", "~", "null", "::1", "a: b", "#x", "-", "é", "2020-01-01"]
    )
    scalars = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | st.text(max_size=8)
    )
    keys = words | st.text(max_size=5)
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
    )


@settings(max_examples=150)
@given(plains(), st.sampled_from(["block", "flow", "json", "json-ascii"]))
def test_any_document_is_alike(plain: Plain, style: str) -> None:
    if style.startswith("json"):
        text = json.dumps(plain, ensure_ascii=style == "json-ascii")
    else:
        text = yaml.safe_dump(plain, default_flow_style=style == "flow", allow_unicode=True)
    agree(text)


@settings(max_examples=150)
@given(st.text(st.sampled_from(list("ab01: -[]{},'\"\n\n  #&*!|>%?~.<=\tö")), max_size=30))
def test_any_text_is_alike(text: str) -> None:
    agree(text)


def agree(text: str) -> None:
    quick = _told(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quickyaml, "compose", lambda _text: None)
        assert quick == _told(text)
