"""Every code of a hazard or an error, read from the source: where it is raised, with which words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "p2vprep"
MAKERS: Mapping[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "Hazard": ("Hazard", ("code", "severity", "message", "evidence", "cure", "liftable"), {}),
    "Refusal in core": (
        "Hazard",
        ("service", "code", "message", "chain"),
        {"severity": "refuse", "liftable": "False"},
    ),
    "Refusal in disk": ("RefusedError", ("code", "message", "cure"), {"liftable": "False"}),
    "Concern": ("RefusedError", ("code", "message", "cure"), {"liftable": "True"}),
    "refused": ("RefusedError", ("code", "message", "cure"), {"liftable": "False"}),
}
"""What is turned into a hazard or an error: what becomes of it, its fields in order, what is always so."""
PAIRS = {"core/guards.py": "RefusedError"}
"""Modules that name a code and a message as a pair, and what becomes of it."""
UNKNOWN = "…"


@dataclass(frozen=True)
class Found:
    """A place where a hazard or an error is made. Parts that are only known at run time are ``…``."""

    code: str
    kind: str
    """``Hazard``, or the class of the error."""
    message: str
    next: str = ""
    severity: str = ""
    liftable: bool = False
    module: str = ""


def collect() -> tuple[Found, ...]:
    """All of them, by code; what one place says again in other words is there again.

    Places that only hand on a code made elsewhere are left out.
    """
    found = [one for module in sorted(PACKAGE.rglob("*.py")) for one in _of_module(module)]
    single = [replace(one, code=code) for one in found for code in one.code.split(" / ") if code]
    known = (one for one in single if UNKNOWN not in one.code)
    return tuple(sorted(dict.fromkeys(known), key=lambda one: (one.code, one.kind, one.message)))


def hazards() -> tuple[Found, ...]:
    return tuple(one for one in collect() if one.kind == "Hazard")


def errors() -> tuple[Found, ...]:
    return tuple(one for one in collect() if one.kind != "Hazard")


@lru_cache
def error_classes() -> Mapping[str, tuple[str, int]]:
    """The classes of errors with their default code and exit status."""
    from p2vprep import errors as module

    found = {}
    for name, held in vars(module).items():
        if isinstance(held, type) and issubclass(held, module.P2vprepError):
            found[name] = (held.default_code, int(held.exit_status))
    return found


def _of_module(module: Path) -> Iterator[Found]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    texts = constants(tree)
    name = module.relative_to(PACKAGE).as_posix()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            maker = MAKERS.get(node.func.id) or MAKERS.get(f"{node.func.id} in {name.split('/')[0]}")
            if maker is not None:
                yield _made(node, maker, texts, name)
            elif node.func.id in error_classes():
                yield _error(node, texts, name)
        elif isinstance(node, ast.Tuple) and name in PAIRS and len(node.elts) == 2:
            code, message = (text(part, texts) for part in node.elts)
            if re.fullmatch("[a-z]+(-[a-z]+)+", code):
                yield Found(code, PAIRS[name], message, module=name)


def _made(
    call: ast.Call, maker: tuple[str, tuple[str, ...], dict[str, str]], texts: Mapping[str, str], module: str
) -> Found:
    kind, fields, fixed = maker
    held: dict[str, ast.expr] = dict(zip(fields, call.args, strict=False))
    held |= {one.arg: one.value for one in call.keywords if one.arg is not None}
    told = {name: text(node, texts) for name, node in held.items() if name != "evidence"} | fixed
    return Found(
        code=told.get("code", ""),
        kind=kind,
        message=told.get("message", ""),
        next=told.get("cure", told.get("hint", "")),
        severity=told.get("severity", ""),
        liftable=told.get("liftable", "True") != "False",
        module=module,
    )


def _error(call: ast.Call, texts: Mapping[str, str], module: str) -> Found:
    assert isinstance(call.func, ast.Name)
    held = {one.arg: one.value for one in call.keywords if one.arg is not None}
    default, _ = error_classes()[call.func.id]
    first = call.args[-1] if call.func.id == "Interrupted" else call.args[0] if call.args else None
    liftable = held.get("liftable")
    return Found(
        code=text(held["code"], texts) if "code" in held else default,
        kind=call.func.id,
        message=text(held.get("message", first), texts),
        next=text(held.get("hint"), texts),
        liftable=isinstance(liftable, ast.Constant) and liftable.value is True,
        module=module,
    )


def text(node: ast.expr | None, texts: Mapping[str, str]) -> str:
    """A text as far as the source tells it."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        return "" if node.value is None else str(node.value)
    if isinstance(node, ast.Name):
        return texts.get(node.id, UNKNOWN)
    if isinstance(node, ast.Attribute):
        return texts.get(node.attr, UNKNOWN)
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(part, texts) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text(node.left, texts) + text(node.right, texts)
    if isinstance(node, ast.IfExp):
        return " / ".join(dict.fromkeys((text(node.body, texts), text(node.orelse, texts))))
    return UNKNOWN


def _part(part: ast.expr, texts: Mapping[str, str]) -> str:
    return text(part.value if isinstance(part, ast.FormattedValue) else part, texts)


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module holds in constants, and those of all modules that are imported by name."""
    return {**_shared(), **_assigned(tree)}


@lru_cache
def _shared() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for module in sorted(PACKAGE.rglob("*.py")):
        assigned = _assigned(ast.parse(module.read_text(encoding="utf-8")))
        found |= {name: held for name, held in assigned.items() if name.isupper() and name[0] != "_"}
    return found


def _assigned(tree: ast.Module) -> dict[str, str]:
    """The names at the top of a module that stand for a text."""
    found: dict[str, str] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found |= {one.id: node.value.value for one in targets if isinstance(one, ast.Name)}
    return found
