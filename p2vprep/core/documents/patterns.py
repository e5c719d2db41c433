"""Small languages inside profiles: names with wildcards, Windows ranges, regular expressions.

All are checked when a document is read, so that using them cannot fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator

from p2vprep.core.model import WindowsVersion
from p2vprep.core.registry import fold

_LONGEST_REGEX = 400
_FEWEST_PLAIN = 3
_OPERATORS = {
    "==": lambda have, want: have == want,
    "<": lambda have, want: have < want,
    "<=": lambda have, want: have <= want,
    ">": lambda have, want: have > want,
    ">=": lambda have, want: have >= want,
}
_COMPARISON = re.compile(r"(==|<=|>=|<|>)?(\d+)\.(\d+)(?:\.(\d+))?")


# --- names -------------------------------------------------------------------------------------


def is_wildcard(pattern: str) -> bool:
    """Whether a name holds ``*`` or ``?``."""
    return "*" in pattern or "?" in pattern


@lru_cache(maxsize=4096)
def _compiled_name(pattern: str) -> re.Pattern[str]:
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in fold(pattern))
    return re.compile("".join(parts), re.DOTALL)


def name_matches(pattern: str, name: str) -> bool:
    """Whether a whole name fits a pattern (``*`` any text, ``?`` one sign), without regard to case."""
    return _compiled_name(pattern).fullmatch(fold(name)) is not None


@lru_cache(maxsize=1024)
def _compiled_names(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_compiled_name(pattern).pattern for pattern in patterns), re.DOTALL)


def any_name_matches(patterns: Iterable[str], name: str) -> bool:
    """Whether a whole name fits one of the patterns at least; quick for many of them."""
    wanted = tuple(patterns)
    return bool(wanted) and _compiled_names(wanted).fullmatch(fold(name)) is not None


def _check_name(pattern: str) -> str:
    if not pattern or pattern != pattern.strip() or "\\" in pattern or "/" in pattern:
        raise ValueError(f"{pattern!r} cannot be the name of a service")
    return pattern


def too_wide(pattern: str) -> bool:
    """Whether a wildcard leaves fewer than three plain signs, so that it could match anything."""
    return is_wildcard(pattern) and len(re.sub(r"[*?]", "", pattern)) < _FEWEST_PLAIN


NamePattern = Annotated[str, AfterValidator(_check_name)]


# --- regular expressions -----------------------------------------------------------------------


@lru_cache(maxsize=4096)
def regex(pattern: str) -> re.Pattern[str]:
    """The compiled expression; it searches without regard to case."""
    return re.compile(pattern, re.IGNORECASE)


def _check_regex(pattern: str) -> str:
    if not pattern or len(pattern) > _LONGEST_REGEX:
        raise ValueError(f"a regular expression has 1 to {_LONGEST_REGEX} signs")
    try:
        compiled = regex(pattern)
    except re.error as problem:
        raise ValueError(f"{pattern!r} is not a regular expression: {problem}") from problem
    if compiled.search("") is not None:
        raise ValueError(f"{pattern!r} matches everything")
    return pattern


Regex = Annotated[str, AfterValidator(_check_regex)]


# --- Windows ranges ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Comparison:
    operator: str
    version: tuple[int, ...]

    def holds(self, version: WindowsVersion) -> bool:
        have: tuple[int, ...] = version.nt
        if len(self.version) > len(have):
            if have == self.version[:2] and not version.build:
                return False
            have = (*have, version.build)
        return bool(_OPERATORS[self.operator](have, self.version))


@lru_cache(maxsize=1024)
def _comparisons(text: str) -> tuple[_Comparison, ...]:
    found: list[_Comparison] = []
    for part in re.sub(r"(==|<=|>=|<|>)\s+", r"\1", text).split():
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a comparison such as >=6.1 or <10.0.17763")
        version = tuple(int(number) for number in match.groups()[1:] if number is not None)
        found.append(_Comparison(match.group(1) or "==", version))
    if not found:
        raise ValueError("an empty Windows range; write for example '>=6.0 <6.2'")
    return tuple(found)


def in_range(text: str, version: WindowsVersion) -> bool:
    """Whether a Windows version lies in a range: every comparison of the text holds.

    ``>=6.0 <6.2`` compares NT versions, ``>=10.0.17763`` builds as well. Where
    the build decides and is not known, the range does not hold.
    """
    return all(comparison.holds(version) for comparison in _comparisons(text))


def _check_range(text: str) -> str:
    _comparisons(text)
    return text


WindowsRange = Annotated[str, AfterValidator(_check_range)]


# --- switches of uninstallers ------------------------------------------------------------------

_SWITCH = re.compile(
    r"[-/][A-Za-z][A-Za-z0-9_-]{0,40}([:=][A-Za-z0-9_.{}-]{1,80})?|[A-Z]{2,40}=[A-Za-z0-9_.]{1,80}"
)


def is_switch(text: str) -> bool:
    """Whether this is a plain switch (``/S``, ``-l0x409``) or a property of an installer (``NAME=value``)."""
    return _SWITCH.fullmatch(text) is not None


def _check_switch(text: str) -> str:
    if not is_switch(text):
        raise ValueError(f"{text!r} is no plain switch, such as /S or REBOOT=ReallySuppress")
    return text


Switch = Annotated[str, AfterValidator(_check_switch)]
