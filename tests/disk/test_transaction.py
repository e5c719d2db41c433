"""The transaction as its callers see it: commit, discard, rollback, refusals, outputs, scratch."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd, qemu
from p2vprep.disk.journal import RunState, UndoState
from p2vprep.disk.recovery import Outcome, forget, history, recover, rollback
from p2vprep.disk.state import Host
from p2vprep.disk.transaction import OUTPUT_SUFFIXES, begin, scratch
from p2vprep.errors import (
    CannotOpenError,
    ExitStatus,
    FailedError,
    Interrupted,
    NeedsRecoverError,
    RefusedError,
    UsageError,
)
from tests.faults import kill, machine
from tests.faults.machine import (
    FORMATS,
    SIZE,
    SPACE,
    Machine,
    apply,
    build,
    digests,
    edit,
    host,
    points_of,
    quick_folder,
)
from tests.support import corpus


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory, because the flushes would take most of the time."""
    with quick_folder() as path:
        yield path


@pytest.fixture
def raw(tmp_path: Path) -> Machine:
    return build(tmp_path / "machine", ["raw"])


@pytest.fixture
def two(tmp_path: Path) -> Machine:
    return build(tmp_path / "machine", ["raw", "vhd"])


def scribble(path: Path, offset: int = 0) -> None:
    """Somebody else writes to a disk (where the plan writes too, for a small disk)."""
    with nbd.connect(image.probe(path), read_only=False) as disk:
        disk.pwrite(offset, b"somebody else was here. " * 512)
        disk.flush()


def half_committed(subject: Machine, point: str = "commit-0:after") -> None:
    trial = subject.copied(subject.folder.with_name("trial"))
    number = points_of(lambda hook: apply(trial, hook)).index(point)
    assert kill.at_point(lambda hook: apply(subject, hook), number).killed


# --- the way of every run ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_apply_and_rollback_are_exact_in_every_format(tmp_path: Path, name: str) -> None:
    subject = build(tmp_path / "machine", [name])
    done = apply(subject)
    assert subject.side() == "planned"
    assert done.run == 1
    assert done.changed_bytes >= 300 << 10
    assert done.undo_bytes <= done.changed_bytes
    taken = rollback(subject.paths)
    assert (taken.run, taken.forced) == (1, False)
    assert digests(subject.paths) == subject.before
    assert [run.state for run in history(subject.paths)] == [RunState.ROLLED_BACK]


def test_two_disks_of_different_formats_commit_and_go_back_together(two: Machine) -> None:
    apply(two)
    assert two.side() == "planned"
    rollback(two.paths[1:])  # either disk is enough to name the machine
    assert digests(two.paths) == two.before


def test_a_run_leaves_a_folder_that_a_person_can_read(two: Machine) -> None:
    apply(two)
    state = two.folder / "disk0.raw.p2vprep"
    names = sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())
    runs = ["plan.json", "receipt.json", "undo-0.data", "undo-0.json", "undo-1.data", "undo-1.json"]
    assert names == ["README.txt", "journal.json", "lock", *(f"runs/0001/{name}" for name in runs)]
    assert "recover" in (state / "README.txt").read_text()
    modes = {path.stat().st_mode & 0o077 for path in state.rglob("*") if path.name != "README.txt"}
    assert modes == {0}
    assert str(two.folder) not in (state / "journal.json").read_text()
    owner = json.loads((two.folder / "disk1.vhd.p2vprep" / "owner.json").read_text())
    assert owner == {"schema": "p2vprep.owner/1", "owner": "../disk0.raw.p2vprep"}


def test_leaving_without_a_commit_discards(raw: Machine) -> None:
    with begin(raw.images(), needed_space=SPACE) as transaction:
        edit(transaction, raw)
        transaction.write_document("plan", {"changes": []})
        assert transaction.number == 1
        assert all(path.is_file() for path in transaction.overlays)
    assert raw.side() == "before"
    (run,) = history(raw.paths)
    assert (run.state, run.undo, run.note) == (RunState.DISCARDED, UndoState.NONE, "")
    assert sorted(path.name for path in run.folder.iterdir()) == ["plan.json"]


