"""Hives are opened as Windows would load them and edited exactly, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.values import Data
from p2vprep.disk import hive as hives
from p2vprep.disk.hive import Limits, LoadedHive, edit, load
from p2vprep.errors import CannotOpenError, FailedError, HiveError, RefusedError, StalePlanError
from testdata.kit.hivewriter import base_block, build_hive
from tests.support.trees import assert_independent, assert_sound, edited, tree

SERVICES = "ControlSet001\\Services"
SAMPLE = {
    "Select": {"Default": Data.dword(1)},
    f"{SERVICES}\\Real": {
        "Type": Data.dword(1),
        "Start": Data.dword(0),
        "Name": Data.sz("x"),
        "größe": Data.qword(5),
        "": Data(0xFFFF0012, b"odd"),
    },
    f"{SERVICES}\\Other\\Below": {"x": Data.sz("y"), "empty": Data.binary(b"")},
    "Big": {"big": Data.binary(bytes(20_000)), "small": Data.dword(1)},
}
PATH = "/Windows/System32/config/SYSTEM"


def value(key: str, name: str, before: Data | None, after: Data | None) -> ValueChange:
    return ValueChange("SYSTEM", key, name, before, after, "rule", "why")


def made(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, False, True, "rule", "why")


def gone(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, True, False, "rule", "why")


START = value(f"{SERVICES}\\Real", "Start", Data.dword(0), Data.dword(4))
BY_HIVEX: list[ValueChange | KeyChange] = [
    START,
    value(f"{SERVICES}\\Real", "Name", Data.sz("x"), None),
    value(f"{SERVICES}\\Real", "New", None, Data(0xFFFF1001, b"\1")),
    value(f"{SERVICES}\\Real", "größe", Data.qword(5), Data.multi_sz(["ä", "日"])),
    made(f"{SERVICES}\\p2vprep"),
    value(f"{SERVICES}\\p2vprep", "", None, Data.sz("default")),
    value(f"{SERVICES}\\p2vprep", "Empty", None, Data.binary(b"")),
    gone(f"{SERVICES}\\Other"),
]
BY_PATCH: list[ValueChange | KeyChange] = [value("Big", "small", Data.dword(1), Data.dword(2))]


def loaded(data: bytes | None = None, **options: object) -> LoadedHive:
    return load("SYSTEM", PATH, data or build_hive(SAMPLE, **options), {})  # type: ignore[arg-type]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def patched(data: bytes, pages: tuple[tuple[int, bytes], ...]) -> bytes:
    """The file after the pages were written into it."""
    result = bytearray(data)
    for offset, piece in pages:
        result.extend(bytes(max(0, offset - len(result))))
        result[offset : offset + len(piece)] = piece
    return bytes(result)


# --- load --------------------------------------------------------------------------------------


def test_a_clean_hive_is_as_found() -> None:
    data = build_hive(SAMPLE)
    hive = load("SYSTEM", PATH, data, {"LOG1": b""})
    assert hive.data == data
    assert (hive.state.primary, hive.state.recovered, hive.state.dirty) == (sha256(data), sha256(data), False)
    assert hive.state.logs == {"LOG1": sha256(b"")}
    assert (hive.notes, hive.hazards) == ((), ())
    assert {key.name for key in hive.hive.root.subkeys()} == {"Big", "ControlSet001", "Select"}


def test_a_dirty_hive_without_logs_is_refused_unless_allowed() -> None:
    data = build_hive(SAMPLE, sequence=(8, 7))
    with pytest.raises(HiveError) as caught:
        load("SYSTEM", PATH, data, {})
    assert caught.value.code == "dirty-hive-without-log"
    assert PATH in caught.value.message
    hive = load("SYSTEM", PATH, data, {}, allow=frozenset({"dirty-hive-without-log"}))
    assert not BaseBlock.parse(hive.data).dirty
    assert hive.state.dirty
    assert hive.state.primary != hive.state.recovered == sha256(hive.data)
    assert [hazard.code for hazard in hive.hazards] == ["dirty-hive-without-log"]
    after = edit(hive, [START])
    assert patched(data, after.pages) == after.data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-a-hive"),
        (b"CREG" + bytes(8000), "not-a-hive"),
        (build_hive(SAMPLE)[:6000], "hive-damaged"),
        (build_hive(SAMPLE).replace(b"vk", b"xx", 1), "hive-damaged"),
    ],
)
def test_what_is_no_sound_hive_is_never_editable(data: bytes, code: str) -> None:
    with pytest.raises(HiveError) as caught:
        load("SYSTEM", PATH, data, {}, allow=frozenset({"dirty-hive-without-log"}))
    assert caught.value.code == code
    assert caught.value.subject


def test_damage_is_named() -> None:
    data = build_hive(SAMPLE)
    for text in (b"vk", b"vk", b"sk"):
        data = data.replace(text, b"xx", 1)
    with pytest.raises(HiveError) as caught:
        loaded(data)
    assert 1 < len(caught.value.details) <= 5


# --- edit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [BY_HIVEX, BY_PATCH, BY_HIVEX + BY_PATCH])
def test_exactly_the_changes_are_made(changes: list[ValueChange | KeyChange]) -> None:
    data = build_hive(SAMPLE, slack=5000)
    after = edit(loaded(data), changes)
    expected = edited(tree(data), changes)
    assert tree(after.data) == expected
    assert_independent(after.data, expected)
    assert_sound(after.data)
    assert patched(data, after.pages) == after.data
    assert after.state.primary == after.state.recovered == sha256(after.data)
    block = BaseBlock.parse(after.data)
    assert not block.dirty
    assert block.primary_sequence == BaseBlock.parse(data).primary_sequence + 1


def test_it_is_told_what_was_done_without_hivex() -> None:
    assert edit(loaded(), BY_HIVEX).notes == ()
    (note,) = edit(loaded(), BY_PATCH).notes
    assert note.startswith("Big: ")


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (
            {"lists": "li", "minor": 3},
            [gone(f"{SERVICES}\\Other"), made(f"{SERVICES}\\A"), made(f"{SERVICES}\\A\\B")],
        ),
        ({"lists": "ri-lh", "leaf_entries": 1}, [gone(f"{SERVICES}\\Other"), made(f"{SERVICES}\\A_b")]),
        ({"with_security": False}, [made(f"{SERVICES}\\A"), gone(f"{SERVICES}\\Other"), START]),
    ],
)
def test_what_hivex_cannot_do_is_done_all_the_same(
    options: dict[str, object], changes: list[ValueChange | KeyChange]
) -> None:
    data = build_hive(SAMPLE, **options)  # type: ignore[arg-type]
    after = edit(loaded(data), changes)
    assert tree(after.data) == edited(tree(data), changes)
    assert_sound(after.data)


def test_no_change_changes_nothing() -> None:
    hive = loaded()
    other = ValueChange("SOFTWARE", "x", "y", None, Data.dword(1), "rule", "why")
    after = edit(hive, [other])
    assert after.data == hive.data
    assert after.pages == ()


def test_logs_beside_the_hive_cannot_come_over_it() -> None:
    log = base_block(bins_size=4096, root=32, sequence=(50, 50), file_type=6)[:512]
    hive = load("SYSTEM", PATH, build_hive(SAMPLE), {"LOG1": log})
    after = edit(hive, [START])
    assert BaseBlock.parse(after.data).primary_sequence > 50


@pytest.mark.parametrize("changes", [BY_HIVEX, BY_PATCH])
def test_the_highest_sequence_number_is_followed_by_the_first(changes: list[ValueChange | KeyChange]) -> None:
    after = edit(loaded(build_hive(SAMPLE, sequence=(0xFFFFFFFF, 0xFFFFFFFF))), changes)
    assert BaseBlock.parse(after.data).primary_sequence == 0
    assert not BaseBlock.parse(after.data).dirty


def test_logs_that_nothing_can_rule_out_stop_it() -> None:
    log = base_block(bins_size=4096, root=32, sequence=(0xFFFFFFF0, 0xFFFFFFF0), file_type=6)[:512]
    hive = load("SYSTEM", PATH, build_hive(SAMPLE), {"LOG1": log})
    with pytest.raises(HiveError) as caught:
        edit(hive, [START])
    assert caught.value.code == "hive-log-unusable"
    assert caught.value.subject == PATH


def test_a_stale_plan_and_the_guards_stop_it() -> None:
    with pytest.raises(StalePlanError):
        edit(loaded(), [value(f"{SERVICES}\\Real", "Start", Data.dword(2), Data.dword(4))])
    with pytest.raises(RefusedError):
        edit(loaded(), [gone(f"{SERVICES}\\Real")])


# --- when hivex does not do what it should -----------------------------------------------------


def worker(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Puts another program in the place of the child process."""
    script = folder / "worker.py"
    script.write_text(
        "import json, os, shutil, signal, sys, time\nrequest = json.load(sys.stdin)\n" + program
    )
    monkeypatch.setattr(hives, "_WORKER", script)


