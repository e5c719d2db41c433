"""Whose a service is and who needs it: on small machines, and on the real hives."""

from __future__ import annotations

from functools import lru_cache

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.hand.listing import AUTOMATIC, Row, Wanted, counted, in_windows, rows
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import fold
from tests.support.corpus import hive_bytes, hive_logs
from tests.support.machines import DRIVER, Machine

CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"


def listed(machine: Machine) -> dict[str, Row]:
    return {row.service.name: row for row in rows(machine.facts().boot, machine.hive)}


@lru_cache
def of_corpus(name: str) -> dict[str, Row]:
    hive = HiveReader(recover(hive_bytes(name), hive_logs(name), accept_dirty=True).data)
    return {
        fold(row.service.name): row for row in rows(gather(hive, None, system_root="/Windows").boot, hive)
    }


@pytest.mark.parametrize(
    ("image", "more", "vendor", "in_box"),
    [
        (r"C:\Program Files\HPWBEM\x.exe", {}, "HPWBEM", False),
        (r'"C:\Program Files (x86)\Common Files\McAfee\x.exe"', {}, "McAfee", False),
        (r"%ProgramFiles%\Windows Defender\MsMpEng.exe", {}, "Microsoft", True),
        (r"C:\hp\hpsmh\x.exe", {}, "", False),
        (
            r"%SystemRoot%\system32\x.exe",
            {"DisplayName": r"@%SystemRoot%\system32\x.exe,-1"},
            "Microsoft",
            True,
        ),
        (r"%SystemRoot%\system32\x.exe", {}, "", None),
        (r"\SystemRoot\System32\drivers\x.sys", {"DisplayName": "@oem7.inf,%x%;X"}, "", False),
        (r"%SystemRoot%\System32\spoolsv.exe", {}, "", None),
    ],
)
def test_vendor_and_origin_by_what_the_registry_says(
    image: str, more: dict[str, str], vendor: str, in_box: bool | None
) -> None:
    row = listed(Machine().service("Agent", ImagePath=image).put(r"Services\Agent", **more))["Agent"]
    assert (row.vendor, row.in_box) == (vendor, in_box)


def test_a_name_known_from_windows_counts_in_its_folder_only() -> None:
    inside = listed(Machine().service("Spooler", ImagePath=r"%SystemRoot%\System32\spoolsv.exe"))["Spooler"]
    outside = listed(Machine().service("Spooler", ImagePath=r"C:\Temp\spoolsv.exe"))["Spooler"]
    assert (inside.in_box, outside.in_box) == (True, False)


@pytest.mark.parametrize(
    ("provider", "inf", "in_box"),
    [("Microsoft", "netx.inf", True), ("Intel", "oem3.inf", False), ("Microsoft", "oem4.inf", False)],
)
def test_the_installed_driver_tells_first(provider: str, inf: str, in_box: bool) -> None:
    machine = Machine().service("nic", 3, DRIVER, ImagePath=r"System32\drivers\nic.sys")
    machine.put(r"Enum\PCI\VEN_8086&DEV_100E\1", Service="nic", Driver=rf"{CLASS}\0007", ClassGUID=CLASS)
    machine.put(rf"Control\Class\{CLASS}\0007", ProviderName=provider, InfPath=inf)
    row = listed(machine)["nic"]
    assert (row.vendor, row.in_box) == (provider, in_box)


def test_who_needs_whom() -> None:
    machine = Machine().service("A", Group="G").service("b", DependOnService=["a"])
    found = listed(machine.service("C", DependOnGroup=["g"], DisplayName="@x.dll,-1"))
    assert found["A"].needed_by == ("b", "C")
    assert found["b"].needed_by == ()
    assert found["C"].depends_on == ("+g",)
    assert found["C"].shown_name == ""


def test_the_list_is_narrowed_by_every_condition() -> None:
    machine = Machine().service("Agent", 2, ImagePath=r"C:\Program Files\HP\a.exe")
    machine.service("Spooler", 3, ImagePath=r"%SystemRoot%\System32\spoolsv.exe").service("Drv", 0, DRIVER)
    found = listed(machine)

    def names(wanted: Wanted) -> set[str]:
        return {name for name, row in found.items() if wanted.meets(row)}

    assert names(Wanted()) == {"Agent", "Spooler", "Drv"}
    assert names(Wanted(kind="driver")) == {"Drv"}
    assert names(Wanted(starts=AUTOMATIC)) == {"Agent", "Drv"}
    assert "Spooler" not in names(Wanted(third_party=True))
    assert names(Wanted(like="hp")) == {"Agent"}
    assert names(Wanted(kind="service", starts=AUTOMATIC, third_party=True)) == {"Agent"}
    assert counted(found.values()) == "2 services, 1 drivers"
    assert counted(()) == "none"


@pytest.mark.parametrize(
    ("program", "inside"),
    [
        (r"%SystemRoot%\system32\mswsock.dll", True),
        (r"C:\WINDOWS\system32\x.dll", True),
        (r"\SystemRoot\System32\drivers\x.sys", True),
        ("winhttp.dll", True),
        (r"C:\Program Files\x.dll", False),
        (r"D:\Windows\System32\x.dll", False),
        (r"C:\Windows\Temp\x.exe", False),
    ],
)
def test_what_lies_in_a_folder_of_windows(program: str, inside: bool) -> None:
    assert in_windows(program) == inside


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "others", "windows"),
    [
        ("win7-sp1-x86_regipy_1.SYSTEM", ("McShield", "VMTools", "vmci"), ("Spooler", "Tcpip", "WinDefend")),
        ("winxp-sp3-x86_bcc-dfa_1.SYSTEM", ("avg9wd", "E1000", "WinVNC4"), ("Dhcp", "helpsvc", "atapi")),
        pytest.param(
            "win10-21h2-x64_dissect.regf_1.SYSTEM",
            ("VMTools", "edgeupdate"),
            ("BITS", "storahci", "WSearch"),
            marks=pytest.mark.long,
        ),
        ("win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM", (), ("Netlogon", "DNS", "W32Time", "Spooler")),
    ],
)
def test_real_machines(name: str, others: tuple[str, ...], windows: tuple[str, ...]) -> None:
    found = of_corpus(name)
    assert {service: found[fold(service)].in_box for service in others} == dict.fromkeys(others, False)
    assert {service: found[fold(service)].in_box for service in windows} == dict.fromkeys(windows, True)
    untold = [row for row in found.values() if row.in_box is None]
    assert len(untold) < len(found) / 20
