from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.documents.actions import UninstallTarget
from p2vprep.core.documents.patterns import is_switch
from p2vprep.core.model import Product
from p2vprep.core.uninstallers import command, matching, product_code, program

CODE = "{8B7A6C5D-1234-4321-ABCD-0123456789AB}"
SILENT_MSI = f"msiexec.exe /x {CODE} /qn /norestart REBOOT=ReallySuppress"


def product(line: str = "", quiet: str = "", *, key: str = "Tool", msi: bool = False) -> Product:
    place = rf"Microsoft\Windows\CurrentVersion\Uninstall\{key}"
    return Product(place, "A tool", "Maker", "1", quiet or line, line, quiet, msi)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'"C:\Program Files\Maker\un.exe"', (r"C:\Program Files\Maker\un.exe", ())),
        (r"C:\Program Files\Maker\un inst.exe", (r"C:\Program Files\Maker\un inst.exe", ())),
        (r'"D:\Program Files (x86)\A\B\un.exe" /S -q', (r"D:\Program Files (x86)\A\B\un.exe", ("/S", "-q"))),
        (
            r"C:\PROGRA~2\A\Setup.exe -l0x409 -removeonly",
            (r"C:\PROGRA~2\A\Setup.exe", ("-l0x409", "-removeonly")),
        ),
        (rf'"C:\Program Files\A\u.exe" /I:{CODE}', (r"C:\Program Files\A\u.exe", (f"/I:{CODE}",))),
        (r'"c:\program files\a\U.EXE" REBOOT=No', (r"c:\program files\a\U.EXE", ("REBOOT=No",))),
    ],
)
def test_a_program_with_plain_switches_is_recognised(line: str, expected: object) -> None:
    assert program(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "un.exe /S",
        r"C:\Windows\System32\cmd.exe /c del",
        r"C:\Temp\un.exe /S",
        r"C:\Users\a\un.exe",
        r"\\server\share\Program Files\un.exe",
        r"C:\Program Files\un.exe\..\..\Temp\x.exe",
        r"C:\Program Files\..\Temp\un.exe",
        r"C:\Program Files\A\..\..\Temp\un.exe",
        r"C:\Program Files\A.\un.exe",
        r"C:\Program Files\A\un.exe & format d:",
        r"C:\Program Files\A\un.exe && x",
        r'"C:\Program Files\A\un.exe" "quoted"',
        r'"C:\Program Files\A\un.exe"/S',
        r'"C:\Program Files\A\un.exe',
        r"C:\Program Files\A\un.exe.bat /S",
        r"C:\Program Files\A\un.exe;/S",
        r"%ProgramFiles%\A\un.exe",
        r"C:\Program Files\%TEMP%\un.exe",
        r"C:\Program Files\A^B\un.exe",
        r"C:\Program Files\A|B\un.exe",
        r"C:\Program Files\A!B!\un.exe",
        r"C:\Program Files\A\un.exe %1",
        r"C:\Program Files\A\un.exe >C:\boot.ini",
        r"C:\Program Files\A\un.exe /S=C:\x",
        r"C:\Program Files\A\un.exe loose",
        "C:\\Program Files\\A\\un.exe\n/S",
        r"C:\Program Files\Ä\un.exe",
        r"C:\Program Files\A\un.exe " + " ".join(["/S"] * 9),
        r"C:\Program Files\A\un.vbs /S",
        r"rundll32 C:\Program Files\A\un.exe,Entry",
    ],
)
def test_anything_else_is_not(line: str) -> None:
    assert program(line) is None


@given(st.text(max_size=60), st.text(max_size=20))
def test_what_is_recognised_means_nothing_to_cmd(middle: str, end: str) -> None:
    found = program(rf'"C:\Program Files\{middle}\un.exe" {end}')
    if found is not None:
        plain = found[0] + " ".join(found[1])
        assert plain.isascii()
        assert not set(plain) & set("\"%!^&|<>;,'`\r\n\t*?")
        assert ".." not in found[0]


@pytest.mark.parametrize(
    "line",
    [
        f"MsiExec.exe /I{CODE}",
        f"MsiExec.exe /X{CODE}",
        f"msiexec /x {CODE} /qn /norestart",
        rf'"C:\Windows\System32\msiexec.exe" /X "{CODE}"',
    ],
)
def test_windows_installer_is_recognised(line: str) -> None:
    assert product_code(product(line)) == CODE
    assert command(product(line), ()) == SILENT_MSI


@pytest.mark.parametrize(
    "line",
    [f"MsiExec.exe /I{CODE} & calc", "MsiExec.exe /I{1}", f"evil.exe /I{CODE}", f"MsiExec.exe /f{CODE}"],
)
def test_what_only_resembles_it_is_not(line: str) -> None:
    assert product_code(product(line)) is None
    assert command(product(line), ()) is None


def test_the_key_of_an_msi_is_its_code() -> None:
    assert product_code(product("odd", key=CODE.lower(), msi=True)) == CODE
    assert product_code(product("odd", key=CODE, msi=False)) is None
    assert product_code(product("odd", key="Tool", msi=True)) is None


def test_the_silent_switches_of_the_profile_count() -> None:
    assert command(product(f"MsiExec.exe /X{CODE}"), ("/qn",)) == f"msiexec.exe /x {CODE} /qn"
    own = r"C:\Program Files\A\un.exe"
    assert command(product(f"{own} /ask"), ("/S",)) == f'"{own}" /S'
    assert command(product(own, f'"{own}" /VERYSILENT'), ("/S",)) == f'"{own}" /S'
    assert command(product("odd", f'"{own}" /VERYSILENT'), ("/S",)) == f'"{own}" /VERYSILENT'


def test_without_them_only_a_silent_command_of_its_own_will_do() -> None:
    own = r"C:\Program Files\A\un.exe"
    assert command(product(own), ()) is None
    assert command(product(own, own), ()) is None
    assert command(product(own, f'"{own}" /S'), ()) == f'"{own}" /S'
    assert command(product(own, f'"{own}" /S & x'), ()) is None


def test_programs_are_found_by_name_and_publisher_in_the_order_of_the_patterns() -> None:
    names = [("Acme Agent", "Acme"), ("Acme Base", "Acme"), ("Acme Agent", "Other")]
    held = [Product(f"k{number}", *name, "", "") for number, name in enumerate(names)]
    target = UninstallTarget(products=("base$", "^acme agent"), publisher="^Acme$")
    assert matching(target, held) == ((held[1],), (held[0],))
    everybody = UninstallTarget(products=("^acme agent",))
    assert matching(everybody, held) == ((held[0], held[2]),)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("/S", True), ("-q", True), ("/v:quiet", True), ("--removeonly", False), ("REBOOT=No", True),
        ("reboot=x", False), ("/", False), ("/S;", False), ("/a b", False), ("/x=C:\\y", False), ("", False),
    ],
)  # fmt: skip
def test_switches(text: str, plain: bool) -> None:
    assert is_switch(text) is plain