def test_an_error_while_editing_discards_and_is_told(raw: Machine) -> None:
    with pytest.raises(FailedError), begin(raw.images(), needed_space=SPACE):
        raise FailedError("the hive would not open", code="some-code")
    assert raw.side() == "before"
    assert "some-code" in history(raw.paths)[0].note
    apply(raw)
    assert raw.side() == "planned"


def test_a_transaction_without_changes_commits_nothing(raw: Machine) -> None:
    with begin(raw.images(), needed_space=SPACE) as transaction:
        done = transaction.commit({})
    assert (done.changed_bytes, done.undo_bytes) == (0, 0)
    assert raw.side() == "before"


def test_a_document_has_a_plain_name(raw: Machine) -> None:
    with begin(raw.images(), needed_space=SPACE) as transaction:
        for name in ("", "../plan", "a/b", "plan.json"):
            with pytest.raises(ValueError):
                transaction.write_document(name, {})


def test_history_tells_the_runs_with_their_receipts(raw: Machine) -> None:
    assert history(raw.paths) == ()
    apply(raw)
    rollback(raw.paths)
    apply(raw)
    first, second = history(raw.paths)
    assert (first.number, first.state, second.state) == (1, RunState.ROLLED_BACK, RunState.DONE)
    assert second.summary == {"changes": 34}
    assert second.disks == raw.paths
    assert second.undo_bytes > 0
    assert second.finished is not None
    (second.folder / "receipt.json").write_text("{")
    assert history(raw.paths)[1].summary == {}


def test_runs_are_taken_back_newest_first(raw: Machine) -> None:
    apply(raw)
    middle = digests(raw.paths)
    again = replace(raw, writes=(((8192, b"x" * 4096),),))
    apply(again)
    assert rollback(raw.paths).run == 2
    assert digests(raw.paths) == middle
    assert rollback(raw.paths).run == 1
    assert digests(raw.paths) == raw.before
    with pytest.raises(UsageError) as caught:
        rollback(raw.paths)
    assert caught.value.code == "nothing-to-undo"


def test_forget_removes_undo_data_and_keeps_receipts(raw: Machine) -> None:
    apply(raw)
    size = history(raw.paths)[0].undo_bytes
    assert forget(raw.paths) == size
    assert forget(raw.paths) == 0
    (run,) = history(raw.paths)
    assert (run.undo, run.undo_bytes, run.summary) == (UndoState.FORGOTTEN, 0, {"changes": 34})
    with pytest.raises(UsageError) as caught:
        rollback(raw.paths)
    assert caught.value.code == "nothing-to-undo"
    assert "forget" in caught.value.message
    assert raw.side() == "planned"


def test_the_state_can_live_elsewhere(raw: Machine, tmp_path: Path) -> None:
    state = tmp_path / "state"
    apply(raw, state_dir=state)
    assert [path.name for path in raw.folder.iterdir()] == ["disk0.raw"]
    assert history(raw.paths) == ()
    assert len(history(raw.paths, state_dir=state)) == 1
    rollback(raw.paths, state_dir=state)
    assert raw.side() == "before"


def test_rollback_works_after_a_move(two: Machine) -> None:
    apply(two)
    moved = two.copied(two.folder.with_name("moved"))
    rollback(moved.paths)
    assert digests(moved.paths) == two.before


def test_recover_works_after_a_move(two: Machine) -> None:
    half_committed(two)
    moved = replace(two, folder=two.folder.rename(two.folder.with_name("moved")))
    moved = replace(moved, paths=tuple(moved.folder / path.name for path in two.paths))
    assert machine.mended(moved).outcome is Outcome.COMMITTED
    assert digests(moved.paths) == two.planned


@pytest.mark.parametrize(
    "name", ["-rf.raw", "two words.raw", "new\nline.raw", "ü,comma.raw", "x" * 200 + ".raw"]
)
def test_odd_names(tmp_path: Path, name: str) -> None:
    made = build(tmp_path / "machine", ["raw"])
    path = made.paths[0].rename(made.folder / name)
    subject = replace(made, paths=(path,))
    apply(subject)
    assert digests(subject.paths) == subject.planned
    rollback(subject.paths)
    assert digests(subject.paths) == subject.before


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    made = build(tmp_path / "machine", ["raw"])
    path = made.paths[0].rename(made.folder / os.fsdecode(b"\xff\xfe.raw"))
    subject = replace(made, paths=(path,))
    half_committed_by_hand(subject)
    assert machine.mended(subject).outcome is Outcome.COMMITTED
    assert digests(subject.paths) == subject.planned


