"""Doing an apply's work ahead, on the host, while the appliance boots on another processor.

The hive is read by :mod:`p2vprep.disk.foresight`, loaded, planned for and edited as if the
first-boot folder were not there yet. None of it is believed: the appliance tells the facts
and the plan again, and only an edit of the same bytes with the same changes is used.
Whatever goes wrong here is left for the ordinary way to meet, and to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from p2vprep.core import planner
from p2vprep.core.facts import gather
from p2vprep.core.model import FileState, KeyChange, ValueChange
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import Hive
from p2vprep.disk import hive
from p2vprep.disk.foresight import Foresight, foresee
from p2vprep.disk.hive import LoadedHive
from p2vprep.disk.image import Image
from p2vprep.engine.boot_facts import known_drivers
from p2vprep.engine.extras import gather_wishes
from p2vprep.engine.machine import Ahead, load
from p2vprep.engine.options import AUTO, Options
from p2vprep.engine.planning import choose_profiles, first_boot_edits
from p2vprep.errors import Interrupted, P2vprepError
from p2vprep.events import Note, Sink
from p2vprep.profile_store import ProfileStore


def look_ahead(images: tuple[Image, ...], options: Options, store: ProfileStore, sink: Sink) -> Ahead | None:
    """As much as can be done without the appliance; None where not even the disks can be read."""
    foresight: Foresight | None = None
    system: LoadedHive | None = None
    try:
        foresight = foresee(images)
        system = _system(foresight, options)
        if system is None:
            return Ahead(foresight)
        changes = _changes(foresight, system, options, store)
        return Ahead(foresight, system, changes, hive.edit(system, changes))
    except Interrupted:
        raise
    except P2vprepError as problem:
        sink(Note(f"Not everything could be done ahead: {problem.message}", verbose=True))
        return None if foresight is None else Ahead(foresight, system)


def _system(foresight: Foresight, options: Options) -> LoadedHive | None:
    found = foresight.hive("SYSTEM")
    if found is None:
        return None
    logs = {name: foresight.hive(f"SYSTEM.{name}") for name in ("LOG", "LOG1", "LOG2")}
    held = {name: one[1] for name, one in logs.items() if one is not None}
    return load("SYSTEM", *found, held, options)


def _changes(
    foresight: Foresight, system: LoadedHive, options: Options, store: ProfileStore
) -> tuple[ValueChange | KeyChange, ...]:
    """The changes of SYSTEM that the plan will most likely have."""
    hives: dict[str, Hive] = {"SYSTEM": system.hive}
    software = foresight.hive("SOFTWARE")
    if software is not None:
        hives["SOFTWARE"] = HiveReader(software[1])
    facts = gather(system.hive, hives.get("SOFTWARE"), system_root=foresight.root)
    facts = replace(facts, driver_files=known_drivers(foresight.drivers))
    draft = planner.draft(
        facts,
        hives,
        choose_profiles(facts, options, store).profiles,
        overrides=dict(options.settings),
        control_sets=None if options.control_sets == AUTO else options.control_sets,
        first_boot=options.first_boot,
        wishes=gather_wishes(options, facts.guest),
    )
    extra = first_boot_edits(draft, facts, system.hive, lambda path: None)
    absent: Mapping[str, FileState | None] = dict.fromkeys(planner.file_paths(draft, extra))
    plan = planner.finish(draft, hives, extra, absent)
    return tuple(
        change
        for change in plan.changes
        if isinstance(change, ValueChange | KeyChange) and change.hive == "SYSTEM"
    )
