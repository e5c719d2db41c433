"""SOFTWARE is read in pieces and was not checked before: what it may cost is bounded all the same."""

from __future__ import annotations

from random import Random

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.regf import records
from p2vprep.core.regf.image import MOST_READ
from p2vprep.core.regf.reader import HiveReader, RegfKey
from p2vprep.core.registry import MemoryHive, find
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit.hivewriter import build_hive
from tests.support.machines import Machine
from tests.support.mutate import cell_offsets, damaged

UNINSTALL = r"Microsoft\Windows\CurrentVersion\Uninstall"
SYSTEM = Machine().service("RpcSs").hive


class Pieces:
    """A hive that lies elsewhere, and how much of it was fetched."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.fetched = 0

    def fetch(self, offset: int, length: int) -> bytes:
        self.fetched += length
        return self.content[offset : offset + length]


def software(products: int, name: Data) -> bytes:
    hive = MemoryHive()
    told = hive.root.make(r"Microsoft\Windows NT\CurrentVersion")
    told.set("ProductName", Data.sz("Windows Server 2012 R2 Standard"))
    told.set("CurrentVersion", Data.sz("6.3"))
    for number in range(products):
        hive.root.make(rf"{UNINSTALL}\{number:05}").set("DisplayName", name if not number else Data.sz("x"))
    return build_hive(hive, file_name="SOFTWARE")


def test_products_that_share_one_long_name_cannot_fill_the_memory() -> None:
    count = MOST_READ // 1_000_000 + 10
    content = bytearray(software(count, Data.sz("n" * 500_000)))
    hive = HiveReader(bytes(content))
    listed = find(hive, UNINSTALL)
    assert listed is not None
    first, *others = (key for key in listed.subkeys() if isinstance(key, RegfKey))

    def place(key: RegfKey) -> int:
        return 4096 + 4 + key.offset + records.KEY_VALUE_LIST

    for key in others:
        content[place(key) : place(key) + 4] = content[place(first) : place(first) + 4]
    source = Pieces(bytes(content))
    with pytest.raises(HiveError) as caught:
        gather(SYSTEM, HiveReader(source), system_root="/Windows")
    assert caught.value.code == "hive-damaged"
    assert source.fetched <= source.size


def campaign(rounds: int, seed: int) -> dict[str, int]:
    """Damages SOFTWARE and gathers facts; how many rounds came to which end."""
    base = software(40, Data.sz("A product"))
    cells, chance = cell_offsets(base), Random(seed)
    ends = {"facts": 0, "hive-damaged": 0, "not-a-hive": 0}
    for _ in range(rounds):
        source = Pieces(damaged(base, cells, chance))
        try:
            gather(SYSTEM, HiveReader(source), system_root="/Windows")
            ends["facts"] += 1
        except HiveError as problem:
            ends[problem.code] += 1
    return ends


def test_a_damaged_software_hive_tells_facts_or_ends_in_a_clear_error() -> None:
    ends = campaign(200, 1)
    assert ends["facts"] > 0
    assert ends["hive-damaged"] > 0


@pytest.mark.long
def test_many_damaged_software_hives() -> None:
    assert campaign(5000, 2)["facts"] > 0
