"""Programs in the SOFTWARE hive of the machine, through the whole command."""

from __future__ import annotations

from pathlib import Path

from p2vprep.core.values import Data
from testdata.kit.hivewriter import build_hive
from tests.support.flow import CONFIG, Shelf, done, inside, sample, sample_machine, with_files

UNINSTALL = r"Microsoft\Windows\CurrentVersion\Uninstall"
CODE = "{8B7A6C5D-1234-4321-ABCD-0123456789AB}"
LINE = f"msiexec.exe /x {CODE} /qn /norestart REBOOT=ReallySuppress"
ON = ("--set", "uninstall=first-boot")


def machine(shelf: Shelf, folder: Path) -> Path:
    """The sample server with an agent of HP's and one whose uninstaller nobody should run."""
    hive = sample_machine().software()
    programs = {
        CODE: ("HP Insight Management WBEM Providers", f"MsiExec.exe /I{CODE}", 1),
        "Odd": ("HP Insight Diagnostics", r"C:\Temp\un.exe & del C:\*", 0),
    }
    for name, (shown, command, msi) in programs.items():
        key = hive.root.make(rf"{UNINSTALL}\{name}")
        key.set("DisplayName", Data.sz(shown)).set("UninstallString", Data.sz(command))
        key.set("WindowsInstaller", Data.dword(msi))
    clean: dict[str, bytes | None] = {f"{CONFIG}/SOFTWARE.{log}": None for log in ("LOG", "LOG1", "LOG2")}
    clean[f"{CONFIG}/SOFTWARE"] = build_hive(hive, file_name="SOFTWARE")
    return shelf.disk(folder, spec=with_files(sample(), clean), name="programs")


def commands(plan: dict[str, object]) -> list[str]:
    items = plan["first_boot"]
    assert isinstance(items, list)
    return [line for item in items if item["kind"] == "run-commands" for line in item["commands"]]


def test_programs_stay_unless_asked_for(shelf: Shelf, tmp_path: Path, fake: None) -> None:
    disk = machine(shelf, tmp_path)
    kept = done("plan", disk)
    assert not [line for line in commands(kept) if "msiexec" in line]
    told = {skip["subject"]: skip["reason"] for skip in kept["skips"] if skip["rule"] == "uninstall"}
    assert LINE in told["HP Insight Management WBEM Providers"]
    removed = done("plan", disk, *ON)
    assert LINE in commands(removed)
    told = {skip["subject"]: skip["reason"] for skip in removed["skips"] if skip["rule"] == "uninstall"}
    assert "no silent way" in told["HP Insight Diagnostics"]


def test_the_step_is_on_the_disk_and_the_odd_command_is_not(shelf: Shelf, tmp_path: Path, fake: None) -> None:
    disk = machine(shelf, tmp_path)
    done("apply", disk, *ON, "--yes")
    with inside(disk) as guest:
        names = guest.list("/p2vprep/steps")
        scripts = [guest.read(f"/p2vprep/steps/{name}", 0, 1 << 20) for name in names]
    assert any(LINE.encode() in script for script in scripts)
    assert not any(b"un.exe" in script for script in scripts)
    assert done("plan", disk, *ON)["changes"] == []
