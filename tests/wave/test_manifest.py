"""Manifests: YAML and tables give the same machines, and every fault has its place."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2vprep.core.network import Network
from p2vprep.errors import DocumentError, UsageError
from p2vprep.wave import csvmanifest
from p2vprep.wave.manifest import Manifest, load

YAML = """\
schema: p2vprep.wave/1
name: wave 7
defaults:
  source: hpe-proliant
  set: {services: all, retries: 3}
  allow: dirty-hive-without-log
concurrency: {jobs: 2, per-appliance: 4, time-limit: 1h30m}
machines:
  - name: srv01
    disks: srv01/*.vhdx
    network:
      interfaces:
        - match: {mac: "00:15:5d:0a:0b:0c"}
          addresses: [192.0.2.10/24]
          gateways: [192.0.2.1]
  - name: srv02
    disks: [b.vhd, a.vhd]
    source: [auto]
    stage: none
    set: {services: some}
    allow: [several]
    network: net.yaml
"""
NETWORK = """\
schema: p2vprep.network/1
interfaces:
  - match: {only: true}
    dhcp: true
"""


def written(folder: Path, text: str | bytes, name: str = "wave.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        load(path)
    assert caught.value.exit_status == 7
    return caught.value.details or (caught.value.message,)


def network(manifest: Manifest, index: int = 0) -> Network:
    found = manifest.machines[index].options.network
    assert found is not None
    return found


def test_a_yaml_manifest_becomes_machines_with_options(tmp_path: Path) -> None:
    (tmp_path / "srv01").mkdir()
    for name in ("2.vhdx", "1.vhdx"):
        (tmp_path / "srv01" / name).touch()
    (tmp_path / "srv01" / "1.vhdx.p2vprep").mkdir()
    written(tmp_path, NETWORK, "net.yaml")
    wave = load(written(tmp_path, YAML))
    assert (wave.name, wave.jobs, wave.per_appliance, wave.time_limit) == ("wave 7", 2, 4, 5400)
    first, second = wave.machines
    assert first.disks == (tmp_path / "srv01/1.vhdx", tmp_path / "srv01/2.vhdx")
    assert first.options.sources == ("hpe-proliant",)
    assert first.options.stages == ("isolated-first-boot",)
    assert dict(first.options.settings) == {"services": "all", "retries": "3"}
    assert network(wave).interfaces[0].addresses == (ip_interface("192.0.2.10/24"),)
    assert second.disks == (tmp_path / "b.vhd", tmp_path / "a.vhd")
    assert (second.options.sources, second.options.stages) == (("auto",), ())
    assert dict(second.options.settings) == {"services": "some", "retries": "3"}
    assert second.options.allow == {"dirty-hive-without-log", "several"}
    assert network(wave, 1).interfaces[0].dhcp


def test_a_wildcard_that_finds_nothing_is_kept_for_the_check(tmp_path: Path) -> None:
    wave = load(written(tmp_path, "schema: p2vprep.wave/1\nmachines: [{name: a, disks: 'a/*.vhd'}]"))
    assert wave.machines[0].disks == (tmp_path / "a/*.vhd",)


@pytest.mark.parametrize(
    ("machine", "at", "message"),
    [
        ("{name: a, disk: x}", "disk", "unknown key 'machines[0].disk'"),
        ("{name: a}", "{", "'machines[0].disks' is missing"),
        ("{name: a, disks: x, ghosts: perhaps}", "perhaps", "machines[0].ghosts"),
        ("{name: a, disks: x, network: gone.yaml}", "gone", ""),
        ("{name: a, disks: x, add-files: gone}", "gone", "there is no gone"),
        ("{name: ' a', disks: x}", "' a'", "the name"),
        (
            "{name: a, disks: x, network: {interfaces: [{match: {only: true}, addresses: [q]}]}}",
            "q",
            "interfaces[0].addresses[0]",
        ),
    ],
)
def test_faults_of_yaml_have_line_and_column(tmp_path: Path, machine: str, at: str, message: str) -> None:
    line = f"machines: [{machine}]"
    expected = f"wave.yaml:2:{line.index(at) + 1}: {message}"
    found = faults(written(tmp_path, f"schema: p2vprep.wave/1\n{line}"))
    assert any(fault.startswith(expected) for fault in found), found


def test_a_name_twice_tells_both_places(tmp_path: Path) -> None:
    text = "schema: p2vprep.wave/1\nmachines:\n- {name: a, disks: x}\n- {name: A, disks: y}\n"
    (fault,) = faults(written(tmp_path, text))
    assert fault == "wave.yaml:4:10: the name 'A' is here twice; first at wave.yaml:3:10"


def test_another_document_is_no_manifest(tmp_path: Path) -> None:
    (fault,) = faults(written(tmp_path, "schema: p2vprep.profile/1\n"))
    assert "p2vprep.profile/1" in fault


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "gone.yaml")
    assert caught.value.code == "no-manifest"


@pytest.mark.parametrize("limit", ["0", "soon", "5x", "1h 30"])
def test_a_time_limit_that_is_none(tmp_path: Path, limit: str) -> None:
    text = (
        f"schema: p2vprep.wave/1\nconcurrency: {{time-limit: '{limit}'}}\nmachines: [{{name: a, disks: x}}]"
    )
    (fault,) = faults(written(tmp_path, text))
    assert fault.startswith("wave.yaml:2:")


# --- tables --------------------------------------------------------------------------------------

TABLE = [
    ["VM Name", "Disk", "Target", "IP Address", "Subnet Mask", "Default Gateway", "DNS Servers",
     "MAC", "Owner"],
    ["srv01", "srv01.vhdx", "hyperv", "192.0.2.10", "255.255.255.0", "192.0.2.1", "192.0.2.53 192.0.2.54",
     "00-15-5D-0A-0B-0C", "Ann, Ltd."],
    ["srv02", "b.vhd; a.vhd", "", "192.0.2.11/24", "", "", "", "", ""],
]  # fmt: skip


def table(separator: str, *, quoted: bool) -> str:
    def cell(text: str) -> str:
        return f'"{text}"' if quoted or separator in text else text

    return "\r\n".join(separator.join(map(cell, row)) for row in TABLE) + "\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_export_of_a_table_is_the_same_wave(
    tmp_path: Path, separator: str, quoted: bool, encoding: str
) -> None:
    text = table(separator, quoted=quoted).replace("Ann", "Änn")
    wave = load(written(tmp_path, text.encode(encoding), "wave.csv"))
    first, second = wave.machines
    assert [machine.name for machine in wave.machines] == ["srv01", "srv02"]
    assert first.options.targets == ("hyperv",)
    (adapter,) = network(wave).interfaces
    assert adapter.match.mac == "00:15:5d:0a:0b:0c"
    assert adapter.addresses == (ip_interface("192.0.2.10/24"),)
    assert adapter.gateways[0].via == ip_address("192.0.2.1")
    assert len(adapter.dns) == 2
    assert second.disks == (tmp_path / "b.vhd", tmp_path / "a.vhd")
    assert network(wave, 1).interfaces[0].match.only
    assert wave.notes[-1] == "columns that mean nothing here: Owner"
    assert any("Windows-1252" in note for note in wave.notes) == (encoding == "cp1252")


def test_a_table_says_what_yaml_says(tmp_path: Path) -> None:
    by_table = load(written(tmp_path, "disk;set:a;set;first boot;root\nx.vhd;1;b=2|c=3;no;2\n", "w.csv"))
    text = (
        "schema: p2vprep.wave/1\nmachines:\n- name: x\n  disks: x.vhd\n"
        "  set: {a: '1', b: 2, c: 3}\n  first-boot: false\n  root: 2\n"
    )
    by_yaml = load(written(tmp_path, text))
    assert by_table.machines == by_yaml.machines
    assert by_table.machines[0].fingerprint == by_yaml.machines[0].fingerprint


def test_several_adapters_have_numbered_columns(tmp_path: Path) -> None:
    text = "disk,ip,ip2,gateway 2,mac_2\nx.vhd,192.0.2.1/24,198.51.100.2/24,198.51.100.1,00155d0a0b0c\n"
    first, second = network(load(written(tmp_path, text, "w.csv"))).interfaces
    assert first.match.index == 0
    assert second.match.mac == "00:15:5d:0a:0b:0c"
    assert second.gateways[0].via == ip_address("198.51.100.1")


def test_an_address_may_come_from_dhcp(tmp_path: Path) -> None:
    wave = load(written(tmp_path, "disk,ip\nx.vhd,DHCP\n", "w.csv"))
    assert network(wave).interfaces[0].dhcp


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("disk,ip\nx.vhd,192.0.2.10\n", "w.csv: row 2, column B (ip): 192.0.2.10 has neither"),
        ("disk,ip,mask\nx.vhd,192.0.2.10,255.0.255.0\n", "w.csv: row 2, column B (ip): "),
        ("disk,mask\nx.vhd,255.255.255.0\n", "w.csv: row 2, column B (mask): there is a mask without"),
        ("disk,mac\nx.vhd,00-15\n", "w.csv: row 2, column B (mac): '00-15' is no MAC"),
        ("disk,gatway\nx.vhd,192.0.2.1\n", "w.csv: row 1, column B (gatway): there is no such column; did"),
        ("disk,image\nx.vhd,y\n", "w.csv: row 1, column B (image): this says the same as the column 'disk'"),
        ("name\nx\n", "w.csv: row 1: there is no column of disks"),
        ("disk,root\nx.vhd,first\n", "w.csv: row 2, column B (root): 'first' is no number"),
        ("disk,first boot\nx.vhd,maybe\n", "w.csv: row 2, column B (first boot): 'maybe' is neither"),
        ("disk,set\nx.vhd,loud\n", "w.csv: row 2, column B (set): settings are KEY=VALUE"),
        ("disk,ghosts\n\n\nx.vhd,perhaps\n", "w.csv: row 4, column B (ghosts): "),
        ("disk\nx.vhd,y\n", "w.csv: row 2: it has more cells"),
        ("disk,ip,gateway\nx.vhd,192.0.2.10/24,10.0.0.1\n", "w.csv: row 2, column C (gateway): "),
        ("disk,network,ip\nx.vhd,n.yaml,192.0.2.1/24\n", "w.csv: row 2, column C (ip): there is a network"),
        ("name,disk\n,x.vhd\nx,y.vhd\n", "w.csv: row 3, column A (name): the name 'x' is here twice"),
        ("\n\n", "w.csv: the table is empty"),
        ('disk\n"x.vhd\n', "w.csv: row 2: "),
    ],
)  # fmt: skip
def test_faults_of_tables_have_row_and_column(tmp_path: Path, text: str, place: str) -> None:
    assert faults(written(tmp_path, text, "w.csv"))[0].startswith(place)


def test_all_faults_of_a_table_are_told_together(tmp_path: Path) -> None:
    found = faults(written(tmp_path, "disk,ip,root\na.vhd,x,1\nb.vhd,192.0.2.1/24,y\n", "w.csv"))
    assert len(found) == 2


def test_a_workbook_is_no_table(tmp_path: Path) -> None:
    (fault,) = faults(written(tmp_path, b"PK\x03\x04\0\0\xff\0", "w.csv"))
    assert "export the table as CSV" in fault


@given(st.integers(1, 18_277))
def test_columns_have_the_letters_of_a_spreadsheet(number: int) -> None:
    value = 0
    for letter in csvmanifest.letters(number):
        value = value * 26 + ord(letter) - ord("A") + 1
    assert value == number


@given(st.binary(max_size=300))
def test_no_bytes_make_a_table_fail_otherwise_than_by_a_document_error(content: bytes) -> None:
    with suppress(DocumentError):
        text, _notes = csvmanifest.decode(content, "w.csv")
        csvmanifest.read(text, "w.csv")


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=12),
            min_size=2,
            max_size=4,
        ),
        max_size=5,
    )
)
@example([["", ""], ["|", ""]])
def test_no_cells_make_a_table_fail_otherwise_than_by_a_document_error(rows: list[list[str]]) -> None:
    text = "disk,ip,mac,set\n" + "\n".join(",".join(row) for row in rows)
    with suppress(DocumentError):
        csvmanifest.read(text, "w.csv")


# --- a wave --------------------------------------------------------------------------------------


def test_machines_are_chosen_by_name_and_pattern(tmp_path: Path) -> None:
    wave = load(written(tmp_path, "name,disk\nweb1,a\nweb2,b\ndb[1],c\n", "w.csv"))
    assert [one.name for one in wave.only(["WEB*"]).machines] == ["web1", "web2"]
    assert [one.name for one in wave.only(["db[1]"]).machines] == ["db[1]"]
    assert wave.only([]) is wave
    with pytest.raises(UsageError) as caught:
        wave.only(["mail*"])
    assert caught.value.code == "no-such-machine"


def test_a_fingerprint_changes_with_what_is_asked_for(tmp_path: Path) -> None:
    def fingerprint(text: str) -> str:
        return load(written(tmp_path, text, "w.csv")).machines[0].fingerprint

    written(tmp_path, "echo one\n", "step.cmd")
    plain = fingerprint("name,disk,owner\na,x.vhd,Ann\n")
    assert fingerprint("name,disk,owner\na,x.vhd,Bob\n") == plain
    assert fingerprint("name,disk,ip\na,x.vhd,192.0.2.1/24\n") != plain
    stepped = fingerprint("name,disk,first boot step\na,x.vhd,step.cmd\n")
    assert stepped != plain
    written(tmp_path, "echo two, and more\n", "step.cmd")
    assert fingerprint("name,disk,first boot step\na,x.vhd,step.cmd\n") != stepped
