r"""A machine by hand: looking around on an opened disk, and edits that go the way of every apply.

:func:`browse` opens the disk for reading, with facts, registry and files at hand. What is to be
changed is collected as edits (:mod:`p2vprep.core.hand.making`), planned with :meth:`Browser.plan`
or :func:`plan_edits`, and applied with :func:`apply_edits`: on an overlay, proved, with undo and
receipt. Nothing here edits an image directly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from p2vprep.core.documents import edits as edits_document
from p2vprep.core.hand import places
from p2vprep.core.hand.making import (
    file_edits,
    guest_path,
    key_deletion,
    key_edits,
    service_edits,
    value_deletion,
    value_edits,
)
from p2vprep.core.hand.places import Place
from p2vprep.core.model import Edit, Facts, Hazard
from p2vprep.core.registry import Hive, Key, find
from p2vprep.disk.hive import LoadedHive
from p2vprep.engine import operations
from p2vprep.engine.guesthives import User, find_users, located
from p2vprep.engine.machine import Machine, load_hive
from p2vprep.engine.operations import Approve
from p2vprep.engine.options import Options
from p2vprep.engine.results import Applied, Planned
from p2vprep.errors import CannotOpenError, DocumentError, UsageError
from p2vprep.events import Sink
from p2vprep.profile_store import ProfileStore

__all__ = [
    "Browser",
    "Entry",
    "apply_edits",
    "browse",
    "by_hand",
    "file_edits",
    "key_deletion",
    "key_edits",
    "load_edits",
    "plan_edits",
    "service_edits",
    "value_deletion",
    "value_edits",
]


@dataclass(frozen=True)
class Entry:
    """What lies in a folder of the guest; ``other`` is a link or a junction. ``size`` in bytes, of files."""

    name: str
    kind: Literal["file", "folder", "other"]
    size: int


FILE_LIMIT = 256 << 20
"""A guest file of more bytes is not read whole."""
EDITS_LIMIT = 64 << 20
"""A document of edits is never longer (bytes)."""


def by_hand(options: Options, edits: Sequence[Edit]) -> Options:
    """These options for edits alone: no profile, no stage, no first-boot job."""
    return replace(
        options,
        sources=(),
        targets=(),
        stages=(),
        settings=(),
        ghosts=None,
        network=None,
        add_files=None,
        first_boot_steps=(),
        virtio_win=None,
        edits=tuple(edits),
        only_edits=True,
    )


@contextmanager
def browse(paths: Sequence[Path], options: Options, sink: Sink) -> Iterator[Browser]:
    """The machine, opened for reading through throw-away overlays for as long as the body runs.

    Raises as :func:`p2vprep.engine.inspect`.
    """
    options = by_hand(options, ())
    with operations.opened(paths, options, sink, operations.WarmUp(options)) as machine:
        yield Browser(machine, options)


def plan_edits(paths: Sequence[Path], edits: Sequence[Edit], options: Options, sink: Sink) -> Planned:
    """What applying the edits would do, as :func:`p2vprep.engine.plan`."""
    return operations.plan(paths, by_hand(options, edits), sink)


def apply_edits(
    paths: Sequence[Path], edits: Sequence[Edit], options: Options, sink: Sink, approve: Approve
) -> Applied:
    """Applies the edits and nothing else, all or none, as :func:`p2vprep.engine.apply`.

    ``approve`` is asked with the plan before anything is edited.
    """
    return operations.apply(paths, by_hand(options, edits), sink, approve=approve)


def load_edits(path: Path) -> tuple[Edit, ...]:
    """Edits collected in a file. Raises DocumentError, UsageError where it cannot be read."""
    try:
        if path.stat().st_size > EDITS_LIMIT:
            raise DocumentError("it is too large for a document of edits", subject=str(path))
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"the edits cannot be read: {problem.strerror}", subject=str(path)) from problem
    except UnicodeDecodeError as problem:
        raise DocumentError("the edits are not UTF-8 text", subject=str(path)) from problem
    return edits_document.from_document(text, str(path))


class Browser:
    """Everything there is to see on one machine. It can be used as long as :func:`browse` runs.

    A hive is loaded when it is first asked for, and kept.
    """

    def __init__(self, machine: Machine, options: Options) -> None:
        self._machine = machine
        self._options = options
        self._loaded: dict[str, LoadedHive] = {}

    # --- what was found

    @property
    def facts(self) -> Facts:
        return self._machine.facts

    @property
    def findings(self) -> tuple[Hazard, ...]:
        """What was noticed when the machine was opened."""
        return self._machine.hazards

    @property
    def hives(self) -> Mapping[str, Hive]:
        """The hives that are loaded already: SYSTEM, and SOFTWARE where it is there."""
        return self._machine.hives

    # --- registry

    @cached_property
    def users(self) -> tuple[User, ...]:
        """The users that have a hive on the Windows volume."""
        machine = self._machine
        return find_users(machine.files, machine.volume, machine.software)

    def hive_names(self) -> tuple[str, ...]:
        r"""The names of all hives that are there: ``SYSTEM``, …, ``DEFAULT``, ``HKU\Anna``."""
        there = {name.upper() for name in self._machine.files.names(self._machine.volume.config)}
        machine = tuple(name for name in (*places.MACHINE_HIVES, places.DEFAULT) if name in there)
        return (*machine, *(user.hive for user in self.users))

    def hive(self, name: str) -> Hive:
        r"""A hive by its name, ``HKU\<SID>`` understood.

        Raises HiveError where it is missing, damaged, or of no user there is.
        """
        held = self._machine.hives.get(name)
        if held is not None:
            return held
        if name not in self._loaded:
            machine = self._machine
            spelt, volume = located(machine.files, machine.volume, machine.software, name)
            self._loaded[name] = load_hive(machine.files, volume, spelt, self._options)
        return self._loaded[name].hive

    def place(self, path: str) -> Place:
        """Hive and key of a path as people write it; ``CurrentControlSet`` is the one that boots next.

        Raises UsageError ``bad-registry-path``.
        """
        place = places.parse(path)
        if place.hive == "SYSTEM" and places.is_current(place.key):
            return replace(place, key=places.in_set(place.key, self.facts.boot_set))
        return place

    def key(self, path: str) -> Key:
        """The key at a path as people write it. Raises UsageError ``no-such-key``, and as :meth:`hive`."""
        place = self.place(path)
        found = find(self.hive(place.hive), place.key)
        if found is None:
            raise UsageError("there is no such key", code="no-such-key", subject=str(place))
        return found

    # --- files

    def list_dir(self, path: str) -> tuple[Entry, ...]:
        r"""What is in a folder of the Windows volume, by name. Links are told and not followed.

        Raises CannotOpenError ``guest-file-missing``, RefusedError where it is no folder, UsageError.
        """
        found = self._machine.files.entries(guest_path(path))
        return tuple(Entry(name, what.kind, what.size if what.kind == "file" else 0) for name, what in found)

    def exists(self, path: str) -> bool:
        """Whether anything is at a path of the Windows volume. Raises UsageError as :meth:`list_dir`."""
        return self._machine.files.find(guest_path(path)) is not None

    def read_file(self, path: str, limit: int = FILE_LIMIT) -> bytes:
        """A whole file of the Windows volume. Raises as :meth:`list_dir`, and beyond ``limit`` bytes."""
        plain = guest_path(path)
        content = self._machine.files.read(plain, limit)
        if content is None:
            raise CannotOpenError("the file is not there", code="guest-file-missing", subject=plain)
        return content

    # --- plans

    @cached_property
    def _profiles(self) -> ProfileStore:
        return ProfileStore(self._options.profile_dirs)

    def plan(self, edits: Sequence[Edit]) -> Planned:
        """What applying the edits would do, without another start of the appliance.

        Refusals are in the plan's hazards; where the guards refuse an edit outright RefusedError is raised.
        """
        from p2vprep.engine import planning

        options = by_hand(self._options, edits)
        machine = self._machine.afresh()
        planned, _ = planning.make_plan(machine, options, self._profiles)
        return Planned(planned, planning.document(planned, options))
