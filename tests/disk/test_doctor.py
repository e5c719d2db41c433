"""The doctor's judgements, one by one, and a whole look at this host."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.disk import doctor
from p2vprep.disk.accel import Accelerator, Host
from p2vprep.disk.doctor import (
    Item,
    Report,
    examine,
    judge_accelerator,
    judge_binding,
    judge_kernels,
    judge_qemu,
    judge_space,
    judge_supermin,
    judge_tools,
)
from p2vprep.errors import CannotOpenError

KVM = Path("/dev/kvm")


@pytest.mark.parametrize(
    ("item", "state", "says"),
    [
        (judge_accelerator(Accelerator("kvm"), KVM), "ok", ""),
        (judge_accelerator(Accelerator("tcg", True, "asked for"), KVM), "ok", ""),
        (judge_accelerator(Accelerator("tcg", why="QEMU hangs with KVM"), KVM), "warn", "nested"),
        (judge_accelerator(Accelerator("tcg", why="/dev/kvm: Permission denied"), KVM), "warn", "group kvm"),
        (judge_qemu(Path("/usr/bin/qemu")), "ok", ""),
        (judge_qemu(None), "fail", "Install qemu-system"),
        (judge_tools({"qemu-img": "7.2"})[0], "ok", ""),
        (judge_tools({"qemu-img": None})[0], "fail", "Install qemu-utils"),
        (judge_binding("guestfs", True), "ok", ""),
        (judge_binding("hivex", False), "fail", "system-site-packages"),
        (judge_supermin("/usr/bin/supermin", {}), "ok", ""),
        (judge_supermin(None, {"LIBGUESTFS_PATH": "/opt/appliance"}), "ok", ""),
        (judge_supermin(None, {}), "fail", "Install supermin"),
        (judge_kernels([("/boot/vmlinuz-6", True)], {}), "ok", ""),
        (judge_kernels([("/boot/vmlinuz-5", True), ("/boot/vmlinuz-6", False)], {}), "ok", ""),
        (judge_kernels([("/boot/vmlinuz-6", False)], {}), "fail", "chmod 0644"),
        (judge_kernels([("/boot/vmlinuz-6", False)], {"SUPERMIN_KERNEL": "/k"}), "ok", ""),
        (judge_kernels([], {}), "fail", "Install linux-image"),
        (judge_space("/tmp", 3 << 30), "ok", ""),
        (judge_space("/tmp", 1 << 30), "warn", "TMPDIR"),
        (judge_space("/none", None), "fail", "TMPDIR"),
    ],
)
def test_every_judgement(item: Item, state: str, says: str) -> None:
    assert item.state == state
    assert says in item.mend
    assert bool(item.mend) == (state != "ok"), "what is not well can be mended, what is well need not be"


def test_a_report_is_usable_unless_something_fails() -> None:
    ok, warn, fail = Item("a", "ok", ""), Item("b", "warn", "", "m"), Item("c", "fail", "", "m")
    assert Report((ok, warn), "tcg").usable
    assert not Report((ok, fail), "tcg").usable
    document = Report((fail,), "kvm").to_json()
    assert document["schema"] == "p2vprep.doctor/1"
    assert document["items"] == [{"name": "c", "state": "fail", "found": "", "mend": "m"}]


def broken_host(tmp_path: Path) -> Host:
    return Host(None, tmp_path / "kvm", tmp_path / "cache", "boot")


def test_looks_at_a_host_without_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "_importable", lambda _module: False)
    monkeypatch.setattr(doctor, "describe_version", lambda: _raise(CannotOpenError("gone", hint="get it")))
    report = examine(host=broken_host(tmp_path), root=tmp_path, deep=True)
    failed = {item.name for item in report.items if item.state == "fail"}
    assert {"QEMU", "qemu-img", "qemu-nbd", "libguestfs", "python3-guestfs", "appliance kernel"} <= failed
    assert "appliance" not in {item.name for item in report.items}, "it is not even tried"


def test_kvm_demanded_in_vain_is_told_not_raised(tmp_path: Path) -> None:
    report = examine(host=broken_host(tmp_path), wanted="kvm", root=tmp_path)
    assert (report.items[0].name, report.items[0].state) == ("acceleration", "fail")


def test_tools_that_fail_are_told_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2vprep.disk.qemu.versions", lambda: _raise(CannotOpenError("it crashed")))
    assert (
        Item("qemu-img", "fail", "it crashed", judge_tools({"x": None})[0].mend)
        in examine(host=broken_host(tmp_path), root=tmp_path).items
    )


def test_kernels_are_found_in_both_places(tmp_path: Path) -> None:
    for place in ("boot/vmlinuz-6.1", "lib/modules/6.5/vmlinuz"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    found = [Path(name).name for name, _ in doctor._kernels(tmp_path)]
    assert found == ["vmlinuz-6.1", "vmlinuz"]


def test_an_appliance_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "launch", lambda *_a, **_k: _raise(CannotOpenError("no", hint="mend it so")))
    assert doctor._started(Accelerator("tcg"), lambda _event: None) == Item(
        "appliance", "fail", "no", "mend it so"
    )


@pytest.mark.appliance
@pytest.mark.usefixtures("needs_appliance")
def test_this_host_can_do_the_work() -> None:
    report = examine(deep=True)
    assert report.usable, report.to_json()
    assert report.items[-1].name == "appliance"


def _raise(error: Exception) -> object:
    raise error
