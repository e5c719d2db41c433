"""Holds a plan against a disk: still as planned, given back by the first boot, or different?"""

from __future__ import annotations

from p2vprep.core.model import (
    Change,
    ConfigureInterface,
    FileChange,
    KeyChange,
    Plan,
    RestoreService,
    RestoreValue,
    ValueChange,
)
from p2vprep.core.registry import find, fold, split, value
from p2vprep.core.values import Data
from p2vprep.engine.machine import Machine
from p2vprep.engine.results import Check, Status, Verification
from p2vprep.firstboot import RULE as FIRST_BOOT
from p2vprep.firstboot import FirstBootResult, read_result
from p2vprep.firstboot.adapters import FIRST
from p2vprep.firstboot.result import (
    DATA_FOLDER,
    ENGINE_PATH,
    LOG_PATH,
    NAMES_PATH,
    RESULTS_FOLDER,
    StepResult,
)

_RAN = ("running", "again", "finished", "failed", "gave-up")
_RECORDS = "p2vprep"
_REPORT_LIMIT = 1 << 20


def read_first_boot(machine: Machine) -> FirstBootResult:
    """What the first boot left on the disk."""
    paths = [ENGINE_PATH, LOG_PATH, NAMES_PATH]
    for folder in (RESULTS_FOLDER, DATA_FOLDER):
        names = machine.files.names(folder)
        paths += [f"{folder}/{name}" for name in names if name.lower().endswith((".txt", ".part"))]
    found = {path: machine.files.read_start(path, _REPORT_LIMIT) for path in dict.fromkeys(paths)}
    files = {path: content for path, content in found.items() if content}
    return read_result(machine.system.hive, machine.facts.boot_set, files)


def check_plan(plan: Plan, machine: Machine, first_boot: FirstBootResult) -> Verification:
    """Every change of the plan, held against the machine as it is now."""
    ran = first_boot.state in _RAN
    machine.load_named(change.hive for change in plan.changes if not isinstance(change, FileChange))
    checks = tuple(_check(change, plan, machine, ran=ran) for change in plan.changes)
    return Verification(checks, first_boot.to_json(), tuple(_lines(first_boot, _subjects(plan))))


def _check(change: Change, plan: Plan, machine: Machine, *, ran: bool) -> Check:
    if isinstance(change, FileChange):
        state = machine.files.state(change.path)
        told = "absent" if state is None else f"{state.size} bytes, SHA-256 {state.sha256[:16]}…"
        status: Status = "as planned" if state == change.after else "differs"
        if status == "differs" and ran and change.rule == FIRST_BOOT and state is None:
            status = "given back"
        return Check(change.path, status, told, change.to_json())
    hive = machine.hives.get(change.hive)
    subject = f"{change.hive}\\{change.key}"
    if hive is None:
        return Check(subject, "differs", "the hive cannot be read", change.to_json())
    if isinstance(change, KeyChange):
        exists = find(hive, change.key) is not None
        status = "as planned" if exists == change.exists_after else _afterwards(change, plan, None, ran=ran)
        return Check(subject, status, "there" if exists else "absent", change.to_json())
    found = value(hive, change.key, change.name)
    status = "as planned" if found == change.after else _afterwards(change, plan, found, ran=ran)
    told = "absent" if found is None else found.show()
    return Check(f"{subject}\\{change.name or '(default)'}", status, told, change.to_json())


def _afterwards(change: ValueChange | KeyChange, plan: Plan, found: Data | None, *, ran: bool) -> Status:
    """What it means that a change is no longer there: the first boot did its work, or it differs."""
    if not ran:
        return "differs"
    own = change.rule == FIRST_BOOT or fold(split(change.key)[0]) == fold(_RECORDS)
    if own:
        return "given back"
    if isinstance(change, ValueChange):
        if _is_given_back(change, plan, found):
            return "given back"
        if change.after is None:
            # What was cleared as stale is written again by a Windows that has a network.
            return "renewed"
    return "differs"


def _is_given_back(change: ValueChange, plan: Plan, found: Data | None) -> bool:
    parts = [fold(part) for part in split(change.key)]
    for item in plan.first_boot:
        if isinstance(item, RestoreService):
            service = len(parts) == 3 and parts[1:] == ["SERVICES", fold(item.service)]
            wanted = {
                "START": item.start,
                "DELAYEDAUTOSTART": None if item.delayed is None else int(item.delayed),
            }
            if service and found is not None and found.number == wanted.get(fold(change.name)):
                return True
        elif isinstance(item, RestoreValue):
            same_key = [fold(part) for part in split(item.key)][2:] == parts[1:]
            if same_key and fold(item.name) == fold(change.name) and item.data == found:
                return True
    return False


def _subjects(plan: Plan) -> dict[str, str]:
    """What the steps of adapters are about, by the steps' names."""
    items = [item for item in plan.first_boot if isinstance(item, ConfigureInterface)]
    return {f"{FIRST + number}-adapter": _shown(item) for number, item in enumerate(items)}


def _shown(item: ConfigureInterface) -> str:
    which = str(item.config.match)
    return f"{item.config.name} ({which})" if item.config.name else which


def _lines(first_boot: FirstBootResult, subjects: dict[str, str]) -> list[str]:
    told = {
        "absent": "No first-boot job is on the disk.",
        "waiting": "The first boot has not happened yet.",
        "running": "The first-boot job was cut short; the next boot goes on with it.",
        "again": "The first-boot job goes on at the next boot.",
        "finished": "The first boot did everything.",
        "failed": "The first boot is over, and some steps failed.",
        "gave-up": "The first-boot job gave up after its third boot; what was parked was given back.",
    }
    lines = [told[first_boot.state]]
    if first_boot.state == "waiting":
        return lines
    for one in first_boot.steps:
        lines += _step_lines(one, subjects)
    return lines


def _step_lines(one: StepResult, subjects: dict[str, str]) -> list[str]:
    lines = []
    if one.adapter is not None:
        lines.append(f"  adapter {subjects.get(one.name, one.name)}: {one.status}")
        lines.extend(f"    differs: {label}" for label in one.adapter.wrong)
    elif one.outcome != "done":
        lines.append(f"  step {one.name}: {one.status}")
    lines.extend(
        f"  service {service.service}: {service.outcome}"
        for service in one.services
        if service.outcome in ("failed", "gone", "not-started")
    )
    lines.extend(
        f"  {work.kind} {work.subject}: {work.outcome} {work.detail}".rstrip().rstrip(" -")
        for work in one.works
        if work.outcome not in ("ok", "online", "removed", "gone", "not-needed", "prepared")
    )
    return lines
