from __future__ import annotations

import pytest

from p2vprep.core.model import Role
from p2vprep.core.virtio import any_folder, folder_of, folders, knows_sha2, needs_embedded_signature
from tests.support.virtio import guest

CLIENT, SERVER, DC = Role.CLIENT, Role.SERVER, Role.DOMAIN_CONTROLLER


@pytest.mark.parametrize(
    ("version", "role", "first"),
    [
        ((5, 1, 2600), CLIENT, "xp"),
        ((5, 2, 3790), SERVER, "2k3"),
        ((5, 2, 3790), CLIENT, "2k3"),
        ((6, 0, 6002), CLIENT, "vista"),
        ((6, 0, 6002), DC, "2k8"),
        ((6, 1, 7601), CLIENT, "w7"),
        ((6, 1, 7601), SERVER, "2k8r2"),
        ((6, 2, 9200), CLIENT, "w8"),
        ((6, 2, 9200), SERVER, "2k12"),
        ((6, 3, 9600), CLIENT, "w8.1"),
        ((6, 3, 9600), SERVER, "2k12r2"),
        ((10, 0, 10240), CLIENT, "w10"),
        ((10, 0, 19045), CLIENT, "w10"),
        ((10, 0, 22000), CLIENT, "w11"),
        ((10, 0, 26100), CLIENT, "w11"),
        ((10, 0, 14393), SERVER, "2k16"),
        ((10, 0, 17763), SERVER, "2k19"),
        ((10, 0, 20348), SERVER, "2k22"),
        ((10, 0, 26100), DC, "2k25"),
        ((10, 0, 0), SERVER, "2k16"),
    ],
)
def test_each_windows_has_its_folder(version: tuple[int, int, int], role: Role, first: str) -> None:
    assert folders(guest(*version, role=role))[0] == first


def test_a_windows_that_no_kit_has_gets_none() -> None:
    assert folders(guest(5, 0, 2195)) == ()
    assert folders(guest(11, 0, 30000)) == ()


def test_no_older_kernel_serves_a_windows_before_10() -> None:
    for minor in range(4):
        for role in (CLIENT, SERVER):
            names = folders(guest(6, minor, 0, role=role))
            others = [folders(guest(6, other, 0, role=CLIENT)) for other in range(4) if other != minor]
            assert not set(names) & {name for held in others for name in held}


@pytest.mark.parametrize(
    ("path", "arch", "found"),
    [
        ("viostor/w10/amd64/viostor.inf", "x64", "w10"),
        ("NetKVM/2k12R2/amd64/netkvm.inf", "x64", "2k12r2"),
        ("drivers/amd64/Win2012R2/netkvm.inf", "x64", "2k12r2"),
        ("drivers/by-os/i386/Win7/viostor.inf", "x86", "w7"),
        ("viostor/w11/ARM64/viostor.inf", "arm64", "w11"),
        ("viostor/w10/amd64/viostor.inf", "x86", None),
        ("viostor/amd64/viostor.inf", "x64", None),
        ("viostor/w10/viostor.inf", "x64", None),
        ("viostor/w10/amd64", "x64", None),
        ("viostor/w10/amd64/viostor.inf", "unknown", None),
    ],
)
def test_a_path_tells_its_windows(path: str, arch: str, found: str | None) -> None:
    assert folder_of(path, arch) == found


def test_folders_for_people() -> None:
    assert any_folder("viostor/2k22/amd64/viostor.inf") == "2k22/amd64"
    assert any_folder("viostor/w7/x86/viostor.inf") == "w7/x86"
    assert any_folder("viostor/viostor.inf") is None


def test_who_needs_what_signature() -> None:
    assert needs_embedded_signature(guest(6, 1).version, "x64")
    assert needs_embedded_signature(guest(10, 0).version, "arm64")
    assert not needs_embedded_signature(guest(6, 1).version, "x86")
    assert not needs_embedded_signature(guest(5, 2).version, "x64")
    assert knows_sha2(guest(6, 2).version)
    assert not knows_sha2(guest(6, 1).version)
