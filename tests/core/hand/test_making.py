"""What people ask for, as edits."""

from __future__ import annotations

import pytest

from p2vprep.core.hand.data import TYPE_WORDS, parse_data
from p2vprep.core.hand.making import (
    file_edits,
    guest_path,
    key_deletion,
    key_edits,
    service_edits,
    value_deletion,
    value_edits,
)
from p2vprep.core.model import DeleteKey, DeleteValue, MakeKey, PutFile, SetValue
from p2vprep.core.values import Data
from p2vprep.errors import RefusedError, UsageError

KEY = r"CurrentControlSet\Services\Spooler"


@pytest.mark.parametrize(
    ("word", "start"),
    [("boot", 0), ("system", 1), ("auto", 2), ("delayed", 2), ("demand", 3), ("disabled", 4)],
)
def test_each_word_is_a_start_type(word: str, start: int) -> None:
    first, *rest = service_edits("Spooler", word, why="because")
    assert first == SetValue("SYSTEM", KEY, "Start", Data.dword(start), "by-hand", "because")
    if word == "delayed":
        assert rest == [SetValue("SYSTEM", KEY, "DelayedAutostart", Data.dword(1), "by-hand", "because")]
    elif word == "auto":
        assert rest == [DeleteValue("SYSTEM", KEY, "DelayedAutostart", "by-hand", "because")]
    else:
        assert rest == []


def test_what_is_no_start_type_or_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no start type"):
        service_edits("Spooler", "manual")
    for name in ("", r"a\b", "a/b"):
        with pytest.raises(UsageError, match="not the name"):
            service_edits(name, "auto")


def test_values_and_keys() -> None:
    made, deleted = (
        value_edits(r"HKLM\SOFTWARE\C", "x", Data.sz("y")),
        value_deletion(r"HKLM\SOFTWARE\C", "x"),
    )
    assert made == (
        SetValue("SOFTWARE", "C", "x", Data.sz("y"), "by-hand", "asked for by hand", create=True),
    )
    assert deleted == (DeleteValue("SOFTWARE", "C", "x", "by-hand", "asked for by hand"),)
    assert isinstance(key_edits(r"HKU\Anna\C")[0], MakeKey)
    assert isinstance(key_deletion(r"HKU\.DEFAULT\C")[0], DeleteKey)


def test_what_is_only_read_is_never_edited() -> None:
    for hive in ("SAM", "SECURITY"):
        with pytest.raises(RefusedError) as refused:
            value_edits(rf"HKLM\{hive}\X", "x", Data.sz("y"))
        assert refused.value.code == "hive-read-only"
        assert not refused.value.liftable
    with pytest.raises(UsageError, match="root of a hive"):
        key_deletion(r"HKLM\SOFTWARE")


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (r"C:\Tools\a.msi", "/Tools/a.msi"),
        ("c:/Tools", "/Tools"),
        ("/Tools//a", "/Tools/a"),
        ("C:\\", "/"),
        ("/", "/"),
    ],
)
def test_paths_of_the_guest(path: str, plain: str) -> None:
    assert guest_path(path) == plain


@pytest.mark.parametrize(
    "path", ["", "Tools", r"D:\x", "/a/../b", "/a/./b", "C:x", "/a\0b", "/a:stream", "/a*"]
)
def test_what_is_no_path_of_the_guest_is_refused(path: str) -> None:
    with pytest.raises(UsageError) as refused:
        guest_path(path)
    assert refused.value.code == "bad-guest-path"


@pytest.mark.parametrize(
    "path",
    [
        "/p2vprep/firstboot.cmd",
        "/P2VPREP./x",
        "/$MFT",
        "/pagefile.sys",
        "/hiberfil.sys ",
        "/Windows/System32/config/SYSTEM",
        "/WINNT/system32/CONFIG/x",
        "/Users/Anna/ntuser.dat",
        "/Users/Anna/NTUSER.DAT.LOG1",
    ],
)
def test_what_windows_or_the_tool_keeps_is_not_written(path: str) -> None:
    with pytest.raises(RefusedError) as refused:
        file_edits(path, b"")
    assert refused.value.code == "guest-path-protected"
    assert guest_path(path)  # it can be read


def test_a_file_is_put_without_a_lock_of_our_own() -> None:
    assert file_edits("/Tools/a", b"x") == (
        PutFile("/Tools/a", b"x", "by-hand", "asked for by hand", locked=False),
    )
    with pytest.raises(UsageError):
        file_edits("/", b"x")


@pytest.mark.parametrize(
    ("kind", "words", "data"),
    [
        ("sz", ["text"], Data.sz("text")),
        ("sz", [], Data.sz("")),
        ("expand-sz", ["%a%"], Data.expand_sz("%a%")),
        ("multi-sz", ["a", "b"], Data.multi_sz(["a", "b"])),
        ("multi-sz", [], Data.multi_sz([])),
        ("dword", ["10"], Data.dword(10)),
        ("dword", ["0xffffffff"], Data.dword(0xFFFFFFFF)),
        ("qword", ["0x100000000"], Data.qword(1 << 32)),
        ("binary", ["01,02 ff"], Data.binary(b"\x01\x02\xff")),
        ("binary", ["0x0102"], Data.binary(b"\x01\x02")),
        ("none", [], Data(0, b"")),
    ],
)
def test_data_as_typed(kind: str, words: list[str], data: Data) -> None:
    assert kind in TYPE_WORDS
    assert parse_data(kind, words) == data


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("dword", []),
        ("dword", ["-1"]),
        ("dword", ["0x100000000"]),
        ("dword", ["ten"]),
        ("qword", ["1", "2"]),
        ("sz", ["a", "b"]),
        ("multi-sz", ["a", ""]),
        ("binary", ["xyz"]),
        ("sz", ["a\0b"]),
    ],
)
def test_data_that_do_not_fit(kind: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        parse_data(kind, words)
    assert refused.value.code == "bad-data"
