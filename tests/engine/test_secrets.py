"""Passwords and keys of the guest are in no log, no receipt, no document and no process list."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from tests.support.flow import Shelf, p2vprep, with_system

SECRET = "Tr0ub4dor-and-3"
PLACES = {
    r"ControlSet001\Control\Lsa\Secrets": "DefaultPassword",
    r"ControlSet001\Services\SNMP\Parameters\ValidCommunities": SECRET,
    r"ControlSet001\Services\CqMgHost\Parameters": "Password",
    r"ControlSet001\Services\Tcpip\Parameters\Interfaces\{0E7B9C1A-0000-0000-0000-000000000001}": "Key",
}
RAW_DATA = ("undo", "overlay")
"""Files of a run that hold the disk's own bytes; only their owner may read them."""


def spellings(text: str) -> tuple[bytes, ...]:
    utf16 = text.encode("utf-16-le")
    return (text.encode(), utf16, text.encode().hex().encode(), utf16.hex().encode())


def plant(hive: MemoryHive) -> None:
    for path, name in PLACES.items():
        hive.root.make(path).set(name, Data.sz(SECRET))


def test_nothing_tells_a_secret(
    fake: None, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = shelf.disk(tmp_path, spec=with_system(plant))
    assert any(spelling in disk.read_bytes() for spelling in spellings(SECRET))
    started: list[bytes] = []
    real = subprocess.Popen.__init__

    def noting(self: Any, command: Any, *arguments: Any, **more: Any) -> None:
        words = [command] if isinstance(command, str | bytes) else command
        started.extend(os.fsencode(word) for word in words)
        started.extend(os.fsencode(word) for word in (more.get("env") or {}).values())
        real(self, command, *arguments, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", noting)
    told = bytearray()
    for command in (["inspect"], ["plan"], ["apply", "--yes"], ["verify"], ["history"], ["rollback"]):
        for form in ("-v", "--json") if command[0] in ("inspect", "plan", "verify") else ("-v",):
            ran = p2vprep(command[0], disk, *command[1:], form)
            assert ran.status == 0, ran
            told += ran.stdout.encode() + ran.stderr.encode()
    state = disk.with_name(disk.name + ".p2vprep")
    kept = [file for file in state.rglob("*") if file.is_file()]
    assert any(file.name == "receipt.json" for file in kept)
    documents = {file: file.read_bytes() for file in kept if not file.name.startswith(RAW_DATA)}
    for spelling in spellings(SECRET):
        assert spelling not in told
        assert not [word for word in started if spelling in word]
        assert not [file for file, content in documents.items() if spelling in content]
    assert started
    assert not [file for file in kept if file.name.startswith(RAW_DATA) and file.stat().st_mode & 0o077]
