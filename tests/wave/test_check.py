"""What a check finds before anything runs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from p2vprep.disk import access
from p2vprep.profile_store import ProfileStore
from p2vprep.wave import check as checking
from p2vprep.wave import conflicts
from p2vprep.wave.findings import Checked
from p2vprep.wave.manifest import Manifest, load

MIB = 1 << 20


def raw(path: Path) -> Path:
    with path.open("wb") as stream:
        stream.truncate(MIB)
    return path


def wave(folder: Path, text: str) -> Manifest:
    path = folder / "wave.csv"
    path.write_text(text)
    return load(path)


def check(held: Manifest, at_once: int = 4) -> Checked:
    return checking.check(held, at_once=at_once)


def codes(found: Checked) -> list[tuple[str, str, str]]:
    return [(one.machine, one.severity, one.code) for one in found.findings]


def test_a_wave_that_is_in_order(tmp_path: Path) -> None:
    raw(tmp_path / "a.raw")
    raw(tmp_path / "b.raw")
    found = check(
        wave(tmp_path, "name,disk,target,ip,mac\na,a.raw,kvm,192.0.2.1/24,525400000001\nb,b.raw,,,\n")
    )
    assert codes(found) == []
    assert (found.machines, found.disks) == (2, 2)


def test_images_that_cannot_be_worked_on(tmp_path: Path) -> None:
    (tmp_path / "empty.vhdx").touch()
    found = check(wave(tmp_path, "name,disk\ngone,gone.raw\nempty,empty.vhdx\nnone,*.qcow2\n"))
    told = {machine: code for machine, _severity, code in codes(found)}
    assert told["gone"] == told["none"] == "image-missing"
    assert told["empty"].startswith("image-")
    assert found.findings[0].place == "wave.csv: row 2"


@pytest.mark.parametrize("how", ["same", "symlink", "hardlink"])
def test_a_file_is_one_machine_s(tmp_path: Path, how: str) -> None:
    raw(tmp_path / "a.raw")
    if how == "symlink":
        (tmp_path / "b.raw").symlink_to("a.raw")
    elif how == "hardlink":
        os.link(tmp_path / "a.raw", tmp_path / "b.raw")
    other = "a.raw" if how == "same" else "b.raw"
    held = wave(tmp_path, f"name,disk\na,a.raw\nb,{other}\n")
    assert codes(check(held)) == [("b", "error", "image-listed-twice")]
    (one,) = conflicts.contradictions(held.machines)
    assert (one.code, "a (wave.csv: row 2)" in one.message) == ("image-listed-twice", True)


def test_an_image_that_is_written_to(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.raw")
    held = wave(tmp_path, "name,disk\na,a.raw\n")
    with path.open("r+b") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        assert codes(check(held)) == [("a", "error", "image-in-use")]
    assert codes(check(held)) == []


def test_an_image_that_cannot_be_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw(tmp_path / "a.raw")
    real = os.open

    def deny(path: object, flags: int, *more: int, **named: int) -> int:
        if str(path).endswith("a.raw") and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", deny)
    assert codes(check(wave(tmp_path, "name,disk\na,a.raw\n"))) == [("a", "error", "image-read-only")]


def test_there_has_to_be_room_for_all_machines_of_a_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        raw(tmp_path / f"{name}.raw")
    held = wave(tmp_path, "name,disk\na,a.raw\nb,b.raw\nc,c.raw\n")
    needed = 2 * (2 * 32 * MIB) + 3 * 8 * MIB

    class Space:
        f_frsize = 1
        f_bavail = needed

    monkeypatch.setattr(os, "statvfs", lambda _path: Space)
    assert codes(check(held, at_once=2)) == []
    Space.f_bavail = needed - 1
    assert codes(check(held, at_once=2)) == [("", "error", "no-space")]


def test_profiles_have_to_be_there_and_of_their_kind(tmp_path: Path) -> None:
    raw(tmp_path / "a.raw")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bad.yaml").write_text("schema: p2vprep.profile/1\nname: bad\n")
    text = "name,disk,source,target,profile dir\na,a.raw,{},{},{}\n"
    for source, target, folder, code in (
        ("no-such", "", "", "no-such-profile"),
        ("auto", "hpe-proliant", "", "usage"),
        ("bad", "", "mine", "invalid-document"),
        ("auto", "", "nowhere", "no-such-folder"),
    ):
        found = codes(check(wave(tmp_path, text.format(source, target, folder))))
        assert found == [("a", "error", code)], source


def test_nothing_is_given_to_two_machines(tmp_path: Path) -> None:
    for name in "ab":
        raw(tmp_path / f"{name}.raw")
    text = "name,disk,ip,mac\na,a.raw,192.0.2.1/24,00155d000001\nb,b.raw,192.0.2.1/25,00-15-5D-00-00-01\n"
    found = check(wave(tmp_path, text))
    assert codes(found) == [("b", "error", "address-twice"), ("b", "error", "mac-twice")]
    assert "a (wave.csv: row 2)" in found.findings[0].message


@pytest.mark.parametrize(
    ("target", "mac", "fits"),
    [
        ("hyper-v-gen2", "00155d000001", True),
        ("hyper-v-gen2", "005056000001", False),
        ("vmware", "000c29000001", True),
        ("kvm", "00155d000001", False),
        ("proxmox", "bc2411000001", True),
        ("kvm", "3c52a1000001", True),  # of a real card, or made up: nobody's
        ("", "00155d000001", True),
        ("any-hypervisor", "00155d000001", True),
    ],
)
def test_a_mac_tells_its_hypervisor(tmp_path: Path, target: str, mac: str, fits: bool) -> None:
    raw(tmp_path / "a.raw")
    found = check(wave(tmp_path, f"name,disk,target,mac,ip\na,a.raw,{target},{mac},dhcp\n"))
    assert codes(found) == ([] if fits else [("a", "warning", "mac-of-another-hypervisor")])


def test_what_the_host_is_asked_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred machines cost as many looks at the processes of the host as one."""
    asked = []
    rows = [f"m{at},{raw(tmp_path / f'{at}.raw').name},hpe-proliant" for at in range(100)]
    held = wave(tmp_path, "name,disk,source\n" + "\n".join(rows) + "\n")

    def users() -> dict[str, str]:
        asked.append("processes")
        return {}

    def store(folders: tuple[Path, ...]) -> ProfileStore:
        asked.append("profiles")
        return ProfileStore(folders)

    monkeypatch.setattr(access, "all_users", users)
    monkeypatch.setattr(checking, "ProfileStore", store)
    assert check(held).machines == 100
    assert asked == ["processes", "profiles"]
