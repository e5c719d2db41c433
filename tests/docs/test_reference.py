"""The pages of docs/reference/ say what the program says, and the program says something about everything."""

from __future__ import annotations

import ast
import re

import click
import pytest

from bench.reference import codes, pages
from bench.reference.codes import constants, text
from bench.reference.commands import every, paragraphs, read
from bench.reference.schemas import kind
from bench.reference.words import plain
from p2vprep.errors import ExitStatus

PAGES = pages.pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_as_the_program(name: str) -> None:
    """Run ``make reference`` after commands, codes or documents were changed."""
    assert (pages.FOLDER / name).read_text(encoding="utf-8") == PAGES[name]


def test_there_are_no_pages_that_are_gone() -> None:
    assert {path.name for path in pages.FOLDER.glob("*.md")} == set(PAGES)


def test_every_exit_status_is_told() -> None:
    assert list(pages.EXIT_STATUS) == list(ExitStatus)


@pytest.mark.parametrize("command", list(every(read())), ids=lambda one: one.name)
def test_every_command_and_option_says_what_it_does(command) -> None:  # type: ignore[no-untyped-def]
    assert command.summary
    for option in command.options:
        assert option.words or not option.name.startswith("-"), option.name


def test_every_code_can_be_typed() -> None:
    for found in codes.collect():
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", found.code), found


def test_codes_are_found_where_they_are_known_to_be() -> None:
    found = {(one.code, one.kind) for one in codes.collect()}
    assert {
        ("never-disable", "Hazard"),
        ("dirty-hive-without-log", "Hazard"),
        ("bitlocker", "RefusedError"),
        ("key-too-deep", "RefusedError"),
        ("stale-plan", "StalePlanError"),
        ("edits-collide", "UsageError"),
    } <= found


def test_every_hazard_says_whether_it_stops() -> None:
    for one in codes.hazards():
        assert set(one.severity.split(" / ")) <= {"warn", "refuse", codes.UNKNOWN}, one
        assert one.message, one


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("'plain'", "plain"),
        ("f'a {b} c'", "a … c"),
        ("f'{NAME}-x'", "name-x"),
        ("'a' + NAME", "aname"),
        ("'one' if x else 'two'", "one / two"),
        ("make()", "…"),
        ("None", ""),
    ],
)
def test_texts_are_read_as_far_as_the_source_tells(source: str, told: str) -> None:
    node = ast.parse(source, mode="eval").body
    assert text(node, constants(ast.parse("NAME = 'name'"))) == told


def test_markdown_is_not_made_by_chance() -> None:
    assert plain("a*b_c [x] <user> \\d `C:\\*<x>`") == "a\\*b\\_c \\[x\\] &lt;user> \\\\d `C:\\*<x>`"


def test_paragraphs_keep_lines_that_are_meant_to_be_kept() -> None:
    @click.command()
    def example() -> None:
        """One
        paragraph.

        \b
        kept:  this
        and:   that
        """

    assert list(paragraphs(example.help or "")) == ["One paragraph.", "\b\nkept:  this\nand:   that"]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "pattern": "^a$"}, "text (fits `^a$`)"),
        (
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "text or list of text",
        ),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, "whole number (from 1)"),
        ({"$ref": "#/$defs/When"}, "[When](#when)"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"const": "x/1"}, "`x/1`"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "names with text"),
        ({}, "anything"),
    ],
)
def test_schemas_in_words(schema: dict[str, object], told: str) -> None:
    assert kind(schema) == told
