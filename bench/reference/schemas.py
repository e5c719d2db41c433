"""The documents people write, from their JSON Schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.reference.words import code, head, page, plain, table

Schema = Mapping[str, Any]


def schema_page(title: str, schema: Schema, *paragraphs: str) -> str:
    """A page of one document: a table of keys for it and for each of its parts."""
    return page(_lines(title, schema, paragraphs))


def _lines(title: str, schema: Schema, paragraphs: tuple[str, ...]) -> Iterator[str]:
    yield from head(title, *paragraphs)
    yield from ("## The document", "")
    yield from _keys(schema)
    inline = {name: held for name, held in schema.get("properties", {}).items() if "properties" in held}
    for name, part in {**inline, **schema.get("$defs", {})}.items():
        if part.get("properties"):
            yield from (f"## {name}", "")
            yield from _keys(part)


def _keys(part: Schema) -> Iterator[str]:
    if part.get("description"):
        yield from (plain(" ".join(str(part["description"]).replace("``", "`").split())), "")
    required = set(part.get("required", ()))
    rows = [
        (
            code(name),
            f"[keys](#{name})" if "properties" in held else kind(held),
            "yes" if name in required else _default(held),
            _words(held),
        )
        for name, held in part.get("properties", {}).items()
    ]
    yield from table(("key", "what it holds", "required", ""), rows)


def _default(held: Schema) -> str:
    default = held.get("default")
    return f"no: {code(str(default))}" if isinstance(default, str | int) and default != "" else "no"


def _words(held: Schema) -> str:
    return plain(" ".join(str(held.get("description", "")).replace("``", "`").split()))


def kind(held: Schema) -> str:
    """What a key may hold, in a few words; parts are links to their tables."""
    if "$ref" in held:
        name = str(held["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in held:
        return code(str(held["const"]))
    if "enum" in held:
        return ", ".join(code(str(one)) for one in held["enum"])
    choices = held.get("anyOf") or held.get("oneOf")
    if choices:
        told = [kind(one) for one in choices if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(told))
    return _plain(held) + _limits(held)


def _plain(held: Schema) -> str:
    what = held.get("type", "anything")
    if what == "array":
        return f"list of {kind(held.get('items', {}))}"
    if what == "object":
        inner = held.get("additionalProperties") or next(
            iter(held.get("patternProperties", {}).values()), None
        )
        return f"names with {kind(inner)}" if isinstance(inner, Mapping) else "keys"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false", "number": "number"}
    return names.get(str(what), str(what))


def _limits(held: Schema) -> str:
    told = [f"from {held['minimum']}"] if "minimum" in held else []
    told += [f"up to {held['maximum']}"] if "maximum" in held else []
    told += [f"fits {code(held['pattern'])}"] if "pattern" in held else []
    return f" ({', '.join(told)})" if told else ""
