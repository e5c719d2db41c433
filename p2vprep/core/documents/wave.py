"""The wave document ``p2vprep.wave/1``: the machines of a migration wave and what each shall have.

A table from a spreadsheet is read into the same values (:mod:`p2vprep.wave.csvmanifest`), so what
is checked here holds for both. Paths are texts here; whoever reads the file resolves them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from p2vprep.core.documents.actions import OneOrMore, Strict
from p2vprep.core.documents.positions import Positions
from p2vprep.core.documents.yamltext import Plain, validate
from p2vprep.core.registry import fold
from p2vprep.core.wishes import GhostChoice
from p2vprep.errors import DocumentError

SCHEMA = "p2vprep.wave/1"
HINT = "docs/waves.md describes the wave document and the columns of a table."
LONGEST = 64 << 20
"""The longest manifest, in characters."""
_SHOWN_FAULTS = 20
_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(plain: object) -> object:
    """``90``, ``45s``, ``30m``, ``1h30m`` as seconds; anything else as it is, for the model to refuse."""
    if not isinstance(plain, str):
        return plain
    if plain.strip().isdigit():
        return int(plain)
    parts = re.findall(r"(\d+)([smh])", plain.lower().replace(" ", ""))
    if not parts or "".join(number + unit for number, unit in parts) != plain.lower().replace(" ", ""):
        raise ValueError(f"{plain!r} is no time; write 45s, 30m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _texts(plain: object) -> object:
    """The values of settings as texts: ``yes``, ``5`` and ``true`` are what ``--set`` would take."""
    if not isinstance(plain, dict):
        return plain
    spelt = {True: "true", False: "false"}
    return {
        key: spelt[value] if isinstance(value, bool) else str(value) if isinstance(value, int) else value
        for key, value in plain.items()
    }


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], OneOrMore]
Seconds = Annotated[int, BeforeValidator(seconds), Field(ge=1)]


class Choices(Strict):
    """What can be said for one machine, or for all of them under ``defaults``. None: not said."""

    source: Names | None = None
    target: Names | None = None
    stage: Names | None = None
    set: Annotated[dict[str, str], BeforeValidator(_texts)] | None = None
    network: str | dict[str, Any] | None = None
    """A file, or the network document itself."""
    ghosts: GhostChoice | None = None
    control_sets: Literal["auto", "boot", "all"] | None = None
    first_boot: bool | None = None
    first_boot_steps: Names | None = None
    add_files: str | None = None
    virtio_win: str | None = None
    root: Annotated[int, Field(ge=1)] | None = None
    allow: Names | None = None
    profile_dirs: Names | None = None
    state_dir: str | None = None


class Entry(Choices):
    """One machine."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    disks: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], OneOrMore, Field(min_length=1)]
    """Images in the order of the machine's disks; wildcards are allowed."""


class Concurrency(Strict):
    """How much at once; None: by what the host has."""

    jobs: Annotated[int, Field(ge=1, le=1000)] | None = None
    per_appliance: Annotated[int, Field(ge=1, le=64)] | None = None
    time_limit: Seconds | None = None
    """Seconds that one machine may take."""


class Wave(Strict):
    """A whole wave."""

    schema_id: Annotated[Literal["p2vprep.wave/1"], Field(alias="schema")]
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    defaults: Choices = Choices()
    concurrency: Concurrency = Concurrency()
    machines: Annotated[tuple[Entry, ...], OneOrMore, Field(min_length=1)]


def read(plain: Plain, positions: Positions) -> Wave:
    """The wave of plain values. Raises DocumentError with the place of every fault."""
    if isinstance(plain, dict) and plain.get("schema") not in (SCHEMA, None):
        raise DocumentError(
            f"{positions.place(('schema',))}: this is {plain['schema']!r}, not {SCHEMA!r}",
            subject=positions.source,
        )
    wave = validate(Wave, plain, positions, hint=HINT)
    refuse(list(_faults(wave, positions)), positions.source)
    return wave


def refuse(faults: list[str], source: str) -> None:
    """Raises DocumentError that lists the faults, where there are any."""
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DocumentError(
            faults[0] + more, subject=source, details=tuple(faults[:_SHOWN_FAULTS]), hint=HINT
        )


def _faults(wave: Wave, positions: Positions) -> Iterator[str]:
    """What single fields cannot know: a name is one machine's, and can be shown."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(wave.machines):
        place = positions.place(("machines", index, "name"))
        if not entry.name.isprintable() or entry.name != entry.name.strip():
            yield f"{place}: the name {entry.name!r} has signs that cannot be shown, or blanks around it"
        first = seen.setdefault(fold(entry.name), index)
        if first != index:
            where = positions.place(("machines", first, "name"))
            yield f"{place}: the name {entry.name!r} is here twice; first at {where}"
