r"""Builds the first-boot job: files in the folder ``/p2vprep`` and what starts it once."""

from __future__ import annotations

from collections.abc import Sequence

from p2vprep.core.model import (
    ControlSet,
    DeleteKey,
    Edit,
    Facts,
    FirstBootItem,
    PutFile,
    RestoreValue,
)
from p2vprep.core.registry import fold
from p2vprep.errors import P2vprepError
from p2vprep.firstboot import templates, templates_work
from p2vprep.firstboot.quoting import script as script
from p2vprep.firstboot.starts import IMAGE_PATH as IMAGE_PATH
from p2vprep.firstboot.starts import RULE as RULE
from p2vprep.firstboot.starts import SERVICE as SERVICE
from p2vprep.firstboot.starts import SETUP_DATA, StartPlan, Surroundings, plan_start
from p2vprep.firstboot.step import Step
from p2vprep.firstboot.steps import make_steps, services_of
from p2vprep.firstboot.undo import undo_files

FOLDER = "/p2vprep"
RESULT_KEY = r"p2vprep\Result"
_WHY = "finishes the preparation inside Windows at its first boot"


def build(
    items: Sequence[FirstBootItem],
    facts: Facts,
    control_sets: Sequence[str],
    *,
    start: str = "service",
    around: Surroundings | None = None,
) -> list[Edit]:
    """The edits that put the first-boot job on the disk; none where there is nothing to do.

    ``control_sets`` are the sets that are edited; ``start`` is one of ``starts.START_KINDS``, and
    ``around`` what it needs to know. The same arguments always give the same bytes. Raises P2vprepError
    where a control set is not in the facts or an item is not known, UsageError or RefusedError where
    something that is asked for is not possible on this Windows.
    """
    if not items:
        return []
    services = services_of(items)
    steps = make_steps(items, facts, control_sets)
    waiting = {fold(item.service) for item in services}
    sets = [_named(facts, name) for name in control_sets]
    started = plan_start(start, facts, sets, waiting, around or Surroundings())
    contents = _files(steps, control_sets, started)
    values = [item for item in items if isinstance(item, RestoreValue)]
    contents |= undo_files(services, values, facts, control_sets, started.data.get(SETUP_DATA))
    edits: list[Edit] = [
        DeleteKey(
            "SYSTEM", RESULT_KEY, RULE, "results of an earlier first boot would be taken for this one's"
        )
    ]
    edits += [PutFile(f"{FOLDER}/{path}", contents[path], RULE, _WHY) for path in sorted(contents)]
    return [*edits, *started.edits]


def _named(facts: Facts, name: str) -> ControlSet:
    for held in facts.sets:
        if fold(held.name) == fold(name):
            return held
    raise P2vprepError(f"control set {name} is to be edited but is not in the hive", subject=name)


def _files(steps: Sequence[Step], control_sets: Sequence[str], started: StartPlan) -> dict[str, bytes]:
    calls = "\n".join(f"call :run {s.name} {s.limit} {'always' if s.always else 'once'}" for s in steps)
    engine = templates.ENGINE.replace(templates.STEPS_MARK, calls)
    engine = engine.replace(templates.SETS_MARK, " ".join(control_sets))
    engine = engine.replace(templates.BEGIN_MARK, started.begin or "rem started by a service entry")
    engine = engine.replace(templates.REMOVE_MARK, started.remove or "rem the service entry goes")
    contents = {"firstboot.cmd": script(engine), "lib/serial.cmd": script(templates_work.COM1)}
    for step in steps:
        contents[f"steps/{step.name}.cmd"] = script(step.script)
        contents |= {f"steps/{name}": script(text) for name, text in step.parts.items()}
        contents |= {f"lib/{name}": script(text) for name, text in step.shared.items()}
        contents |= {f"data/{name}": data for name, data in step.data.items()}
    contents |= {f"data/{name}": data for name, data in started.data.items()}
    return contents
