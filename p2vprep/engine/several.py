"""Several machines in one launch of the appliance: each with its own overlay, its own plan, its own failure.

The launch is what costs (ten seconds and more under emulation), so a wave shares it. What goes
wrong with one machine (a bad disk, a refusal, a failed commit) ends that machine only. Where the
appliance itself goes away, all machines that were not decided yet get that error and are as they
were before: :func:`is_of_the_launch` tells it apart, and the caller tries them again one by one.

Nothing is committed before the appliance has ended well. A machine whose disks were prepared is
then committed like a single one: undo data, journal, read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from p2vprep.core.model import Plan
from p2vprep.disk import accel, appliance, transaction
from p2vprep.disk.accel import Wanted
from p2vprep.disk.appliance import Appliance
from p2vprep.disk.image import Image
from p2vprep.disk.share import Share
from p2vprep.disk.signals import interruptible
from p2vprep.disk.transaction import Transaction
from p2vprep.engine.options import AUTO, Options
from p2vprep.engine.probing import probe_all
from p2vprep.engine.results import Applied, Planned, Verification
from p2vprep.errors import CannotOpenError, Interrupted, P2vprepError
from p2vprep.events import Sink, step
from p2vprep.profile_files import require_known

if TYPE_CHECKING:
    from p2vprep.core.documents.plan_document import PlanDocument
    from p2vprep.engine.machine import Ahead, Machine
    from p2vprep.profile_store import ProfileStore

OF_THE_LAUNCH = frozenset({"appliance-died", "appliance-timeout", "appliance-launch"})
"""Codes of errors that say nothing about the machine that met them."""

AHEAD = 4
"""How many machines are read ahead while the appliance boots; each keeps its hives in memory meanwhile."""

Result = Applied | Planned | Verification | P2vprepError


def is_of_the_launch(problem: P2vprepError) -> bool:
    """Whether an error is of the appliance that machines shared, and none of theirs."""
    return problem.code in OF_THE_LAUNCH


@dataclass(frozen=True)
class Work:
    """One machine of a launch. ``marks`` are added to its receipt, to find it again."""

    name: str
    paths: tuple[Path, ...]
    options: Options
    marks: Mapping[str, object] = field(default_factory=dict)


class Teller:
    """What is told while several machines are worked on; by default nothing."""

    def sink(self, _name: str | None) -> Sink:
        """Where the progress of a machine goes; None: of the launch that all share."""
        from p2vprep.events import silent

        return silent

    def begins(self, name: str) -> None:
        """From here on this machine is worked on, until :meth:`ended` or another begins."""

    def began_run(self, name: str, run: int) -> None:
        """The machine's transaction was begun as this run of its journal."""

    def ended(self, name: str, result: Result) -> None:
        """The machine is decided: what came of it, or why it failed. Once for every machine."""


@dataclass
class _Place:
    """A machine on its way through the launch."""

    work: Work
    images: tuple[Image, ...] = ()
    overlays: tuple[Path, ...] = ()
    run: Transaction | None = None
    exits: ExitStack = field(default_factory=ExitStack)
    """Gives back what the machine holds: lock, overlay."""
    store: ProfileStore | None = None
    ahead: Ahead | None = None
    ready: _Ready | None = None
    ended: bool = False
    problem: P2vprepError | None = None


@dataclass(frozen=True)
class _Ready:
    """A machine whose overlay holds everything: what is left is to commit it. No hive is kept for that."""

    plan: Plan
    document: dict[str, object]
    receipt: dict[str, object]


def apply_several(works: Sequence[Work], accelerator: Wanted, teller: Teller) -> None:
    """Plans, edits, proves and commits every machine; the teller is told what came of each.

    Nobody is asked: a wave is agreed to as a whole. Raises Interrupted at a signal; machines
    that were not told as ended are then as they were before.
    """
    with interruptible(), _places(works) as places:
        _each(places, teller, _begin)
        _through_one_launch(places, accelerator, teller, _prepare, read_only=False)
        _each(places, teller, _commit)


def plan_several(works: Sequence[Work], accelerator: Wanted, teller: Teller) -> None:
    """What :func:`apply_several` would do, told as plans; the images are opened for reading only."""
    _look_at(works, accelerator, teller, _plan, profiles=True)


def verify_several(
    works: Sequence[Work], accelerator: Wanted, teller: Teller, held: Mapping[str, PlanDocument]
) -> None:
    """Holds the plan of every machine, by its name, against its disks."""

    def check(place: _Place, machine: Machine, told: Teller) -> None:
        from p2vprep.engine.verifying import check_plan, read_first_boot

        with step(told.sink(place.work.name), "Checking every planned change"):
            found = check_plan(held[place.work.name].plan, machine, read_first_boot(machine))
        _end(place, told, found)

    _look_at(works, accelerator, teller, check, profiles=False)