def half_committed_by_hand(subject: Machine) -> None:
    point = "journal-committing:after"

    def hook(name: str) -> None:
        if name == point:
            os._exit(9)

    assert kill.at_point(lambda _hook: apply(subject, hook), 10**9).status == 9


# --- refusals ------------------------------------------------------------------------------------


def test_an_unfinished_run_is_refused_also_for_one_disk_alone(two: Machine) -> None:
    half_committed(two)
    for paths in (two.paths, two.paths[1:], two.paths[::-1]):
        with pytest.raises(RefusedError) as caught:
            begin([image.probe(path) for path in paths])
        assert caught.value.code == "unfinished-run"
        assert "recover" in str(caught.value.hint)
    for action in (rollback, forget):
        with pytest.raises(RefusedError) as caught:
            action(two.paths)
        assert caught.value.code == "unfinished-run"


def test_two_at_once_are_refused_also_for_one_disk_alone(two: Machine) -> None:
    with begin(two.images(), needed_space=SPACE) as transaction:
        for disks in (two.images(), two.images()[1:]):
            with pytest.raises(RefusedError) as caught:
                begin(disks)
            assert caught.value.code == "busy"
        with pytest.raises(RefusedError) as caught:
            recover(two.paths)
        assert caught.value.code == "busy"
        edit(transaction, two)
        transaction.commit({})
    assert two.side() == "planned"


def test_the_same_machine_in_another_order_has_one_journal(two: Machine) -> None:
    apply(two)
    turned = replace(two, paths=two.paths[::-1], writes=(((4096, b"y" * 512),), ((4096, b"z" * 512),)))
    apply(turned)
    assert [run.number for run in history(two.paths)] == [1, 2]
    rollback(two.paths)
    rollback(two.paths)
    assert digests(two.paths) == two.before


def test_one_disk_can_be_worked_on_alone_afterwards(two: Machine) -> None:
    apply(two)
    alone = replace(two, paths=two.paths[1:], writes=(((SIZE - 512, b"y" * 512),),))
    apply(alone)
    with pytest.raises(RefusedError) as caught:
        rollback(two.paths[:1])
    assert caught.value.code == "disk-changed-since"
    rollback(alone.paths)
    assert two.side() == "planned"


@pytest.mark.parametrize("name", ["raw", "vhd-fixed"])
def test_an_image_in_use_is_refused(tmp_path: Path, name: str) -> None:
    subject = build(tmp_path / "machine", [name])
    with nbd.connect(subject.images()[0], read_only=False), pytest.raises(RefusedError) as caught:
        begin(subject.images())
    assert caught.value.code == "image-in-use"
    assert not list(subject.folder.glob("*.p2vprep"))


def test_a_stream_optimised_vmdk_is_refused_before_any_work(raw: Machine) -> None:
    stream = qemu.convert(raw.images()[0], raw.folder / "stream.vmdk", "vmdk-stream")
    with pytest.raises(RefusedError) as caught:
        begin([stream])
    assert caught.value.code == "image-format-read-only"
    assert "--output" in str(caught.value.hint)
    assert not list(raw.folder.glob("*.p2vprep"))


def test_too_little_space_is_refused(raw: Machine) -> None:
    with pytest.raises(RefusedError) as caught:
        begin(raw.images(), needed_space=1 << 60)
    assert caught.value.code == "no-space"
    assert caught.value.exit_status == ExitStatus.REFUSED
    assert not list(raw.folder.glob("*.p2vprep"))


