from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core import regtext
from p2vprep.core.model import DeleteKey, Edit, FirstBootItem, PutFile, RestoreService, RestoreValue, SetValue
from p2vprep.core.values import Data
from p2vprep.errors import P2vprepError
from p2vprep.firstboot.builder import IMAGE_PATH, build, script
from p2vprep.firstboot.steps import REGISTRY_ONLY, is_plain, start_word
from tests.firstboot.machine import ITEMS, NCSI, WHY, control_set, facts, service

CURRENT = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services"
FIRST = r"HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services"


ALWAYS = ("firstboot.cmd", "lib/serial.cmd", "readme.txt")


def files(edits: list[Edit]) -> dict[str, bytes]:
    return {edit.path.removeprefix("/p2vprep/"): edit.content for edit in edits if isinstance(edit, PutFile)}


def entry(edits: list[Edit]) -> dict[str, dict[str, Data]]:
    found: dict[str, dict[str, Data]] = {}
    for edit in edits:
        if isinstance(edit, SetValue):
            assert edit.create
            found.setdefault(edit.key, {})[edit.name] = edit.data
    return found


def built(*items: FirstBootItem, nt: tuple[int, int] = (6, 1)) -> dict[str, bytes]:
    return files(build(items, facts(nt=nt), ["ControlSet001"]))


def sections(content: bytes) -> dict[str, dict[str, Data | None]]:
    return {part.key: dict(part.values) for part in regtext.parse(content)}


def test_without_items_nothing_is_put_on_the_disk() -> None:
    assert build([], facts(), ["ControlSet001"]) == []


def test_the_files() -> None:
    assert sorted(built(*ITEMS)) == [
        "data/001-forget.reg",
        "data/001.reg",
        "data/002-forget.reg",
        "data/002.reg",
        "data/003-forget.reg",
        "data/003.reg",
        "data/004-forget.reg",
        "data/004.reg",
        "data/names.txt",
        "data/services.txt",
        "data/start.txt",
        "data/values.reg",
        *ALWAYS,
        "steps/400-values.cmd",
        "steps/500-give-back.cmd",
        "steps/600-start.cmd",
        "undo-inside.reg",
        "undo.cmd",
        "undo.reg",
    ]


def test_every_file_is_locked_and_lies_in_one_folder() -> None:
    for edit in build(ITEMS, facts(), ["ControlSet001"]):
        if isinstance(edit, PutFile):
            assert edit.locked
            assert re.fullmatch(r"/p2vprep/([a-z]+/)?[\w.-]+", edit.path)


def test_the_engine_names_its_steps_in_order() -> None:
    engine = built(*ITEMS)["firstboot.cmd"].decode("ascii")
    assert re.findall(r"^call :run .*$", engine.replace("\r", ""), re.MULTILINE) == [
        "call :run 400-values 120 always",
        "call :run 500-give-back 600 always",
        "call :run 600-start 900 once",
    ]
    assert "for %%C in (CurrentControlSet ControlSet001) do" in engine
    assert "@" not in engine.replace("@echo off", "")


def test_only_the_steps_that_have_something_to_do() -> None:
    assert sorted(built(ITEMS[4])) == [
        "data/values.reg",
        *ALWAYS,
        "steps/400-values.cmd",
        "undo-inside.reg",
        "undo.cmd",
        "undo.reg",
    ]
    demand = built(RestoreService("BITS", 3, None, WHY))
    assert "steps/500-give-back.cmd" in demand
    assert "steps/600-start.cmd" not in demand


def test_the_lists_of_services() -> None:
    made = built(*ITEMS)
    assert made["data/services.txt"] == (
        b"001 delayed-auto BITS\r\n"
        b"002 auto Agent (x64) & Co\r\n"
        b"003 auto EventSystem\r\n"
        b"004 registry-only see names.txt, 004\r\n"
    )
    assert made["data/names.txt"].decode() == (
        "001\tBITS\r\n002\tAgent (x64) & Co\r\n003\tEventSystem\r\n004\tÜberwachung\r\n"
    )
    # What others need first, delayed ones last; that "Agent" needs BITS is the service manager's business.
    assert made["data/start.txt"] == b"003 EventSystem\r\n002 Agent (x64) & Co\r\n001 BITS\r\n"


