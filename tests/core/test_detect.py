from __future__ import annotations

from dataclasses import replace

from p2vprep.core.detect import THRESHOLD, Detection, choose_sources, detect, guests_at_home
from p2vprep.core.model import Facts, PciDevice, Product
from tests.support.machines import DRIVER, Machine
from tests.support.profiles import profile

VENDOR = profile(
    """\
    detect:
      services: [CqMgHost, "hpeams*"]
      drivers: hpqilo3
      bios: "\\\\bProLiant\\\\b"
      pci-subsystems: ["103c"]
      products: "^HP "
    """,
    name="vendor",
)
OTHER = profile("detect: {services: omsad}\n", name="other")


def device(subsystem: str) -> PciDevice:
    return PciDevice("8086", "10C9", subsystem, "7044", r"PCI\VEN_8086")


def found(machine: Machine, **more: object) -> tuple[Detection, ...]:
    facts: Facts = replace(machine.facts(), **more)  # type: ignore[arg-type]
    return detect([VENDOR, OTHER], facts)


def test_nothing_speaks_for_nothing() -> None:
    assert found(Machine().service("Spooler")) == ()


def test_one_service_of_the_vendor_is_enough() -> None:
    (one,) = found(Machine().service("cqmghost"))
    assert (one.profile, one.strength, one.applies) == ("vendor", 2, True)
    assert one.words == "vendor: likely (services cqmghost)"
    assert one.evidence[0].where == r"ControlSet001\Services\cqmghost"
    assert choose_sources([one]) == ("vendor",)


def test_one_driver_or_one_device_is_a_hint_only() -> None:
    (one,) = found(Machine().service("hpqilo3", 3, DRIVER))
    assert (one.strength, one.applies) == (1, False)
    assert "a hint only" in one.words
    (one,) = found(Machine(), pci=(device("103C"),))
    assert (one.strength, one.applies) == (1, False)
    assert choose_sources([one]) == ()


def test_devices_count_two_at_most() -> None:
    (one,) = found(Machine(), pci=tuple(device("103C") for _ in range(9)))
    assert (one.strength, one.applies) == (THRESHOLD, True)
    assert found(Machine(), pci=(device("15AD"), device(""))) == ()


def test_firmware_and_programs() -> None:
    (one,) = found(Machine(), bios={"SystemProductName": "ProLiant DL380 G7"})
    assert (one.strength, one.applies) == (3, True)
    assert found(Machine(), bios={"SystemProductName": "HP EliteBook"}) == ()
    product = Product("k", "HP Insight Management Agents", "HP", "9", "x")
    (one,) = found(Machine(), products=(product, replace(product, display_name="Not HP at all")))
    assert one.strength == 2


def test_a_service_does_not_count_as_a_driver_nor_a_driver_as_a_service() -> None:
    assert found(Machine().service("hpqilo3").service("CqMgHost", 3, DRIVER)) == ()


def test_several_may_apply_and_the_strongest_comes_first() -> None:
    machine = Machine().service("omsad").service("CqMgHost").service("hpeams2").service("hpqilo3", 3, DRIVER)
    both = found(machine)
    assert [(one.profile, one.strength) for one in both] == [("vendor", 5), ("other", 2)]
    assert choose_sources(both) == ("vendor", "other")
    assert both[0].words.startswith("vendor: sure (services CqMgHost, hpeams2; drivers hpqilo3)")


def test_long_lists_are_cut_in_words_not_in_evidence() -> None:
    machine = Machine()
    for number in range(5):
        machine.service(f"hpeams{number}")
    (one,) = found(machine)
    assert "hpeams0, hpeams1, hpeams2 and 2 more" in one.words
    assert len(one.evidence) == 5


def test_devices_that_only_such_a_machine_has_count_two_at_most() -> None:
    guest = profile("detect: {devices: '^XENBUS'}\n", name="guest")
    facts = Machine().facts()
    (one,) = detect([guest], replace(facts, devices=(r"XENBUS\VEN_XS0001", r"PCI\VEN_8086")))
    assert (one.strength, one.applies) == (1, False)
    assert one.words == r"guest: a hint only (devices XENBUS\VEN_XS0001)"
    several = tuple(rf"XENBUS\VEN_XS000{number}" for number in range(4))
    (one,) = detect([guest], replace(facts, devices=several))
    assert (one.strength, one.applies) == (2, True)
    assert detect([guest], replace(facts, devices=(r"PCI\VEN_8086",))) == ()


def test_the_guest_tools_of_the_targets_own_hypervisor_are_no_left_overs() -> None:
    guest = profile("hypervisor: hyper-v\ndetect: {services: vmicheartbeat}\n", name="guest")
    machine = Machine().service("vmicheartbeat").service("omsad")
    both = detect([guest, OTHER], machine.facts())
    assert choose_sources(both) == ("guest", "other")
    assert choose_sources(both, frozenset({"kvm"})) == ("guest", "other")
    assert choose_sources(both, frozenset({"hyper-v", "kvm"})) == ("other",)
    assert guests_at_home(both, frozenset({"kvm"})) == {}
    (reason,) = guests_at_home(both, frozenset({"hyper-v"})).values()
    assert "hyper-v as well" in reason
    hint = detect(
        [profile("hypervisor: kvm\ndetect: {drivers: abc}\n")], Machine().service("abc", 3, DRIVER).facts()
    )
    assert guests_at_home(hint, frozenset({"kvm"})) == {}
