"""YAML text to plain values with the position of each, and pydantic errors to document errors.

Works on the node graph, so every key and value has its line and column. YAML
1.2 scalars: ``off`` and ``yes`` are texts, not truth values. Aliases are refused:
our documents need none, and a few lines of them can stand for gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from p2vprep.core.documents import quickyaml
from p2vprep.core.documents.positions import Path, Position, Positions, show_path
from p2vprep.errors import DocumentError

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
Model = TypeVar("Model", bound=BaseModel)

_LONGEST = 4 * 1024 * 1024
_DEEPEST = 40
_TAG = "tag:yaml.org,2002:"
_SHOWN_ERRORS = 20


def parse(text: str, source: str, *, longest: int = _LONGEST) -> tuple[Plain, Positions]:
    """The plain value of a YAML document and where everything in it stands; ``longest`` in characters.

    Raises DocumentError with file, line and column for anything that is not
    one plain YAML document of text keys without duplicates.
    """
    if len(text) > longest:
        raise DocumentError(f"{source} is longer than {longest // 1024 // 1024} MiB", subject=source)
    try:
        root = quickyaml.compose(text) or YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        raise _invalid(source, where, problem.problem or "is not YAML") from problem
    except (YAMLError, ValueError, RecursionError) as problem:
        raise _invalid(source, Position(1, 1), f"is not YAML: {problem}") from problem
    if root is None:
        raise _invalid(source, Position(1, 1), "the document is empty")
    reader = _Reader(source)
    return reader.plain(root, ()), Positions(source, reader.values, reader.keys)


def validate(model: type[Model], plain: Plain, positions: Positions, *, hint: str | None = None) -> Model:
    """The plain value as a model. Raises DocumentError that names every fault with its place."""
    try:
        return model.model_validate(plain)
    except ValidationError as problem:
        faults = [_fault(error, positions) for error in problem.errors(include_url=False)]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    raise DocumentError(
        faults[0] + more,
        subject=positions.source,
        details=tuple(faults[:_SHOWN_ERRORS]),
        hint=hint,
    )


def _invalid(source: str, where: Position, what: str) -> DocumentError:
    return DocumentError(f"{source}:{where}: {what}", subject=source)


def _fault(error: Mapping[str, Any], positions: Positions) -> str:
    path: Path = tuple(error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{positions.place(path, key=True)}: unknown key {show_path(path)!r}"
    if kind == "missing":
        return f"{positions.place(path)}: {show_path(path)!r} is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{positions.place(path)}: {show_path(path) or 'the document'}: {message}"


class _Reader:
    """Turns nodes into plain values and remembers where they were."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.values: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self._seen: set[int] = set()

    def plain(self, node: Node, path: Path) -> Plain:
        where = _position(node)
        if id(node) in self._seen:
            raise _invalid(self.source, where, "aliases (*name) are not allowed here")
        self._seen.add(id(node))
        if len(path) > _DEEPEST:
            raise _invalid(self.source, where, "is nested too deeply")
        self.values[path] = where
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.plain(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise _invalid(self.source, where, "is not a mapping, a list or a scalar")

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            where = _position(key_node)
            if not isinstance(key_node, ScalarNode):
                raise _invalid(self.source, where, "a key must be a text")
            key = self._text(key_node)
            if key in plain:
                raise _invalid(self.source, where, f"the key {key!r} is here twice")
            inner: Path = (*path, key)
            self.keys[inner] = where
            plain[key] = self.plain(value_node, inner)
        return plain

    def _scalar(self, node: ScalarNode) -> Plain:
        tag, text = str(node.tag), self._text(node)
        convert = _SCALARS.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
        if convert is None:
            raise _invalid(self.source, _position(node), f"the tag {tag!r} is not allowed here")
        try:
            return convert(text)
        except ValueError as problem:
            raise _invalid(self.source, _position(node), f"{text!r}: {problem}") from problem

    def _text(self, node: ScalarNode) -> str:
        """A scalar as it is written; the two halves of an escaped sign (JSON's \\ud83d\\ude00) become one."""
        text = str(node.value)
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as problem:
            raise _invalid(self.source, _position(node), f"{text!r} holds half a sign") from problem


def _position(node: Node) -> Position:
    mark = node.start_mark
    return Position(mark.line + 1, mark.column + 1)


def _integer(text: str) -> int:
    plain = text.replace("_", "")
    if re.fullmatch(r"[-+]?0[0-9]+", plain):
        return int(plain, 10)
    return int(plain, 0)


_SCALARS: dict[str, Callable[[str], Plain]] = {
    "null": lambda _text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": float,
    "str": str,
    "timestamp": str,
}
