"""All real hives: opened, edited, compared by two readers; hostile ones end in a clear error."""

from __future__ import annotations

import random
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import pytest

from p2vprep.core import guards
from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf.baseblock import SIZE, BaseBlock
from p2vprep.core.registry import Key, MemoryHive, find
from p2vprep.core.values import Data
from p2vprep.disk.hive import LoadedHive, edit, load
from p2vprep.errors import HiveError, P2vprepError
from testdata.kit.hivewriter import build_hive
from tests.support.corpus import corpus_root, hive_bytes, hive_entries, hive_logs, system_hive_names
from tests.support.pacing import paced
from tests.support.trees import assert_independent, assert_sound, edited, tree

SERVICES = "ControlSet001\\Services"
ALLOW = frozenset({"dirty-hive-without-log"})
REFUSALS = {"hive-damaged", "not-a-hive", "hive-log-unusable"}
Changes = list[ValueChange | KeyChange]


def value(key: str, name: str, before: Data | None, after: Data | None) -> ValueChange:
    return ValueChange("SYSTEM", key, name, before, after, "rule", "why")


def made(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, False, True, "rule", "why")


def gone(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, True, False, "rule", "why")


def typical(loaded: LoadedHive) -> Changes:
    """What an apply does: services disabled, leases cleared, ghosts removed, the first boot entered."""
    changes: Changes = []
    services = find(loaded.hive, SERVICES)
    assert services is not None
    for service in list(services.subkeys())[::7]:
        start = service.value("Start")
        if start is not None and start != Data.dword(4):
            changes.append(value(service.path, "Start", start, Data.dword(4)))
            changes.append(value(service.path, "p2vprep", None, start))
    for interface in below(loaded, f"{SERVICES}\\Tcpip\\Parameters\\Interfaces"):
        for name in ("DhcpIPAddress", "DhcpServer", "DhcpDefaultGateway"):
            held = interface.value(name)
            if held is not None:
                changes.append(value(interface.path, name, held, None))
    changes += [gone(key.path) for key in list(below(loaded, "ControlSet001\\Enum\\Root"))[:5]]
    entry = f"{SERVICES}\\p2vprep_first_boot"
    changes += [made(entry), made(f"{entry}\\Parameters")]
    changes += [
        value(entry, "ImagePath", None, Data.expand_sz("cmd.exe")),
        value(entry, "", None, Data.sz("x")),
    ]
    return changes


def below(loaded: LoadedHive, path: str) -> Iterator[Key]:
    key = find(loaded.hive, path)
    return iter(()) if key is None else key.subkeys()


def assert_exact(loaded: LoadedHive, changes: Changes) -> None:
    after = edit(loaded, changes)
    expected = edited(tree(loaded.data), changes)
    assert tree(after.data) == expected
    assert_independent(after.data, expected)
    file = bytearray(loaded.primary.ljust(len(after.data), b"\0"))
    for offset, piece in after.pages:
        file[offset : offset + len(piece)] = piece
    assert bytes(file) == after.data


@pytest.mark.corpus
@pytest.mark.parametrize("name", paced(system_hive_names()))
def test_real_system_hives_are_edited_exactly(name: str) -> None:
    loaded = load("SYSTEM", name, hive_bytes(name), hive_logs(name), allow=ALLOW)
    assert_exact(loaded, typical(loaded))


@pytest.mark.corpus
@pytest.mark.parametrize("name", paced(system_hive_names()))
def test_real_system_hives_are_edited_exactly_without_hivex(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "hivex_obstacle", lambda *_: "a test says so")
    loaded = load("SYSTEM", name, hive_bytes(name), hive_logs(name), allow=ALLOW)
    changes = typical(loaded)
    assert len(edit(loaded, changes).notes) > 0
    assert_exact(loaded, changes)


@pytest.mark.corpus
def test_a_dirty_hive_is_replayed_before_it_is_edited() -> None:
    name = "win10-ntuser_regipy_1.NTUSER"
    loaded = load("SYSTEM", name, hive_bytes(name), hive_logs(name))
    assert loaded.state.dirty
    assert len(tree(loaded.data)) == 3105
    assert loaded.state.replayed_pages > 0
    assert_exact(loaded, [made("p2vprep"), value("p2vprep", "x", None, Data.sz("y"))])


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", paced(e["name"] for e in hive_entries() if not e["name"].endswith((".SYSTEM", "LOG")))
)
def test_every_other_file_is_a_hive_to_edit_or_a_clear_error(name: str) -> None:
    try:
        loaded = load("SYSTEM", name, hive_bytes(name), hive_logs(name), allow=ALLOW)
    except HiveError as problem:
        assert (problem.code in REFUSALS, bool(problem.subject)) == (True, True)  # noqa: PT017
        return
    after = edit(loaded, [made("p2vprep"), value("p2vprep", "x", None, Data.sz("y"))])
    assert tree(after.data) == {**tree(loaded.data), "p2vprep": {"x": Data.sz("y")}}


