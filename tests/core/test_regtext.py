"""The .reg text: the dialect exactly, and there and back again."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core import regtext
from p2vprep.core.model import Change, FileChange, FileState, KeyChange, ValueChange
from p2vprep.core.registry import MemoryHive
from p2vprep.core.regtext import Section
from p2vprep.core.values import Data, RegType
from p2vprep.errors import DocumentError, UsageError

SERVICE = "ControlSet001\\Services\\hpsamd"
RUNNING = "HKEY_LOCAL_MACHINE\\SYSTEM\\" + SERVICE


def value_change(name: str, before: Data | None, after: Data | None, key: str = SERVICE) -> ValueChange:
    return ValueChange("SYSTEM", key, name, before, after, "rule", "why")


def key_change(key: str, *, made: bool) -> KeyChange:
    return KeyChange("SYSTEM", key, not made, made, "rule", "why")


def body(*values: tuple[str, Data | None]) -> list[str]:
    """The lines of one section's values."""
    lines = regtext.render([Section(RUNNING, values)]).split("\r\n")
    assert lines[:3] == [regtext.HEADER, "", f"[{RUNNING}]"]
    assert lines[-2:] == ["", ""]
    return lines[3:-2]


def test_every_kind_of_data_is_spelt_as_regedit_spells_it() -> None:
    assert body(
        ("Start", Data.dword(4)),
        ("", Data.sz("plain")),
        ('quo"ted', Data.sz('C:\\Program Files\\"x"')),
        ("Binary", Data.binary(b"\x01\xab")),
        ("Empty", Data.binary(b"")),
        ("Path", Data.expand_sz("%S")),
        ("List", Data.multi_sz(["a"])),
        ("Quad", Data.qword(1)),
        ("Odd", Data(0xFFFF0012, b"\x05")),
        ("None", Data(RegType.NONE, b"")),
        ("Big", Data(RegType.DWORD_BIG_ENDIAN, b"\0\0\0\1")),
        ("Gone", None),
    ) == [
        '"Start"=dword:00000004',
        '@="plain"',
        '"quo\\"ted"="C:\\\\Program Files\\\\\\"x\\""',
        '"Binary"=hex:01,ab',
        '"Empty"=hex:',
        '"Path"=hex(2):25,00,53,00,00,00',
        '"List"=hex(7):61,00,00,00,00,00',
        '"Quad"=hex(b):01,00,00,00,00,00,00,00',
        '"Odd"=hex(ffff0012):05',
        '"None"=hex(0):',
        '"Big"=hex(5):00,00,00,01',
        '"Gone"=-',
    ]


def test_the_default_value_is_deleted_by_its_sign() -> None:
    assert body(("", None)) == ["@=-"]


@pytest.mark.parametrize(
    "data",
    [
        Data.sz("two\r\nlines"),
        Data.sz("tab\there"),
        Data(RegType.SZ, b"a\0"),
        Data(RegType.SZ, b"a\0\0\0b"),
        Data(RegType.SZ, b""),
        Data(RegType.SZ, b"a\0b\0\0\0\0\0"),
        Data(RegType.SZ, b"\x00\xd8\0\0"),
    ],
)
def test_text_that_quotes_cannot_hold_is_written_as_hex(data: Data) -> None:
    (line,) = body(("x", data))
    assert line.startswith('"x"=hex(1):')
    assert regtext.parse(regtext.render([Section(RUNNING, (("x", data),))]))[0].values == (("x", data),)


@pytest.mark.parametrize("raw", [b"", b"\1\0\0", b"\1\0\0\0\0"])
def test_a_dword_of_another_length_is_written_as_hex(raw: bytes) -> None:
    (line,) = body(("x", Data(RegType.DWORD, raw)))
    assert line.startswith('"x"=hex(4):')


def test_long_hex_is_wrapped_where_regedit_wraps_it() -> None:
    lines = body(("ProductPolicy", Data.binary(bytes(60))))
    assert lines == [
        '"ProductPolicy"=hex:' + "00," * 19 + "\\",
        "  " + "00," * 25 + "\\",
        "  " + ",".join(["00"] * 16),
    ]
    assert max(map(len, lines)) <= 80


def test_no_line_goes_on_after_the_last_byte() -> None:
    for size in range(200):
        lines = body(("x", Data.binary(bytes(size))))
        assert not lines[-1].endswith(("\\", ",")), size


def test_a_file_is_utf16_with_a_mark_and_crlf() -> None:
    document = regtext.write([value_change("Start", Data.dword(0), Data.dword(4))])
    assert document.startswith(b"\xff\xfeW\0i\0")
    text = document[2:].decode("utf-16-le")
    assert text == (f'{regtext.HEADER}\r\n\r\n[{RUNNING}]\r\n"Start"=dword:00000004\r\n\r\n')


