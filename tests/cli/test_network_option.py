"""``--network FILE``: read into the options, refused with the place of the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.cli.options import to_options
from p2vprep.core.network import Match
from p2vprep.engine.options import Options
from p2vprep.errors import DocumentError, ExitStatus, UsageError

TEXT = "schema: p2vprep.network/1\ninterfaces: [{match: {only: true}, dhcp: true, name: LAN}]\n"


def test_the_document_becomes_a_part_of_the_options_and_of_the_request(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    options = to_options({"network_file": file})
    assert options.network is not None
    assert options.network.interfaces[0].match == Match(only=True)
    assert Options().with_request(options.to_request()).network == options.network


def test_without_the_option_there_is_none() -> None:
    assert to_options({}).network is None


def test_a_fault_is_told_with_its_place_and_exit_status(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(TEXT.replace("dhcp", "dhpc"))
    with pytest.raises(DocumentError, match=r"net\.yaml:2:36: unknown key") as caught:
        to_options({"network_file": file})
    assert caught.value.exit_status is ExitStatus.INVALID_DOCUMENT


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DocumentError, match="not text in UTF-8"):
        to_options({"network_file": file})


def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        to_options({"network_file": tmp_path / "gone.yaml"})
