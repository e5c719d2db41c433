"""Profiles written down in a test."""

from __future__ import annotations

from textwrap import dedent

from p2vprep.core.documents.profile import Profile, load
from p2vprep.core.profiles import ResolvedProfile, resolve

HEAD = """\
schema: p2vprep.profile/1
name: {name}
version: 1
kind: {kind}
summary: A profile of a test
"""


def document(body: str, *, name: str = "testers", kind: str = "source") -> Profile:
    """A profile document from what follows its head."""
    return load(HEAD.format(name=name, kind=kind) + dedent(body), f"{name}.yaml")


def profile(body: str, *, name: str = "testers", kind: str = "source") -> ResolvedProfile:
    """A resolved profile that extends nothing."""
    found = document(body, name=name, kind=kind)
    return resolve(name, lambda _name: found)


def actions(*lines: str, name: str = "testers", kind: str = "source") -> ResolvedProfile:
    """A profile of actions given by what follows id, why and source: ``disable: Agent``."""
    body = "actions:\n" + "".join(
        f"  - {{id: a{index}, why: a good reason {index}, source: a test, {line}}}\n"
        for index, line in enumerate(lines)
    )
    return profile(body if lines else "", name=name, kind=kind)
