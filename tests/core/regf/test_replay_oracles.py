"""Replay compared with independent implementations; each is used only where it is installed.

regipy (MIT) replays logs in its own way: it checks no hashes and no numbers, so it gets
exactly the logs that belong to the hive, and leaves a header it does not maintain. libregf
(LGPL) does not replay, but reads the result with a parser of its own.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import walk
from testdata.kit import logwriter
from tests.core.regf.hives import BEFORE, GROWN
from tests.support.corpus import hive_bytes, hive_logs

DIRTY = {
    "crafted-NewDirtyHive1_yarp.hive": ("LOG1", "LOG2"),
    "crafted-NewDirtyHive2_yarp.hive": ("LOG2",),
    "win10-ntuser_regipy_1.NTUSER": ("LOG1",),
}
LEAVES_FILES_OPEN = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
Tree = dict[str, list[tuple[str, int, bytes]]]


def tree_of(hive: bytes) -> Tree:
    """Every key with its values, as our reader sees them."""
    keys = walk(HiveReader(hive).root)
    return {key.path: sorted((name, data.type, data.raw) for name, data in key.values()) for key in keys}


def libregf_tree(hive: bytes) -> Tree:
    """Every key with its values, as libregf sees them."""
    pyregf = pytest.importorskip("pyregf")
    file = pyregf.file()
    file.open_file_object(io.BytesIO(hive))
    found: Tree = {}
    pending: list[tuple[str, Any]] = [("", file.get_root_key())]
    while pending:
        path, key = pending.pop()
        values = [(value.name or "", value.type, value.data or b"") for value in key.values]
        found[path] = sorted(values)
        pending += [(f"{path}\\{child.name}".lstrip("\\"), child) for child in key.sub_keys]
    file.close()
    return found


def regipy_replay(primary: bytes, logs: list[bytes], folder: Path) -> bytes:
    """What regipy makes of a hive and one or two logs, the earlier one first."""
    recovery = pytest.importorskip("regipy.recovery")
    hive = folder / "hive"
    hive.write_bytes(primary)
    names = []
    for number, log in enumerate(logs):
        names.append(folder / f"log{number}")
        names[-1].write_bytes(log)
    earlier = str(names[0]) if len(names) == 2 else None
    recovery.apply_transaction_logs(str(hive), str(names[-1]), earlier, str(folder / "restored"))
    return (folder / "restored").read_bytes()


@LEAVES_FILES_OPEN
@pytest.mark.corpus
@pytest.mark.parametrize("name", DIRTY)
def test_regipy_writes_the_same_hive_bins(name: str, tmp_path: Path) -> None:
    primary, logs = hive_bytes(name), hive_logs(name)
    found = recover(primary, logs)
    assert found.sources == DIRTY[name]
    theirs = regipy_replay(primary, [logs[source] for source in found.sources], tmp_path)
    assert found.data[4096:] == theirs[4096:]
    assert found.data[36:44] == theirs[36:44]


@LEAVES_FILES_OPEN
@pytest.mark.parametrize(("name", "file_type"), [("LOG", 1), ("LOG", 2), ("LOG1", 1)])
def test_regipy_writes_the_same_hive_bins_from_an_old_log(name: str, file_type: int, tmp_path: Path) -> None:
    made = logwriter.write_old(BEFORE, GROWN, name=name, file_type=file_type, written=1)
    found = recover(made.primary, made.logs)
    theirs = regipy_replay(made.primary, [made.logs[name]], tmp_path)
    assert found.data[4096:] == theirs[4096:]


def without_tiny(tree: Tree) -> Tree:
    """Without data of one to three bytes, which libregf 20201007 reads from the wrong end of their field."""
    return {
        path: [(name, kind, raw if len(raw) > 3 else b"") for name, kind, raw in values]
        for path, values in tree.items()
    }


@pytest.mark.corpus
@pytest.mark.parametrize("name", DIRTY)
def test_libregf_reads_the_same_keys_and_values(name: str) -> None:
    found = recover(hive_bytes(name), hive_logs(name))
    mine, its = tree_of(found.data), libregf_tree(found.data)
    assert without_tiny(mine) == without_tiny(its)
    assert mine != tree_of(hive_bytes(name))


def test_libregf_reads_the_same_from_what_was_made_here() -> None:
    for made in (logwriter.write_old(BEFORE, GROWN), logwriter.write_new([BEFORE, GROWN])):
        found = recover(made.primary, made.logs)
        assert tree_of(found.data) == libregf_tree(found.data) == tree_of(GROWN)
