import pytest

from p2vprep.core.facts.guest import read_guest
from p2vprep.core.model import Guest, Role, WindowsVersion
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data

CURRENT = r"Microsoft\Windows NT\CurrentVersion"
SYSTEM_CLASS = r"Control\Class\{4d36e97d-e325-11ce-bfc1-08002be10318}"


def guest(system: dict[str, dict[str, Data]], software: dict[str, Data] | None = None) -> Guest:
    hive = MemoryHive({"ControlSet001": {}, **system})
    boot = hive.root.subkey("ControlSet001")
    assert boot is not None
    told = None if software is None else MemoryHive({CURRENT: software})
    return read_guest(hive, boot, told, system_root="/WINNT")


def product_type(name: str) -> dict[str, dict[str, Data]]:
    return {r"ControlSet001\Control\ProductOptions": {"ProductType": Data.sz(name)}}


def software(version: str, build: str, product: str, **more: Data) -> dict[str, Data]:
    return {
        "CurrentVersion": Data.sz(version),
        "CurrentBuildNumber": Data.sz(build),
        "ProductName": Data.sz(product),
        **more,
    }


TEN = {"CurrentMajorVersionNumber": Data.dword(10), "CurrentMinorVersionNumber": Data.dword(0)}


@pytest.mark.parametrize(
    ("told", "role", "version", "product"),
    [
        (
            software("5.0", "2195", "Microsoft Windows 2000"),
            "ServerNT",
            (5, 0, 2195),
            "Microsoft Windows 2000",
        ),
        (software("5.2", "3790", "Microsoft Windows Server 2003"), "LanmanNT", (5, 2, 3790), None),
        (software("6.1", "7601", "Windows Server 2008 R2 Standard"), "ServerNT", (6, 1, 7601), None),
        (software("6.3", "9600", "Windows Server 2012 R2 Standard"), "ServerNT", (6, 3, 9600), None),
        (software("6.3", "20348", "Windows Server 2022 Standard", **TEN), "ServerNT", (10, 0, 20348), None),
        (software("6.3", "19045", "Windows 10 Pro", **TEN), "WinNT", (10, 0, 19045), "Windows 10 Pro"),
        (software("6.3", "22631", "Windows 10 Pro", **TEN), "WinNT", (10, 0, 22631), "Windows 11 Pro"),
        (software("6.3", "26100", "Windows Server 2025 Standard", **TEN), "ServerNT", (10, 0, 26100), None),
    ],
)
def test_software_tells_the_version(
    told: dict[str, Data], role: str, version: tuple[int, int, int], product: str | None
) -> None:
    found = guest(product_type(role), told)
    assert found.version == WindowsVersion(*version, known=True)
    assert found.product == (product or told["ProductName"].text)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("WinNT", Role.CLIENT),
        ("servernt", Role.SERVER),
        ("LanmanNT", Role.DOMAIN_CONTROLLER),
        ("Other", Role.UNKNOWN),
    ],
)
def test_roles(name: str, role: Role) -> None:
    assert guest(product_type(name)).role is role
    assert guest({}).role is Role.UNKNOWN


def test_the_rest_of_the_identity() -> None:
    found = guest(
        {
            **product_type("ServerNT"),
            r"ControlSet001\Control\ComputerName\ComputerName": {"ComputerName": Data.sz("SRV1")},
            r"ControlSet001\Control\Session Manager\Environment": {
                "PROCESSOR_ARCHITECTURE": Data.sz("AMD64")
            },
            r"ControlSet001\Services\Netlogon": {"Start": Data.dword(2)},
        },
        software("6.3", "17763", "Windows Server 2019", InstallationType=Data.sz("Server Core"), **TEN),
    )
    assert found == Guest(
        product="Windows Server 2019",
        version=WindowsVersion(10, 0, 17763),
        role=Role.SERVER,
        architecture="x64",
        installation_type="Server Core",
        computer_name="SRV1",
        system_root="/WINNT",
        domain_member=True,
    )


def test_netlogon_on_demand_is_no_member_and_no_netlogon_tells_nothing() -> None:
    assert guest({r"ControlSet001\Services\Netlogon": {"Start": Data.dword(3)}}).domain_member is False
    assert guest({}).domain_member is None


