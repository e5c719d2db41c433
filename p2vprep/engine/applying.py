"""Carrying out a plan on the overlays: hives edited on copies, files put, everything read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2vprep.core.model import FileChange, FileState, KeyChange, Plan, ValueChange
from p2vprep.core.regf.handover import alternate
from p2vprep.disk import hive
from p2vprep.disk.appliance import Appliance
from p2vprep.disk.guestfiles import GuestFiles, parts, state_of
from p2vprep.disk.hive import EditedHive, LoadedHive
from p2vprep.disk.volume import WindowsVolume, open_for_writing
from p2vprep.engine.machine import Machine
from p2vprep.errors import FailedError
from p2vprep.events import Note, Sink, step


@dataclass(frozen=True)
class HiveEdit:
    """A hive with its edited bytes, proved on the copy."""

    loaded: LoadedHive
    edited: EditedHive


def edit_hives(machine: Machine, plan: Plan, sink: Sink) -> tuple[HiveEdit, ...]:
    """Edits copies of the hives that the plan changes; each is compared as a whole with what it was."""
    edits = []
    for name in dict.fromkeys(change.hive for change in registry_changes(plan)):
        with step(sink, f"Editing a copy of {name} and comparing it with the original") as outcome:
            loaded = machine.whole(name)
            wanted = [change for change in registry_changes(plan) if change.hive == name]
            edited = _edited_ahead(machine, loaded, wanted) or hive.edit(loaded, wanted)
            edits.append(HiveEdit(loaded, edited))
            outcome(f"{len(wanted)} changes, nothing else differs")
        for note in edited.notes:
            sink(Note(note, verbose=True))
    return tuple(edits)


def _edited_ahead(
    machine: Machine, loaded: LoadedHive, wanted: Sequence[ValueChange | KeyChange]
) -> EditedHive | None:
    """What was made ahead of the appliance, if it is the same hive with the same changes."""
    ahead = machine.ahead
    if ahead is None or loaded is not ahead.system or tuple(wanted) != ahead.changes:
        return None
    return ahead.edited


def write(machine: Machine, appliance: Appliance, plan: Plan, edits: Sequence[HiveEdit], sink: Sink) -> None:
    """Writes edited hives and files into the mounted overlay and proves them by reading back.

    Raises FailedError ``verify-failed`` where the guest's volume does not hold what was written.
    """
    files, volume = machine.files, machine.volume
    open_for_writing(appliance, volume)
    expected: dict[str, FileState] = {}
    with step(sink, "Writing the changes to the overlay"):
        for edit in edits:
            files.patch(edit.loaded.path, edit.edited.pages)
            expected[edit.loaded.path] = state_of(_whole(edit))
            expected |= _write_alternate(files, volume, edit)
        expected |= _write_files(files, plan)
    with step(sink, "Reading back what was written") as outcome:
        files.settle()
        for path, state in expected.items():
            files.verify(path, state)
        for folder, tree in _trees(plan).items():
            files.verify_tree(folder, tree)
        _require_absent(files, plan)
        hives = ", ".join(edit.loaded.name for edit in edits)
        outcome(f"{hives} and {len(_written(plan))} files are as they should be")


def registry_changes(plan: Plan) -> tuple[ValueChange | KeyChange, ...]:
    """The changes that are edits of hives."""
    return tuple(change for change in plan.changes if isinstance(change, ValueChange | KeyChange))


def file_changes(plan: Plan) -> tuple[FileChange, ...]:
    """The changes that are guest files."""
    return tuple(change for change in plan.changes if isinstance(change, FileChange))


def _whole(edit: HiveEdit) -> bytes:
    """The hive's file after patching: what lies behind the hive in a longer file stays."""
    return edit.edited.data + edit.loaded.primary[len(edit.edited.data) :]


def _write_alternate(files: GuestFiles, volume: WindowsVolume, edit: HiveEdit) -> dict[str, FileState]:
    """SYSTEM.ALT (Windows 2000, ReactOS) gets the edited hive, so that it cannot bring the old one back."""
    path = volume.hives.get(f"{edit.loaded.name}.ALT")
    old = None if path is None else files.read(path)
    if path is None or old is None:
        return {}
    new = alternate(edit.edited.data, old)
    if new == old:
        return {}
    files.put(path, new, locked=False)
    return {path: state_of(new)}


def _trees(plan: Plan) -> dict[str, dict[str, bytes]]:
    """The locked files by the top folder they lie in: that folder is ours alone."""
    trees: dict[str, dict[str, bytes]] = {}
    for change in _written(plan):
        top, *rest = parts(change.path)
        if change.locked and rest:
            trees.setdefault(f"/{top}", {})["/".join(rest)] = _content(change)
    return trees


def _write_files(files: GuestFiles, plan: Plan) -> dict[str, FileState]:
    """Writes and deletes; returns what the files outside the locked folders have to hold."""
    expected: dict[str, FileState] = {}
    for folder, tree in _trees(plan).items():
        files.put_tree(folder, tree)
    for change in file_changes(plan):
        if change.after is None:
            files.delete(change.path)
        elif not change.locked or len(parts(change.path)) == 1:
            files.put(change.path, _content(change), locked=change.locked)
            expected[change.path] = change.after
    return expected


def _written(plan: Plan) -> tuple[FileChange, ...]:
    return tuple(change for change in file_changes(plan) if change.after is not None)


def _content(change: FileChange) -> bytes:
    if change.content is None:
        raise FailedError(
            "the plan names a file without its content", code="file-content-missing", subject=change.path
        )
    return change.content


def _require_absent(files: GuestFiles, plan: Plan) -> None:
    for change in file_changes(plan):
        if change.after is None and files.find(change.path) is not None:
            raise FailedError("a file is still there", code="verify-failed", subject=change.path)
