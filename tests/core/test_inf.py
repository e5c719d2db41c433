from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.inf import LARGEST, DriverInf, read_inf
from p2vprep.core.model import Role, WindowsVersion
from p2vprep.errors import DocumentError
from tests.support.virtio import inf

WIN10 = WindowsVersion(10, 0, 17763)


def read(
    text: str | bytes, version: WindowsVersion = WIN10, arch: str = "x64", role: Role = Role.SERVER
) -> DriverInf:
    return read_inf(text if isinstance(text, bytes) else text.encode("latin-1"), version, arch, role)


def test_devices_service_and_files_are_found() -> None:
    found = read(inf())
    assert found.hardware_ids == (
        r"PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00",
        r"PCI\VEN_1AF4&DEV_1042&SUBSYS_11001AF4&REV_01",
    )
    assert found.compatible_ids == (r"PCI\VEN_1AF4&DEV_1001", r"PCI\VEN_1AF4&DEV_1042")
    assert found.files == ("viostor.sys", "viostor.cat")
    assert found.provider == "Example, Inc.; makers"
    assert found.version == "03/04/2021,100.85.104.1"
    assert found.class_guid == "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
    service = found.service
    assert (service.name, service.binary, service.group) == ("viostor", "viostor.sys", "SCSI miniport")
    assert (service.type, service.start, service.error_control) == (1, 0, 1)
    assert service.numbers == (("Parameters\\PnpInterface", "5", 1), ("Parameters", "BusType", 10))
    assert [one.name for one in found.services] == ["viostor", "helper"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_every_encoding_of_inf_files_is_read(encoding: str) -> None:
    assert read(inf().encode(encoding)) == read(inf())


def test_line_ends_and_case_do_not_matter() -> None:
    swapped = inf().replace("\n", "\r\n").replace("[install.Services]", "[INSTALL.SERVICES]")
    assert read(swapped.replace("AddService", "addservice")) == read(inf())


@pytest.mark.parametrize(
    ("decoration", "arch", "version", "fits"),
    [
        ("NTamd64", "x64", WIN10, True),
        ("NTx86", "x64", WIN10, False),
        ("NTx86", "x86", WIN10, True),
        ("", "x86", WindowsVersion(5, 1, 2600), True),
        ("", "x64", WIN10, False),
        ("NTamd64.6.1", "x64", WindowsVersion(6, 1, 7601), True),
        ("NTamd64.6.2", "x64", WindowsVersion(6, 1, 7601), False),
        ("NTamd64.10.0...17763", "x64", WIN10, True),
        ("NTamd64.10.0...18362", "x64", WIN10, False),
        ("NTamd64.6.1.1", "x64", WIN10, False),
        ("NTamd64.6.1.3", "x64", WIN10, True),
        ("NT", "x86", WIN10, True),
        ("Nonsense", "x64", WIN10, False),
    ],
)
def test_the_section_for_this_windows_is_taken(
    decoration: str, arch: str, version: WindowsVersion, fits: bool
) -> None:
    text = inf(decoration=decoration)
    if fits:
        assert read(text, version, arch).hardware_ids
    else:
        with pytest.raises(DocumentError) as caught:
            read(text, version, arch)
        assert caught.value.code == "inf-not-for-this-windows"


def test_the_closest_section_wins() -> None:
    text = inf().replace("Makers,NTamd64", "Makers,NTamd64,NTamd64.6.3,NTamd64.11.0")
    text += "[Makers.NTamd64.6.3]\n%Device% = install, PCI\\NEWER\n"
    text += "[Makers.NTamd64.11.0]\n%Device% = install, PCI\\TOO_NEW\n"
    assert read(text).hardware_ids == (r"PCI\NEWER",)
    assert read(text, WindowsVersion(6, 1, 7601)).hardware_ids[0].startswith("PCI\\VEN_1AF4&DEV_1001")


def test_decorated_services_and_catalogs_go_first() -> None:
    text = inf() + "[install.NTamd64.Services]\nAddService = other, 2, driver_service\n"
    text = text.replace("CatalogFile = viostor.cat", "CatalogFile = a.cat\nCatalogFile.NTamd64 = b.cat")
    found = read(text)
    assert found.service.name == "other"
    assert found.files[-1] == "b.cat"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no INF at all",
        "[Version]\nSignature=x\n" + "a=b\n" * 20_001,
        "x" * (LARGEST + 1),
        inf().replace("StartType = 0", "StartType = soon"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(text)
    assert caught.value.code == "bad-inf"


@given(st.text(alphabet='[]=,;%"\\\r\n abVN', max_size=200), st.integers(0, 1500))
def test_any_text_is_read_or_refused(noise: str, place: int) -> None:
    text = inf()
    with suppress(DocumentError):
        assert read((text[:place] + noise + text[place:]).encode("utf-8")).hardware_ids