Act = Callable[["_Place", Teller], None]
Visit = Callable[["_Place", Appliance, Teller], None]
Look = Callable[["_Place", "Machine", Teller], None]


def _look_at(
    works: Sequence[Work], accelerator: Wanted, teller: Teller, look: Look, *, profiles: bool
) -> None:
    def visit(place: _Place, share: Appliance, told: Teller) -> None:
        look(place, _opened(place, share, told), told)

    with interruptible(), _places(works) as places:
        _each(places, teller, _begin_looking)
        _through_one_launch(places, accelerator, teller, visit, read_only=True, profiles=profiles)


# --- one machine ---------------------------------------------------------------------------------


def _begin(place: _Place, teller: Teller) -> None:
    _require_profiles(place.work.options)
    place.images = probe_all(place.work.paths, place.work.options)
    run = transaction.begin(
        place.images, state_dir=place.work.options.state_dir, sink=teller.sink(place.work.name)
    )
    place.run = place.exits.enter_context(run)
    place.overlays = run.overlays
    teller.began_run(place.work.name, run.number)


def _begin_looking(place: _Place, _teller: Teller) -> None:
    _require_profiles(place.work.options)
    place.images = probe_all(place.work.paths, place.work.options)
    place.overlays = place.exits.enter_context(transaction.scratch(place.images))


def _require_profiles(options: Options) -> None:
    asked = (*options.sources, *options.targets, *options.stages)
    require_known((name for name in asked if name != AUTO), options.profile_dirs)


def _opened(place: _Place, share: Appliance, teller: Teller) -> Machine:
    from p2vprep.engine.machine import open_machine

    disks = place.images if place.run is None else place.run.disks
    sink, writable = teller.sink(place.work.name), place.run is not None
    return open_machine(disks, share, place.work.options, sink, place.ahead, writable=writable)


def _planned(place: _Place, machine: Machine, sink: Sink) -> Plan:
    from p2vprep.engine.planning import make_plan

    assert place.store is not None
    with step(sink, "Making the plan"):
        return make_plan(machine, place.work.options, place.store)[0]


def _prepare(place: _Place, share: Appliance, teller: Teller) -> None:
    from p2vprep.engine import applying, planning, receipts
    from p2vprep.engine.operations import refuse

    _look_ahead(place, teller)

    sink, options = teller.sink(place.work.name), place.work.options
    machine = _opened(place, share, teller)
    planned = _planned(place, machine, sink)
    refuse(planned, options)
    assert place.run is not None
    if not planned.changes:
        place.run.discard("nothing to do")
        _end(place, teller, receipts.not_applied(planned, options, place.images, "nothing to do"))
        return
    edits = applying.edit_hives(machine, planned, sink)
    applying.write(machine, share, planned, edits, sink)
    receipt = receipts.receipt(planned, options, machine, edits, share.accelerator)
    place.ready = _Ready(planned, planning.document(planned, options), {**receipt, **place.work.marks})


def _plan(place: _Place, machine: Machine, teller: Teller) -> None:
    from p2vprep.engine.planning import document

    planned = _planned(place, machine, teller.sink(place.work.name))
    _end(place, teller, Planned(planned, document(planned, place.work.options)))


def _commit(place: _Place, teller: Teller) -> None:
    from p2vprep.engine import receipts

    ready, run = place.ready, place.run
    assert ready is not None
    assert run is not None
    run.write_document("plan", ready.document)
    committed = run.commit(ready.receipt)
    paths = tuple(image.path for image in place.images)
    _end(place, teller, receipts.applied(ready.plan, ready.document, run, committed, paths))


def _end(place: _Place, teller: Teller, result: Result) -> None:
    place.ended = True
    teller.ended(place.work.name, result)


def _fail(place: _Place, teller: Teller, problem: P2vprepError) -> None:
    place.problem = problem
    _end(place, teller, problem)


# --- all machines of a launch --------------------------------------------------------------------


@contextmanager
def _places(works: Sequence[Work]) -> Iterator[list[_Place]]:
    """The machines; at the end every run that was not committed is discarded and every lock given back."""
    places = [_Place(work) for work in works]
    with ExitStack() as all_exits:
        for place in places:
            all_exits.push(_give_back(place))
        yield places


