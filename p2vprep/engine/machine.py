"""An opened machine: its disks in the appliance, its Windows found, its hives loaded, its facts gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from p2vprep.core.facts import gather
from p2vprep.core.model import Facts, Hazard, HiveState, KeyChange, ValueChange
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import HEAD, plan_replay
from p2vprep.core.registry import Hive
from p2vprep.disk import hive
from p2vprep.disk.appliance import Appliance
from p2vprep.disk.foresight import Foresight
from p2vprep.disk.guestfiles import GuestFiles
from p2vprep.disk.hive import EditedHive, LoadedHive
from p2vprep.disk.image import Image
from p2vprep.disk.volume import WindowsVolume, find_windows
from p2vprep.engine import guesthives
from p2vprep.engine.options import Options
from p2vprep.errors import CannotOpenError, HiveError
from p2vprep.events import Sink, step

LOG_LIMIT = 256 << 20
"""A transaction log is never longer than its hive; this is far above both (bytes)."""
HIVE_LIMIT = 512 << 20
"""Windows itself refuses larger SYSTEM hives by far (bytes)."""

_ALWAYS_READ = ("SYSTEM", "SOFTWARE")


@dataclass(frozen=True)
class Machine:
    """Everything that planning needs. It can be used as long as the appliance runs."""

    images: tuple[Image, ...]
    volume: WindowsVolume
    files: GuestFiles
    system: LoadedHive
    software: Hive | None
    facts: Facts
    hazards: tuple[Hazard, ...]
    options: Options
    ahead: Ahead | None = None
    _whole: dict[str, LoadedHive] = field(default_factory=dict, repr=False)

    @property
    def hives(self) -> Mapping[str, Hive]:
        """The readable hives by name: SYSTEM, SOFTWARE where it is there, and those loaded whole.

        SOFTWARE is read in pieces.
        """
        found: dict[str, Hive] = {name: loaded.hive for name, loaded in self._whole.items()}
        if self.software is not None:
            found["SOFTWARE"] = self.software
        return {"SYSTEM": self.system.hive, **found}

    @property
    def hive_states(self) -> tuple[HiveState, ...]:
        """The hives that were loaded whole: SYSTEM, and those that :meth:`whole` was asked for."""
        return (self.system.state, *(loaded.state for loaded in self._whole.values()))

    def whole(self, name: str) -> LoadedHive:
        """A hive that is to be edited: downloaded whole, its logs replayed, its structure checked.

        Each is loaded once. Raises HiveError where the hive is missing or damaged.
        """
        if name == "SYSTEM":
            return self.system
        if name not in self._whole:
            spelt, volume = guesthives.located(self.files, self.volume, self.software, name)
            if spelt not in self._whole:
                self._whole[spelt] = load_hive(self.files, volume, spelt, self.options)
            name = spelt
        return self._whole[name]

    def afresh(self) -> Machine:
        """The same machine for another plan: no hive is loaded to be edited yet, but for SYSTEM."""
        return replace(self, _whole={})

    def load_named(self, names: Iterable[str]) -> dict[str, str]:
        """Loads the hives of these names, but for those that are read anyway; tells how each is spelt here.

        One that is not there is left out: who looks for it in :attr:`hives` tells.
        """
        spelt: dict[str, str] = {}
        for name in dict.fromkeys(names):
            if name not in _ALWAYS_READ:
                with suppress(HiveError):
                    spelt[name] = self.whole(name).name
        return spelt


@dataclass(frozen=True)
class Ahead:
    """What was done ahead of the appliance: disks surveyed, files read, the SYSTEM hive loaded and edited.

    ``edited`` is SYSTEM with ``changes``, for the case that the plan will ask for just these.
    """

    foresight: Foresight
    system: LoadedHive | None = None
    changes: tuple[ValueChange | KeyChange, ...] = ()
    edited: EditedHive | None = None


def open_machine(
    images: tuple[Image, ...],
    appliance: Appliance,
    options: Options,
    sink: Sink,
    ahead: Ahead | None = None,
    *,
    writable: bool = False,
) -> Machine:
    """Finds the Windows, loads its hives and gathers the facts; its volume is left mounted.

    ``writable``: it will most likely be changed, so that it may be mounted for writing at once.
    """
    foresight = None if ahead is None else ahead.foresight
    with step(sink, "Looking for Windows") as outcome:
        surveys = None if foresight is None else foresight.surveys
        volume = find_windows(
            appliance,
            root=options.root,
            allow=options.allow,
            surveys=surveys,
            foreseen=None if foresight is None else foresight.files,
            writable=writable,
        )
        outcome(f"{volume.root} on {volume.device}")
    files = GuestFiles(appliance, volume.kind, None if foresight is None else foresight.of(volume.device))
    with step(sink, "Reading the registry") as outcome:
        system = load_hive(files, volume, "SYSTEM", options, None if ahead is None else ahead.system)
        software, findings = lazy_software(files, volume)
        try:
            facts = gather(system.hive, software, system_root=volume.root)
        except HiveError as problem:
            # Raised again where SYSTEM is to blame.
            facts = gather(system.hive, None, system_root=volume.root)
            software, findings = None, (_guessing("The SOFTWARE hive cannot be read", (problem.message,)),)
        told = f"{system.report.keys} keys, {system.report.values} values"
        if system.state.dirty:
            told += f"; {system.state.replayed_pages} pages replayed from its logs"
        outcome(told)
    return Machine(
        images=images,
        volume=volume,
        files=files,
        system=system,
        software=software,
        facts=facts,
        hazards=(*volume.hazards, *system.hazards, *findings),
        options=options,
        ahead=ahead,
    )


def load_hive(
    files: GuestFiles, volume: WindowsVolume, name: str, options: Options, ahead: LoadedHive | None = None
) -> LoadedHive:
    """A hive downloaded whole with its logs, recovered and checked.

    Raises HiveError. A dirty hive whose logs are missing or unusable becomes a hazard that refuses.
    ``ahead`` is taken instead of loading again where it was made of the same bytes.
    """
    path = volume.hives.get(name)
    primary = None if path is None else files.read(path, HIVE_LIMIT)
    if path is None or primary is None:
        raise HiveError(
            f"the registry hive {name} is missing",
            code="hive-missing",
            subject=f"{volume.config}/{name}",
            hint="Check that the conversion was complete and that the volume has no errors (chkdsk).",
        )
    logs = {suffix: _log(files, place) for suffix, place in volume.logs(name).items()}
    if ahead is not None and (ahead.path, ahead.primary, ahead.logs) == (path, primary, logs):
        return ahead
    return load(name, path, primary, logs, options)


def load(name: str, path: str, primary: bytes, logs: Mapping[str, bytes], options: Options) -> LoadedHive:
    """A hive of these bytes. Raises HiveError; a dirty one without logs becomes a hazard that refuses."""
    loaded = hive.load(name, path, primary, logs, allow=options.allow | {hive.DIRTY_WITHOUT_LOG})
    hazards = tuple(_strict(hazard, options) for hazard in loaded.hazards)
    return replace(loaded, hazards=hazards)


def _strict(hazard: Hazard, options: Options) -> Hazard:
    """A dirty hive without its logs can be looked at and planned for; changing it has to be allowed."""
    if hazard.code != hive.DIRTY_WITHOUT_LOG or hazard.code in options.allow:
        return hazard
    return replace(hazard, severity="refuse")


def lazy_software(files: GuestFiles, volume: WindowsVolume) -> tuple[Hive | None, tuple[Hazard, ...]]:
    """SOFTWARE for reading a few facts: never downloaded whole, its logs replayed page by page.

    Without it, or where it is damaged, the version is only guessed; a hazard says so.
    """
    path = volume.hives.get("SOFTWARE")
    source = None if path is None else files.source(path)
    if path is None or source is None:
        return None, (_guessing("The SOFTWARE hive is missing", ()),)
    try:
        plan = plan_replay(source.fetch(0, HEAD), source.size, {})
    except HiveError:
        # Dirty, or no hive at all: only now are its logs worth reading.
        try:
            logs = {suffix: _log(files, place) for suffix, place in volume.logs("SOFTWARE").items()}
            plan = plan_replay(source.fetch(0, HEAD), source.size, logs, accept_dirty=True)
        except (HiveError, CannotOpenError) as problem:
            return None, (_guessing("The SOFTWARE hive cannot be read", (problem.message,)),)
    overlay = (*plan.pages, (0, plan.base_block)) if plan.dirty else ()
    try:
        return HiveReader(source, overlay), ()
    except HiveError as problem:
        return None, (_guessing("The SOFTWARE hive cannot be read", (problem.message,)),)


def _log(files: GuestFiles, path: str) -> bytes:
    return files.read(path, LOG_LIMIT) or b""


def _guessing(message: str, evidence: tuple[str, ...]) -> Hazard:
    return Hazard(
        "software-hive-unreadable",
        "warn",
        f"{message}: version and installed programs are not known for sure.",
        evidence=evidence,
        cure="Check the volume (chkdsk); the version is guessed from SYSTEM meanwhile.",
    )