def test_changes_of_one_key_share_a_section_and_keep_their_order() -> None:
    changes: list[Change] = [
        key_change("ControlSet001\\Enum\\X", made=False),
        key_change(SERVICE, made=True),
        value_change("Start", None, Data.dword(3)),
        value_change("Old", Data.dword(3), None),
        FileChange("/p2vprep/x.cmd", None, FileState("00", 1), "rule", "why"),
        value_change("Start", Data.dword(0), Data.dword(4), key="ControlSet001\\Services\\b"),
    ]
    assert regtext.sections(changes) == (
        Section("HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Enum\\X", delete=True),
        Section(RUNNING, (("Start", Data.dword(3)), ("Old", None))),
        Section("HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\b", (("Start", Data.dword(4)),)),
    )


def test_a_value_after_its_key_was_deleted_opens_a_new_section() -> None:
    made = regtext.sections([key_change(SERVICE, made=False), value_change("Start", None, Data.dword(3))])
    assert [part.delete for part in made] == [True, False]


def test_a_hive_that_is_not_part_of_the_running_registry_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        regtext.sections([KeyChange("NTUSER", "Software", False, True, "rule", "why")])
    assert caught.value.subject == "NTUSER"


@pytest.mark.parametrize(
    ("running", "place"),
    [
        ("HKEY_LOCAL_MACHINE\\SYSTEM\\Select", ("SYSTEM", "Select")),
        ("hkey_local_machine\\software", ("SOFTWARE", "")),
        ("HKEY_USERS\\.DEFAULT\\Control Panel", ("DEFAULT", "Control Panel")),
    ],
)
def test_a_running_key_is_found_in_its_hive(running: str, place: tuple[str, str]) -> None:
    assert regtext.hive_key(running) == place


@pytest.mark.parametrize("key", ["HKEY_CURRENT_USER\\x", "HKEY_LOCAL_MACHINE\\SYSTEMS\\x"])
def test_a_key_of_no_hive_on_the_disk_is_refused(key: str) -> None:
    with pytest.raises(DocumentError):
        regtext.hive_key(key)


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\ud800"])
def test_names_that_the_dialect_cannot_spell_are_refused(name: str) -> None:
    with pytest.raises(DocumentError) as caught:
        regtext.render([Section(RUNNING, ((name, None),))])
    assert caught.value.subject == RUNNING
    with pytest.raises(DocumentError):
        regtext.render([Section(RUNNING + "\\" + name)])


# --- reading -----------------------------------------------------------------------------------


def test_what_people_write_by_hand_is_understood() -> None:
    text = (
        f"{regtext.HEADER}\n\n; a comment\n[{RUNNING}]\n"
        '  "Start" = dword:4 ; why\n"x"="a\\\\b" ; more\n@=-\n"y"=hex:1,\\ ; first\n   AB,\\\n 02\n'
        "\n[-HKEY_LOCAL_MACHINE\\SOFTWARE\\x]y]"
    )
    assert regtext.parse(text) == (
        Section(
            RUNNING,
            (
                ("Start", Data.dword(4)),
                ("x", Data.sz("a\\b")),
                ("", None),
                ("y", Data.binary(b"\x01\xab\x02")),
            ),
        ),
        Section("HKEY_LOCAL_MACHINE\\SOFTWARE\\x]y", delete=True),
    )


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf8_is_read_too(mark: bytes) -> None:
    text = regtext.render([Section(RUNNING, (("ä", Data.sz("ß")),))])
    assert regtext.parse(mark + text.encode()) == (Section(RUNNING, (("ä", Data.sz("ß")),)),)