# --- hostile hives -----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def victims() -> tuple[bytes, ...]:
    """Small hives to be mutated: an extract of a real one in several shapes, and whole small ones."""
    hive = extract()
    shapes = [
        build_hive(hive, **options) for options in ({}, {"lists": "ri-lf", "minor": 3}, {"lists": "li"})
    ]
    if corpus_root() is not None:
        for name in (
            "phony-win7_guestfs-tools_1.SYSTEM",
            "crafted-BigDataHive_yarp.hive",
            "crafted-imc_openvmm.hive",
        ):
            shapes.append(hive_bytes(name))
    return tuple(shapes)


def extract() -> MemoryHive:
    """Some services of a real hive where one is here, else made-up ones."""
    hive = MemoryHive({"Select": {"Default": Data.dword(1)}, f"{SERVICES}\\a": {"Start": Data.dword(2)}})
    if corpus_root() is not None:
        loaded = load("SYSTEM", "", hive_bytes("winxp-sp2-x64_xpimage_1.SYSTEM"), {}, allow=ALLOW)
        for service in list(below(loaded, SERVICES))[:40]:
            for name, data in service.values():
                hive.root.make(service.path).set(name, data)
    for number in range(12):
        hive.root.make(f"{SERVICES}\\b{number}").set("Start", Data.dword(3))
    return hive


SPECIAL = (0, 1, 4, 8, 0x20, 0x1000, 0x7FFFFFFF, 0x80000000, 0x80000004, 0xFFFFFFF8, 0xFFFFFFFF)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The hive with a few lies: random bytes, lengths and offsets that lie, circles, cut off."""
    hive = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(SIZE, len(hive) - 8) & ~3
        kind = chance.randrange(5)
        if kind == 0:
            hive[at + chance.randrange(4)] = chance.randrange(256)
        elif kind == 1:
            struct.pack_into("<I", hive, at, chance.choice(SPECIAL))
        elif kind == 2:
            struct.pack_into("<I", hive, at, chance.randrange(0x20, len(hive) - SIZE) & ~7)
        elif kind == 3:
            source = chance.randrange(SIZE, len(hive) - 64) & ~7
            length = chance.choice((4, 8, 32))
            hive[at : at + length] = hive[source : source + length]
        else:
            (word,) = struct.unpack_from("<I", hive, at)
            struct.pack_into("<I", hive, at, word ^ 1 << chance.randrange(32))
    if chance.random() < 0.05:
        del hive[chance.randrange(len(hive)) :]
    elif chance.random() < 0.1:
        hive[chance.randrange(SIZE)] = chance.randrange(256)
    elif len(hive) > SIZE:
        hive[:SIZE] = BaseBlock.parse(hive).with_()
    return bytes(hive)


@contextmanager
def no_hang(seconds: int) -> Iterator[None]:
    """Fails instead of waiting for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def attempt(data: bytes, *, with_edit: bool) -> str:
    """Loads a hostile hive and perhaps edits it; in a word, what came of it."""
    try:
        with no_hang(60):
            loaded = load("SYSTEM", "hostile", data, {}, allow=ALLOW)
            if with_edit:
                changes: Changes = [made("p2vprep"), value("p2vprep", "x", None, Data.sz("y"))]
                services = find(loaded.hive, SERVICES)
                if services is not None:
                    changes += [
                        value(key.path, "Start", key.value("Start"), Data.dword(4))
                        for key in services.subkeys()
                        if key.value("Start") is not None
                    ]
                edit(loaded, changes)
                return "edited"
            return "loaded"
    except P2vprepError as problem:
        return problem.code


def campaign(rounds: int, edits_every: int, seed: int, hives: tuple[bytes, ...] = ()) -> dict[str, int]:
    """Mutates small hives, or those given; how many rounds came to which end."""
    chance = random.Random(seed)
    ends: dict[str, int] = {}
    for number in range(rounds):
        data = mutated(chance.choice(hives or victims()), chance)
        end = attempt(data, with_edit=number % edits_every == 0)
        ends[end] = ends.get(end, 0) + 1
    return ends


KNOWN_ENDS = {
    "loaded",
    "edited",
    "hive-damaged",
    "not-a-hive",
    "hive-log-unusable",
    "hivex-refused",
    "hivex-crashed",
    "hive-edit-damaged",
    "value-ambiguous",
}


def test_hostile_hives_end_in_a_clear_error() -> None:
    ends = campaign(60, 5, seed=1)
    assert set(ends) <= KNOWN_ENDS
    assert ends["hive-damaged"] > 0
    assert ends["loaded"] > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_twenty_thousand_hostile_hives_end_in_a_clear_error(seed: int) -> None:
    ends = campaign(5000, 50, seed=100 + seed)
    print(ends)
    assert set(ends) <= KNOWN_ENDS


@pytest.mark.long
@pytest.mark.corpus
def test_whole_real_hives_that_turned_hostile_end_in_a_clear_error() -> None:
    names = ("winxp-sp2-x64_xpimage_1.SYSTEM", "win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM")
    ends = campaign(300, 10, seed=9, hives=tuple(map(hive_bytes, names)))
    print(ends)
    assert set(ends) <= KNOWN_ENDS


def test_the_victims_are_sound_before_they_are_mutated() -> None:
    for data in victims()[:3]:
        assert_sound(data)
        assert attempt(data, with_edit=True) == "edited"
