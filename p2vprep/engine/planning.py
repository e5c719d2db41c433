"""From an opened machine to a plan: profiles chosen, rules run, first-boot files added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from p2vprep import __version__, firstboot
from p2vprep.core import planner
from p2vprep.core.detect import Detection, choose_sources, detect, guests_at_home
from p2vprep.core.documents import plan_document
from p2vprep.core.documents.profile import ProfileKind
from p2vprep.core.model import DeleteFile, Edit, Evidence, Facts, FileChange, Hazard, Plan, PutFile, Skip
from p2vprep.core.profiles import ResolvedProfile, target_hypervisors
from p2vprep.core.registry import Hive
from p2vprep.core.rules import start
from p2vprep.disk.hazards import of_open_parent
from p2vprep.engine.boot_facts import with_boot_facts
from p2vprep.engine.extras import gather_wishes
from p2vprep.engine.machine import Machine
from p2vprep.engine.options import AUTO, Options
from p2vprep.profile_store import ProfileStore

TOOL = f"p2vprep {__version__}"


@dataclass(frozen=True)
class Chosen:
    """The profiles for one machine and what spoke for them."""

    profiles: tuple[ResolvedProfile, ...]
    detections: tuple[Detection, ...]
    evidence: tuple[Evidence, ...]
    """All that speaks for any source, also where it is too little to use its profile."""
    skips: tuple[Skip, ...] = ()
    """Sources that were found and are the target's own hypervisor: their guest tools stay."""


def choose_profiles(facts: Facts, options: Options, store: ProfileStore) -> Chosen:
    """The profiles asked for; ``auto`` stands for every source that the evidence speaks for.

    Raises UsageError for names that no profile has, DocumentError for invalid profiles.
    """
    # Edits alone need no profile, and reading them all takes a while.
    speaking = () if options.only_edits else detect(store.all("source"), facts)
    detections = tuple(one for one in speaking if one.applies)
    targets = [store.get(name, "target") for name in dict.fromkeys(options.targets)]
    at_home = target_hypervisors(targets)
    names: list[str] = []
    for name in options.sources:
        names.extend(choose_sources(detections, at_home) if name == AUTO else [name])
    profiles = [store.get(name, "source") for name in dict.fromkeys(names)]
    profiles += targets
    profiles += [store.get(name, "stage") for name in dict.fromkeys(options.stages)]
    evidence = tuple(item for one in speaking for item in one.evidence)
    left_out = guests_at_home(detections, at_home).items() if AUTO in options.sources else ()
    skips = tuple(Skip("source", name, reason) for name, reason in left_out)
    return Chosen(tuple(profiles), detections, evidence, skips)


def open_store(options: Options) -> ProfileStore:
    """The profiles, with those asked for already read. Raises UsageError and DocumentError."""
    store = ProfileStore(options.profile_dirs)
    asked: dict[ProfileKind, tuple[str, ...]] = {
        "source": tuple(name for name in options.sources if name != AUTO),
        "target": options.targets,
        "stage": options.stages,
    }
    for kind, names in asked.items():
        for name in names:
            store.get(name, kind)
    if AUTO in options.sources:
        store.all("source")
    return store


def make_plan(machine: Machine, options: Options, store: ProfileStore) -> tuple[Plan, Chosen]:
    """The plan for an opened machine. Reads from the guest; writes nothing."""
    chosen = choose_profiles(machine.facts, options, store)
    wishes = gather_wishes(options, machine.facts.guest)
    wishes = replace(wishes, edits=_loaded_for(wishes.edits, machine))
    hives = machine.hives
    draft = planner.draft(
        with_boot_facts(machine, chosen.profiles),
        hives,
        chosen.profiles,
        overrides=dict(options.settings),
        control_sets=None if options.control_sets == AUTO else options.control_sets,
        first_boot=options.first_boot,
        wishes=wishes,
    )
    extra = first_boot_edits(draft, machine.facts, machine.system.hive, machine.files.find)
    states = machine.files.states(planner.file_paths(draft, extra))
    plan = planner.finish(draft, hives, extra, states, machine.hive_states)
    plan = _with_edited_hives(plan, machine)
    locked = [change.path for change in plan.changes if isinstance(change, FileChange) and change.locked]
    plan = replace(plan, skips=(*chosen.skips, *plan.skips))
    hazards = (*machine.hazards, *plan.hazards, *of_open_parent(machine.files, locked))
    return _with_hazards(plan, hazards), chosen


def first_boot_edits(
    draft: planner.Draft, facts: Facts, system: Hive, find: Callable[[str], str | None]
) -> list[Edit]:
    """The first-boot job for a draft. ``find`` tells where a guest file is. Raises as firstboot.build."""
    around = firstboot.Surroundings(
        system=system,
        exists=lambda path: find(path) is not None,
        added=tuple(edit.path for edit in draft.edits if isinstance(edit, PutFile)),
    )
    how = draft.choices.settings[start.NAME]
    return firstboot.build(draft.first_boot, facts, draft.control_sets, start=how, around=around)


def _loaded_for(edits: Sequence[Edit], machine: Machine) -> tuple[Edit, ...]:
    """The edits with hives as they are called here, after these are loaded: a user may be named by SID."""
    registry = [edit for edit in edits if not isinstance(edit, PutFile | DeleteFile)]
    spelt = machine.load_named(edit.hive for edit in registry)
    return tuple(
        edit
        if isinstance(edit, PutFile | DeleteFile)
        else replace(edit, hive=spelt.get(edit.hive, edit.hive))
        for edit in edits
    )


def _with_edited_hives(plan: Plan, machine: Machine) -> Plan:
    """The plan with the states and hazards of the other hives it changes: these are loaded whole now.

    So a plan is stale where any byte of a hive that it changes is another, and a hive that must
    not be edited stops the plan and not the work.
    """
    names = dict.fromkeys(change.hive for change in plan.changes if not isinstance(change, FileChange))
    others = [machine.whole(name) for name in names if name != "SYSTEM"]
    hazards = tuple(hazard for loaded in others for hazard in loaded.hazards)
    return replace(plan, hives=machine.hive_states, hazards=(*plan.hazards, *hazards))


def document(plan: Plan, options: Options) -> dict[str, object]:
    """The plan document, with the options it was made with."""
    return plan_document.to_document(plan, request=options.to_request(), tool=TOOL)


def _with_hazards(plan: Plan, hazards: tuple[Hazard, ...]) -> Plan:
    return replace(plan, hazards=tuple(dict.fromkeys(hazards)))