@pytest.mark.parametrize("document", [b"\xff\xfea", b"\xff\xfe\x00\xd8", b"\x80"])
def test_other_bytes_are_refused(document: bytes) -> None:
    with pytest.raises(DocumentError, match="neither UTF-16LE nor UTF-8"):
        regtext.parse(document)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[HKEY_LOCAL_MACHINE\\SYSTEM", 'must end with "\\]"'),
        ("[HKLM\\SYSTEM]", "top keys"),
        ("[]", "top keys"),
        ("Start=dword:1", "in quotes"),
        ('"Start=dword:1', "not closed"),
        ('"Start', "not closed"),
        ('"Start"dword:1', '"=" is missing'),
        ('"Start"', '"=" is missing'),
        ('"Start"=', "no data"),
        ('"Start"=4', "no data"),
        ('"Start"=dword:', "eight hex digits"),
        ('"Start"=dword:123456789', "eight hex digits"),
        ('"Start"=dword:-1', "eight hex digits"),
        ('"Start"=word:1', "data type"),
        ('"Start"=hex(123456789):1', "data type"),
        ('"Start"=hex:1,,2', "list of bytes"),
        ('"Start"=hex:100', "list of bytes"),
        ('"Start"=hex:0x1', "list of bytes"),
        ('"Start"=hex:01,\\', "after the end of the file"),
        ('"Start"="a\\n"', "escape"),
        ('"Start"="a" b', "after the end of the data"),
        ('"Start"=-1', "after the end of the data"),
        ('"Start"="two', "not closed"),
    ],
)
def test_a_line_that_is_wrong_is_named(line: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message) as caught:
        regtext.parse(f"{regtext.HEADER}\r\n\r\n[{RUNNING}]\r\n{line}", "undo.reg")
    assert caught.value.subject == "undo.reg:4"


def test_a_value_needs_a_key_that_stays() -> None:
    for opening in ("", f"[-{RUNNING}]"):
        with pytest.raises(DocumentError, match="without a key") as caught:
            regtext.parse(f'{regtext.HEADER}\r\n{opening}\r\n"x"=-')
        assert caught.value.subject == ".reg text:3"


@pytest.mark.parametrize("text", ["", "REGEDIT4\r\n\r\n[HKEY_USERS]", "\r\n" + regtext.HEADER])
def test_another_dialect_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="first line") as caught:
        regtext.parse(text, "old.reg")
    assert caught.value.subject == "old.reg:1"
    assert caught.value.hint


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
DATA = st.one_of(
    st.builds(Data, st.integers(0, 0xFFFFFFFF), st.binary(max_size=120)),
    st.builds(Data, st.sampled_from([1, 2, 4, 7, 11]), st.binary(max_size=9)),
    st.builds(Data.sz, st.text(max_size=40)),
    st.builds(Data.dword, st.integers(0, 0xFFFFFFFF)),
)
SECTIONS = st.one_of(
    st.builds(
        Section,
        NAMES.map(lambda name: f"HKEY_LOCAL_MACHINE\\SYSTEM\\{name}"),
        st.lists(st.tuples(NAMES, st.none() | DATA), max_size=4).map(tuple),
    ),
    NAMES.map(lambda name: Section(f"HKEY_USERS\\{name}", delete=True)),
)


@given(st.lists(SECTIONS, max_size=4))
def test_there_and_back_again(parts: list[Section]) -> None:
    text = regtext.render(parts)
    assert regtext.parse(regtext.encode(text)) == tuple(parts)
    assert all(len(line) < 80 for line in text.split("\r\n") if line.startswith("  "))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for document in (text, f"{regtext.HEADER}\n[HKEY_USERS\\x]\n{text}"):
        with contextlib.suppress(DocumentError):
            assert all(isinstance(part, Section) for part in regtext.parse(document))


# --- taking changes back -----------------------------------------------------------------------


def test_the_inverse_swaps_before_and_after_last_change_first() -> None:
    first = value_change("Start", Data.dword(2), Data.dword(4))
    second = value_change("New", None, Data.sz("x"))
    made = key_change(SERVICE + "\\made", made=True)
    assert regtext.inverse([first, made, second]) == (
        value_change("New", Data.sz("x"), None),
        key_change(SERVICE + "\\made", made=False),
        value_change("Start", Data.dword(4), Data.dword(2)),
    )


def test_a_deleted_key_comes_back_with_all_it_held() -> None:
    before = MemoryHive({"Enum\\A": {"x": Data.dword(1)}, "Enum\\A\\B": {"": Data.sz("y")}, "Enum\\C": {}})
    undone = regtext.inverse([key_change("Enum\\A", made=False)], {"SYSTEM": before})
    assert undone == (
        key_change("Enum\\A", made=True),
        value_change("x", None, Data.dword(1), key="Enum\\A"),
        key_change("Enum\\A\\B", made=True),
        value_change("", None, Data.sz("y"), key="Enum\\A\\B"),
    )


@pytest.mark.parametrize("before", [None, {"SYSTEM": MemoryHive()}])
def test_a_deleted_key_cannot_come_back_from_nothing(before: dict[str, MemoryHive] | None) -> None:
    with pytest.raises(UsageError, match="cannot be written back"):
        regtext.inverse([key_change("Enum\\A", made=False)], before)


def test_files_have_no_place_in_a_reg_file() -> None:
    change = FileChange("/p2vprep/x.cmd", None, FileState("00", 1), "rule", "why")
    assert regtext.inverse([change]) == ()
    assert regtext.sections([change]) == ()
