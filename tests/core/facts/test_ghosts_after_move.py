from __future__ import annotations

import pytest

from p2vprep.core.facts.ghosts import CANNOT_BE_TOLD, after_move
from p2vprep.core.facts.virtualnics import all_known, hardware, known_name, owners
from p2vprep.core.model import Adapter

HP = r"PCI\VEN_14E4&DEV_1657&SUBSYS_169D103C&REV_01\4&1"
E1000 = r"PCI\VEN_8086&DEV_100E&SUBSYS_001E8086&REV_02\3&1"
DELL_E1000 = r"PCI\VEN_8086&DEV_100E&SUBSYS_002E1028&REV_02\4&1"
VMXNET3 = r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\FF1"
SYNTHETIC = r"VMBUS\{f8615163-df3e-46c5-913f-f2d2f965ed0e}\{1}"
FUNCTION = r"PCI\VEN_8086&DEV_10ED&SUBSYS_7B118086&REV_01\4&1"
USB = r"USB\VID_0B95&PID_1790\0001"
PORT = r"B06BDRV\L2ND&PCI_163914E4&SUBSYS_7055103C&REV_20\5&1"


def card(instance: str, kind: str = "physical", ghost: bool | None = None) -> Adapter:
    return Adapter("{1}", "LAN", "", None, kind, ghost, "seen at rest", (), None, instance=instance)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instance", "targets", "ghost"),
    [
        (HP, (), True),
        (HP, ("kvm",), True),
        (PORT, (), True),
        (DELL_E1000, ("kvm",), True),
        (E1000, (), None),
        (E1000, ("kvm",), False),
        (E1000, ("Proxmox",), False),
        (E1000, ("hyper-v",), True),
        (E1000, ("hyper-v", "kvm"), False),
        (VMXNET3, ("vmware",), False),
        (VMXNET3, ("Hyper-V",), True),
        (SYNTHETIC, ("Hyper-V",), False),
        (SYNTHETIC, ("vmware",), True),
        (SYNTHETIC, (), None),
        (r"XENVIF\VEN_XS0001&DEV_NET\0", ("xen",), False),
        (r"XENVIF\VEN_XS0001&DEV_NET\0", ("kvm",), True),
        (E1000, ("somebody's own",), None),
        (HP, ("somebody's own",), True),
        (FUNCTION, ("hyper-v",), None),
        (USB, ("kvm",), None),
        ("", ("kvm",), None),
    ],
)
def test_what_becomes_of_hardware(instance: str, targets: tuple[str, ...], ghost: bool | None) -> None:
    expected = after_move(card(instance), targets)
    assert expected.ghost is ghost
    assert expected.why.startswith(CANNOT_BE_TOLD) is (ghost is None)


@pytest.mark.parametrize("kind", ["team", "tunnel", "vpn", "virtual", "wan-miniport", "unknown"])
@pytest.mark.parametrize("ghost", [None, False, True])
def test_what_is_not_hardware_is_judged_as_at_rest(kind: str, ghost: bool | None) -> None:
    found = after_move(card(HP, kind, ghost), ("kvm",))
    assert (found.ghost, found.why) == (ghost, "seen at rest")


def test_what_is_known_to_be_gone_stays_gone_where_the_target_has_its_like() -> None:
    assert after_move(card(E1000, ghost=True), ("kvm",)).ghost is True


def test_names_of_hypervisors() -> None:
    assert [known_name(name) for name in ("Hyper-V", "QEMU", "VMware", "XCP-ng")] == [
        "hyperv",
        "kvm",
        "vmware",
        "xen",
    ]
    assert all_known(["ESXi", "ahv"])
    assert not all_known(["kvm", "acme"])


def test_hardware_in_short() -> None:
    assert hardware(HP) == "PCI 14E4:1657"
    assert hardware(USB) == "USB"
    assert owners(r"PCI\VEN_15AD&DEV_07B0\1") == owners(VMXNET3) == frozenset({"vmware", "kvm"})
