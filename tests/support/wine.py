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
from collections.abc import Iterable, Mapping
from pathlib import Path

from p2vprep.core import regtext
from p2vprep.core.model import DeleteKey, Edit, PutFile, SetValue
from p2vprep.core.values import Data

WINE = shutil.which("wine")
MISSING = "Wine is not installed (Debian and Ubuntu: apt install wine)"
_TIME_LIMIT = 300
_VALUE = re.compile(r"    (.+?)    (REG_\w+)    (.*)")


class Prefix:
    """A Windows folder tree and registry of its own, made by Wine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drive = folder / "prefix" / "drive_c"
        self._environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(folder),
            "WINEPREFIX": str(folder / "prefix"),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
        }
        self._wine("wineboot", "--init")

    def _wine(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        assert WINE is not None
        return subprocess.run(
            [WINE, *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            timeout=_TIME_LIMIT,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *arguments: str) -> int:
        """Runs a program and gives its exit code."""
        return self._wine(*arguments).returncode

    def script(self, path: str, *arguments: str) -> int:
        """Runs a script as the service entry does."""
        return self.run("cmd", "/d", "/e:on", "/v:off", "/c", path, *arguments)

    def import_reg(self, sections: Iterable[regtext.Section]) -> None:
        """Writes into the registry."""
        file = self.drive / "import.reg"
        file.write_bytes(regtext.encode(regtext.render(sections)))
        assert self.run("reg", "import", r"C:\import.reg") == 0

    def values(self, key: str) -> dict[str, str] | None:
        """The values of a key as reg prints them; None where the key is absent."""
        answer = self._wine("reg", "query", key)
        if answer.returncode != 0:
            return None
        lines = answer.stdout.decode("cp437").splitlines()
        return {match.group(1): match.group(3) for line in lines if (match := _VALUE.fullmatch(line))}

    def put(self, path: str, content: bytes) -> None:
        """Writes a file by its path in the volume."""
        file = self.drive / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def apply(self, edits: Iterable[Edit]) -> None:
        """Does what the edits ask for, as apply does it on a disk."""
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
        self.import_reg(sections)

    def reset(self) -> None:
        """Takes away what an earlier test left."""
        for name in ("p2vprep", "standin"):
            shutil.rmtree(self.drive / name, ignore_errors=True)
        for key in (r"HKLM\SYSTEM\p2vprep", r"HKLM\SYSTEM\CurrentControlSet\Services\p2vprep"):
            self.run("reg", "delete", key, "/f")

    def service(self, name: str, values: Mapping[str, Data]) -> None:
        """Makes a service entry."""
        key = rf"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\{name}"
        self.import_reg([regtext.Section(key, tuple(values.items()))])

    def close(self) -> None:
        """Ends every process of this prefix."""
        server = shutil.which("wineserver")
        if server is not None:
            subprocess.run([server, "-k"], env=self._environment, check=False, timeout=60)