COPY = "shutil.copy(request['input'], request['output'])\n"


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "hivex-crashed", "signal 11"),
        ("sys.exit(3)", "hivex-crashed", "status 3"),
        ("print('noise'); sys.exit(1)", "hivex-crashed", "status 1"),
        ("print('[]'); sys.exit(1)", "hivex-crashed", "status 1"),
        ("print(json.dumps({'done': True}))", "hivex-crashed", "status 0"),
        ("sys.stderr.write('last words'); os.abort()", "hivex-crashed", "signal 6"),
        ("time.sleep(60)", "hivex-timeout", "within 0.5 seconds"),
        (COPY, "hive-edit-mismatch", "differs from the plan"),
        ("open(request['output'], 'wb').write(b'regf')", "hive-edit-damaged", "cannot be read"),
        (
            "open(request['output'], 'wb').write(open(request['input'], 'rb').read().replace(b'sk', b'xx'))",
            "hive-edit-damaged",
            "damaged",
        ),
    ],
)
def test_whatever_becomes_of_hivex_is_one_failed_edit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, code: str, message: str
) -> None:
    worker(monkeypatch, tmp_path, program)
    seconds = 0.5 if "sleep" in program else 30.0
    with pytest.raises(FailedError, match=message) as caught:
        edit(loaded(), [START], limits=Limits(seconds=seconds))
    assert caught.value.code == code
    assert "SYSTEM" in caught.value.message
    assert caught.value.changed == "Nothing was changed."


