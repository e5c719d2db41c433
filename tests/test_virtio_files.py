"""Kits on the host: folders and ISOs, whole, in part, damaged, and the wrong file."""

from __future__ import annotations

import base64
import builtins
import hashlib
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from p2vprep import virtio_files
from p2vprep.core.model import Role
from p2vprep.errors import UsageError
from p2vprep.virtio_files import load_kit
from tests.support.virtio import guest, kit, package, write

pycdlib = pytest.importorskip("pycdlib", reason="pycdlib is not installed")


def iso(place: Path, files: Mapping[str, bytes], names: str = "joliet") -> Path:
    """Writes an ISO image with Joliet names, Rock Ridge names, or plain ones."""
    made = pycdlib.PyCdlib()
    made.new(
        joliet=3 if names == "joliet" else None,
        rock_ridge="1.09" if names == "rock-ridge" else None,
        interchange_level=4 if names == "plain" else 3,
    )
    folders: dict[str, str] = {"": ""}
    for number, path in enumerate(sorted(files)):
        *above, _ = path.split("/")
        for depth in range(1, len(above) + 1):
            folder = "/".join(above[:depth])
            if folder not in folders:
                short = above[depth - 1] if names == "plain" else f"D{len(folders)}"
                folders[folder] = f"{folders['/'.join(above[: depth - 1])]}/{short}"
                made.add_directory(folders[folder], **more(names, folder))
        short = path.rpartition("/")[2] if names == "plain" else f"F{number}."
        place_in = f"{folders['/'.join(above)]}/{short};1"
        content = files[path]
        made.add_fp(BytesIO(content), len(content), place_in, **more(names, path))
    made.write(str(place))
    made.close()
    return place


def more(names: str, path: str) -> dict[str, Any]:
    if names == "joliet":
        return {"joliet_path": f"/{path}"}
    return {"rr_name": path.rpartition("/")[2]} if names == "rock-ridge" else {}


@pytest.mark.parametrize("names", ["joliet", "rock-ridge", "plain"])
def test_an_iso_is_read_as_its_folder(tmp_path: Path, names: str) -> None:
    files = kit("2k19", "w10") | {"virtio-win_license.txt": b"words"}
    by_folder = load_kit(write(tmp_path / "kit", files), guest())
    by_iso = load_kit(iso(tmp_path / "kit.iso", files, names), guest())
    assert [one.driver.name for one in by_folder.packages] == [
        "viostor", "vioscsi", "netkvm", "balloon", "vioser",
    ]  # fmt: skip
    assert by_iso.packages == by_folder.packages
    assert by_iso.others == by_folder.others == ("2k19/amd64", "w10/amd64")
    assert (by_folder.source, by_iso.source) == ("kit", "kit.iso")


def test_only_what_the_package_needs_is_taken(tmp_path: Path) -> None:
    found = load_kit(write(tmp_path, kit("2k19")), guest()).package("viostor")
    assert found is not None
    assert [name for name, _ in found.files] == ["viostor.cat", "viostor.inf", "viostor.sys"]
    assert found.file("VIOSTOR.SYS") == package("viostor")["viostor.sys"]
    assert found.exact


def test_the_layout_of_the_package_is_read_as_well(tmp_path: Path) -> None:
    files = {f"drivers/amd64/Win2019/{name}": held for name, held in package("viostor").items()}
    files |= {f"drivers/amd64/Win2019/{name}": held for name, held in package("netkvm").items()}
    found = load_kit(write(tmp_path, files), guest())
    assert [one.where for one in found.packages] == ["drivers/amd64/Win2019"] * 2


def test_the_own_folder_goes_before_one_that_serves_as_well(tmp_path: Path) -> None:
    both = load_kit(write(tmp_path, kit("2k16", "2k19")), guest())
    assert {one.where.split("/")[1] for one in both.packages} == {"2k19"}
    substitute = load_kit(write(tmp_path / "older", kit("2k16")), guest()).package("viostor")
    assert substitute is not None
    assert (substitute.where, substitute.exact) == ("viostor/2k16/amd64", False)


def test_a_windows_that_the_kit_lacks_gets_nothing_and_learns_what_there_is(tmp_path: Path) -> None:
    found = load_kit(write(tmp_path, kit("w10")), guest(6, 1, 7601, role=Role.CLIENT))
    assert found.packages == ()
    assert found.wanted == ("w7", "2k8r2")
    assert found.others == ("w10/amd64",)