def test_the_registry_files_hold_the_exact_values() -> None:
    made = built(*ITEMS)
    start = {"Start": Data.dword(2), "DelayedAutostart": Data.dword(1)}
    assert sections(made["data/001.reg"]) == {rf"{CURRENT}\BITS": start, rf"{FIRST}\BITS": start}
    assert sections(made["data/004.reg"])[rf"{CURRENT}\Überwachung"] == {"Start": Data.dword(3)}
    assert regtext.parse(made["data/004-forget.reg"]) == (
        regtext.Section(r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Parked\Überwachung", delete=True),
    )
    assert sections(made["data/values.reg"]) == {
        rf"HKEY_LOCAL_MACHINE\{NCSI}": {"EnableActiveProbing": Data.dword(1)},
        rf"{FIRST}\NlaSvc\Parameters\Internet": {"EnableActiveProbing": Data.dword(1)},
        r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\X": {"NoActiveProbe": None},
    }


def test_every_edited_set_that_holds_the_service_is_given_it_back() -> None:
    second = control_set("ControlSet002", (service("bits"),))
    third = control_set("ControlSet003")
    given = files(build(ITEMS, facts(control_set(), second, third), ["ControlSet001", "controlset002"]))
    assert sorted(sections(given["data/001.reg"])) == sorted(
        [rf"{CURRENT}\BITS", rf"{FIRST}\BITS", r"HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Services\BITS"]
    )
    assert list(sections(given["data/003.reg"])) == [rf"{CURRENT}\EventSystem", rf"{FIRST}\EventSystem"]


def test_a_service_named_twice_is_given_back_once() -> None:
    made = built(RestoreService("BITS", 2, None, WHY), RestoreService("bits", 3, None, WHY))
    assert made["data/services.txt"] == b"001 demand bits\r\n"


def test_the_service_entry() -> None:
    edits = build(ITEMS, facts(), ["ControlSet001"])
    assert entry(edits) == {
        r"ControlSet001\Services\p2vprep": {
            "Type": Data.dword(0x10),
            "Start": Data.dword(2),
            "ErrorControl": Data.dword(0),
            "ImagePath": Data.expand_sz(IMAGE_PATH),
            "DisplayName": Data.sz("p2vprep first boot"),
            "ObjectName": Data.sz("LocalSystem"),
            "DependOnService": Data.multi_sz(["RpcSs", "nsi"]),
        }
    }
    assert [edit.key for edit in edits if isinstance(edit, DeleteKey)] == [r"p2vprep\Result"]


def test_the_entry_depends_only_on_what_can_start_and_is_not_parked() -> None:
    disabled = control_set("ControlSet001", (service("rpcss", start=2), service("nsi", start=4)))
    made = entry(build(ITEMS[:1], facts(disabled), ["ControlSet001"]))
    assert made[r"ControlSet001\Services\p2vprep"]["DependOnService"] == Data.multi_sz(["rpcss"])
    parked = (RestoreService("NSI", 2, None, WHY), RestoreService("RpcSs", 2, None, WHY))
    made = entry(build(parked, facts(), ["ControlSet001"]))
    assert "DependOnService" not in made[r"ControlSet001\Services\p2vprep"]


def test_every_selected_set_gets_an_entry_with_its_own_dependencies() -> None:
    bare = control_set("ControlSet002", (service("RpcSs", start=2),))
    made = entry(build(ITEMS, facts(control_set(), bare), ["ControlSet001", "ControlSet002"]))
    assert made[r"ControlSet002\Services\p2vprep"]["DependOnService"] == Data.multi_sz(["RpcSs"])
    assert made[r"ControlSet001\Services\p2vprep"]["DependOnService"] == Data.multi_sz(["RpcSs", "nsi"])


def test_a_set_that_is_not_there_is_refused() -> None:
    with pytest.raises(P2vprepError, match="ControlSet009"):
        build(ITEMS, facts(), ["ControlSet009"])


@pytest.mark.parametrize(
    ("start", "delayed", "nt", "word"),
    [
        (0, None, (6, 1), "boot"),
        (1, None, (6, 1), "system"),
        (2, None, (6, 1), "auto"),
        (2, False, (6, 1), "auto"),
        (2, True, (6, 0), "delayed-auto"),
        (2, True, (5, 2), "auto"),
        (2, True, (0, 0), "auto"),
        (3, True, (10, 0), "demand"),
        (4, None, (10, 0), "disabled"),
        (7, None, (10, 0), REGISTRY_ONLY),
    ],
)
def test_start_words(start: int, delayed: bool | None, nt: tuple[int, int], word: str) -> None:
    assert start_word(RestoreService("BITS", start, delayed, WHY), nt) == word


def test_a_line_too_long_for_cmd_is_refused() -> None:
    with pytest.raises(P2vprepError):
        script("rem " + "x" * 2000)
    assert script("one\ntwo\n") == b"one\r\ntwo\r\n"


# --- values are data, never code ---------------------------------------------------------------

nasty = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="\\"),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize(
    "name", ["BITS", "Server Administrator", "Intel(R) PROSet Monitoring Service", "a & b", "."]
)
def test_names_that_may_stand_between_quotes(name: str) -> None:
    assert is_plain(name)


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", 'a" & calc & "', "100%", "%PATH%", "wow!", "a^b", "a|b", "a<b", "ü", "a\tb", "a\n"],
)
def test_names_that_may_not(name: str) -> None:
    assert not is_plain(name)


@given(nasty)
def test_a_plain_name_holds_nothing_that_means_something_between_quotes(name: str) -> None:
    if is_plain(name):
        assert name.isascii()
        assert not set(name) & set('"%!^\\|<>*?\r\n\t')


