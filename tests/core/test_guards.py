"""Every guard, when it holds and when it does not."""

from __future__ import annotations

import pytest

from p2vprep.core import guards
from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf import patch
from p2vprep.core.regf.cells import Cells
from p2vprep.core.regf.lists import find as find_cell
from p2vprep.core.regf.reader import HiveReader, RegfKey
from p2vprep.core.values import Data
from p2vprep.errors import RefusedError
from testdata.kit.hivewriter import build_hive

SET = "ControlSet001"
SERVICES = f"{SET}\\Services"
LSA = f"{SET}\\Control\\Lsa"
BIG = Data.binary(bytes(16_345))
SAMPLE = {
    "Select": {"Default": Data.dword(1)},
    "Setup": {},
    "MountedDevices": {"\\DosDevices\\C:": Data.binary(b"x")},
    f"{SERVICES}\\real": {"Type": Data.dword(1), "Start": Data.dword(0)},
    f"{SERVICES}\\leftover\\Parameters": {"x": Data.dword(1)},
    f"{SET}\\Enum\\Root": {},
    f"{LSA}\\JD": {},
    f"{LSA}\\Other\\Deep": {},
    f"{LSA}\\Kerberos": {},
    f"{SET}\\Control\\ProductOptions": {"ProductType": Data.sz("WinNT")},
    f"{SET}\\Control\\Other\\Deep": {"x": Data.sz("y")},
    f"{SET}\\Big": {"big": BIG, "small": Data.dword(1)},
}
CLASSES = {f"{LSA}\\JD": "a1b2", f"{LSA}\\Other\\Deep": "class", f"{SET}\\Control\\Other": "harmless"}


def hive(**options: object) -> HiveReader:
    return HiveReader(build_hive(SAMPLE, class_names=CLASSES, **options))  # type: ignore[arg-type]


def value(key: str, name: str = "x", data: Data | None = None, *, hive_name: str = "SYSTEM") -> ValueChange:
    return ValueChange(hive_name, key, name, None, data or Data.dword(1), "rule", "why")


def made(key: str) -> KeyChange:
    return KeyChange("SYSTEM", key, False, True, "rule", "why")


def gone(key: str, hive_name: str = "SYSTEM") -> KeyChange:
    return KeyChange(hive_name, key, True, False, "rule", "why")


def key_of(reader: HiveReader, path: str) -> RegfKey:
    key, missing = guards.nearest(reader, path)
    assert not missing
    return key


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (gone(""), "forbidden-key"),
        (gone("Select"), "forbidden-key"),
        (gone("setup"), "forbidden-key"),
        (gone("MountedDevices"), "forbidden-key"),
        (gone(SET), "forbidden-key"),
        (gone("ControlSet002"), "forbidden-key"),
        (gone(f"{SET}\\Control"), "forbidden-key"),
        (gone(f"{SET}\\Enum"), "forbidden-key"),
        (gone(f"{SET}\\services"), "forbidden-key"),
        (gone(f"{SERVICES}\\REAL"), "forbidden-key"),
        (gone(LSA), "forbidden-key"),
        (gone(f"{LSA}\\jd"), "forbidden-key"),
        (gone(f"{LSA}\\Data"), "forbidden-key"),
        (gone(f"{LSA}\\Other"), "forbidden-key"),
        (gone("CurrentControlSet\\Enum\\X"), "forbidden-key"),
        (value("Select", "Default"), "forbidden-key"),
        (value(f"{SET}\\Control\\ProductOptions", "ProductType"), "forbidden-key"),
        (made(f"{SET}\\Control\\ProductOptions\\new"), "forbidden-key"),
        (made("Select\\new"), "forbidden-key"),
        (value("Setup", "x" * 16_384), "value-name-invalid"),
        (value("Setup", "a\0b"), "value-name-invalid"),
        (value("Setup", "x", BIG), "value-too-big"),
        (made(f"{SERVICES}\\{'x' * 256}"), "key-name-invalid"),
        (made(f"{SERVICES}\\a\0b"), "key-name-invalid"),
        (made(f"{SERVICES}\\größe"), "key-name-invalid"),
        (made("Setup" + "\\x" * 512), "key-too-deep"),
    ],
)
def test_what_must_not_be_done_is_refused_by_name(change: ValueChange | KeyChange, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        guards.refuse(hive(), change)
    assert caught.value.code == code
    assert caught.value.subject is not None
    assert caught.value.subject.endswith(change.key)


@pytest.mark.parametrize(
    "change",
    [
        gone("Other"),
        gone("Setup\\x"),
        gone(f"{SERVICES}\\leftover"),
        gone(f"{SERVICES}\\real\\Parameters"),
        gone(f"{SERVICES}\\absent"),
        gone(f"{SET}\\Enum\\Root"),
        gone(f"{LSA}\\Kerberos"),
        gone(f"{SET}\\Control\\Other"),
        gone("Services", "SOFTWARE"),
        gone("Select", "SOFTWARE"),
        value("Setup"),
        value("Setup", ""),
        value("Setup", "x" * 16_383),
        value("Setup", "x", Data.binary(bytes(16_344))),
        value("MountedDevices", "\\DosDevices\\C:"),
        value(f"{SET}\\Big", "small"),
        value(f"{SERVICES}\\absent"),
        made(f"{SERVICES}\\{'x' * 255}"),
        made("Setup" + "\\x" * 511),
    ],
)
def test_other_work_goes_on(change: ValueChange | KeyChange) -> None:
    guards.refuse(hive(), change)


def test_a_key_that_is_a_handle_takes_no_values() -> None:
    data = bytearray(build_hive({"009": {}, "010": {}}))
    cells = Cells(bytes(data))
    cell = find_cell(cells, "009")
    assert cell is not None
    cells.put16(cell, 2, cells.u16(cell, 2) | 0x40)
    reader = HiveReader(cells.result())
    with pytest.raises(RefusedError) as caught:
        guards.refuse(reader, value("009"))
    assert caught.value.code == "key-predefined"
    guards.refuse(reader, value("010"))


def test_a_name_that_two_values_have_is_not_touched() -> None:
    data = build_hive({"a": {"one": Data.dword(1), "two": Data.dword(2), "three": Data.dword(3)}})
    reader = HiveReader(data.replace(b"two", b"ONE"))
    with pytest.raises(RefusedError) as caught:
        guards.refuse(reader, value("a", "one"))
    assert caught.value.code == "value-ambiguous"
    guards.refuse(reader, value("a", "three"))


@pytest.mark.parametrize(
    ("name", "most", "good"),
    [
        ("", 5, False),
        ("x", 5, True),
        ("x" * 5, 5, True),
        ("x" * 6, 5, False),
        ("\U0001f600", 1, False),
        ("\U0001f600", 2, True),
        ("a\0", 5, False),
    ],
)
def test_names_are_measured_in_utf16_units(name: str, most: int, good: bool) -> None:
    assert guards.is_name(name, most) is good


# --- what hivex must not do --------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        value("Setup"),
        value("Setup\\not made yet"),
        made(f"{SERVICES}\\new"),
        gone(f"{SERVICES}\\leftover"),
        value(f"{SERVICES}\\real", "Start"),
    ],
)
def test_hivex_does_what_it_does_well(change: ValueChange | KeyChange) -> None:
    assert guards.hivex_obstacle(hive(), change) is None


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (value(f"{SET}\\Big", "small"), {}, "big value of this key"),
        (gone(f"{SET}\\Big"), {}, "segments"),
        (gone(f"{SERVICES}\\leftover"), {"lists": "li"}, "without hashes"),
        (gone(f"{SERVICES}\\leftover"), {"lists": "ri-lh"}, "empty list"),
        (made(f"{SERVICES}\\new"), {"minor": 3}, "does not know"),
        (made(f"{SERVICES}\\new"), {"minor": 4}, "does not know"),
        (made(f"{SERVICES}\\new"), {"with_security": False}, "no security"),
        (value(f"{SERVICES}\\a\0b"), {}, "cannot spell the key"),
        (value("Setup", "\ud800"), {}, "name of a value"),
        (made(f"{SERVICES}\\re_l"), {}, "out of order"),
    ],
)
def test_hivex_is_not_asked_for_what_it_does_wrongly(
    change: ValueChange | KeyChange, options: dict[str, object], reason: str
) -> None:
    assert reason in (guards.hivex_obstacle(hive(**options), change) or "")


