"""The table of docs/by-hand.md, as commands: what its rows type is executed as it is written."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from p2vprep.core.regtext import encode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "by-hand.md"
DISK = "srv.vhd"
_HEAD = "| What you did in DaRT | What you type |"
_WRITING = {"set", "delete", "import", "put"}


@dataclass(frozen=True)
class Row:
    """One row: what was done, and the arguments of the command that does it now."""

    was: str
    arguments: tuple[str, ...]

    @property
    def writes(self) -> bool:
        """Whether it is an edit by hand, which asks before it is made."""
        return not _WRITING.isdisjoint(self.arguments)


def rows() -> list[Row]:
    """Every row of the table, in its order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines[lines.index(_HEAD) + 2 :]:
        if not line.startswith("|"):
            break
        was, typed = (cell.strip() for cell in line.strip("|").split(" | ", 1))
        program, *arguments = shlex.split(typed.strip("`"))
        assert program == "p2vprep"
        assert DISK in arguments
        found.append(Row(was, tuple(arguments)))
    return found


def lay_out(folder: Path) -> None:
    """The host files that the rows name, beside the disk."""
    (folder / "tools" / "more").mkdir(parents=True)
    (folder / "tools" / "check.cmd").write_bytes(b"@echo off\r\n")
    (folder / "tools" / "more" / "data.bin").write_bytes(bytes(range(256)))
    text = (
        "Windows Registry Editor Version 5.00\r\n\r\n"
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Contoso]\r\n"
        '"Owner"="Anna"\r\n"Flags"=dword:00000003\r\n\r\n'
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\sysdown]\r\n"
        '"Start"=dword:00000004\r\n\r\n'
    )
    (folder / "contoso.reg").write_bytes(encode(text))


def expected_after(look: object) -> None:
    """What must be there after all rows that write; ``look`` gives the document of a command."""
    assert callable(look)
    starts = {one["name"]: one["start"] for one in look("services", "--kind", "all")["services"]}
    for name in ("CqMgServ", "CqMgStor", "CqMgHost", "hpqilo3", "sysdown"):
        assert starts[name] == 4, name
    assert starts["wuauserv"] == 3
    contoso = look("registry", "get", r"HKLM\SOFTWARE\Contoso")
    values = {value["name"]: value["data"] for value in contoso["values"]}
    assert values == {"Site": "Leipzig", "Owner": "Anna", "Flags": 3}
    assert contoso["subkeys"] == ["Migrated"]
    run = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
    assert look("registry", "get", rf"HKLM\{run}")["values"] == []
    assert look("registry", "get", rf"HKU\Anna\{run}")["values"] == []
    names = {entry["name"] for entry in look("files", "ls", "/tools")["entries"]}
    assert {"check.cmd", "more", "readme.txt"} <= names
