"""qcow2: what is believed, and every lie that is not."""

from __future__ import annotations

import pytest

from p2vprep.disk.containers import qcow2
from p2vprep.errors import CannotOpenError, RefusedError
from tests.disk.containers import builders
from tests.disk.containers.builders import MIB, source


def code_of(data: bytes) -> str:
    with pytest.raises((CannotOpenError, RefusedError)) as caught:
        qcow2.read(source(data))
    return caught.value.code


@pytest.mark.parametrize("version", [2, 3])
def test_size_and_version_are_read(version: int) -> None:
    found = qcow2.read(source(builders.qcow2(version=version)))
    assert (found.format, found.virtual_size) == ("qcow2", 8 * MIB)
    assert found.kind == f"qcow2 (version {version})"
    assert found.details == {"version": version, "cluster_size": 65536}


def test_harmless_extensions_and_features_are_accepted() -> None:
    image = builders.qcow2(features=8, extensions=((0x6803F857, bytes(48)), (0x23852875, bytes(24))))
    assert qcow2.read(source(image)).virtual_size == 8 * MIB


def test_snapshots_are_a_concern_that_can_be_lifted() -> None:
    found = qcow2.read(source(builders.qcow2(snapshots=2)))
    assert [concern.code for concern in found.concerns] == ["image-has-snapshots"]
    assert qcow2.read(source(builders.qcow2())).concerns == ()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(builders.qcow2(backing=b"/etc/shadow"), "image-has-backing-file", id="backing file"),
        pytest.param(builders.qcow2(version=2, backing=b"x"), "image-has-backing-file", id="backing, v2"),
        pytest.param(
            builders.qcow2(features=4, extensions=((0x44415441, b"/etc/shadow"),)),
            "image-has-data-file",
            id="data file",
        ),
        pytest.param(builders.qcow2(features=4), "image-has-data-file", id="data file without name"),
        pytest.param(
            builders.qcow2(extensions=((0x44415441, b"/etc/shadow"),)), "image-has-data-file", id="data name"
        ),
        pytest.param(builders.qcow2(encryption=1), "image-encrypted", id="AES"),
        pytest.param(builders.qcow2(encryption=2), "image-encrypted", id="LUKS"),
        pytest.param(
            builders.qcow2(extensions=((0x0537BE77, bytes(16)),)), "image-encrypted", id="LUKS header"
        ),
        pytest.param(builders.qcow2(features=1), "image-marked-dirty", id="dirty"),
        pytest.param(builders.qcow2(features=2), "image-marked-corrupt", id="corrupt"),
        pytest.param(builders.qcow2(features=3), "image-marked-corrupt", id="corrupt and dirty"),
        pytest.param(builders.qcow2(features=1 << 5), "image-feature-unknown", id="unknown feature"),
        pytest.param(builders.qcow2(features=1 << 63), "image-feature-unknown", id="last feature"),
        pytest.param(builders.qcow2(version=1), "image-format-unsupported", id="version 1"),
        pytest.param(builders.qcow2(version=4), "image-feature-unknown", id="version 4"),
        pytest.param(builders.qcow2(cluster_bits=8), "image-damaged", id="clusters too small"),
        pytest.param(builders.qcow2(cluster_bits=63), "image-damaged", id="clusters too large"),
        pytest.param(builders.qcow2(header_length=72), "image-damaged", id="header too short"),
        pytest.param(builders.qcow2(size=0), "image-size-absurd", id="no size"),
        pytest.param(builders.qcow2(size=1 << 60), "image-size-absurd", id="absurd size"),
        pytest.param(builders.qcow2(l1_entries=0), "image-damaged", id="no tables"),
        pytest.param(builders.qcow2(l1_entries=0xFFFFFFFF), "image-damaged", id="huge table"),
        pytest.param(builders.qcow2(l1_offset=0x30001), "image-damaged", id="table not aligned"),
        pytest.param(builders.qcow2(l1_offset=1 << 50), "image-truncated", id="table outside"),
        pytest.param(builders.qcow2(refcount_offset=0), "image-damaged", id="no counts"),
        pytest.param(builders.qcow2(refcount_clusters=0), "image-damaged", id="counts of no length"),
        pytest.param(builders.qcow2(refcount_offset=1 << 50), "image-truncated", id="counts outside"),
        pytest.param(builders.qcow2(l1=(1 << 40,)), "image-truncated", id="second table outside"),
        pytest.param(builders.qcow2(extensions=((1, bytes(70000)),)), "image-damaged", id="long extension"),
        pytest.param(builders.qcow2()[:80], "image-truncated", id="cut off"),
        pytest.param(builders.qcow2()[:0x30000], "image-truncated", id="cut off before the tables"),
        pytest.param(b"QFI\xfb", "image-truncated", id="only the magic number"),
    ],
)
def test_lies_are_named(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_size_that_is_no_whole_sector_counts_up() -> None:
    assert qcow2.read(source(builders.qcow2(size=MIB + 1))).virtual_size == MIB + 512