@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_deleting_and_setting_does_not_depend_on_the_version(minor: int) -> None:
    reader = hive(minor=minor)
    assert guards.hivex_obstacle(reader, gone(f"{SERVICES}\\leftover")) is None
    assert guards.hivex_obstacle(reader, value(f"{SERVICES}\\real", "Start")) is None
    assert guards.knows_hash_lists(minor) is (minor >= 5)


def test_a_name_that_hivex_would_cut_off_keeps_it_out_of_the_whole_key() -> None:
    reader = HiveReader(build_hive({"a": {"x\0y": Data.dword(1)}, "b": {"x": Data.dword(1)}}))
    assert guards.hivex_obstacle(reader, value("a", "other")) is not None
    assert guards.hivex_obstacle(reader, value("b", "other")) is None


@pytest.mark.parametrize(
    ("name", "siblings", "alike"),
    [
        ("new", [], True),
        ("new", ["a", "Zebra", "new2"], True),
        ("a_b", ["abc"], False),
        ("a_b", ["xyz", "A_A"], True),
        ("abc", ["a_b"], False),
        ("abc", ["äbc", "日本"], True),
        ("a~", ["aß"], True),
        ("a", ["a\U0001f600", "a\uff00"], True),
        ("ab", ["a\ud800"], True),
    ],
)
def test_the_order_of_names(name: str, siblings: list[str], alike: bool) -> None:
    assert guards.is_ordered_alike(name, siblings) is alike


def test_keys_that_are_made_before_are_siblings_too() -> None:
    reader = hive()
    assert guards.hivex_obstacle(reader, made("Setup\\abc")) is None
    assert guards.hivex_obstacle(reader, made("Setup\\abc"), ["Setup\\a_b", "Other\\x"]) is not None
    assert guards.hivex_obstacle(reader, made("Setup\\abc"), ["Setup", "Other\\a_b"]) is None


def test_an_emptied_list_below_a_key_is_none() -> None:
    reader = HiveReader(
        patch.apply(build_hive(SAMPLE, lists="li"), [gone(f"{SERVICES}\\leftover\\Parameters")])
    )
    leftover = key_of(reader, f"{SERVICES}\\leftover")
    assert not guards.has_list(leftover, b"li")
    assert not guards.has_index(leftover)
    assert guards.has_list(reader.root, b"li")


def test_nearest_names_what_is_missing() -> None:
    reader = hive()
    key, missing = guards.nearest(reader, f"{SERVICES}\\REAL\\a\\b")
    assert (key.path, missing) == (f"{SERVICES}\\real", ("a", "b"))


def test_class_names_are_found_anywhere_below() -> None:
    reader = hive()
    assert guards.has_class_name(key_of(reader, f"{LSA}\\Other"))
    assert not guards.has_class_name(key_of(reader, f"{LSA}\\Kerberos"))