def test_the_last_words_of_the_child_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker(monkeypatch, tmp_path, "print('last words', file=sys.stderr, flush=True); os.abort()")
    with pytest.raises(FailedError) as caught:
        edit(loaded(), [START])
    assert caught.value.details == ("last words",)


def test_more_than_was_asked_for_is_a_mismatch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = edit(loaded(), [*BY_HIVEX]).data
    (tmp_path / "other").write_bytes(other)
    worker(monkeypatch, tmp_path, f"shutil.copy({str(tmp_path / 'other')!r}, request['output'])")
    with pytest.raises(FailedError) as caught:
        edit(loaded(), [START, value(f"{SERVICES}\\Other\\Below", "x", Data.sz("y"), Data.sz("z"))])
    assert caught.value.code == "hive-edit-mismatch"
    text = "\n".join(caught.value.details)
    assert f"missing: {SERVICES}\\Other\\Below: x" in text
    assert f"not asked for: {SERVICES}\\Other: removed, with 2 keys and 2 values" in text


def test_a_changed_right_is_a_mismatch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    full_control = (0xF003F).to_bytes(4, "little")
    worker(
        monkeypatch,
        tmp_path,
        f"data = open(request['input'], 'rb').read().replace({full_control!r}, bytes(4))\n"
        "open(request['output'], 'wb').write(data)",
    )
    with pytest.raises(FailedError) as caught:
        edit(loaded(), [made(f"{SERVICES}\\New")])
    assert caught.value.code == "hive-edit-mismatch"
    assert caught.value.details[0] == f"missing: {SERVICES}\\New: made"
    assert "Security" in caught.value.details[1]


