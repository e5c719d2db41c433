"""The node graph of an ordinary YAML document by way of libyaml, some thirty times as fast.

A plan reads all shipped profiles, and ruamel.yaml's own scanner took more time
over them than everything else a plan does. It stays the one whose word counts:
libyaml keeps to YAML 1.1 in places (``[::1]`` is no list to it) and words its
errors otherwise, so whatever is not plainly the same in both is left to it.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import implicit_resolvers
from ruamel.yaml.tag import Tag

_DEEPEST = 60
"""Levels that are followed. Events are taken one by one: libyaml's own composer can run out of stack."""

_STR, _SEQ, _MAP = (Tag(suffix=f"tag:yaml.org,2002:{kind}") for kind in ("str", "seq", "map"))
_RESOLVERS = tuple(
    (Tag(suffix=str(tag)), pattern, frozenset(first))
    for versions, tag, pattern, first in implicit_resolvers
    if (1, 2) in versions
)
_UNUSUAL = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[|>][-+0-9]*#"
)
"""Where the two differ: tabs, control characters, line ends of YAML 1.1, a # upon the mark of a block."""
_PARSER: Any = getattr(getattr(yaml, "cyaml", None), "CParser", None)


class _OtherError(Exception):
    """Something that is left to the other reader."""


def compose(text: str) -> Node | None:
    """The root node, with marks and YAML 1.2 tags as ruamel.yaml gives them; None: let that one read it.

    None says nothing about the document; it may be faulty, or only unusual: an
    alias, an anchor, a tag, a directive, several documents. Never raises.
    """
    if _PARSER is None or _UNUSUAL.search(text):
        return None
    try:
        parser = _PARSER(text)
        return _document(parser)
    except (_OtherError, yaml.YAMLError, ValueError):
        # No answer is lost: the caller asks the other reader, whose error is the one that is told.
        return None


def _document(parser: Any) -> Node:
    _expect(parser, yaml.StreamStartEvent)
    start = _expect(parser, yaml.DocumentStartEvent)
    if start.version or start.tags:
        raise _OtherError
    root = _nodes(parser)
    _expect(parser, yaml.DocumentEndEvent)
    _expect(parser, yaml.StreamEndEvent)
    return root


def _nodes(parser: Any) -> Node:
    """One node and all within it. ``open_`` are the collections around the next event, outermost first."""
    open_: list[tuple[Node, list[Any]]] = []
    while True:
        event = parser.get_event()
        if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            node, items = open_.pop()
            node.value = items if isinstance(node, SequenceNode) else _pairs(items)
        else:
            node = _begun(event)
            if not isinstance(node, ScalarNode):
                open_.append((node, []))
                if len(open_) > _DEEPEST:
                    raise _OtherError
                continue
        if not open_:
            return node
        open_[-1][1].append(node)


def _begun(event: Any) -> Node:
    if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
        raise _OtherError
    if isinstance(event, yaml.ScalarEvent):
        if not event.value and event.implicit[0]:
            raise _OtherError  # the two place what is not there differently
        tag = _tag(event.value) if event.implicit[0] else _STR
        return ScalarNode(tag, event.value, event.start_mark, event.end_mark)
    if isinstance(event, yaml.SequenceStartEvent):
        return SequenceNode(_SEQ, [], event.start_mark, event.end_mark)
    if isinstance(event, yaml.MappingStartEvent):
        return MappingNode(_MAP, [], event.start_mark, event.end_mark)
    raise _OtherError


def _tag(value: str) -> Tag:
    first = value[:1]
    for tag, pattern, firsts in _RESOLVERS:
        if first in firsts and pattern.match(value):
            return tag
    return _STR


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items[::2], items[1::2], strict=True))


def _expect(parser: Any, kind: type[Any]) -> Any:
    event = parser.get_event()
    if not isinstance(event, kind):
        raise _OtherError
    return event
