"""virtio drivers: what is registered for which Windows, what is refused, and that a second plan is empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from p2vprep.core.driver_database import has_database
from p2vprep.core.facts import gather
from p2vprep.core.model import (
    Facts,
    FileChange,
    FileState,
    Guest,
    KeyChange,
    Plan,
    PutFile,
    Role,
    RunCommands,
    ValueChange,
)
from p2vprep.core.planner import Draft, draft, finish
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import Hive, MemoryHive, find, fold, value
from p2vprep.core.values import Data
from p2vprep.core.virtio import DriverKit
from p2vprep.core.wishes import Wishes
from p2vprep.virtio_files import load_kit
from tests.support import corpus, virtio
from tests.support.machines import Machine, carry_out, dump

CDB = r"Control\CriticalDeviceDatabase"
SOFTWARE_VERSION = r"Microsoft\Windows\CurrentVersion"
UPDATES = rf"{SOFTWARE_VERSION}\Component Based Servicing\Packages"


class Virtual(Machine):
    """A machine with a kit, whose guest can be any Windows."""

    def __init__(self, guest: Guest, *sets: str) -> None:
        super().__init__(*sets)
        self.guest = guest
        self.software: MemoryHive | None = MemoryHive()
        if guest.version.nt >= (6, 2):
            self.hive.root.make(r"DriverDatabase\DeviceIds\PCI")

    @property
    def hives(self) -> dict[str, Hive]:
        found: dict[str, Hive] = {"SYSTEM": self.hive}
        return found if self.software is None else {**found, "SOFTWARE": self.software}

    def facts(self) -> Facts:
        return replace(gather(self.hive, None, system_root="/Windows"), guest=self.guest)

    def wanted(self, kit: DriverKit) -> Draft:
        return draft(self.facts(), self.hives, (), wishes=Wishes(drivers=kit))

    def planned(self, kit: DriverKit, files: Mapping[str, FileState | None] | None = None) -> Plan:
        wanted = self.wanted(kit)
        paths = [edit.path for edit in wanted.edits if isinstance(edit, PutFile)]
        return finish(wanted, self.hives, files=dict.fromkeys(paths) if files is None else files)

    def done(self, kit: DriverKit) -> dict[str, FileState | None]:
        """Carries a plan out; returns the files that are there then."""
        plan = self.planned(kit)
        hives = {"SYSTEM": self.hive} | ({} if self.software is None else {"SOFTWARE": self.software})
        carry_out(plan.changes, hives)
        return {one.path.upper(): one.after for one in plan.changes if isinstance(one, FileChange)}


def made(tmp_path: Path, guest: Guest, files: Mapping[str, bytes]) -> DriverKit:
    return load_kit(virtio.write(tmp_path / "kit", files), guest)


def codes(plan: Plan) -> dict[str, str]:
    """The hazards of this rule with their severities."""
    return {one.code: one.severity for one in plan.hazards if one.code.startswith(("virtio-", "no-driver-"))}


def skipped(plan: Plan) -> list[str]:
    return [skip.subject for skip in plan.skips if skip.rule == "virtio"]


def steps(plan: Plan) -> dict[str, RunCommands]:
    return {item.name: item for item in plan.first_boot if isinstance(item, RunCommands)}


def files(plan: Plan) -> set[str]:
    return {change.path for change in plan.changes if isinstance(change, FileChange)}


SERVER_2019 = virtio.guest()
SERVER_2008R2 = virtio.guest(6, 1, 7601)
XP = virtio.guest(5, 1, 2600, role=Role.CLIENT, arch="x86")


# --- what is done ------------------------------------------------------------------------------


def test_windows_10_gets_service_database_files_and_steps(tmp_path: Path) -> None:
    machine = Virtual(SERVER_2019)
    kit = made(tmp_path, SERVER_2019, virtio.kit("2k19"))
    plan = machine.planned(kit)
    assert codes(plan) == {}
    assert "/Windows/System32/drivers/viostor.sys" in files(plan)
    assert "/p2vprep/drivers/netkvm/netkvm.inf" in files(plan)
    assert not any("netkvm" in path for path in files(plan) if path.startswith("/Windows"))
    machine.done(kit)
    service = r"ControlSet001\Services\viostor"
    assert value(machine.hive, service, "Start") == Data.dword(0)
    assert value(machine.hive, service, "ImagePath") == Data.expand_sz(r"system32\drivers\viostor.sys")
    assert value(machine.hive, rf"{service}\Parameters", "BusType") == Data.dword(10)
    assert value(machine.hive, rf"{service}\Parameters\PnpInterface", "5") == Data.dword(1)
    assert find(machine.hive, r"ControlSet001\Services\netkvm") is None
    assert find(machine.hive, rf"ControlSet001\{CDB}") is None
    ids = find(machine.hive, r"DriverDatabase\DeviceIds\PCI")
    assert ids is not None
    assert {key.name: [data.raw.hex() for _, data in key.values()] for key in ids.subkeys()} == {
        "VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00": ["01ff0000"],
        "VEN_1AF4&DEV_1001&REV_00": ["01ff0000"],
        "VEN_1AF4&DEV_1001": ["02ff0000"],
        "VEN_1AF4&DEV_1042&SUBSYS_11001AF4&REV_01": ["01ff0000"],
        "VEN_1AF4&DEV_1042&REV_01": ["01ff0000"],
        "VEN_1AF4&DEV_1042": ["02ff0000"],
        "VEN_1AF4&DEV_1004&SUBSYS_00081AF4&REV_00": ["01ff0000"],
        "VEN_1AF4&DEV_1004&REV_00": ["01ff0000"],
        "VEN_1AF4&DEV_1004": ["02ff0000"],
        "VEN_1AF4&DEV_1048&SUBSYS_11001AF4&REV_01": ["01ff0000"],
        "VEN_1AF4&DEV_1048&REV_01": ["01ff0000"],
        "VEN_1AF4&DEV_1048": ["02ff0000"],
    }
    package = r"DriverDatabase\DriverPackages\p2vprep_viostor.inf_tmp"
    version = value(machine.hive, package, "Version")
    assert version is not None
    assert version.raw.hex() == "00ff0900000000007be9364d25e3ce11bfc108002be10318" + "00" * 24
    assert value(machine.hive, rf"{package}\Configurations\boot", "Service") == Data.sz("viostor")
    described = rf"{package}\Descriptors\PCI\VEN_1AF4&DEV_1042&REV_01"
    assert value(machine.hive, described, "Configuration") == Data.sz("boot")
    inf = r"DriverDatabase\DriverInfFiles\p2vprep_viostor.inf"
    assert value(machine.hive, inf, "") == Data.multi_sz(["p2vprep_viostor.inf_tmp"])


def test_the_processor_of_the_database_counts(tmp_path: Path) -> None:
    guest = virtio.guest(arch="x86")
    machine = Virtual(guest)
    machine.hive.root.make("DriverDatabase").set("Architecture", Data.dword(0))
    machine.done(made(tmp_path, guest, virtio.kit("2k19", architecture="x86")))
    version = value(machine.hive, r"DriverDatabase\DriverPackages\p2vprep_viostor.inf_tmp", "Version")
    assert version is not None
    assert version.raw[:8].hex() == "00ff000000000000"


def test_steps_install_each_package_and_clean_up_last(tmp_path: Path) -> None:
    plan = Virtual(SERVER_2019).planned(made(tmp_path, SERVER_2019, virtio.kit("2k19")))
    found = steps(plan)
    assert list(found) == [
        *(f"virtio-{name}" for name in ("viostor", "vioscsi", "netkvm", "balloon", "vioser")),
        "virtio-finish",
    ]
    assert found["virtio-netkvm"].commands == (
        r'pnputil.exe -i -a "%SystemDrive%\p2vprep\drivers\netkvm\netkvm.inf"',
    )
    assert found["virtio-netkvm"].phase == "before-network"
    assert found["virtio-netkvm"].good == (0, 259)
    last = found["virtio-finish"]
    assert last.phase == "last"
    assert last.commands == (r'call "%SystemDrive%\p2vprep\drivers\finish.cmd"',)


def test_the_placeholders_go_by_a_script_that_asks_for_the_real_package(tmp_path: Path) -> None:
    wanted = Virtual(SERVER_2019).wanted(made(tmp_path, SERVER_2019, virtio.kit("2k19")))
    path = "/p2vprep/drivers/finish.cmd"
    (content,) = (edit.content for edit in wanted.edits if isinstance(edit, PutFile) and edit.path == path)
    lines = content.decode("ascii").split("\r\n")
    assert lines[1] == r'reg.exe delete "HKLM\SYSTEM\p2vprep\Drivers" /f >nul 2>&1'
    asks = lines.index(r'find.exe "\viostor.inf_" "%~dp0packages.txt" >nul 2>&1')
    assert lines[asks + 1] == "if errorlevel 1 goto next1"
    assert lines[asks + 2] == (
        r'reg.exe delete "HKLM\SYSTEM\DriverDatabase\DeviceIds\PCI'
        r'\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00" /v p2vprep_viostor.inf /f >nul 2>&1'
    )
    assert lines[asks + 2 + 6 + 2] == ":next1"
    assert sum("DriverDatabase" in line and "delete" in line for line in lines) == 2 * (6 + 2)
    assert max(map(len, lines)) < 200


def test_without_a_database_there_are_no_placeholders_to_take_away(tmp_path: Path) -> None:
    guest = virtio.guest(6, 1, 7601, arch="x86")
    wanted = Virtual(guest).wanted(made(tmp_path, guest, virtio.kit("2k8R2", architecture="x86")))
    (content,) = (e.content for e in wanted.edits if isinstance(e, PutFile) and e.path.endswith("finish.cmd"))
    assert b"DriverDatabase" not in content
    assert b"p2vprep\\Drivers" in content


def test_windows_7_gets_the_critical_devices_of_every_control_set(tmp_path: Path) -> None:
    guest = virtio.guest(6, 1, 7601, role=Role.CLIENT, arch="x86")
    machine = Virtual(guest, "ControlSet001", "ControlSet002")
    machine.done(made(tmp_path, guest, virtio.kit("w7", architecture="x86")))
    for name in ("ControlSet001", "ControlSet002"):
        key = rf"{name}\{CDB}\PCI#VEN_1AF4&DEV_1001"
        assert value(machine.hive, key, "Service") == Data.sz("viostor")
        assert value(machine.hive, key, "ClassGUID") == Data.sz("{4D36E97B-E325-11CE-BFC1-08002BE10318}")
        assert value(machine.hive, rf"{name}\{CDB}\PCI#VEN_1AF4&DEV_1048&REV_01", "Service") == Data.sz(
            "vioscsi"
        )
        assert value(machine.hive, rf"{name}\Services\vioscsi", "Start") == Data.dword(0)
    assert find(machine.hive, "DriverDatabase") is None


def test_windows_xp_finds_the_packages_by_device_path(tmp_path: Path) -> None:
    machine = Virtual(XP)
    assert machine.software is not None
    machine.software.root.make(SOFTWARE_VERSION).set("DevicePath", Data.expand_sz(r"%SystemRoot%\inf"))
    kit = made(tmp_path, XP, virtio.kit("xp", architecture="x86", names=("viostor", "netkvm")))
    plan = machine.planned(kit)
    assert steps(plan) == {}
    assert skipped(plan) == ["vioscsi"]
    machine.done(kit)
    assert value(machine.software, SOFTWARE_VERSION, "DevicePath") == Data.expand_sz(
        r"%SystemRoot%\inf;%SystemDrive%\p2vprep\drivers\viostor;%SystemDrive%\p2vprep\drivers\netkvm"
    )
    assert find(machine.hive, rf"ControlSet001\{CDB}\PCI#VEN_1AF4&DEV_1001") is not None


def test_a_legacy_driver_does_not_claim_modern_devices(tmp_path: Path) -> None:
    machine = Virtual(XP)
    held = virtio.kit("xp", architecture="x86", names=("viostor",))
    path = "viostor/xp/x86/viostor.inf"
    lines = held[path].decode().splitlines()
    kept = [line for line in lines if "1042" not in line and not line.endswith("\\")]
    held[path] = "\n".join(kept).replace(", PCI\\VEN_1AF4&DEV_1001\n", "\n").encode()
    machine.done(made(tmp_path, XP, held))
    devices = find(machine.hive, rf"ControlSet001\{CDB}")
    assert devices is not None
    assert {key.name for key in devices.subkeys()} == {
        "PCI#VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00",
        "PCI#VEN_1AF4&DEV_1001&REV_00",
    }


@pytest.mark.parametrize("guest", [SERVER_2019, XP, virtio.guest(6, 0, 6002, arch="x86")], ids=str)
def test_a_second_plan_is_empty_and_asks_the_same_of_the_first_boot(tmp_path: Path, guest: Guest) -> None:
    machine = Virtual(guest)
    if machine.software is not None:
        machine.software.root.make(SOFTWARE_VERSION)
    folder = {(10, 0): "2k19", (5, 1): "xp", (6, 0): "2k8"}[guest.version.nt]
    kit = made(tmp_path, guest, virtio.kit(folder, architecture=guest.architecture))
    first = machine.planned(kit)
    there = machine.done(kit)
    second = machine.planned(kit, there)
    assert first.changes
    assert second.changes == ()
    assert second.first_boot == first.first_boot


def test_without_a_kit_nothing_happens() -> None:
    machine = Virtual(SERVER_2019)
    plan = finish(draft(machine.facts(), machine.hives, ()), machine.hives)
    assert (plan.changes, codes(plan), skipped(plan)) == ((), {}, [])


def test_a_plan_without_the_kit_tells_of_drivers_that_are_not_finished(tmp_path: Path) -> None:
    machine = Virtual(SERVER_2019, "ControlSet001", "ControlSet002")
    assert not codes(finish(draft(machine.facts(), machine.hives, ()), machine.hives))
    machine.done(made(tmp_path, SERVER_2019, virtio.kit("2k19", names=("viostor", "netkvm"))))
    plan = finish(draft(machine.facts(), machine.hives, ()), machine.hives)
    assert codes(plan) == {"virtio-unfinished": "warn"}
    assert "netkvm, viostor" in plan.hazards[0].message
    del machine.hive.root.make("p2vprep").children["DRIVERS"]
    assert not codes(finish(draft(machine.facts(), machine.hives, ()), machine.hives))


# --- what is there already ---------------------------------------------------------------------


def test_an_installed_driver_is_only_made_to_start(tmp_path: Path) -> None:
    machine = Virtual(SERVER_2019)
    machine.service("viostor", 3, 1, ImagePath="other")
    machine.set_value(r"Services\viostor\StartOverride", "0", 3)
    machine.service("netkvm", 3, 1)
    before = dump(machine.hive)
    kit = made(tmp_path, SERVER_2019, virtio.kit("2k19", names=("viostor", "netkvm")))
    plan = machine.planned(kit)
    assert [(type(one), one.key) for one in plan.changes if not isinstance(one, FileChange)] == [
        (ValueChange, r"ControlSet001\Services\viostor"),
        (KeyChange, r"ControlSet001\Services\viostor\StartOverride"),
    ]
    assert files(plan) == set()
    assert set(skipped(plan)) == {"viostor", "netkvm", "vioscsi"}
    assert plan.first_boot == ()
    machine.done(kit)
    assert value(machine.hive, r"ControlSet001\Services\viostor", "Start") == Data.dword(0)
    assert dump(machine.hive) != before
    assert machine.planned(kit).changes == ()


# --- what is refused or told -------------------------------------------------------------------


def test_a_kit_without_this_windows_is_refused_with_what_it_has(tmp_path: Path) -> None:
    plan = Virtual(SERVER_2008R2).planned(made(tmp_path, SERVER_2008R2, virtio.kit("2k19")))
    assert codes(plan) == {"virtio-driver-missing": "refuse", "virtio-network-missing": "warn"}
    assert plan.changes == ()
    hazard = plan.refusals[0]
    assert "0x7B" in hazard.message
    assert hazard.evidence == ("looked for: 2k8r2, w7", "there is: 2k19/amd64")
    assert not hazard.liftable


def test_an_unknown_processor_is_refused(tmp_path: Path) -> None:
    guest = virtio.guest(arch="unknown")
    plan = Virtual(guest).planned(made(tmp_path, guest, virtio.kit("2k19")))
    assert codes(plan)["virtio-driver-missing"] == "refuse"


def test_one_storage_driver_is_enough_and_the_other_is_told(tmp_path: Path) -> None:
    kit = made(tmp_path, SERVER_2019, virtio.kit("2k19", names=("vioscsi",)))
    plan = Virtual(SERVER_2019).planned(kit)
    assert codes(plan) == {"virtio-network-missing": "warn"}
    assert skipped(plan) == ["viostor"]


def test_a_folder_that_serves_as_well_is_told(tmp_path: Path) -> None:
    plan = Virtual(SERVER_2019).planned(made(tmp_path, SERVER_2019, virtio.kit("2k16")))
    assert codes(plan) == {"virtio-substitute": "warn"}
    assert plan.changes


def test_a_hive_without_its_database_is_refused(tmp_path: Path) -> None:
    machine = Virtual(SERVER_2019)
    del machine.hive.root.children["DRIVERDATABASE"]
    plan = machine.planned(made(tmp_path, SERVER_2019, virtio.kit("2k19")))
    assert codes(plan) == {"no-driver-database": "refuse"}


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("viostor.sys", virtio.program("x86", "sha1"), "is for x86, Windows for x64"),
        ("viostor.sys", b"words", "not a driver file"),
        ("viostor.inf", virtio.inf().replace("AddService = viostor", "AddService = disk").encode(), "'disk'"),
        ("viostor.inf", virtio.inf().replace("KERNEL = 1", "KERNEL = 16").encode(), "not that of viostor"),
        ("viostor.inf", virtio.inf().replace('"Parameters"', '"..\\Disk"').encode(), "strange key"),
    ],
)
def test_an_unfit_storage_driver_is_refused(tmp_path: Path, path: str, content: bytes, words: str) -> None:
    held = virtio.kit("2k19", names=("viostor", "netkvm")) | {f"viostor/2k19/amd64/{path}": content}
    plan = Virtual(SERVER_2019).planned(made(tmp_path, SERVER_2019, held))
    assert codes(plan) == {"virtio-driver-unfit": "refuse"}
    assert words in plan.hazards[0].message
    assert not any("viostor" in path for path in files(plan))
    assert "virtio-netkvm" in steps(plan)


def test_an_unfit_network_driver_is_left_out(tmp_path: Path) -> None:
    held = virtio.kit("2k19") | {"netkvm/2k19/amd64/netkvm.sys": virtio.program("arm64")}
    plan = Virtual(SERVER_2019).planned(made(tmp_path, SERVER_2019, held))
    assert codes(plan) == {"virtio-driver-unfit": "warn"}
    assert "virtio-netkvm" not in steps(plan)
    assert "virtio-viostor" in steps(plan)


def unsigned(folder: str, architecture: str, *digests: str) -> dict[str, bytes]:
    held = virtio.kit(folder, architecture=architecture, names=("viostor", "netkvm"))
    place = f"viostor/{folder}/{virtio.FOLDERS[architecture]}/viostor.sys"
    return held | {place: virtio.program(architecture, *digests)}


@pytest.mark.parametrize(
    ("guest", "folder", "refused"),
    [
        (SERVER_2019, "2k19", True),
        (virtio.guest(6, 1, 7601, arch="x86"), "2k8r2", False),
        (virtio.guest(5, 2, 3790), "2k3", False),
    ],
    ids=str,
)
def test_a_driver_that_is_not_signed_in_itself(
    tmp_path: Path, guest: Guest, folder: str, refused: bool
) -> None:
    plan = Virtual(guest).planned(made(tmp_path, guest, unsigned(folder, guest.architecture)))
    assert ("virtio-driver-unsigned" in codes(plan)) is refused
    assert ("/Windows/System32/drivers/viostor.sys" in files(plan)) is not refused


@pytest.mark.parametrize(
    ("digests", "updates", "refused"),
    [
        (("sha2",), {}, True),
        (("sha2",), {"Package_for_KB3033929~31bf3856ad364e35~amd64~~6.1.1.1": 0x70}, False),
        (("sha2",), {"Package_for_KB3033929~31bf3856ad364e35~amd64~~6.1.1.1": 0x40}, True),
        (("sha2",), {"Package_for_KB3033930~31bf3856ad364e35~amd64~~6.1.1.1": 0x70}, True),
        (("sha2",), {"Package_for_RollupFix~31bf3856ad364e35~amd64~~7601.24000.1.1": 0x70}, False),
        (("sha1", "sha2"), {}, False),
        (("sha1",), {}, False),
    ],
)
def test_sha_2_signatures_need_an_update_on_2008_r2(
    tmp_path: Path, digests: tuple[str, ...], updates: dict[str, int], refused: bool
) -> None:
    machine = Virtual(SERVER_2008R2)
    assert machine.software is not None
    for name, state in updates.items():
        machine.software.root.make(rf"{UPDATES}\{name}").set("CurrentState", Data.dword(state))
    plan = machine.planned(made(tmp_path, SERVER_2008R2, unsigned("2k8r2", "x64", *digests)))
    assert codes(plan) == ({"virtio-driver-sha2": "refuse"} if refused else {})


def test_without_software_nobody_knows_of_the_update(tmp_path: Path) -> None:
    machine = Virtual(SERVER_2008R2)
    machine.software = None
    plan = machine.planned(made(tmp_path, SERVER_2008R2, unsigned("2k8r2", "x64", "sha2")))
    assert codes(plan) == {"virtio-driver-sha2": "refuse"}
    assert plan.refusals[0].liftable


def test_a_publisher_is_trusted_only_for_the_installation(tmp_path: Path) -> None:
    machine = Virtual(SERVER_2019)
    kit = made(tmp_path, SERVER_2019, virtio.kit("2k19") | {"cert/a b.cer": b"0 certificate"})
    plan = machine.planned(kit)
    names = list(steps(plan))
    assert names[0] == "virtio-trust-1"
    assert names[-1] == "virtio-distrust-1"
    (certificate,) = kit.certificates
    assert steps(plan)["virtio-distrust-1"].commands == (
        f"certutil.exe -delstore TrustedPublisher {certificate.thumbprint}",
    )
    assert "/p2vprep/drivers/publisher-1.cer" in files(plan)
    assert machine.software is not None
    store = r"Microsoft\SystemCertificates\TrustedPublisher\Certificates"
    machine.software.root.make(rf"{store}\{certificate.thumbprint.lower()}")
    trusted = machine.planned(kit)
    assert not [name for name in steps(trusted) if "trust" in name]
    assert "/p2vprep/drivers/publisher-1.cer" not in files(trusted)


# --- on real hives -----------------------------------------------------------------------------

REAL = {
    "win10-21h2-x64_dissect.regf_1.SYSTEM": ("w10", "x64"),
    "win81-x64_regipy_2.SYSTEM": ("w8.1", "x64"),
    "win7-sp1-x86_regipy_1.SYSTEM": ("w7", "x86"),
    "win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM": ("2k3", "x86"),
    "winxp-sp2-x64_xpimage_1.SYSTEM": ("2k3", "x64"),
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_real_hives_get_what_their_windows_asks_first(tmp_path: Path, name: str) -> None:
    """And nothing that is there is changed: all keys are new, save lists of ids that other drivers share."""
    folder, architecture = REAL[name]
    hive = HiveReader(corpus.hive_bytes(name))
    facts = gather(hive, None, system_root="/Windows")
    assert facts.guest.architecture == architecture
    kit = made(tmp_path, facts.guest, virtio.kit(folder, architecture=architecture))
    wanted = draft(facts, {"SYSTEM": hive}, (), wishes=Wishes(drivers=kit))
    paths = [edit.path for edit in wanted.edits if isinstance(edit, PutFile)]
    plan = finish(wanted, {"SYSTEM": hive}, files=dict.fromkeys(paths))
    assert codes(plan) == {}
    mine = [change for change in plan.changes if change.rule == "virtio"]
    registry = [change for change in mine if not isinstance(change, FileChange)]
    assert registry
    assert all(isinstance(change, KeyChange) or change.before is None for change in registry)
    used = "DriverDatabase" if has_database(hive) else CDB
    assert any(used in change.key for change in registry)
    services = [change for change in registry if fold(change.key).endswith(r"SERVICES\VIOSTOR")]
    assert len(services) == 6 * len(plan.control_sets)
