"""Which images are opened, as what, and which are refused before anything else happens."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2vprep.disk import image
from p2vprep.errors import CannotOpenError, P2vprepError, RefusedError
from tests.disk.containers import builders
from tests.disk.containers.builders import MIB, descriptor, vmdk_sparse
from tests.disk.strange_names import STRANGE_NAMES
from tests.support import corpus

MBR = bytes(510) + b"\x55\xaa" + bytes(MIB - 512)
FLAT = b'RW 2048 FLAT "disk-flat.vmdk" 0'


@contextmanager
def watched() -> Iterator[list[str]]:
    """Every file that this process opens and every program that it starts, from now on."""
    seen: list[str] = []
    active = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event in ("open", "subprocess.Popen", "os.posix_spawn", "os.exec"):
            seen.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "?")

    sys.addaudithook(hook)
    yield seen
    active = False


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refusal(path: Path, allow: frozenset[str] = frozenset()) -> P2vprepError:
    with pytest.raises((RefusedError, CannotOpenError)) as caught:
        image.probe(path, allow)
    error = caught.value
    assert error.hint
    assert error.subject
    assert error.changed == "Nothing was changed."
    return error


def outcome(path: Path) -> image.Image | P2vprepError:
    """The image, or the typed error; any other exception fails the test."""
    try:
        return image.probe(path)
    except (RefusedError, CannotOpenError) as error:
        return error


# --- what is what --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "driver", "size"),
    [
        ("disk.raw", MBR, "raw", MIB),
        ("disk.img", bytes(MIB), "raw", MIB),
        ("disk", MBR, "raw", MIB),
        ("disk.vhd", MBR + builders.vhd_footer(MIB, 2), "vpc", MIB),
        ("disk", MBR + builders.vhd_footer(MIB, 2), "vpc", MIB),
        ("disk.vhd", builders.vhd_dynamic(), "vpc", 8 * MIB),
        ("disk.VHDX", builders.vhdx(), "vhdx", 8 * MIB),
        ("disk.qcow2", builders.qcow2(), "qcow2", 8 * MIB),
        ("cloud.img", builders.qcow2(), "qcow2", 8 * MIB),
        ("disk.vmdk", vmdk_sparse(), "vmdk", 8 * MIB),
    ],
)
def test_the_content_decides_the_format(
    tmp_path: Path, name: str, data: bytes, driver: str, size: int
) -> None:
    found = image.probe(write(tmp_path / name, data))
    assert (found.format, found.virtual_size) == (driver, size)
    assert found.files == (found.path,) == (tmp_path / name,)
    assert found.writable is None
    assert found.lifted == ()
    assert found.description["file_size"] == len(data)
    json.dumps(found.description)


def test_a_split_vmdk_lists_all_its_files(tmp_path: Path) -> None:
    extents = (b'RW 2048 FLAT "a b.vmdk" 0', b'RW 2048 FLAT "c.vmdk" 1')
    path = write(tmp_path / "d.vmdk", descriptor(*extents, kind=b"twoGbMaxExtentFlat"))
    write(tmp_path / "a b.vmdk", MBR)
    write(tmp_path / "c.vmdk", bytes(512) + bytes(MIB))
    found = image.probe(path)
    assert found.files == (path, tmp_path / "a b.vmdk", tmp_path / "c.vmdk")
    assert found.virtual_size == 2 * MIB


def test_a_split_sparse_vmdk(tmp_path: Path) -> None:
    path = write(tmp_path / "d.vmdk", descriptor(b'RW 16384 SPARSE "s"', kind=b"twoGbMaxExtentSparse"))
    write(tmp_path / "s", vmdk_sparse(with_descriptor=False))
    assert image.probe(path).files == (path, tmp_path / "s")
    write(tmp_path / "s", vmdk_sparse(with_descriptor=False, capacity=100))
    assert refusal(path).code == "image-damaged"


def test_links_to_the_image_are_followed_and_the_target_is_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = write(tmp_path / "real" / "d.vmdk", descriptor(FLAT))
    write(tmp_path / "real" / "disk-flat.vmdk", MBR)
    (tmp_path / "link.vmdk").symlink_to(real)
    assert image.probe(tmp_path / "link.vmdk").files == (real, real.with_name("disk-flat.vmdk"))


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_strange_names_are_just_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / name, MBR)
    monkeypatch.chdir(tmp_path)
    for spelling in (path, str(path), name):
        found = image.probe(spelling)
        assert found.path == path
    assert image.shown(path).isprintable()
    refused = refusal(write(tmp_path / f"{name}.vhdx", b"x" * 600))
    assert refused.subject is not None
    assert refused.subject.isprintable()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("disk.img", b"", "image-empty"),
        ("disk.vhd", MBR, "image-truncated"),
        ("disk.vhdx", MBR, "image-truncated"),
        ("disk.qcow2", MBR, "image-truncated"),
        ("disk-flat.vmdk", MBR, "image-is-extent"),
        ("disk.vhd", builders.vhd_dynamic(kind=4), "image-is-delta"),
        ("disk.avhdx", builders.vhdx(has_parent=True), "image-is-delta"),
        ("disk.vdi", bytes(64) + b"\x7f\x10\xda\xbe" + bytes(512), "image-format-unsupported"),
        ("disk.img", b"LUKS\xba\xbe" + bytes(600), "image-format-unsupported"),
        ("disk.ova", bytes(257) + b"ustar" + bytes(600), "image-format-unsupported"),
        ("disk.qcow2", builders.qcow2(backing=b"/etc/shadow"), "image-has-backing-file"),
        ("disk.raw", builders.qcow2(backing=b"/etc/shadow"), "image-has-backing-file"),
        ("disk.img", MBR + builders.vhd_footer(MIB, 2)[:-1] + b"x", "image-damaged"),
    ],
)
def test_unsafe_content_is_refused(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    path = write(tmp_path / name, data)
    error = refusal(path)
    assert error.code == code
    assert error.subject == str(path)


@pytest.mark.parametrize(
    ("name", "data", "code", "driver"),
    [
        ("disk", bytes(MIB), "image-format-unknown", "raw"),
        ("disk.bin", b"some text", "image-format-unknown", "raw"),
        ("disk.raw", builders.qcow2(), "image-format-mismatch", "qcow2"),
        ("disk.dd", builders.vhdx(), "image-format-mismatch", "vhdx"),
        ("disk.raw", MBR + builders.vhd_footer(MIB, 2), "image-format-mismatch", "vpc"),
        ("disk.raw", vmdk_sparse(), "image-format-mismatch", "vmdk"),
        ("disk.qcow2", builders.qcow2(snapshots=1), "image-has-snapshots", "qcow2"),
        ("disk.vhdx", builders.vhdx(log_guid=bytes(range(16))), "vhdx-dirty-log", "vhdx"),
    ],
)
def test_some_refusals_can_be_lifted_by_name(
    tmp_path: Path, name: str, data: bytes, code: str, driver: str
) -> None:
    path = write(tmp_path / name, data)
    error = refusal(path, frozenset({"something-else"}))
    assert isinstance(error, RefusedError)
    assert error.liftable
    assert error.code == code
    found = image.probe(path, {code})
    assert found.format == driver
    assert found.lifted == (code,)
    assert found.dirty_log == (code == "vhdx-dirty-log")


def test_two_refusals_have_to_be_lifted_one_by_one(tmp_path: Path) -> None:
    path = write(tmp_path / "disk.raw", builders.qcow2(snapshots=1))
    codes = {"image-format-mismatch", "image-has-snapshots"}
    for code in codes:
        assert refusal(path, frozenset({code})).code == (codes - {code}).pop()
    assert set(image.probe(path, codes).lifted) == codes


def test_what_is_no_image_file_is_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert refusal(tmp_path / "folder").code == "image-not-a-file"
    assert refusal(tmp_path / "pipe").code == "image-not-a-file"
    assert refusal(tmp_path / "loop").code == "image-not-a-file"
    assert refusal(Path("/dev/zero")).code == "image-not-a-file"
    assert refusal(tmp_path / "dangling").code == "image-missing"
    assert refusal(tmp_path / "missing").code == "image-missing"
    assert refusal(tmp_path / ("x" * 300)).code == "image-unreadable"
    assert refusal(Path("nul\0byte")).code == "image-unreadable"


def test_sockets_and_block_devices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal(Path("socket")).code == "image-not-a-file"
    devices = [path for path in Path("/dev").glob("[lsv]*") if path.is_block_device()]
    for device in devices[:1]:
        assert refusal(device).code == "image-is-device"
    with pytest.raises(RefusedError) as caught:
        image._require_regular(Path("/dev/sda"), 0o060660)
    assert caught.value.code == "image-is-device"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "disk.img", MBR)
    path.chmod(0)
    assert refusal(path).code == "image-unreadable"


def test_a_read_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    path = write(tmp_path / "disk.img", MBR)
    monkeypatch.setattr(os, "pread", fail)
    error = refusal(path)
    assert error.code == "image-unreadable"
    assert "Input/output error" in error.message


# --- nothing else is opened because an image said so -----------------------------------------------


def hostile(tmp_path: Path) -> dict[str, bytes]:
    secret = os.fsencode(tmp_path / "outside" / "secret")
    relative = b"../outside/secret"
    return {
        "absolute.vmdk": descriptor(b'RW 2048 FLAT "%s" 0' % secret),
        "relative.vmdk": descriptor(b'RW 2048 FLAT "%s" 0' % relative),
        "sparse.vmdk": descriptor(b'RW 2048 SPARSE "%s"' % secret, kind=b"twoGbMaxExtentSparse"),
        "vmfs.vmdk": descriptor(b'RW 2048 VMFS "%s"' % secret, kind=b"vmfs"),
        "link.vmdk": descriptor(b'RW 2048 FLAT "link-out" 0'),
        "folder-link.vmdk": descriptor(b'RW 2048 FLAT "folder-out/secret" 0'),
        "device.vmdk": descriptor(b'RW 2048 FLAT "/dev/zero" 0', kind=b"fullDevice"),
        "parent.vmdk": descriptor(FLAT, parent=b"1", more=b'parentFileNameHint="%s"\n' % secret),
        "hint.vmdk": descriptor(FLAT, more=b'parentFileNameHint="%s"\n' % secret),
        "inner.vmdk": vmdk_sparse(capacity=0, text=descriptor(b'RW 2048 FLAT "%s" 0' % secret)),
        "backing.qcow2": builders.qcow2(backing=secret),
        "backing-v2.qcow2": builders.qcow2(version=2, backing=secret),
        "json.qcow2": builders.qcow2(backing=b'json:{"driver":"file","filename":"%s"}' % secret),
        "data.qcow2": builders.qcow2(features=4, extensions=((0x44415441, secret),)),
        "backing.raw": builders.qcow2(backing=secret),
        "backing.img": builders.qcow2(backing=secret),
    }


def test_files_that_an_image_names_elsewhere_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    secret = tmp_path / "outside" / "secret"
    os.mkfifo(secret)
    (tmp_path / "in" / "link-out").symlink_to(secret)
    (tmp_path / "in" / "folder-out").symlink_to(secret.parent)
    write(tmp_path / "in" / "disk-flat.vmdk", MBR)
    everything = frozenset({"image-format-mismatch", "image-format-unknown", "image-has-snapshots"})
    for name, data in hostile(tmp_path).items():
        path = write(tmp_path / "in" / name, data)
        with watched() as seen:
            error = refusal(path, everything)
        assert isinstance(error, RefusedError) or name == "inner.vmdk", name
        assert seen, name
        assert {Path(each).parent for each in seen} == {tmp_path / "in"}, name


def test_extents_have_to_be_whole_plain_files(tmp_path: Path) -> None:
    path = write(tmp_path / "d.vmdk", descriptor(FLAT))
    extent = tmp_path / "disk-flat.vmdk"
    assert refusal(path).code == "vmdk-extent-missing"
    write(extent, MBR[:-1])
    assert refusal(path).code == "image-truncated"
    for data in (builders.qcow2(), builders.vhdx(), vmdk_sparse()):
        write(extent, data.ljust(MIB, b"\0"))
        assert refusal(path).code == "image-format-mismatch"
    extent.unlink()
    extent.mkdir()
    assert refusal(path).code == "image-not-a-file"
    extent.rmdir()
    os.mkfifo(extent)
    assert refusal(path).code == "image-not-a-file"
    extent.unlink()
    write(tmp_path / "other", MBR)
    extent.symlink_to("other")
    assert image.probe(path).files == (path, tmp_path / "other")


def test_two_names_of_one_extent_are_refused(tmp_path: Path) -> None:
    text = descriptor(FLAT, b'RW 2048 FLAT "other" 0', kind=b"twoGbMaxExtentFlat")
    path = write(tmp_path / "d.vmdk", text)
    write(tmp_path / "other", MBR)
    (tmp_path / "disk-flat.vmdk").symlink_to("other")
    assert refusal(path).code == "image-damaged"
    (tmp_path / "disk-flat.vmdk").unlink()
    (tmp_path / "disk-flat.vmdk").hardlink_to(tmp_path / "other")
    assert refusal(path).code == "image-damaged"


# --- how QEMU is told --------------------------------------------------------------------------------


def test_qemu_is_told_driver_and_protocol(tmp_path: Path) -> None:
    vhd = image.probe(write(tmp_path / "disk.vhd", builders.vhd_dynamic()))
    assert image.blockdev(vhd, read_only=True) == {
        "driver": "vpc",
        "file": {"driver": "file", "filename": str(tmp_path / "disk.vhd")},
        "force_size_calc": "current_size",
        "read-only": True,
    }
    qcow2 = image.probe(write(tmp_path / "disk.qcow2", builders.qcow2()))
    options = json.loads(image.json_filename(qcow2).removeprefix("json:"))
    assert options["backing"] is None
    assert "read-only" not in options


def test_names_too_long_for_an_overlay_get_an_alias(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(8):
        folder = folder / ("x" * 200)
    folder.mkdir(parents=True)
    found = image.probe(write(folder / "disk.img", MBR))
    name = image.json_filename(found)
    assert len(name.encode()) <= 1023
    filename = json.loads(name.removeprefix("json:"))["file"]["filename"]
    assert Path(filename).resolve() == found.path


def test_a_name_that_is_no_utf8_gets_an_alias_beside_its_extents(tmp_path: Path) -> None:
    path = write(tmp_path / os.fsdecode(b"\xff.vmdk"), descriptor(b'RW 2048 FLAT "image-0" 0'))
    write(tmp_path / "image-0", MBR)
    found = image.probe(path)
    alias = Path(image.blockdev(found, read_only=True)["file"]["filename"])
    assert str(alias).isascii()
    assert alias.resolve() == path
    assert (alias.parent / "image-0").resolve() == tmp_path / "image-0"


# --- anything at all -----------------------------------------------------------------------------------

SEEDS = [
    builders.vhd_dynamic(table=(4,)),
    bytes(4096) + builders.vhd_footer(4096, 2),
    builders.qcow2(version=2),
    builders.qcow2(extensions=((0x6803F857, bytes(48)),)),
    vmdk_sparse(tables=(1,)),
    descriptor(FLAT),
]
WHOLE_VHDX = builders.vhdx()
NAMES = ["disk", "disk.raw", "disk.vhd", "disk.vmdk", "disk.img"]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(st.integers(0, 1 << 12), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
    ),
    cut=st.integers(0, 1 << 17) | st.none(),
    name=st.sampled_from(NAMES),
)
def test_damaged_headers_give_typed_errors_only(
    tmp_path: Path, seed: bytes, edits: list[tuple[int, bytes]], cut: int | None, name: str
) -> None:
    data = bytearray(seed)
    for offset, change in edits:
        offset %= len(data)
        data[offset : offset + len(change)] = change
    path = write(tmp_path / name, bytes(data[:cut]))
    found = outcome(path)
    if isinstance(found, image.Image):
        assert 0 < found.virtual_size <= 64 << 40
        assert found.virtual_size % 512 == 0
        assert found.path.parent == tmp_path


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from((0, 2 * MIB, 2 * MIB + 65536, 3 * MIB)), st.integers(0, 300), st.integers(0, 255)
        ),
        max_size=5,
    ),
    size=st.integers(0, 1 << 63),
    block_size=st.integers(0, 0xFFFFFFFF) | st.sampled_from((MIB, 32 * MIB)),
    table=st.lists(st.integers(0, (1 << 64) - 1), max_size=4),
)
def test_damaged_vhdx_give_typed_errors_only(
    tmp_path: Path, edits: list[tuple[int, int, int]], size: int, block_size: int, table: list[int]
) -> None:
    raw = bytearray(WHOLE_VHDX)
    places = 2 * MIB + (64 << 10)
    struct.pack_into("<I", raw, places, block_size)
    struct.pack_into("<Q", raw, places + 8, size)
    struct.pack_into(f"<{len(table)}Q", raw, 3 * MIB, *table)
    for base, offset, value in edits:
        raw[base + offset] = value
    found = outcome(write(tmp_path / "disk", bytes(raw)))
    if isinstance(found, image.Image):
        assert 0 < found.virtual_size <= 64 << 40


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet='RW 12\n\r\t\v"FLATVMS./x0#=', max_size=60), more=st.binary(max_size=40))
def test_odd_descriptors_never_lead_outside(tmp_path: Path, text: str, more: bytes) -> None:
    path = write(tmp_path / "d.vmdk", descriptor(text.encode(), more=more))
    with watched() as seen:
        found = outcome(path)
    if isinstance(found, image.Image):
        assert all(file.parent == tmp_path for file in found.files)
    assert all(Path(each).parent == tmp_path for each in seen)


# --- the real ones ---------------------------------------------------------------------------------------

EXPECTED: dict[str, tuple[str, str]] = {
    "vhd-dynamic-disk2vhd.vhd": ("vpc", "VHD (dynamic)"),
    "vhd-dynamic-hyperv2012r2.vhd": ("vpc", "VHD (dynamic)"),
    "vhd-fixed-win10.vhd": ("vpc", "VHD (fixed)"),
    "vhd-fixed-win10-ntfs.vhd": ("vpc", "VHD (fixed)"),
    "vhdx-dynamic-hyperv2012-1G.vhdx": ("vhdx", "VHDX (dynamic or fixed)"),
    "vhdx-dynamic-win10.vhdx": ("vhdx", "VHDX (dynamic or fixed)"),
    "vhdx-server2022-gpt-ntfs.vhdx": ("vhdx", "VHDX (dynamic or fixed)"),
    "vhdx-dynamic-win10-btrfs.vhdx": ("vhdx", "VHDX (dynamic or fixed)"),
    "vhdx-dynamic-win10-empty.vhdx": ("vhdx", "VHDX (dynamic or fixed)"),
    "vmdk-v3-streamopt-vmware.vmdk": ("vmdk", "VMDK (streamOptimized)"),
    "ntfs-unclean-logfile.raw": ("raw", "raw disk"),
    "ntfs-2MiB-clusters.raw": ("raw", "raw disk"),
    "ntfs-index.raw": ("raw", "raw disk"),
    "bitlocker-win10-xts128.img": ("raw", "raw disk"),
    "bitlocker-clearkey-only.img": ("raw", "raw disk"),
    "bitlocker-partially-encrypted.img": ("raw", "raw disk"),
    "bitlocker-vista.img": ("raw", "raw disk"),
    "bitlocker-win7.img": ("raw", "raw disk"),
    "vhd-bad-afl5.img": ("", "image-truncated"),
    "vhd-bad-footer-checksum.vhd": ("", "image-damaged"),
    "vhd-differencing-win10-child.vhd": ("", "image-is-delta"),
    "vhdx-dirty-log-10G.vhdx": ("", "vhdx-dirty-log"),
    "vdi-dynamic-virtualbox.vdi": ("", "image-format-unsupported"),
}


def test_every_disk_of_the_corpus_has_an_expectation() -> None:
    names = {entry["name"] for entry in corpus.disk_entries()}
    assert names <= set(EXPECTED)


LARGE = {"ntfs-2MiB-clusters.raw", "vhd-dynamic-disk2vhd.vhd"}


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LARGE else ()) for name in EXPECTED]
)
def test_real_disks_are_what_they_are(tmp_path: Path, name: str) -> None:
    path = corpus.unpack_disk(name, tmp_path)
    driver, words = EXPECTED[name]
    if not driver:
        assert refusal(path).code == words
        return
    found = image.probe(path)
    assert (found.format, found.kind) == (driver, words)
    entry = next(entry for entry in corpus.disk_entries() if entry["name"] == name)
    meta = entry["meta"] or {}
    expected = meta.get("vsize", -(-entry["size"] // 512) * 512)
    assert found.virtual_size == expected
    assert (found.writable is None) == ("streamopt" not in name)
