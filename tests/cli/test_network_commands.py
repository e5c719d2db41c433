"""`p2vprep network`: documents checked, and their schema."""

from __future__ import annotations

from pathlib import Path

from tests.support.flow import as_json, done, p2vprep

TEXT = """\
schema: p2vprep.network/1
interfaces:
  - {match: {index: 0}, name: Production, addresses: [192.0.2.10/24], gateways: [192.0.2.1]}
  - {match: {index: 1}, carry-over: LAN}
settings: {rss: off}
"""


def test_a_valid_document_is_told_with_all_it_says(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(TEXT)
    shown = p2vprep("network", "check", file).stdout
    for word in ("valid", "index 0", "Production", "192.0.2.1", "from: LAN", "rss: off"):
        assert word in shown
    assert "none" not in shown
    document = done("network", "check", file)
    assert document["schema"] == "p2vprep.network-check/1"
    assert document["networks"][0]["interfaces"][0]["addresses"] == "192.0.2.10/24"


def test_an_invalid_one_ends_with_7_and_its_place(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(TEXT.replace("rss", "rsss"))
    ran = p2vprep("network", "check", file)
    assert ran.status == 7
    assert "net.yaml:5:" in ran.stderr
    assert as_json("network", "check", file).status == 7


def test_the_schema_is_json() -> None:
    assert done("network", "schema")["$id"] == "p2vprep.network/1"
