"""What this host can do: every tool the work needs, found or not, and how to mend what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from p2vprep.disk import accel, qemu
from p2vprep.disk.accel import Host, Wanted
from p2vprep.disk.appliance import launch
from p2vprep.disk.guestfs_appliance import describe_version
from p2vprep.errors import P2vprepError
from p2vprep.events import Sink, silent, step

State = Literal["ok", "warn", "fail"]

SPACE = 2 << 30
"""Bytes that temporary folders should have free: the appliance takes under 1 GiB, the rest is little."""

_APPLIANCE_CACHE = "/var/tmp"  # noqa: S108 - libguestfs keeps its appliance there unless told otherwise

_PACKAGES = {
    "guestfs": ("python3-guestfs", "the appliance's bindings"),
    "hivex": ("python3-hivex", "the registry editor's bindings"),
    "nbd": ("python3-libnbd", "the disk reader's bindings"),
}


@dataclass(frozen=True)
class Item:
    """One thing that was looked at. ``mend`` is what to do, empty where there is nothing to do."""

    name: str
    state: State
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Report:
    """All that was looked at; ``accelerator`` is what the appliance would run with."""

    items: tuple[Item, ...]
    accelerator: str

    @property
    def usable(self) -> bool:
        """Whether the work can be done on this host."""
        return all(item.state != "fail" for item in self.items)

    def to_json(self) -> dict[str, object]:
        """The report as the ``p2vprep.doctor/1`` document."""
        return {
            "schema": "p2vprep.doctor/1",
            "usable": self.usable,
            "accelerator": self.accelerator,
            "items": [
                {"name": item.name, "state": item.state, "found": item.found, "mend": item.mend}
                for item in self.items
            ],
        }


def examine(
    *,
    deep: bool = False,
    wanted: Wanted = "auto",
    sink: Sink = silent,
    host: Host | None = None,
    root: Path = Path("/"),
) -> Report:
    """Looks at this host. ``deep`` really starts the appliance, which takes some seconds. Never raises."""
    host = host or Host.here()
    acceleration, accelerator = _accelerator(wanted, host)
    items = [acceleration, judge_qemu(host.qemu)]
    items += _tools()
    items += [judge_binding(module, _importable(module)) for module in _PACKAGES]
    items += [_libguestfs(), judge_supermin(shutil.which("supermin"), os.environ)]
    items += [judge_kernels(_kernels(root), os.environ), *_spaces()]
    if deep and all(item.state != "fail" for item in items):
        items.append(_started(accelerator, sink))
    return Report(tuple(items), accelerator.name)


def _accelerator(wanted: Wanted, host: Host) -> tuple[Item, accel.Accelerator]:
    try:
        chosen = accel.choose(wanted, host=host)
    except P2vprepError as problem:
        return Item("acceleration", "fail", problem.message, problem.hint or ""), accel.TCG
    return judge_accelerator(chosen, host.device), chosen


def judge_accelerator(chosen: accel.Accelerator, device: Path) -> Item:
    """KVM is well, emulation works and is slower."""
    if chosen.name == "kvm":
        return Item("acceleration", "ok", "KVM")
    if chosen.demanded:
        return Item("acceleration", "ok", "emulation (TCG), as asked for")
    mend = f"For speed, make {device} usable: load kvm_intel or kvm_amd, or allow nested virtualisation."
    if "ermission" in chosen.why:
        mend = f"For speed, let this user open {device}: add it to the group kvm, and log in again."
    return Item("acceleration", "warn", f"emulation (TCG): {chosen.why}", mend)


def judge_qemu(found: Path | None) -> Item:
    """The machine emulator that the appliance runs in."""
    if found is None:
        return Item("QEMU", "fail", "not installed", _install("qemu-system-x86", "qemu-kvm"))
    return Item("QEMU", "ok", str(found))


def _tools() -> list[Item]:
    try:
        return judge_tools(qemu.versions())
    except P2vprepError as problem:
        return [Item("qemu-img", "fail", problem.message, problem.hint or _install("qemu-utils", "qemu-img"))]


def judge_tools(versions: Mapping[str, str | None]) -> list[Item]:
    """qemu-img and qemu-nbd, by their versions; None where they are missing."""
    mend = _install("qemu-utils", "qemu-img")
    return [
        Item(tool, "ok", version) if version else Item(tool, "fail", "not installed", mend)
        for tool, version in versions.items()
    ]


def judge_binding(module: str, importable: bool) -> Item:
    """A Python binding from the distribution, seen by this Python or not."""
    package, what = _PACKAGES[module]
    if importable:
        return Item(package, "ok", what)
    see = "and let the virtual environment see it (python3 -m venv --system-site-packages)."
    return Item(
        package, "fail", f"{what}: not seen by {platform.python_version()}", f"{_install(package)} {see}"
    )


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _libguestfs() -> Item:
    try:
        return Item("libguestfs", "ok", describe_version())
    except P2vprepError as problem:
        return Item("libguestfs", "fail", problem.message, problem.hint or "")


def judge_supermin(found: str | None, environment: Mapping[str, str]) -> Item:
    """What builds the appliance from the host's packages, unless a ready one is named."""
    ready = environment.get("LIBGUESTFS_PATH")
    if found or ready:
        return Item("appliance builder", "ok", found or f"ready appliance: {ready}")
    return Item("appliance builder", "fail", "supermin is not installed", _install("supermin"))