def test_a_python_without_hivex_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = hives._WORKER.read_text(encoding="utf-8").replace("import hivex", "import no_such_module_at_all")
    script = tmp_path / "worker.py"
    script.write_text(real)
    monkeypatch.setattr(hives, "_WORKER", script)
    with pytest.raises(CannotOpenError) as caught:
        edit(loaded(), [START])
    assert caught.value.code == "hivex-missing"
    assert "python3-hivex" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([{"path": ["Absent"], "do": "delete"}], "does not find the key 'Absent'"),
        ([{"path": ["Select"], "do": "create"}], "File exists"),
        (
            [{"path": ["Select"], "do": "values", "values": [{"name": "x", "type": 0, "data": None}]}],
            "does not find the value 'x'",
        ),
    ],
)
def test_what_hivex_refuses_is_passed_on(keys: list[dict[str, object]], message: str) -> None:
    with pytest.raises(FailedError, match=message) as caught:
        hives.run_hivex("SYSTEM", build_hive(SAMPLE), keys, Limits())
    assert caught.value.code == "hivex-refused"
    assert caught.value.subject == keys[0]["path"][0]  # type: ignore[index]


def test_a_hive_that_hivex_cannot_open_is_named() -> None:
    data = bytearray(build_hive(SAMPLE))
    data[508] ^= 1
    with pytest.raises(FailedError) as caught:
        hives.run_hivex("SYSTEM", bytes(data), [], Limits())
    assert (caught.value.code, caught.value.subject) == ("hivex-refused", "SYSTEM")


def test_the_child_does_not_get_more_memory() -> None:
    with pytest.raises((FailedError, CannotOpenError)) as caught:
        hives.run_hivex("SYSTEM", build_hive(SAMPLE), [], Limits(memory=1 << 20))
    assert caught.value.code in {"hivex-crashed", "hivex-refused", "hivex-missing"}


def test_the_child_bounds_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = hives._WORKER.read_text(encoding="utf-8")
    script = tmp_path / "worker.py"
    script.write_text(
        real.replace(
            "handle = hivex.Hivex",
            "kinds = ('AS', 'CPU', 'FSIZE', 'CORE')\n"
            "        found = [resource.getrlimit(getattr(resource, 'RLIMIT_' + kind)) for kind in kinds]\n"
            "        raise WorkerError(json.dumps(found))\n"
            "        handle = hivex.Hivex",
        )
    )
    monkeypatch.setattr(hives, "_WORKER", script)
    data = build_hive(SAMPLE)
    with pytest.raises(FailedError) as caught:
        hives.run_hivex("SYSTEM", data, [], Limits())
    wanted = Limits().for_hive(len(data))
    bounds = [wanted["memory"], wanted["cpu"], wanted["file"], 0]
    assert str([[bound, bound] for bound in bounds]) in caught.value.message


def test_a_child_that_cannot_be_started_is_a_failed_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(FailedError) as caught:
        edit(loaded(), [START])
    assert caught.value.code == "hivex-not-started"


def test_no_file_and_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    held = sorted(Path("/proc/self/fd").iterdir())
    edit(loaded(), [START])
    worker(monkeypatch, tmp_path, "os.abort()")
    with pytest.raises(FailedError):
        edit(loaded(), [START])
    assert [path.name for path in tmp_path.iterdir()] == ["worker.py"]
    assert len(sorted(Path("/proc/self/fd").iterdir())) == len(held)


def test_the_child_starts_without_the_rest_of_the_package() -> None:
    text = hives._WORKER.read_text(encoding="utf-8")
    assert "p2vprep" not in [
        line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    ]


def test_values_of_one_key_are_one_step() -> None:
    (real, created, filled, deleted) = hives.steps(BY_HIVEX)
    assert [step["do"] for step in (real, created, filled, deleted)] == [
        "values",
        "create",
        "values",
        "delete",
    ]
    assert len(real["values"]) == 4
    assert real["values"][1] == {"name": "Name", "type": 0, "data": None}


def test_the_reader_of_the_loaded_hive_stays_as_it_was() -> None:
    hive = loaded()
    before = tree(hive.data)
    edit(hive, BY_HIVEX)
    assert {key: dict(values) for key, values in before.items()} == tree(hive.data)
    assert isinstance(hive.hive, HiveReader)