def test_a_read_only_file_system_is_refused(raw: Machine, tmp_path: Path) -> None:
    target = tmp_path / "mount"
    target.mkdir()
    bind = ["mount", "--bind", str(raw.folder), str(target)]
    if os.geteuid() != 0 or subprocess.run(bind, check=False, capture_output=True).returncode:
        pytest.skip("mounting read-only needs root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(target)], check=True)
        there = replace(raw, folder=target, paths=(target / "disk0.raw",))
        with pytest.raises(RefusedError) as caught:
            begin(there.images())
        assert caught.value.code == "state-dir-unusable"
        assert "--state-dir" in str(caught.value.hint)
        with pytest.raises(RefusedError) as caught:
            begin(there.images(), state_dir=tmp_path / "state")
        assert caught.value.code == "image-read-only"
        apply(there, outputs=[tmp_path / "new.qcow2"])
        assert digests([tmp_path / "new.qcow2"]) == raw.planned
        with scratch(there.images()) as overlays:
            assert overlays[0].is_file()
    finally:
        subprocess.run(["umount", str(target)], check=True)


def test_names_that_make_no_sense(two: Machine) -> None:
    first = two.images()[0]
    for disks, code in (([], "same-image"), ([first, first], "same-image")):
        with pytest.raises(UsageError) as caught:
            begin(disks)
        assert caught.value.code == code
    with pytest.raises(UsageError) as caught:
        recover([])
    assert caught.value.code == "several-machines"
    with pytest.raises(UsageError) as caught:
        history([])
    assert caught.value.code == "no-image"


def test_disks_of_different_machines_are_not_mixed(tmp_path: Path) -> None:
    one, other = (build(tmp_path / name, ["raw"]) for name in ("one", "other"))
    apply(one)
    apply(other)
    with pytest.raises(UsageError) as caught:
        rollback([*one.paths, *other.paths])
    assert caught.value.code == "several-machines"


def test_disks_elsewhere_have_to_be_named(tmp_path: Path) -> None:
    one, other = (build(tmp_path / name, ["raw"]) for name in ("one", "other"))
    both = replace(one, paths=(*one.paths, *other.paths), writes=one.writes + other.writes)
    apply(both)
    with pytest.raises(UsageError) as caught:
        rollback(one.paths)
    assert caught.value.code == "disk-not-named"
    rollback(both.paths)
    assert digests(both.paths) == one.before + other.before


def disturbed(subject: Machine, disturb: Callable[[], object], surroundings: Host | None = None) -> None:
    """An apply during whose editing something happens."""
    with begin(subject.images(), needed_space=SPACE, host=surroundings) as transaction:
        edit(transaction, subject)
        disturb()
        transaction.commit({})


def test_an_image_changed_under_us_stops_the_commit(raw: Machine) -> None:
    def overwrite() -> None:
        with raw.paths[0].open("r+b") as stream:
            stream.write(b"another")

    with pytest.raises(FailedError) as caught:
        disturbed(raw, overwrite)
    assert caught.value.code == "image-changed"
    assert raw.paths[0].read_bytes().startswith(b"another")
    assert history(raw.paths)[0].state is RunState.DISCARDED


def test_an_image_changed_while_its_undo_data_are_saved_stops_the_commit(raw: Machine) -> None:
    def hook(name: str) -> None:
        if name == "sync-overlay-0:after":
            os.utime(raw.paths[0])

    with pytest.raises(FailedError) as caught:
        disturbed(raw, lambda: None, host(hook))
    assert caught.value.code == "image-changed"
    assert raw.side() == "before"


def test_an_image_replaced_under_us_stops_the_commit(raw: Machine) -> None:
    def swap() -> None:
        raw.paths[0].rename(raw.folder / "old.raw")
        (raw.folder / "old.raw").rename(raw.folder / "older.raw")
        raw.paths[0].write_bytes((raw.folder / "older.raw").read_bytes())

    with pytest.raises(FailedError) as caught:
        disturbed(raw, swap)
    assert caught.value.code == "image-changed"
    assert raw.side() == "before"


def test_an_image_gone_under_us_stops_the_commit(raw: Machine) -> None:
    with pytest.raises(FailedError) as caught:
        disturbed(raw, lambda: raw.paths[0].rename(raw.folder / "gone.raw"))
    assert caught.value.code == "image-changed"


def test_an_appliance_that_still_runs_stops_the_commit(raw: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2vprep.disk.transaction.COMMIT_PATIENCE", 0.0)
    transaction = begin(raw.images(), needed_space=SPACE)
    with (
        transaction,
        nbd.connect(qemu.Overlay(transaction.overlays[0], transaction.disks[0]), read_only=False),
    ):
        with pytest.raises(RefusedError) as caught:
            transaction.commit({})
        assert caught.value.code == "image-in-use"
    assert raw.side() == "before"


def test_a_full_disk_under_a_growing_image_stops_the_commit(
    raw: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(raw.images(), needed_space=SPACE) as transaction:
        edit(transaction, raw)
        monkeypatch.setattr("p2vprep.disk.preflight._free", lambda _folder: 1 << 20)
        with pytest.raises(RefusedError) as caught:
            transaction.commit({})
    assert caught.value.code == "no-space"
    assert raw.side() == "before"


# --- recover and rollback, where something is wrong ----------------------------------------------


def test_recover_has_nothing_to_do(raw: Machine) -> None:
    assert recover(raw.paths).outcome is Outcome.NOTHING
    assert not list(raw.folder.glob("*.p2vprep"))
    apply(raw)
    assert recover(raw.paths).outcome is Outcome.NOTHING
    assert raw.side() == "planned"


def test_recover_refuses_a_disk_that_was_used_since(raw: Machine) -> None:
    half_committed(raw)
    scribble(raw.paths[0], SIZE - 12288)
    for abort in (False, True):
        with pytest.raises(RefusedError) as caught:
            recover(raw.paths, abort=abort)
        assert caught.value.code == "disk-changed-since"
        assert caught.value.liftable
    done = recover(raw.paths, allow={"disk-changed-since"}, abort=True)
    assert done.outcome is Outcome.ROLLED_BACK


def test_rollback_refuses_a_disk_that_was_used_since(raw: Machine) -> None:
    apply(raw)
    scribble(raw.paths[0], SIZE - 12288)
    used = digests(raw.paths)
    with pytest.raises(RefusedError) as caught:
        rollback(raw.paths)
    assert caught.value.code == "disk-changed-since"
    assert caught.value.details
    assert digests(raw.paths) == used
    assert rollback(raw.paths, allow={"disk-changed-since"}).forced
    assert "forced" in history(raw.paths)[0].note


def test_rollback_refuses_a_resized_and_a_replaced_disk(tmp_path: Path) -> None:
    subject = build(tmp_path / "machine", ["qcow2"])
    apply(subject)
    subprocess.run(["qemu-img", "resize", "-q", str(subject.paths[0]), "16M"], check=True)
    with pytest.raises(RefusedError) as caught:
        rollback(subject.paths)
    assert caught.value.code == "disk-size-changed"
    subject.paths[0].unlink()
    machine.create(subject.folder / "new.raw", "vhdx").rename(subject.paths[0].with_suffix(".x"))
    (subject.folder / "disk0.x").rename(subject.paths[0])
    with pytest.raises((RefusedError, CannotOpenError)) as replaced:
        rollback(subject.paths)
    assert replaced.value.code in ("image-replaced", "image-format-mismatch")


def test_rollback_refuses_a_resized_raw_disk(raw: Machine) -> None:
    apply(raw)
    os.truncate(raw.paths[0], SIZE * 2)
    with pytest.raises(CannotOpenError):
        rollback(raw.paths)
    os.truncate(raw.paths[0], SIZE)
    rollback(raw.paths)
    assert digests(raw.paths) == raw.before


def test_a_missing_image_is_named(two: Machine) -> None:
    half_committed(two)
    hidden = two.paths[1].rename(two.folder / "hidden")
    with pytest.raises(CannotOpenError) as caught:
        recover(two.paths[:1])
    assert caught.value.code == "image-missing"
    assert "disk1.vhd" in str(caught.value.subject)
    hidden.rename(two.paths[1])
    assert recover(two.paths[:1]).outcome is Outcome.COMMITTED


@pytest.mark.parametrize("part", ["json", "data"])
def test_damaged_undo_data_stop_rollback_and_abort(raw: Machine, part: str) -> None:
    apply(raw)
    path = next(raw.folder.rglob(f"undo-0.{part}"))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(FailedError) as caught:
        rollback(raw.paths)
    assert caught.value.code == "undo-damaged"
    assert raw.side() == "planned"
    assert history(raw.paths)[0].state is RunState.DONE


def test_damaged_undo_data_in_a_cut_off_commit(raw: Machine) -> None:
    half_committed(raw)
    path = next(raw.folder.rglob("undo-0.data"))
    path.write_bytes(path.read_bytes()[:-7])
    for abort, allow in ((False, set[str]()), (True, set[str]()), (True, {"undo-damaged"})):
        with pytest.raises(NeedsRecoverError) as caught:
            recover(raw.paths, abort=abort, allow=allow)
        assert caught.value.code == "undo-damaged"
    assert recover(raw.paths, allow={"undo-damaged"}).outcome is Outcome.COMMITTED
    assert raw.side() == "planned"


def test_a_torn_journal_stops_everything(raw: Machine) -> None:
    apply(raw)
    journal = next(raw.folder.rglob("journal.json"))
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) // 2])
    for action in (history, rollback, recover, forget):
        with pytest.raises(NeedsRecoverError) as caught:
            action(raw.paths)
        assert caught.value.code == "journal-damaged"
    with pytest.raises(NeedsRecoverError):
        begin(raw.images())
    assert raw.side() == "planned"
    journal.write_bytes(whole)
    rollback(raw.paths)
    assert raw.side() == "before"


def test_a_commit_that_does_not_hold_goes_back(raw: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "commit", lambda _overlay: None)
    with pytest.raises(FailedError) as caught:
        apply(raw)
    assert caught.value.code == "read-back-differs"
    assert "as it was before" in caught.value.changed
    assert raw.side() == "before"
    assert history(raw.paths)[0].state is RunState.ROLLED_BACK


def test_a_commit_that_cannot_even_go_back_needs_recover(
    two: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = qemu.commit

    def first_only(overlay: qemu.Overlay) -> None:
        if overlay.path.name != "overlay-0.qcow2":
            raise FailedError("the cable was pulled")
        real(overlay)

    with monkeypatch.context() as broken:
        broken.setattr(qemu, "commit", first_only)
        broken.setattr(
            "p2vprep.disk.undo.Undo.write_back", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O"))
        )
        with pytest.raises(NeedsRecoverError) as caught:
            apply(two)
        assert caught.value.exit_status == ExitStatus.NEEDS_RECOVER
        with pytest.raises(NeedsRecoverError) as again:
            recover(two.paths, abort=True)
        assert again.value.code == "storage-failed"
    assert digests(two.paths) == (two.planned[0], two.before[1])
    assert recover(two.paths).outcome is Outcome.ROLLED_BACK
    assert digests(two.paths) == two.before


def test_a_signal_during_rollback_is_told_after_it(raw: Machine) -> None:
    import signal

    from p2vprep.disk.signals import interruptible

    apply(raw)

    def hook(name: str) -> None:
        if name == "journal-rolling-back:after":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught, interruptible():
        rollback(raw.paths, host=host(hook))
    assert "taken back" in caught.value.changed
    assert raw.side() == "before"


# --- new images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_the_result_goes_to_a_new_image_of_any_format(tmp_path: Path, suffix: str) -> None:
    subject = build(tmp_path / "machine", ["vmdk"])
    new = tmp_path / "elsewhere" / f"new{suffix}"
    new.parent.mkdir()
    apply(subject, outputs=[new])
    assert subject.side() == "before"
    assert digests([new]) == subject.planned
    assert sorted(path.name for path in new.parent.iterdir()) == [new.name, f"{new.name}.p2vprep"]
    assert [path.name for path in subject.folder.iterdir()] == ["disk0.vmdk"]
    rollback([new])
    assert digests([new]) == subject.before


def test_a_stream_optimised_vmdk_becomes_a_new_image(raw: Machine) -> None:
    stream = qemu.convert(raw.images()[0], raw.folder / "stream.vmdk", "vmdk-stream")
    subject = replace(raw, paths=(stream.path,), files=machine.file_digests([stream.path]))
    new = raw.folder / "new.vhdx"
    apply(subject, outputs=[new])
    assert digests([new]) == raw.planned
    assert subject.side() == "before"


def test_a_new_image_never_replaces_a_file(raw: Machine) -> None:
    new = raw.folder / "new.raw"
    new.write_text("precious")
    with pytest.raises(RefusedError) as caught:
        apply(raw, outputs=[new])
    assert caught.value.code == "output-exists"
    assert new.read_text() == "precious"


def test_a_file_that_takes_the_name_meanwhile_is_kept(raw: Machine) -> None:
    new = raw.folder / "new.raw"

    def hook(name: str) -> None:
        if name == "journal-committed:after":
            new.write_text("precious")

    with pytest.raises(NeedsRecoverError):
        apply(raw, hook, outputs=[new])
    assert new.read_text() == "precious"
    new.unlink()
    assert recover([new]).outcome is Outcome.COMMITTED
    assert digests([new]) == raw.planned


def test_output_names_that_make_no_sense(two: Machine) -> None:
    one = two.folder / "new.raw"
    for outputs, code in (
        ([one], "output-count"),
        ([one, one], "output-count"),
        ([one, two.folder / "b.xyz"], "output-format"),
    ):
        with pytest.raises(UsageError) as caught:
            begin(two.images(), outputs=outputs)
        assert caught.value.code == code


def test_a_failed_copy_leaves_nothing(raw: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(qemu, "convert", broken)
    with pytest.raises(FailedError) as caught:
        apply(raw, outputs=[raw.folder / "new.raw"])
    assert caught.value.code == "no-space"
    assert sorted(path.name for path in raw.folder.iterdir()) == ["disk0.raw", "new.raw.p2vprep"]


# --- looking only --------------------------------------------------------------------------------


def test_scratch_needs_no_write_access_and_leaves_nothing(two: Machine) -> None:
    for path in two.paths:
        path.chmod(0o400)
    two.folder.chmod(0o500)
    before = [path.stat().st_mtime_ns for path in two.paths]
    try:
        with scratch(two.images()) as overlays:
            with nbd.connect(qemu.Overlay(overlays[0], two.images()[0]), read_only=False) as disk:
                disk.pwrite(0, b"x" * 4096)
                disk.flush()
            assert len(overlays) == 2
        assert not overlays[0].parent.exists()
    finally:
        two.folder.chmod(0o700)
    assert [path.stat().st_mtime_ns for path in two.paths] == before
    assert two.side() == "before"
    assert sorted(path.name for path in two.folder.iterdir()) == ["disk0.raw", "disk1.vhd"]


# --- a VHDX that was not closed cleanly ----------------------------------------------------------


@pytest.mark.long
@pytest.mark.corpus
def test_a_dirty_vhdx_is_looked_at_and_copied_without_touching_it(tmp_path: Path) -> None:
    path = corpus.unpack_disk("vhdx-dirty-log-10G.vhdx", tmp_path)
    dirty = image.probe(path, {"vhdx-dirty-log"})
    before = machine.file_digests([path])
    with scratch([dirty]) as overlays:
        base = image.probe(next(overlays[0].parent.rglob("*.vhdx")))
        with nbd.connect(qemu.Overlay(overlays[0], base), read_only=True) as disk:
            assert disk.size == dirty.virtual_size
    with begin([dirty], outputs=[tmp_path / "new.qcow2"], needed_space=SPACE) as transaction:
        transaction.commit({})
    assert machine.file_digests([path]) == before
    assert sorted(entry.name for entry in transaction.run_dir.iterdir()) == [
        "receipt.json",
        "undo-0.data",
        "undo-0.json",
    ]
    qemu.replay_log(dirty)
    assert digests([tmp_path / "new.qcow2"]) == digests([path])


@pytest.mark.corpus
def test_a_dirty_vhdx_is_replayed_in_place_where_it_was_allowed(tmp_path: Path) -> None:
    path = corpus.unpack_disk("vhdx-dirty-log-10G.vhdx", tmp_path)
    with begin([image.probe(path, {"vhdx-dirty-log"})], needed_space=SPACE) as transaction:
        with nbd.connect(
            qemu.Overlay(transaction.overlays[0], transaction.disks[0]), read_only=False
        ) as disk:
            disk.pwrite(4096, b"planned." * 512)
            disk.flush()
        transaction.commit({})
    with nbd.connect(image.probe(path), read_only=True) as disk:
        assert disk.pread(4096, 4096) == b"planned." * 512
