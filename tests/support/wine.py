"""A Wine prefix in which the real first-boot scripts run, where Wine is installed.

Wine's cmd, reg and parts of its sc do real work. ``sc config`` always fails
there, so a recording stand-in can take sc's place: a script that answers as a
test wants.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from p2vprep.core import regtext
from p2vprep.core.model import DeleteKey, Edit, PutFile, SetValue

WINE = shutil.which("wine")
MISSING = "Wine is not installed (Debian and Ubuntu: apt install wine)"
_TIME_LIMIT = 120
_VALUE = re.compile(r"    (.+?)    (REG_\w+)    (.*)")


class Prefix:
    """A Windows folder tree and registry of its own, made by Wine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drive = folder / "prefix" / "drive_c"
        self.output = folder / "output.txt"
        self._environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(folder),
            "WINEPREFIX": str(folder / "prefix"),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
        }
        self.keep_running()
        self.run("wineboot", "--init")

    def run(self, *arguments: str) -> int:
        """Runs a program and gives its exit code; what it printed is in ``output``."""
        assert WINE is not None
        # Into a file, not a pipe: Windows' own processes that it may start would keep a pipe open.
        with self.output.open("wb") as sink:
            return subprocess.run(
                [WINE, *arguments],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.DEVNULL,
                timeout=_TIME_LIMIT,
                check=False,
            ).returncode

    def script(self, path: str, *arguments: str) -> int:
        """Runs a script as the service entry does."""
        return self.run("cmd", "/d", "/e:on", "/v:off", "/c", path, *arguments)

    def import_reg(self, sections: Iterable[regtext.Section]) -> None:
        """Writes into the registry."""
        file = self.drive / "import.reg"
        file.write_bytes(regtext.encode(regtext.render(sections)))
        assert self.run("reg", "import", r"C:\import.reg") == 0

    def tree(self, key: str) -> dict[str, dict[str, str]]:
        """The values, as reg prints them, of a key and all below it, by path; empty where it is absent."""
        found: dict[str, dict[str, str]] = {}
        held: dict[str, str] = {}
        self.run("reg", "query", key, "/s")
        for line in self.output.read_bytes().decode("cp437").splitlines():
            match = _VALUE.fullmatch(line)
            if match is not None:
                held[match.group(1)] = match.group(3)
            elif line.startswith("HKEY_LOCAL_MACHINE\\"):
                held = found.setdefault(line.replace("HKEY_LOCAL_MACHINE", "HKLM", 1), {})
        return found

    def put(self, path: str, content: bytes) -> None:
        """Writes a file by its path in the volume."""
        file = self.drive / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def apply(self, edits: Iterable[Edit], more: Iterable[regtext.Section] = ()) -> None:
        """Does what the edits ask for, as apply does it on a disk, and then what the sections say."""
        sections: list[regtext.Section] = []
        for edit in edits:
            if isinstance(edit, PutFile):
                self.put(edit.path, edit.content)
            elif isinstance(edit, DeleteKey):
                sections.append(regtext.Section(rf"HKEY_LOCAL_MACHINE\{edit.hive}\{edit.key}", delete=True))
            else:
                assert isinstance(edit, SetValue)
                # Wine keeps CurrentControlSet as a key of its own, not as a link to a numbered set.
                path = edit.key.replace("ControlSet001", "CurrentControlSet", 1)
                key = rf"HKEY_LOCAL_MACHINE\{edit.hive}\{path}"
                sections.append(regtext.Section(key, ((edit.name, edit.data),)))
        self.import_reg([*sections, *more])

    def remove(self, names: Iterable[str], keys: Iterable[str]) -> None:
        """Takes away folders of the drive and keys below HKEY_LOCAL_MACHINE."""
        for name in names:
            shutil.rmtree(self.drive / name, ignore_errors=True)
        self.import_reg([regtext.Section(rf"HKEY_LOCAL_MACHINE\{key}", delete=True) for key in keys])

    def keep_running(self) -> None:
        """Keeps "Windows" up between programs; else each program would be a boot of its own."""
        self._server("--persistent")

    def close(self) -> None:
        """Shuts "Windows" down: ends every process of this prefix and waits for the end."""
        self._server("--kill")
        self._server("--wait")

    def _server(self, option: str) -> None:
        server = shutil.which("wineserver")
        assert server is not None
        subprocess.run([server, option], env=self._environment, check=False, timeout=60)