@given(
    st.lists(
        st.tuples(nasty, st.integers(0, 9), st.sampled_from([None, True, False])), min_size=1, max_size=4
    )
)
def test_names_never_change_a_script_and_come_back_from_the_registry_files(
    drawn: list[tuple[str, int, bool | None]],
) -> None:
    items = [RestoreService(name, start, delayed, WHY) for name, start, delayed in drawn]
    made, model = built(*items), built(RestoreService("BITS", 2, None, WHY))
    for path, content in made.items():
        if path.endswith(".cmd"):
            assert content == model.get(path, content) or path == "firstboot.cmd"
        if path.endswith(".cmd") or path in ("data/services.txt", "data/start.txt"):
            content.decode("ascii")
            assert content.replace(b"\r\n", b"").isascii()
            assert b"\n" not in content.replace(b"\r\n", b"")
    listed = made["data/names.txt"].decode("utf-8").split("\r\n")[:-1]
    for line in listed:
        number, name = line.split("\t", 1)
        (held,) = {frozenset(part.values) for part in regtext.parse(made[f"data/{number}.reg"])}
        keys = [part.key for part in regtext.parse(made[f"data/{number}.reg"])]
        assert keys[0] == rf"{CURRENT}\{name}"
        assert ("Start", Data.dword(next(i.start for i in reversed(items) if i.service == name))) in held


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.binary(max_size=40), st.integers(0, 12))
def test_registry_values_come_back_exactly(name: str, raw: bytes, kind: int) -> None:
    made = built(RestoreValue(r"SOFTWARE\A & B\%PATH%", name, Data(kind, raw), WHY))
    (part,) = regtext.parse(made["data/values.reg"])
    assert part == regtext.Section(r"HKEY_LOCAL_MACHINE\SOFTWARE\A & B\%PATH%", ((name, Data(kind, raw)),))
    assert made["data/values.reg"].startswith(b"\xff\xfe")


def test_the_same_arguments_give_the_same_bytes() -> None:
    twice = [build(ITEMS, facts(), ["ControlSet001"]) for _ in range(2)]
    assert [dataclasses.asdict(edit) for edit in twice[0]] == [dataclasses.asdict(edit) for edit in twice[1]]


# --- the scripts as texts ----------------------------------------------------------------------

INTERNAL = {
    "@echo",
    "call",
    "cd",
    "del",
    "echo",
    "exit",
    "for",
    "goto",
    "if",
    "md",
    "rem",
    "ren",
    "set",
    "setlocal",
}
PROGRAMS = {"%REG%", "%SC%", "%PING%", "%SHELL%", "%SHUTDOWN%", "start"}


def commands(text: str) -> set[str]:
    """The commands of a script: the first word of each line, and what if, for and redirections lead to."""
    found = set()
    for line in text.splitlines():
        rest = line.strip()
        while rest:
            if rest.startswith((":", "rem ", ")")) or not rest:
                break
            if match := re.match(r'>{1,2}"[^"]*" (.*)', rest):
                rest = match.group(1)
                continue
            word = rest.split(" ")[0]
            found.add(word)
            if word == "if":
                condition = (
                    r"if (not )?(exist \"[^\"]*\"|errorlevel 1|defined \S+|\S+==\S+|\S+ GEQ \S+) \(?(.*)"
                )
                match = re.match(condition, rest)
                assert match is not None, rest
                rest = match.group(3)
            elif word == "for":
                match = re.match(r"for .* in \([^)]*\) do \(?(.*)", rest)
                assert match is not None, rest
                rest = match.group(1)
            else:
                break
    return found


@pytest.mark.parametrize(
    "name", ["firstboot.cmd", *(f"steps/{s}.cmd" for s in ("400-values", "500-give-back", "600-start"))]
)
def test_scripts_use_only_what_every_windows_has(name: str) -> None:
    text = built(*ITEMS)[name].decode("ascii")
    assert commands(text) <= INTERNAL | PROGRAMS
    labels = {label.upper() for label in re.findall(r"^:(\w+)", text.replace("\r", ""), re.MULTILINE)}
    used = {label.upper() for label in re.findall(r"(?:goto|call :)\s*(\w+)", text)}
    assert used <= labels
    assert labels <= used
    assert "powershell.exe" not in text.lower()
    assert text.startswith("@echo off\r\n")
    assert "setlocal EnableExtensions DisableDelayedExpansion\r\n" in text


@pytest.mark.parametrize("name", ["500-give-back", "600-start"])
def test_a_name_is_only_ever_used_between_quotes(name: str) -> None:
    text = built(*ITEMS)[f"steps/{name}.cmd"].decode("ascii")
    assert text.count("%NAME%") > 1
    quoted = re.findall(r'"[^"\r\n]*%NAME%"', text)
    assert len(quoted) == text.count("%NAME%")
    assert 'set "NAME=%%' in text
