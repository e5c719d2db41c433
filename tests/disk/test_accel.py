"""KVM is tried with stand-ins for QEMU that work, abort and hang; and the answer is remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from p2vprep.disk import accel
from p2vprep.disk.accel import Accelerator, Host
from p2vprep.errors import CannotOpenError
from p2vprep.events import Event, Note

WORKS = "exit 33"
ABORTS = "echo 'kvm_buf_set_msrs: Assertion failed' >&2; kill -ABRT $$"
HANGS = "exec sleep 60"


def host(folder: Path, script: str, *, device: bool = True, boot_id: str = "boot") -> Host:
    qemu = folder / "qemu"
    qemu.write_text(f'#!/bin/sh\necho run >> "{folder}/runs"\n{script}\n')
    qemu.chmod(0o755)
    node = folder / "kvm"
    if device:
        node.touch()
    return Host(qemu, node, folder / "cache" / "accelerator.json", boot_id)


def runs(folder: Path) -> int:
    file = folder / "runs"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "PROBE_LIMIT", 1.0)


def test_kvm_that_works_is_used(tmp_path: Path) -> None:
    heard: list[Event] = []
    assert accel.choose("auto", host=host(tmp_path, WORKS), sink=heard.append).name == "kvm"
    assert heard == []


def test_kvm_that_aborts_means_emulation_in_one_line(tmp_path: Path) -> None:
    heard: list[Event] = []
    chosen = accel.choose("auto", host=host(tmp_path, ABORTS), sink=heard.append)
    assert (chosen.name, chosen.demanded) == ("tcg", False)
    (note,) = heard
    assert isinstance(note, Note)
    assert "signal 6" in note.text
    assert "Assertion failed" in note.text
    assert "\n" not in note.text


def test_kvm_that_hangs_means_emulation(tmp_path: Path) -> None:
    works, why = accel.probe(host(tmp_path, HANGS), limit=0.3)
    assert not works
    assert "hangs" in why


def test_no_device_means_emulation_without_running_anything(tmp_path: Path) -> None:
    chosen = accel.choose("auto", host=host(tmp_path, WORKS, device=False))
    assert chosen.name == "tcg"
    assert "No such file" in chosen.why
    assert runs(tmp_path) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open anything")
def test_a_device_without_permission_means_emulation(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS)
    here.device.chmod(0)
    assert "ermission" in accel.choose("auto", host=here).why


def test_no_qemu_means_emulation(tmp_path: Path) -> None:
    here = Host(None, tmp_path, tmp_path / "cache", "boot")
    assert accel.probe(here) == (False, "QEMU is not installed")


def test_qemu_that_cannot_be_run_means_emulation(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS)
    assert here.qemu is not None
    here.qemu.chmod(0o644)
    works, why = accel.probe(here)
    assert not works
    assert "ermission" in why


def test_emulation_asked_for_tries_nothing(tmp_path: Path) -> None:
    assert accel.choose("tcg", host=host(tmp_path, WORKS)) == Accelerator("tcg", True, "asked for")
    assert runs(tmp_path) == 0


def test_kvm_demanded_and_broken_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotOpenError) as error:
        accel.choose("kvm", host=host(tmp_path, ABORTS))
    assert error.value.code == "no-kvm"
    assert accel.choose("kvm", host=host(tmp_path, WORKS)).demanded


def test_kvm_demanded_is_tried_anew(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS)
    accel.remember(here, False, "it was broken")
    assert accel.choose("auto", host=here).name == "tcg"
    assert accel.choose("kvm", host=here).name == "kvm"
    assert accel.choose("auto", host=here).name == "kvm"
    assert runs(tmp_path) == 1


def test_the_answer_is_remembered(tmp_path: Path) -> None:
    here = host(tmp_path, ABORTS)
    first, second = accel.choose("auto", host=here), accel.choose("auto", host=here)
    assert first == second
    assert runs(tmp_path) == 1


def test_the_answer_is_forgotten_with_the_next_boot_or_another_qemu(tmp_path: Path) -> None:
    accel.choose("auto", host=host(tmp_path, WORKS))
    accel.choose("auto", host=host(tmp_path, WORKS, boot_id="next"))
    assert runs(tmp_path) == 2
    changed = host(tmp_path, ABORTS, boot_id="next")
    assert accel.choose("auto", host=changed).name == "tcg"
    assert runs(tmp_path) == 3


def test_without_a_boot_id_nothing_is_remembered(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS, boot_id="")
    accel.choose("auto", host=here)
    assert not here.cache.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "{}", '{"for": "it", "kvm": 1, "why": ""}', '{"for": "it", "kvm": true}']
)
def test_a_damaged_cache_is_no_answer(text: str) -> None:
    assert accel.recall(text, "it") is None


def test_a_cache_answers_only_what_it_was_made_for() -> None:
    text = json.dumps({"for": "it", "kvm": True, "why": "w"})
    assert accel.recall(text, "it") == (True, "w")
    assert accel.recall(text, "another") is None
    assert accel.recall(json.dumps({"for": "", "kvm": True, "why": "w"}), "") is None


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS)
    here.cache.parent.parent.joinpath("cache").write_text("a file in the way")
    assert accel.choose("auto", host=here).name == "kvm"
    assert accel.choose("auto", host=here).name == "kvm"
    assert runs(tmp_path) == 2


def test_a_launch_that_fails_with_kvm_is_tried_again_and_remembered(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS)
    heard: list[Event] = []
    assert accel.disappointed(accel.choose("auto", host=here), "it died", host=here, sink=heard.append)
    assert len(heard) == 1
    chosen = accel.choose("auto", host=here)
    assert chosen.name == "tcg"
    assert "it died" in chosen.why


def test_there_is_nothing_to_try_after_emulation_or_a_demand(tmp_path: Path) -> None:
    here = host(tmp_path, WORKS)
    assert not accel.disappointed(accel.TCG, "it died", host=here)
    assert not accel.disappointed(Accelerator("kvm", demanded=True), "it died", host=here)
    assert not here.cache.exists()


def test_the_trial_on_x86_really_runs_instructions(tmp_path: Path) -> None:
    qemu = Host.here().qemu
    if qemu is None or "x86_64" not in qemu.name:
        pytest.skip("there is no QEMU for x86-64 here")
    bios = tmp_path / "rom"
    bios.write_bytes(accel.rom())
    assert len(accel.rom()) == 1 << 16
    assert accel.attempt(accel.trial(qemu, "x86_64", bios, "tcg"), 30) == (True, "QEMU runs with KVM")
    bios.write_bytes(bytes(0xFFF0) + b"\xf4" * 16)
    works, _ = accel.attempt(accel.trial(qemu, "x86_64", bios, "tcg"), 1)
    assert not works, "a guest that does nothing must not pass"


def test_elsewhere_the_trial_sets_up_a_machine_and_quits(tmp_path: Path) -> None:
    trial = accel.trial(Path("qemu-system-aarch64"), "aarch64", tmp_path)
    assert b"quit" in trial.stdin
    assert trial.good == 0
    assert "virt" in trial.command


def test_this_host_is_described_by_its_environment(tmp_path: Path) -> None:
    here = Host.here({"XDG_CACHE_HOME": str(tmp_path), "LIBGUESTFS_HV": "/opt/qemu"})
    assert here.cache == tmp_path / "p2vprep" / "accelerator.json"
    assert here.qemu == Path("/opt/qemu")
    assert Host.here({"HOME": str(tmp_path)}).cache.is_relative_to(tmp_path / ".cache")