def _give_back(place: _Place) -> Callable[..., None]:
    """Leaves what the machine entered, with its own error, else with the one that ends all."""

    def leave(kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        if place.problem is not None:
            kind, problem, trace = type(place.problem), place.problem, None
        place.exits.__exit__(kind, problem, trace)  # type: ignore[arg-type]

    return leave


def _open_places(places: Sequence[_Place]) -> list[_Place]:
    return [place for place in places if not place.ended]


def _each(places: Sequence[_Place], teller: Teller, act: Act) -> None:
    """Does something to every machine that is not decided; what fails for one ends that one."""
    for place in _open_places(places):
        teller.begins(place.work.name)
        try:
            act(place, teller)
        except Interrupted:
            raise
        except P2vprepError as problem:
            _fail(place, teller, problem)


class _NobodyLeftError(Exception):
    """All machines were decided before the appliance had started."""


def _through_one_launch(
    places: Sequence[_Place],
    wanted: Wanted,
    teller: Teller,
    visit: Visit,
    *,
    read_only: bool,
    profiles: bool = True,
) -> None:
    """Visits every machine in one appliance. When this returns it has ended well, or all are decided."""
    riding = _open_places(places)
    if not riding:
        return

    def meanwhile() -> None:
        _warm_up(riding, teller, profiles=profiles, ahead=not read_only)
        if not _open_places(riding):
            raise _NobodyLeftError

    sink = teller.sink(None)
    try:
        accelerator = accel.choose(wanted, sink=sink)
        overlays = [overlay for place in riding for overlay in place.overlays]
        with ExitStack() as running:
            with step(sink, "Starting the appliance") as outcome:
                launched = running.enter_context(
                    appliance.launch(
                        overlays, read_only=read_only, accelerator=accelerator, sink=sink, meanwhile=meanwhile
                    )
                )
                outcome(launched.accelerator.upper())
            _visit_all(riding, launched, teller, visit)
    except _NobodyLeftError:
        return
    except Interrupted:
        raise
    except P2vprepError as problem:
        for place in _open_places(riding):
            _fail(place, teller, problem)


def _warm_up(places: Sequence[_Place], teller: Teller, *, profiles: bool, ahead: bool) -> None:
    """Loads what planning needs, and reads ahead on the host, while the appliance boots."""
    from p2vprep.engine import applying, machine, planning, receipts, verifying  # noqa: F401

    stores: dict[object, ProfileStore] = {}

    def prepare(place: _Place, _teller: Teller) -> None:
        options = place.work.options
        key = (options.profile_dirs, options.sources, options.targets, options.stages)
        if key not in stores:
            stores[key] = planning.open_store(options)
        place.store = stores[key]

    if profiles:
        _each(places, teller, prepare)
    if ahead:
        _each(_open_places(places)[:AHEAD], teller, _look_ahead)


def _look_ahead(place: _Place, teller: Teller) -> None:
    """Reads and edits on the host what can be; does nothing where that was done, or cannot be."""
    from p2vprep.engine.ahead import look_ahead

    if place.ahead is None and not any(image.dirty_log for image in place.images):
        assert place.store is not None
        sink = teller.sink(place.work.name)
        place.ahead = look_ahead(place.images, place.work.options, place.store, sink)


def _visit_all(places: Sequence[_Place], launched: Appliance, teller: Teller, visit: Visit) -> None:
    first = 0

    def shared(place: _Place, told: Teller) -> None:
        share = Share(launched, starts[id(place)], len(place.overlays))
        try:
            visit(place, share, told)
        except P2vprepError as problem:
            _end_share(share, after=problem)
            if is_of_the_launch(problem):
                raise _LaunchLostError(problem) from problem
            raise
        _end_share(share, after=None)
        place.ahead = None  # what was read ahead is many megabytes per machine

    starts: dict[int, int] = {}
    for place in places:
        starts[id(place)] = first
        first += len(place.overlays)
    try:
        _each(places, teller, shared)
    except _LaunchLostError as lost:
        raise lost.problem from lost


class _LaunchLostError(Exception):
    """The appliance went away under all of its machines."""

    def __init__(self, problem: P2vprepError) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _end_share(share: Share, *, after: P2vprepError | None) -> None:
    """Unmounts a machine; where even that fails the appliance is of no use to the others."""
    if after is not None and is_of_the_launch(after):
        return
    try:
        share.close()
    except Interrupted:
        raise
    except P2vprepError as problem:
        raise _LaunchLostError(_as_lost(problem)) from problem


def _as_lost(problem: P2vprepError) -> P2vprepError:
    if is_of_the_launch(problem):
        return problem
    return CannotOpenError(
        f"the appliance does not let go of a machine's volume: {problem.message}",
        code="appliance-died",
        changed=problem.changed,
        hint="The machines of this launch are tried again one by one.",
    )
