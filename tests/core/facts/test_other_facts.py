from p2vprep.core.facts.devices import read_devices
from p2vprep.core.facts.evidence import read_bios, read_device_ids, read_pci
from p2vprep.core.facts.filters import read_filters
from p2vprep.core.facts.parked import read_parked
from p2vprep.core.facts.products import read_products
from p2vprep.core.model import ClassFilter, Parked, PciDevice, Product
from p2vprep.core.registry import Key, MemoryHive
from p2vprep.core.values import Data

DISKS = "{4d36e967-e325-11ce-bfc1-08002be10318}"


def boot_of(hive: MemoryHive) -> Key:
    key = hive.root.subkey("ControlSet001")
    assert key is not None
    return key


def test_filters_of_classes_and_of_single_devices() -> None:
    disk = r"ControlSet001\Enum\SCSI\Disk&Ven_HP\4&1"
    hive = MemoryHive(
        {
            rf"ControlSet001\Control\Class\{DISKS}": {
                "Class": Data.sz("DiskDrive"),
                "UpperFilters": Data.multi_sz(["snapman", "PartMgr"]),
                "LowerFilters": Data.multi_sz([]),
            },
            disk: {"ClassGUID": Data.sz(DISKS.upper()), "LowerFilters": Data.multi_sz(["tdrpman"])},
            r"ControlSet001\Enum\ROOT\X\0000": {"UpperFilters": Data.multi_sz(["lone"])},
        }
    )
    boot = boot_of(hive)
    assert read_filters(boot, read_devices(boot)) == (
        ClassFilter(
            rf"ControlSet001\Control\Class\{DISKS}",
            "UpperFilters",
            ("snapman", "PartMgr"),
            "class",
            DISKS,
            "DiskDrive",
        ),
        ClassFilter(disk, "LowerFilters", ("tdrpman",), "device", DISKS.upper(), "DiskDrive"),
        ClassFilter(r"ControlSet001\Enum\ROOT\X\0000", "UpperFilters", ("lone",), "device", "", ""),
    )


def test_pci_devices_and_all_device_ids() -> None:
    hive = MemoryHive(
        {
            r"ControlSet001\Enum\PCI\VEN_8086&DEV_10c9&SUBSYS_7044103C&REV_01\4&1": {
                "Service": Data.sz("e1qexpress"),
                "ClassGUID": Data.sz("{4d36e972}"),
                "DeviceDesc": Data.sz("@oem3.inf,%x%;Intel 82576"),
            },
            r"ControlSet001\Enum\PCI\VEN_15AD&DEV_0405\3&1": {},
            r"ControlSet001\Enum\PCI\CC_0604\3&1": {},
            r"ControlSet001\Enum\ACPI\VMW0003\1": {},
            r"ControlSet001\Enum\ACPI\VMW0003\2": {},
        }
    )
    devices = read_devices(boot_of(hive))
    assert read_pci(devices) == (
        PciDevice(
            "8086",
            "10C9",
            "103C",
            "7044",
            r"PCI\VEN_8086&DEV_10c9&SUBSYS_7044103C&REV_01\4&1",
            "e1qexpress",
            "{4d36e972}",
            "Intel 82576",
        ),
        PciDevice("15AD", "0405", "", "", r"PCI\VEN_15AD&DEV_0405\3&1"),
    )
    assert read_device_ids(devices) == (
        r"PCI\VEN_8086&DEV_10c9&SUBSYS_7044103C&REV_01",
        r"PCI\VEN_15AD&DEV_0405",
        r"PCI\CC_0604",
        r"ACPI\VMW0003",
    )


def test_bios_strings_come_from_the_last_hardware_configuration_first() -> None:
    hive = MemoryHive(
        {
            "HardwareConfig": {"LastConfig": Data.sz("{B}")},
            r"HardwareConfig\{a}": {"SystemManufacturer": Data.sz("Dell Inc.")},
            r"HardwareConfig\{b}": {
                "SystemManufacturer": Data.sz("HPE "),
                "SystemBiosVersion": Data.multi_sz(["HPQOEM - 0", "U30"]),
            },
            r"ControlSet001\Control\SystemInformation": {
                "SystemManufacturer": Data.sz("Other"),
                "SystemProductName": Data.sz("ProLiant DL380 Gen10"),
            },
            r"ControlSet001\Control\Biosinfo": {"SystemBiosDate": Data.sz("04/28/03")},
        }
    )
    assert read_bios(hive, boot_of(hive)) == {
        "SystemManufacturer": "HPE",
        "SystemBiosVersion": "HPQOEM - 0; U30",
        "SystemProductName": "ProLiant DL380 Gen10",
        "SystemBiosDate": "04/28/03",
    }


def test_without_firmware_strings_there_are_none() -> None:
    hive = MemoryHive({"ControlSet001": {}, "HardwareConfig": {"LastConfig": Data.sz("{gone}")}})
    assert read_bios(hive, boot_of(hive)) == {}


def test_products_of_both_word_sizes() -> None:
    place = r"Microsoft\Windows\CurrentVersion\Uninstall"
    hive = MemoryHive(
        {
            rf"{place}\{{1}}": {
                "DisplayName": Data.sz("HPE Agents"),
                "Publisher": Data.sz("HPE"),
                "DisplayVersion": Data.sz("10.1"),
                "UninstallString": Data.sz("MsiExec.exe /X{1}"),
                "WindowsInstaller": Data.dword(1),
            },
            rf"{place}\Update": {"UninstallString": Data.sz("no name")},
            rf"WOW6432Node\{place}\Tool": {
                "DisplayName": Data.sz("Tool"),
                "UninstallString": Data.expand_sz("un.exe"),
                "QuietUninstallString": Data.sz("un.exe /q"),
            },
        }
    )
    assert read_products(hive) == (
        Product(
            rf"{place}\{{1}}", "HPE Agents", "HPE", "10.1", "MsiExec.exe /X{1}", "MsiExec.exe /X{1}", msi=True
        ),
        Product(rf"WOW6432Node\{place}\Tool", "Tool", "", "", "un.exe /q", "un.exe", "un.exe /q"),
    )
    assert read_products(MemoryHive()) == ()


def test_parked_services_are_read_back() -> None:
    hive = MemoryHive(
        {
            r"p2vprep\Parked\BITS": {"Start": Data.dword(2), "DelayedAutostart": Data.dword(1)},
            r"p2vprep\Parked\WinRM": {"Start": Data.dword(2), "DelayedAutostart": Data.dword(0)},
            r"p2vprep\Parked\Spooler": {"Start": Data.dword(2)},
            r"p2vprep\Parked\Broken": {"Start": Data.sz("2")},
        }
    )
    assert read_parked(hive) == (
        Parked("BITS", 2, True),
        Parked("WinRM", 2, False),
        Parked("Spooler", 2, None),
    )
    assert read_parked(MemoryHive()) == ()