@pytest.mark.parametrize(
    ("number", "name"), [(0, "x86"), (6, "ia64"), (9, "x64"), (12, "arm64"), (77, "unknown")]
)
def test_the_driver_database_tells_the_architecture_where_the_environment_does_not(
    number: int, name: str
) -> None:
    assert guest({"DriverDatabase": {"Architecture": Data.dword(number)}}).architecture == name


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"CurrentVersion": Data.sz("six"), "CurrentBuildNumber": Data.sz("7601")},
        {"CurrentVersion": Data.binary(b"6.1")},
    ],
)
def test_a_software_hive_that_says_nothing_leaves_the_guess(told: dict[str, Data]) -> None:
    system = {"DriverDatabase": {"Version": Data.dword(0x06030000)}}
    assert guest(system, told).version == WindowsVersion(6, 3, 0, known=False)


def test_a_build_that_is_no_number_is_left_out() -> None:
    assert guest({}, software("6.1", "7601x", "Windows 7")).version == WindowsVersion(6, 1, 0)


# --- the guess ---------------------------------------------------------------------------------


def devices(*versions: tuple[str, str, str], of: str = SYSTEM_CLASS) -> dict[str, dict[str, Data]]:
    return {
        rf"ControlSet001\{of}\{place:04d}": {
            "InfPath": Data.sz(inf),
            "ProviderName": Data.sz(maker),
            "DriverVersion": Data.sz(version),
        }
        for place, (inf, maker, version) in enumerate(versions)
    }


@pytest.mark.parametrize(
    ("system", "version", "product"),
    [
        (
            devices(
                ("machine.inf", "Microsoft", "5.1.2600.5512"),
                ("wpd.inf", "Microsoft", "6.1.7600.16403"),
                ("oem1.inf", "Dell", "10.0.1.1"),
            ),
            (5, 1, 2600),
            "Windows XP",
        ),
        (devices(("machine.inf", "Microsoft", "6.1.7600.1"), ("machine.inf", "Microsoft", "6.1.7601.17514")),
            (6, 1, 7601), "Windows 7"),
        (devices(("volume.inf", "Microsoft", "6.0.6002.18005"), of=r"Control\Class\{71a27cdd}"), (6, 0, 6002),
            "Windows Vista"),
        ({"DriverDatabase": {"Version": Data.dword(0x0A000000)},
            **devices(("machine.inf", "Microsoft", "10.0.22621.1"))}, (10, 0, 22621), "Windows 11"),
        ({"DriverDatabase": {"Version": Data.dword(0x0A000000)}}, (10, 0, 0), "Windows 10"),
        ({"DriverDatabase": {"Version": Data.dword(0x63000000)}}, (6, 2, 0), "Windows 8"),
        ({r"ControlSet001\Control\NetworkSetup2": {}}, (10, 0, 0), "Windows 10"),
        ({"HardwareConfig": {}}, (6, 2, 0), "Windows 8"),
        ({r"ControlSet001\Services\Power": {}}, (6, 1, 0), "Windows 7"),
        ({r"ControlSet001\Services\BFE": {}}, (6, 0, 0), "Windows Vista"),
        ({"WPA": {}}, (5, 1, 0), "Windows XP"),
        ({}, (5, 0, 0), "Windows 2000 Professional"),
    ],
)  # fmt: skip
def test_guesses_for_clients(
    system: dict[str, dict[str, Data]], version: tuple[int, int, int], product: str
) -> None:
    found = guest({**product_type("WinNT"), **system})
    assert found.version == WindowsVersion(*version, known=False)
    assert found.product == product


@pytest.mark.parametrize(
    ("build", "product"),
    [
        ("14393", "Windows Server 2016"),
        ("17763", "Windows Server 2019"),
        ("20348", "Windows Server 2022"),
        ("26100", "Windows Server 2025"),
    ],
)
def test_server_names_by_build(build: str, product: str) -> None:
    found = guest({**product_type("ServerNT"), **devices(("machine.inf", "Microsoft", f"10.0.{build}.1"))})
    assert found.product == product


def test_xp_landmarks_on_a_server_or_on_x64_are_5_2() -> None:
    environment = {
        r"ControlSet001\Control\Session Manager\Environment": {"PROCESSOR_ARCHITECTURE": Data.sz("AMD64")}
    }
    assert guest({**product_type("WinNT"), "WPA": {}, **environment}).version.nt == (5, 2)
    server = guest({**product_type("ServerNT"), "WPA": {}})
    assert (server.version.nt, server.product) == ((5, 2), "Windows Server 2003")


def test_a_hive_without_any_sign_is_not_given_a_version() -> None:
    found = guest({})
    assert found.version == WindowsVersion(0, 0, 0, known=False)
    assert found.product == "Windows"