def _kernels(root: Path) -> list[tuple[str, bool]]:
    """The kernels that supermin would look at, each with whether this user may read it."""
    found = [*sorted(root.glob("boot/vmlinuz*")), *sorted(root.glob("lib/modules/*/vmlinuz"))]
    return [(str(kernel), os.access(kernel, os.R_OK)) for kernel in found]


def judge_kernels(kernels: Sequence[tuple[str, bool]], environment: Mapping[str, str]) -> Item:
    """A kernel for the appliance. Ubuntu lets only root read /boot/vmlinuz*, so users cannot build it."""
    name = "appliance kernel"
    if environment.get("SUPERMIN_KERNEL") or environment.get("LIBGUESTFS_PATH"):
        return Item(name, "ok", "named by the environment")
    readable = [kernel for kernel, may in kernels if may]
    if readable:
        return Item(name, "ok", readable[-1])
    if kernels:
        keep = "dpkg-statoverride --update --add root root 0644 /boot/vmlinuz-VERSION"
        mend = f"Let users read it: sudo chmod 0644 /boot/vmlinuz-*; so that it stays: sudo {keep}."
        return Item(name, "fail", f"{kernels[-1][0]} can be read by root only", mend)
    return Item(
        name,
        "fail",
        "there is no kernel in /boot",
        _install("linux-image-amd64 or linux-image-generic", "kernel-core"),
    )


def _spaces() -> list[Item]:
    cache = os.environ.get("LIBGUESTFS_CACHEDIR") or os.environ.get("TMPDIR") or _APPLIANCE_CACHE
    return [judge_space(folder, _free(folder)) for folder in sorted({tempfile.gettempdir(), cache})]


def _free(folder: str) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def judge_space(folder: str, free: int | None) -> Item:
    """Room for the appliance and for working copies."""
    name = f"space in {folder}"
    if free is None:
        return Item(name, "fail", "the folder is not there", "Set TMPDIR to a folder that can be written.")
    shown = f"{free / (1 << 30):.1f} GiB free"
    if free < SPACE:
        return Item(
            name, "warn", shown, f"Free some space there, or set TMPDIR: {SPACE >> 30} GiB are wanted."
        )
    return Item(name, "ok", shown)


def _started(accelerator: accel.Accelerator, sink: Sink) -> Item:
    """Whether the appliance really starts, and how long that takes."""
    name = "appliance"
    began = time.monotonic()
    try:
        with (
            step(sink, "Starting the appliance"),
            launch([], read_only=True, accelerator=accelerator, sink=sink),
        ):
            took = time.monotonic() - began
    except P2vprepError as problem:
        mend = problem.hint or "Run libguestfs-test-tool for its whole story."
        return Item(name, "fail", problem.message, mend)
    return Item(name, "ok", f"starts in {took:.1f} s")


def _install(debian: str, fedora: str | None = None) -> str:
    return f"Install {debian} (Debian, Ubuntu) or {fedora or debian} (Fedora)."
