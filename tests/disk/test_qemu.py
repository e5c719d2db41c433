"""qemu-img and qemu-nbd: every format written, read and committed to, and every way they can fail."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from p2vprep.disk import image, nbd, qemu
from p2vprep.disk.image import Image
from p2vprep.disk.signals import STOP_SIGNALS, interruptible
from p2vprep.errors import CannotOpenError, FailedError, Interrupted, P2vprepError, RefusedError
from tests.disk.containers import builders
from tests.disk.strange_names import STRANGE_NAMES
from tests.support import corpus

MIB = 1 << 20
SIZE = 6 * MIB + 512 * 7  # no whole number of clusters, blocks or cylinders

VARIANTS = {
    "raw": ("raw", ""),
    "qcow2 v2": ("qcow2", "compat=0.10"),
    "qcow2 v3": ("qcow2", "compat=1.1,lazy_refcounts=on"),
    "qcow2 extended": ("qcow2", "extended_l2=on"),
    "vhd dynamic": ("vpc", "subformat=dynamic,force_size=on"),
    "vhd fixed": ("vpc", "subformat=fixed,force_size=on"),
    "vhdx dynamic": ("vhdx", "subformat=dynamic"),
    "vhdx fixed": ("vhdx", "subformat=fixed"),
    "vmdk sparse": ("vmdk", "subformat=monolithicSparse"),
    "vmdk flat": ("vmdk", "subformat=monolithicFlat"),
    "vmdk split sparse": ("vmdk", "subformat=twoGbMaxExtentSparse"),
    "vmdk split flat": ("vmdk", "subformat=twoGbMaxExtentFlat"),
}
SUFFIXES = {"raw": ".raw", "qcow2": ".qcow2", "vpc": ".vhd", "vhdx": ".vhdx", "vmdk": ".vmdk"}


@pytest.fixture
def raw(tmp_path: Path) -> Image:
    path = tmp_path / "source.raw"
    content = bytearray(SIZE)
    content[510:512] = b"\x55\xaa"
    content[3 * MIB : 3 * MIB + 9] = b"somewhere"
    content[-512:] = b"e" * 512
    path.write_bytes(bytes(content))
    return image.probe(path)


def make(source: Image, path: Path, driver: str, options: str) -> Image:
    chosen = ["-o", options] if options else []
    command = ["qemu-img", "convert", "-f", "raw", "-O", driver, *chosen, "--", str(source.path), str(path)]
    subprocess.run(command, check=True)
    return image.probe(path)


def content_of(target: qemu.Target) -> bytes:
    with nbd.connect(target, read_only=True) as disk:
        return disk.pread(0, disk.size)


def caught_of(function: Callable[[], object]) -> P2vprepError:
    with pytest.raises(P2vprepError) as caught:
        function()
    return caught.value


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_format_is_read_overlaid_and_committed_to(raw: Image, tmp_path: Path, variant: str) -> None:
    driver, options = VARIANTS[variant]
    disk = make(raw, tmp_path / f"disk{SUFFIXES[driver]}", driver, options)
    assert (disk.format, disk.virtual_size, disk.writable) == (driver, SIZE, None)
    assert qemu.info(disk)["virtual-size"] == SIZE
    before = raw.path.read_bytes()
    assert content_of(disk) == before
    files = {file: hashlib.sha256(file.read_bytes()).digest() for file in disk.files}

    overlay = qemu.create_overlay(disk, tmp_path / "overlay.qcow2")
    with nbd.connect(overlay, read_only=False) as opened:
        opened.pwrite(MIB, b"new" * 100)
        opened.pwrite(SIZE - 512, b"last sector".ljust(512))
        opened.flush()
    assert {file: hashlib.sha256(file.read_bytes()).digest() for file in disk.files} == files

    expected = bytearray(before)
    expected[MIB : MIB + 300] = b"new" * 100
    expected[SIZE - 512 :] = b"last sector".ljust(512)
    assert content_of(overlay) == expected
    for _ in range(2):
        qemu.commit(overlay)
        assert content_of(image.probe(disk.path)) == expected
    with nbd.connect(disk, read_only=False) as opened:
        opened.pwrite(0, before[:512])
        opened.pwrite(MIB, bytes(300))
        opened.pwrite(SIZE - 512, b"e" * 512)
        opened.flush()
    assert content_of(image.probe(disk.path)) == before


def test_large_split_disks_have_several_extents(tmp_path: Path) -> None:
    for kind in ("twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        path = tmp_path / f"{kind}.vmdk"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={kind}", path, "5G"], check=True
        )
        disk = image.probe(path)
        assert len(disk.files) == 4
        overlay = qemu.create_overlay(disk, tmp_path / f"{kind}.qcow2")
        with nbd.connect(overlay, read_only=False) as opened:
            opened.pwrite((4 << 30) + 5, b"third extent")
            opened.flush()
        qemu.commit(overlay)
        with nbd.connect(disk, read_only=True) as opened:
            assert opened.pread((4 << 30) + 5, 12) == b"third extent"


def test_qemu_opens_only_files_of_the_image(raw: Image, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    disk = make(raw, folder / "disk.vmdk", "vmdk", "subformat=twoGbMaxExtentFlat")
    with nbd.connect(disk, read_only=True) as opened:
        links = Path(f"/proc/{opened._server.process.pid}/fd").iterdir()
        targets = {link.readlink() for link in links}
    opened_files = {target for target in targets if target.is_relative_to(tmp_path)}
    assert opened_files == set(disk.files)


def test_a_stream_optimised_disk_can_be_read_and_converted_but_not_committed_to(
    raw: Image, tmp_path: Path
) -> None:
    disk = make(raw, tmp_path / "disk.vmdk", "vmdk", "subformat=streamOptimized")
    assert disk.writable is not None
    assert content_of(disk) == raw.path.read_bytes()
    overlay = qemu.create_overlay(disk, tmp_path / "overlay.qcow2")
    with nbd.connect(overlay, read_only=False) as opened:
        opened.pwrite(0, b"changed")
        opened.flush()
    assert caught_of(lambda: qemu.commit(overlay)).code == "image-format-read-only"
    new = qemu.convert(overlay, tmp_path / "new.vhdx", "vhdx")
    assert content_of(new)[:7] == b"changed"
    assert content_of(disk) == raw.path.read_bytes()


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("creator", [b"vpc ", b"qemu", b"win ", b"????"])
def test_the_last_sectors_of_a_vhd_exist_whatever_its_geometry(
    tmp_path: Path, creator: bytes, cut: int
) -> None:
    # The geometry in this footer stands for half a megabyte, which QEMU believes of "vpc ".
    data = bytes(MIB - 512) + b"\x55" * 512 + builders.vhd_footer(MIB, 2, creator=creator)
    path = tmp_path / "disk.vhd"
    path.write_bytes(data[: len(data) - cut])
    disk = image.probe(path)
    overlay = qemu.create_overlay(disk, tmp_path / "overlay.qcow2")
    assert content_of(overlay) == data[:MIB]
    with nbd.connect(overlay, read_only=False) as opened:
        opened.pwrite(MIB - 512, b"\xaa" * 512)
        opened.flush()
    qemu.commit(overlay)
    assert path.read_bytes() == data[: MIB - 512] + b"\xaa" * 512 + data[MIB : len(data) - cut]


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_strange_names_are_just_names(raw: Image, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for driver, options in (("vpc", "subformat=fixed,force_size=on"), ("vmdk", "subformat=monolithicFlat")):
        plain = make(raw, tmp_path / f"plain{SUFFIXES[driver]}", driver, options)
        for file in plain.files[1:]:
            file.rename(folder / file.name)
        plain.path.rename(folder / f"{name}{SUFFIXES[driver]}")
        disk = image.probe(folder / f"{name}{SUFFIXES[driver]}")
        overlay = qemu.create_overlay(disk, folder / f"{name} overlay")
        with nbd.connect(overlay, read_only=False) as opened:
            opened.pwrite(0, b"named")
            opened.flush()
        qemu.commit(overlay)
        assert content_of(disk)[:5] == b"named"
        new = qemu.convert(overlay, folder / f"{name}.qcow2", "qcow2")
        assert content_of(new)[:5] == b"named"
        new.path.unlink()
        overlay.path.unlink()


def test_an_overlay_finds_its_image_after_both_have_moved(raw: Image, tmp_path: Path) -> None:
    overlay = qemu.create_overlay(raw, tmp_path / "overlay.qcow2")
    with nbd.connect(overlay, read_only=False) as opened:
        opened.pwrite(0, b"moved")
        opened.flush()
    new = tmp_path / "elsewhere"
    new.mkdir()
    raw.path.rename(new / "disk.raw")
    overlay.path.rename(new / "overlay.qcow2")
    moved = qemu.Overlay(new / "overlay.qcow2", image.probe(new / "disk.raw"))
    assert content_of(moved)[:5] == b"moved"
    qemu.commit(moved)
    assert (new / "disk.raw").read_bytes()[:5] == b"moved"


@pytest.mark.parametrize("output_format", qemu.OUTPUT_FORMATS)
def test_every_output_format_holds_the_same_disk(raw: Image, tmp_path: Path, output_format: str) -> None:
    percents: list[float] = []
    target = tmp_path / "new"
    new = qemu.convert(raw, target, output_format, percents.append)
    assert new.virtual_size == SIZE
    assert new.format == qemu.OUTPUT_FORMATS[output_format][0]
    assert content_of(new) == raw.path.read_bytes()
    assert percents[-1] == 100
    assert percents == sorted(percents)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "source.raw"]


def test_nothing_is_overwritten(raw: Image, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"precious")
    (tmp_path / "link").symlink_to("taken")
    for path in (taken, tmp_path / "link"):
        assert caught_of(lambda path=path: qemu.convert(raw, path, "raw")).code == "output-exists"  # type: ignore[misc]
        assert caught_of(lambda path=path: qemu.create_overlay(raw, path)).code == "output-exists"  # type: ignore[misc]
    assert taken.read_bytes() == b"precious"


@pytest.mark.corpus
def test_replaying_a_dirty_log_makes_the_disk_readable(tmp_path: Path) -> None:
    path = corpus.unpack_disk("vhdx-dirty-log-10G.vhdx", tmp_path)
    dirty = image.probe(path, {"vhdx-dirty-log"})
    before = hashlib.sha256(path.read_bytes()).digest()
    assert "log" in caught_of(lambda: qemu.info(dirty)).message
    assert hashlib.sha256(path.read_bytes()).digest() == before
    qemu.replay_log(dirty)
    clean = image.probe(path)
    assert not clean.dirty_log
    assert qemu.info(clean)["virtual-size"] == clean.virtual_size == 10 << 30


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", ["vhd-dynamic-hyperv2012r2.vhd", "vhdx-dynamic-win10-empty.vhdx", "vmdk-v3-streamopt-vmware.vmdk",
             "vhd-fixed-win10-ntfs.vhd", "vhdx-server2022-gpt-ntfs.vhdx"],
)  # fmt: skip
def test_real_disks_keep_their_content_through_an_overlay(tmp_path: Path, name: str) -> None:
    disk = image.probe(corpus.unpack_disk(name, tmp_path))
    assert qemu.info(disk)["virtual-size"] == disk.virtual_size
    with nbd.connect(disk, read_only=True) as opened:
        before = opened.fingerprint()
    overlay = qemu.create_overlay(disk, tmp_path / "overlay.qcow2")
    with nbd.connect(overlay, read_only=False) as opened:
        assert opened.fingerprint() == before
        opened.pwrite(disk.virtual_size - 512, b"x" * 512)
        opened.flush()
        assert opened.fingerprint() != before
    with nbd.connect(disk, read_only=True) as opened:
        assert opened.fingerprint() == before


# --- failures ------------------------------------------------------------------------------------


def fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """A search path that holds the limiting tools and these shell scripts only."""
    folder.mkdir()
    for tool in ("setpriv", "prlimit"):
        (folder / tool).symlink_to(shutil.which(tool) or "/missing")
    for name, script in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("script", "kind", "code", "words"),
    [
        (
            "echo one >&2; echo 'qemu-img: last words' >&2; exit 1",
            CannotOpenError,
            "qemu-failed",
            "last words",
        ),
        ("exit 3", CannotOpenError, "qemu-failed", "status 3"),
        ("kill -SEGV $$", CannotOpenError, "qemu-failed", "SIGSEGV"),
        (
            "echo 'Failed to get lock. Is another process using the image?' >&2; exit 1",
            RefusedError,
            "image-in-use",
            "lock",
        ),
        ("echo 'write failed: No space left on device' >&2; exit 1", FailedError, "no-space", "No space"),
    ],
)
def test_failures_are_typed_and_carry_the_last_words(
    raw: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    script: str, kind: type[P2vprepError], code: str, words: str,
) -> None:  # fmt: skip
    fake_tools(tmp_path / "bin", monkeypatch, qemu_img=script)
    error = caught_of(lambda: qemu.info(raw))
    assert type(error) is kind
    assert error.code == code
    assert words in error.message
    assert error.hint
    assert error.subject == str(raw.path)


def test_a_failed_commit_or_conversion_is_a_failed_error(
    raw: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = qemu.create_overlay(raw, tmp_path / "overlay.qcow2")
    script = 'for last; do :; done; echo rubbish > "$last"; exit 1'
    fake_tools(tmp_path / "bin", monkeypatch, qemu_img=script)
    assert isinstance(caught_of(lambda: qemu.commit(overlay)), FailedError)
    assert isinstance(caught_of(lambda: qemu.replay_log(raw)), FailedError)
    assert isinstance(caught_of(lambda: qemu.convert(raw, tmp_path / "new", "qcow2")), FailedError)
    leftovers = {path.name for path in tmp_path.iterdir()}
    assert leftovers == {"source.raw", "overlay.qcow2", "bin"}


def test_a_failed_overlay_leaves_no_file(raw: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "overlay.qcow2"
    assert isinstance(
        caught_of(lambda: qemu.create_overlay(raw, tmp_path / "no" / "folder")), CannotOpenError
    )
    fake_tools(tmp_path / "bin", monkeypatch, qemu_img=f"echo half > {path}; exit 1")
    assert caught_of(lambda: qemu.create_overlay(raw, path)).code == "qemu-failed"
    assert not path.exists()


def test_a_tool_that_hangs_is_stopped(raw: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "survived"
    fake_tools(tmp_path / "bin", monkeypatch, qemu_img=f"/bin/sleep 5; echo > {marker}")
    error = caught_of(
        lambda: qemu._run(["qemu-img", "info"], subject=raw.path, timeout=0.2, failure=CannotOpenError)
    )
    assert error.code == "qemu-timeout"
    closed = "exec >&-; /bin/sleep 5"
    (tmp_path / "bin" / "qemu-img").write_text(f"#!/bin/sh\n{closed}\n")
    monkeypatch.setattr(qemu, "_STOP_GRACE", 0.2)
    assert caught_of(lambda: qemu.info(raw)).code == "qemu-timeout"
    assert not marker.exists()


def test_missing_tools_are_named_with_their_package(
    raw: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "bin", monkeypatch)
    assert qemu.versions() == {"qemu-img": None, "qemu-nbd": None}
    error = caught_of(lambda: qemu.info(raw))
    assert isinstance(error, CannotOpenError)
    assert (error.code, error.subject) == ("tool-missing", "qemu-img")
    assert "qemu-utils" in str(error.hint)

    def connect() -> None:
        with nbd.connect(raw, read_only=True):
            pass

    assert caught_of(connect).subject == "qemu-nbd"


def test_versions_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = qemu.versions()
    assert versions["qemu-img"] is not None
    assert int(versions["qemu-img"].split(".")[0]) >= 4
    fake_tools(tmp_path / "bin", monkeypatch, qemu_img="echo new", qemu_nbd="exit 1")
    assert qemu._version("qemu-img") == "unknown"
    assert caught_of(qemu.versions).code == "qemu-failed"


def test_the_tools_run_under_limits_and_without_our_environment(
    raw: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2VPREP_SECRET", "secret")
    monkeypatch.setenv("LD_PRELOAD_NOT", "x")
    with nbd.connect(raw, read_only=True) as opened:
        process = Path(f"/proc/{opened._server.process.pid}")
        limits = {
            line[:25].strip(): line[25:].split()[0] for line in (process / "limits").read_text().splitlines()
        }
        environment = (process / "environ").read_bytes().split(b"\0")
    assert int(limits["Max address space"]) == 4 << 30
    assert limits["Max core file size"] == "0"
    names = {entry.split(b"=")[0] for entry in environment if entry}
    assert names <= {
        b"PATH",
        b"LC_ALL",
        b"HOME",
        b"TMPDIR",
        b"PWD",
        b"LISTEN_FDS",
        b"LISTEN_PID",
        b"_",
        b"OLDPWD",
        b"SHLVL",
    }


def test_the_server_dies_with_us(raw: Image, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from p2vprep.disk import image, nbd\n"
        "with nbd.connect(image.probe(sys.argv[1]), read_only=False) as disk:\n"
        "    print(disk._server.process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(raw.path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
    )
    with child:
        assert child.stdout is not None
        server = Path("/proc", child.stdout.readline().decode().strip())
        assert server.exists()
        child.kill()
        child.wait()
        for _ in range(100):
            state = server / "stat"
            if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
            os.sched_yield()
            subprocess.run(["/bin/sleep", "0.05"], check=True)
    pytest.fail("the server outlived us")


def test_qemu_seeing_another_size_than_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(MIB))
    disk = image.probe(path)
    path.write_bytes(bytes(2 * MIB))

    def connect() -> None:
        with nbd.connect(disk, read_only=True):
            pass

    error = caught_of(connect)
    assert isinstance(error, CannotOpenError)
    assert "header says" in error.message


def test_an_image_that_qemu_cannot_open_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(builders.qcow2(l1=(0x8000000000000200 | 0x10000,)))
    disk = image.probe(path)
    path.write_bytes(b"no qcow2 any more")
    assert caught_of(lambda: qemu.info(disk)).code == "qemu-failed"


def test_the_overlay_is_durable_when_it_is_returned(
    raw: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    overlay = qemu.create_overlay(raw, tmp_path / "overlay.qcow2")
    assert synced == [str(overlay.path), str(tmp_path)]
    synced.clear()
    qemu.commit(overlay)
    assert synced == [str(raw.path), str(tmp_path)]


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[[signal.Signals], list[subprocess.Popen[bytes]]]:
    """Lets a signal come in the moment when a tool has been started and nobody holds it yet."""
    start, begun = qemu._start, list[subprocess.Popen[bytes]]()

    def prepare(number: signal.Signals) -> list[subprocess.Popen[bytes]]:
        def starting(command: list[str], **streams: int) -> subprocess.Popen[bytes]:
            begun.append(start(command, **streams))
            signal.raise_signal(number)
            return begun[-1]

        monkeypatch.setattr(qemu, "_start", starting)
        return begun

    return prepare


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_while_a_tool_is_started_leaves_no_tool_behind(
    signalled: Callable[[signal.Signals], list[subprocess.Popen[bytes]]],
    number: signal.Signals,
    tmp_path: Path,
) -> None:
    begun = signalled(number)
    new = tmp_path / "new.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", str(new), "1M"]
    with interruptible(), pytest.raises(Interrupted):
        qemu._run(command, subject=new, timeout=20, failure=FailedError)
    assert [process.poll() is not None for process in begun] == [True]


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_while_a_server_is_started_leaves_no_server_behind(
    signalled: Callable[[signal.Signals], list[subprocess.Popen[bytes]]],
    number: signal.Signals,
    tmp_path: Path,
) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(MIB))
    begun = signalled(number)
    with interruptible(), pytest.raises(Interrupted), qemu.serve(image.probe(raw), read_only=True):
        raise AssertionError("served although the signal had come")
    assert [process.poll() is not None for process in begun] == [True]
