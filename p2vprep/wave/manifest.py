"""The manifest of a wave, read from YAML or CSV: every machine with its images and its options.

Paths in a manifest are relative to the folder it lies in. What is said for one machine counts
before the defaults; ``set`` and ``allow`` of both are put together.
"""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from p2vprep.core import netcheck
from p2vprep.core.documents import network as network_document
from p2vprep.core.documents import wave as document
from p2vprep.core.documents import yamltext
from p2vprep.core.documents.positions import Path as Place
from p2vprep.core.documents.positions import Positions
from p2vprep.core.documents.wave import Choices, Entry, Wave
from p2vprep.core.documents.yamltext import Plain
from p2vprep.core.network import Network
from p2vprep.disk.image import shown
from p2vprep.disk.state import SUFFIX
from p2vprep.engine.options import AUTO, DEFAULT_STAGE, Accelerator, Options
from p2vprep.errors import DocumentError, UsageError
from p2vprep.wave import csvmanifest

_TABLES = (".csv", ".tsv", ".txt")
_WILD = re.compile(r"[*?\[]")
_FALLBACK_LIMIT = 30 * 60
_NONE = "none"


@dataclass(frozen=True)
class Machine:
    """One machine of the wave. ``disks`` are absolute; one that a wildcard did not find is kept as it is."""

    name: str
    disks: tuple[Path, ...]
    options: Options
    place: str = field(default="", compare=False)
    """Where the manifest speaks of it: ``wave.csv: row 7``."""

    @cached_property
    def fingerprint(self) -> str:
        """What the manifest asks for, as SHA-256: another one, if anything is asked for differently.

        The content of a network file counts; of other host files their size and time.
        """
        files = [*self.options.first_boot_steps, self.options.add_files, self.options.virtio_win]
        told = {
            "disks": [str(disk) for disk in self.disks],
            "request": self.options.to_request(),
            "profiles": [str(folder) for folder in self.options.profile_dirs],
            "files": [_stamp(file) for file in files if file is not None],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """A whole wave as it stands in its file."""

    path: Path
    name: str
    machines: tuple[Machine, ...]
    jobs: int | None = None
    per_appliance: int | None = None
    time_limit: int = _FALLBACK_LIMIT
    """Seconds for one machine."""
    notes: tuple[str, ...] = ()

    def only(self, names: Sequence[str]) -> Manifest:
        """The wave with these machines only; ``*`` and ``?`` stand for any signs.

        Raises UsageError for a name that no machine has.
        """
        if not names:
            return self
        kept: dict[str, Machine] = {}
        for name in names:
            found = [machine for machine in self.machines if matches(name, machine.name)]
            if not found:
                raise UsageError(
                    f"no machine of the wave is called {name!r}",
                    code="no-such-machine",
                    subject=shown(self.path),
                )
            kept |= {machine.name: machine for machine in found}
        return replace(self, machines=tuple(one for one in self.machines if one.name in kept))


def load(path: Path, accelerator: Accelerator = AUTO) -> Manifest:
    """The manifest at a path. Raises UsageError where it cannot be read, DocumentError with every fault."""
    path = path.absolute()
    try:
        if path.stat().st_size > document.LONGEST:
            raise DocumentError("it is too large for a manifest", subject=shown(path))
        content = path.read_bytes()
    except OSError as problem:
        raise UsageError(
            f"the manifest cannot be read: {problem.strerror}", code="no-manifest", subject=shown(path)
        ) from problem
    source = path.name
    if path.suffix.lower() in _TABLES:
        text, notes = csvmanifest.decode(content, source)
        plain, positions, more = csvmanifest.read(text, source)
        return _Builder(path, positions, accelerator).manifest(
            document.read(plain, positions), plain, (*notes, *more)
        )
    plain_yaml, places = _yaml(content, source)
    return _Builder(path, places, accelerator).manifest(document.read(plain_yaml, places), plain_yaml, ())


def _yaml(content: bytes, source: str) -> tuple[Plain, Positions]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DocumentError(f"{source}: the manifest is not UTF-8 text", subject=source) from problem
    return yamltext.parse(text, source, longest=document.LONGEST)


class _Inside(Positions):
    """The places of a document that is a part of another one."""

    def __init__(self, outer: Positions, prefix: Place) -> None:
        super().__init__(outer.source)
        object.__setattr__(self, "_outer", outer)
        object.__setattr__(self, "_prefix", prefix)

    def place(self, path: Place, *, key: bool = False) -> str:
        outer: Positions = self.__dict__["_outer"]
        return outer.place((*self.__dict__["_prefix"], *path), key=key)


class _Builder:
    """From the document to machines: defaults, paths, network."""

    def __init__(self, path: Path, positions: Positions, accelerator: Accelerator) -> None:
        self._folder = path.parent
        self._path = path
        self._positions = positions
        self._accelerator = accelerator
        self._networks: dict[Path, Network] = {}
        self._faults: list[str] = []

    def manifest(self, wave: Wave, plain: Any, notes: tuple[str, ...]) -> Manifest:
        base = self._network(wave.defaults, plain.get("defaults"), ("defaults",))
        entries = plain["machines"]
        machines = tuple(
            self._machine(index, entry, wave.defaults, entries[index], base)
            for index, entry in enumerate(wave.machines)
        )
        document.refuse(self._faults, self._positions.source)
        limits = wave.concurrency
        return Manifest(
            path=self._path,
            name=wave.name or self._path.stem,
            machines=machines,
            jobs=limits.jobs,
            per_appliance=limits.per_appliance,
            time_limit=limits.time_limit or _FALLBACK_LIMIT,
            notes=notes,
        )

    def _machine(
        self, index: int, entry: Entry, defaults: Choices, plain: Any, network: Network | None
    ) -> Machine:
        top: Place = ("machines", index)
        own = self._network(entry, plain, top)
        options = self._options(entry, defaults, own if entry.network is not None else network, top)
        disks = tuple(disk for pattern in entry.disks for disk in self._disks(pattern))
        return Machine(entry.name, disks, options, self._positions.place(top))

    def _options(self, entry: Choices, defaults: Choices, network: Network | None, top: Place) -> Options:
        def said(name: str) -> Any:
            own = getattr(entry, name)
            return getattr(defaults, name) if own is None else own

        def host(name: str) -> Path | None:
            found = said(name)
            return None if found is None else self._existing(found, (*top, name.replace("_", "-")))

        step_place: Place = (*top, "first-boot-steps")
        state_dir = said("state_dir")
        return Options(
            sources=_profiles(said("source"), (AUTO,)),
            targets=_profiles(said("target"), ()),
            stages=_profiles(said("stage"), (DEFAULT_STAGE,)),
            settings=tuple(sorted({**(defaults.set or {}), **(entry.set or {})}.items())),
            control_sets=said("control_sets") or AUTO,
            first_boot=True if said("first_boot") is None else said("first_boot"),
            root=said("root"),
            allow=frozenset((*(defaults.allow or ()), *(entry.allow or ()))),
            ghosts=said("ghosts"),
            network=network,
            add_files=host("add_files"),
            first_boot_steps=tuple(
                self._existing(step, step_place) for step in said("first_boot_steps") or ()
            ),
            virtio_win=host("virtio_win"),
            state_dir=None if state_dir is None else self._under(state_dir),
            profile_dirs=tuple(self._under(folder) for folder in said("profile_dirs") or ()),
            accelerator=self._accelerator,
        )

    def _under(self, text: str) -> Path:
        return Path(_normal(self._folder / text))

    def _existing(self, text: str, place: Place) -> Path:
        path = self._under(text)
        if not path.exists():
            self._faults.append(f"{self._positions.place(place)}: there is no {text}")
        return path

    def _disks(self, text: str) -> list[Path]:
        """The files a text stands for, in the order of their names; itself where there are none."""
        path = self._under(text)
        if not _WILD.search(text) or path.exists():
            return [path]
        found = sorted(glob.glob(str(path)))  # noqa: PTH207 - patterns may be absolute
        return [Path(one) for one in found if not one.endswith(SUFFIX)] or [path]

    def _network(self, choices: Choices, plain: Any, top: Place) -> Network | None:
        """The network of a machine, or of the defaults; its faults are added to the others."""
        held = choices.network
        if held is None:
            return None
        place: Place = (*top, "network")
        try:
            if isinstance(held, str):
                return self._network_file(self._under(held), place)
            return _read_network(plain["network"], _Inside(self._positions, place))
        except DocumentError as problem:
            self._faults += problem.details or (problem.message,)
            return None

    def _network_file(self, path: Path, place: Place) -> Network:
        if path not in self._networks:
            try:
                text = path.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as problem:
                why = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
                raise DocumentError(f"{self._positions.place(place)}: {path}: {why}") from problem
            self._networks[path] = network_document.load(text, str(path))
        return self._networks[path]


def _read_network(plain: Plain, positions: Positions) -> Network:
    """A network that stands in the manifest; ``schema`` may be left out there."""
    if isinstance(plain, dict):
        plain = {"schema": network_document.SCHEMA, **plain}
    held = yamltext.validate(network_document.NetworkDocument, plain, positions)
    network = Network(tuple(part.value() for part in held.interfaces), dict(held.settings))
    faults = [f"{positions.place(fault.path)}: {fault.text}" for fault in netcheck.faults(network)]
    if faults:
        raise DocumentError(faults[0], details=tuple(faults))
    return network


def _profiles(names: tuple[str, ...] | None, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """Names of profiles; ``none`` stands for no profile of this kind."""
    return tuple(name for name in (otherwise if names is None else names) if name != _NONE)


def _normal(path: Path) -> str:
    return str(path.expanduser().absolute())


def matches(pattern: str, name: str) -> bool:
    """Whether a machine's name is meant; case does not count, ``*`` and ``?`` stand for any signs."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    signs = ({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.compile("".join(signs), re.IGNORECASE | re.DOTALL)


def _stamp(file: Path) -> list[object]:
    """How a host file, or the tree of a folder, looks now; empty where it is not there."""
    try:
        files = sorted(file.rglob("*")) if file.is_dir() else [file]
        return [[str(one), one.stat().st_size, one.stat().st_mtime_ns] for one in files if one.is_file()]
    except OSError:
        return [str(file)]


def summary(machines: Sequence[Machine]) -> Mapping[str, int]:
    """How many machines and disks."""
    return {"machines": len(machines), "disks": sum(len(machine.disks) for machine in machines)}
