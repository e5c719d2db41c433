from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.model import Role, WindowsVersion
from p2vprep.core.registry import Key, MemoryHive
from p2vprep.core.values import Data
from p2vprep.errors import HiveError

SERVICE = {"Type": Data.dword(0x10), "Start": Data.dword(2)}


def machine() -> MemoryHive:
    return MemoryHive(
        {
            "Select": {"Current": Data.dword(1), "Default": Data.dword(2)},
            r"ControlSet001\Services\Old": SERVICE,
            r"ControlSet002\Services\New": SERVICE,
            r"ControlSet002\Control\ProductOptions": {"ProductType": Data.sz("ServerNT")},
            r"ControlSet002\Enum\PCI\VEN_8086&DEV_10C9&SUBSYS_7044103C&REV_01\4&1": {},
            r"p2vprep\Parked\BITS": {"Start": Data.dword(2)},
        }
    )


def test_facts_of_every_set_the_boot_set_first_and_common_facts_from_it() -> None:
    software = MemoryHive(
        {
            r"Microsoft\Windows NT\CurrentVersion": {
                "CurrentVersion": Data.sz("6.1"),
                "CurrentBuildNumber": Data.sz("7601"),
                "ProductName": Data.sz("Windows Server 2008 R2 Standard"),
            },
            r"Microsoft\Windows\CurrentVersion\Uninstall\X": {"DisplayName": Data.sz("Agents")},
        }
    )
    facts = gather(machine(), software, system_root="/Windows")
    assert facts.boot_set == facts.boot.name == "ControlSet002"
    assert [[s.name for s in held.services] for held in facts.sets] == [["New"], ["Old"]]
    assert facts.select == {"Current": 1, "Default": 2}
    assert facts.guest.role is Role.SERVER
    assert facts.guest.version == WindowsVersion(6, 1, 7601)
    assert [product.display_name for product in facts.products] == ["Agents"]
    assert [parked.service for parked in facts.parked] == ["BITS"]
    assert [device.subsystem_vendor for device in facts.pci] == ["103C"]
    assert facts.devices == (r"PCI\VEN_8086&DEV_10C9&SUBSYS_7044103C&REV_01",)
    assert facts.evidence == ()


class Watched:
    """A key that notes every listing of subkeys: a lazy hive fetches pages of the disk for each."""

    def __init__(self, key: Key, listed: list[str]) -> None:
        self.key, self.listed = key, listed
        self.name, self.path = key.name, key.path

    def subkeys(self) -> Iterator[Key]:
        self.listed.append(self.path)
        return (Watched(key, self.listed) for key in self.key.subkeys())

    def subkey(self, name: str) -> Key | None:
        key = self.key.subkey(name)
        return None if key is None else Watched(key, self.listed)

    def values(self) -> Iterator[tuple[str, Data]]:
        return self.key.values()

    def value(self, name: str) -> Data | None:
        return self.key.value(name)


def test_of_software_only_the_programs_are_listed() -> None:
    uninstall = r"Microsoft\Windows\CurrentVersion\Uninstall"
    software = MemoryHive(
        {
            r"Microsoft\Windows NT\CurrentVersion\Fonts": {},
            r"Classes\.txt": {},
            rf"{uninstall}\X": {"DisplayName": Data.sz("Agents")},
            rf"Wow6432Node\{uninstall}\Y": {"DisplayName": Data.sz("Tool")},
        }
    )
    listed: list[str] = []
    hive = SimpleNamespace(root=Watched(software.root, listed))
    facts = gather(machine(), hive, system_root="/Windows")
    assert [product.display_name for product in facts.products] == ["Agents", "Tool"]
    assert listed == [uninstall, rf"Wow6432Node\{uninstall}"]


def test_without_software_the_version_is_a_guess_and_no_products_are_known() -> None:
    facts = gather(machine(), None, system_root="/Windows")
    assert facts.guest.version.known is False
    assert facts.products == ()


def test_a_hive_without_control_sets_is_refused() -> None:
    with pytest.raises(HiveError) as caught:
        gather(MemoryHive({"Select": {"Default": Data.dword(1)}}), None, system_root="/Windows")
    assert caught.value.code == "no-control-set"
