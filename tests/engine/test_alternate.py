"""SYSTEM.ALT (Windows 2000, ReactOS) follows the edit, so that no loader can bring the old SYSTEM back."""

from __future__ import annotations

from pathlib import Path

from p2vprep.core.regf.baseblock import SIZE, BaseBlock
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import value
from p2vprep.core.values import Data
from testdata.kit.hivewriter import build_hive
from tests.support.flow import CONFIG, SYSTEM, Shelf, done, inside, sample, sample_machine, with_files
from tests.support.guest_disk import fingerprint

ALTERNATE = f"{CONFIG}/SYSTEM.ALT"
DISABLED = Data.dword(4)


def old_copy() -> bytes:
    """The hive of before, with the type that Windows 2000 gives the copy and numbers of its own."""
    hive = build_hive(sample_machine().system(with_logs=False), file_name="SYSTEM")
    return BaseBlock.parse(hive).with_(type=1, primary_sequence=77, secondary_sequence=77) + hive[SIZE:]


def server(shelf: Shelf, folder: Path, copy: bytes, name: str) -> Path:
    return shelf.disk(folder, spec=with_files(sample(), {ALTERNATE: copy}), name=name)


def both(path: Path) -> tuple[bytes, bytes]:
    """SYSTEM and SYSTEM.ALT."""
    with inside(path) as guest:
        return guest.read(SYSTEM, 0, 1 << 30), guest.read(ALTERNATE, 0, 1 << 30)


def test_the_copy_gets_the_edited_hive_and_goes_back_with_it(
    shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = server(shelf, tmp_path, old_copy(), "with-alternate")
    before = fingerprint(disk)
    assert done("apply", disk, "--yes")["committed"]
    system, copy = both(disk)
    assert copy[SIZE:] == system[SIZE:]
    block = BaseBlock.parse(copy)
    assert (block.type, block.checksum_valid, block.dirty) == (1, True, False)
    for hive in (system, copy):
        assert value(HiveReader(hive), r"ControlSet001\Services\CqMgHost", "Start") == DISABLED
    done("rollback", disk)
    assert fingerprint(disk) == before


def test_a_copy_that_no_loader_would_take_is_left_alone(shelf: Shelf, tmp_path: Path, fake: None) -> None:
    useless = bytearray(old_copy())
    useless[508] ^= 0xFF  # the checksum
    disk = server(shelf, tmp_path, bytes(useless), "useless-alternate")
    assert done("apply", disk, "--yes")["committed"]
    system, copy = both(disk)
    assert copy == bytes(useless)
    assert value(HiveReader(system), r"ControlSet001\Services\CqMgHost", "Start") == DISABLED


def test_where_there_is_none_none_is_made(disk: Path) -> None:
    assert done("apply", disk, "--yes")["committed"]
    with inside(disk) as guest:
        assert guest.stat(ALTERNATE) is None