def test_another_processor_gets_nothing(tmp_path: Path) -> None:
    assert load_kit(write(tmp_path, kit("2k19")), guest(arch="x86")).packages == ()


def test_a_package_that_lacks_a_file_is_named(tmp_path: Path) -> None:
    files = kit("2k19", names=("viostor",))
    del files["viostor/2k19/amd64/viostor.cat"]
    found = load_kit(write(tmp_path, files), guest())
    assert found.packages == ()
    assert found.unfit == ("viostor/2k19/amd64/viostor.inf: its file viostor.cat is missing",)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("%12%\\viostor.sys", "%12%\\..\\a%b.sys", "strange file"),
        ("viostor.sys = 1,,", "../viostor.sys = 1,,", "strange file"),
        ("AddService", "NoService", "installs no driver"),
        ("NTamd64", "NTamd64.11.0", "no devices for this Windows"),
    ],
)
def test_a_package_with_an_odd_inf_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    files = kit("2k19", names=("viostor",))
    path = "viostor/2k19/amd64/viostor.inf"
    files[path] = files[path].replace(old.encode(), new.encode())
    found = load_kit(write(tmp_path, files), guest())
    assert found.packages == ()
    assert words in found.unfit[0]


def test_certificates_are_found_by_thumbprint(tmp_path: Path) -> None:
    content = b"0\x82 a certificate"
    text = base64.b64encode(content).decode()
    files = kit("2k19") | {
        "cert/plain.cer": content,
        "CERT/text.cer": f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode(),
        "cert/bad.cer": b"-----BEGIN CERTIFICATE-----",
        "elsewhere/other.cer": b"not looked at",
    }
    found = load_kit(write(tmp_path, files), guest())
    thumbprint = hashlib.sha1(content, usedforsecurity=False).hexdigest().upper()
    assert {(one.name, one.thumbprint) for one in found.certificates} == {
        ("plain.cer", thumbprint),
        ("text.cer", thumbprint),
    }
    assert found.unfit == ("cert/bad.cer: is no certificate",)


# --- the wrong thing ---------------------------------------------------------------------------


def refused(path: Path, code: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_kit(path, guest())
    assert caught.value.code == code
    assert caught.value.subject
    assert caught.value.hint
    return caught.value


def test_a_folder_without_drivers_is_refused(tmp_path: Path) -> None:
    refused(write(tmp_path, {"readme.txt": b"nothing"}), "no-virtio-drivers")


@pytest.mark.parametrize("content", [b"", b"words", bytes(64 << 10), b"\0CD001" * 10_000])
def test_a_file_that_is_no_iso_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.iso"
    path.write_bytes(content)
    refused(path, "virtio-win-unreadable")


def test_a_cut_iso_is_refused(tmp_path: Path) -> None:
    path = iso(tmp_path / "a.iso", kit("2k19"))
    whole = path.read_bytes()
    for part in (40_000, 60_000, len(whole) // 2):
        path.write_bytes(whole[:part])
        refused(path, "virtio-win-unreadable")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nothing.iso", "virtio-win-unreadable").message


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtio_files, "MOST_FILES", 3)
    refused(write(tmp_path / "kit", kit("2k19")), "virtio-win-unreadable")
    refused(iso(tmp_path / "kit.iso", kit("2k19")), "virtio-win-unreadable")


def test_a_file_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtio_files, "FILE_LIMIT", 10)
    refused(write(tmp_path / "kit", kit("2k19")), "virtio-win-unreadable")
    refused(iso(tmp_path / "kit.iso", kit("2k19")), "virtio-win-unreadable")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path, kit("2k19"))
    path = tmp_path / "viostor/2k19/amd64/viostor.sys"
    path.unlink()
    path.symlink_to(path.name)
    refused(tmp_path, "virtio-win-unreadable")


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", denied)
    assert refused(tmp_path, "virtio-win-unreadable").message == "Permission denied"


def test_a_host_without_the_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more_of_it: Any) -> Any:
        if name == "pycdlib":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more_of_it)

    path = iso(tmp_path / "a.iso", kit("2k19"))
    monkeypatch.setattr(builtins, "__import__", without)
    assert "mount the ISO" in str(refused(path, "pycdlib-missing").hint)
