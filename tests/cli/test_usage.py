"""What makes no sense is refused with status 2 before anything is opened, in words and as JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from p2vprep.cli.main import main
from p2vprep.disk import appliance
from tests.support.flow import Shelf, data_disk, done, failed, p2vprep
from tests.support.guest_disk import fingerprint


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch, disk: Path) -> Path:
    """A disk; it is a fault to start the appliance for it."""

    def launch(*_disks: Any, **_options: Any) -> None:
        pytest.fail("the appliance was started")

    monkeypatch.setattr(appliance, "launch", launch)
    return disk


def test_apply_without_a_terminal_needs_yes(nothing_starts: Path) -> None:
    found = failed(2, "nobody-to-ask", "apply", nothing_starts)
    assert "--yes" in found["hint"]
    ran = p2vprep("apply", nothing_starts)
    assert (ran.status, ran.stdout) == (2, "")
    assert "nobody can answer" in ran.stderr


def test_apply_with_a_closed_standard_input_needs_yes(
    nothing_starts: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as end:
        main(["apply", str(nothing_starts)])
    assert end.value.code == 2
    assert "nobody-to-ask" in capfd.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ["--source", "none"],
        ["--target", "none"],
        ["--stage", "none"],
        ["--set", "ncsi=keep"],
        ["--control-sets", "all"],
        ["--no-first-boot"],
        ["--root", "1"],
    ],
)
def test_a_plan_takes_no_options_beside_it(nothing_starts: Path, tmp_path: Path, option: list[str]) -> None:
    (tmp_path / "plan.json").write_text("{}")
    given: list[str | Path] = ["apply", nothing_starts, "--yes", "--plan", tmp_path / "plan.json", *option]
    name = "--first-boot" if option == ["--no-first-boot"] else option[0]
    assert name in failed(2, "plan-has-options", *given)["message"]


@pytest.mark.parametrize("setting", ["ncsi", "=keep", " =keep", ""])
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_setting_has_a_key_and_a_value(nothing_starts: Path, command: str, setting: str) -> None:
    failed(2, "bad-setting", command, nothing_starts, *_yes(command), "--set", setting)


def test_a_setting_has_one_value(nothing_starts: Path) -> None:
    given = ("plan", nothing_starts, "--set", "ncsi=keep", "--set", "ncsi=off")
    assert "'keep' and 'off'" in failed(2, "bad-setting", *given)["message"]


def test_the_same_setting_twice_is_no_contradiction(disk: Path) -> None:
    assert done("plan", disk, "--set", "ncsi=keep", "--set", " ncsi = keep ")["request"]["settings"] == {
        "ncsi": "keep"
    }


@pytest.mark.parametrize("kind", ["source", "target", "stage"])
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_profile_that_is_not_there(nothing_starts: Path, command: str, kind: str) -> None:
    found = failed(2, "no-such-profile", command, nothing_starts, *_yes(command), f"--{kind}", "no-such")
    assert "no-such" in found["message"]
    assert "hpe-proliant" in found["hint"]
    assert not nothing_starts.with_name("disk.raw.p2vprep").exists()


def test_a_profile_of_another_kind(disk: Path) -> None:
    found = failed(2, "usage", "plan", disk, "--target", "hpe-proliant")
    assert found["hint"] == "Use --source hpe-proliant."


@pytest.mark.parametrize(
    "setting", ["no-such=1", "ncsi=perhaps", "hpe-proliant.no-such=keep", "netlogon=perhaps"]
)
def test_a_setting_or_value_that_does_not_exist(disk: Path, setting: str) -> None:
    before = fingerprint(disk)
    failed(2, "usage", "apply", disk, "--yes", "--set", setting)
    assert fingerprint(disk) == before


def test_a_folder_of_profiles_that_is_not_there(nothing_starts: Path, tmp_path: Path) -> None:
    failed(2, "no-such-folder", "plan", nothing_starts, "--profile-dir", tmp_path / "none")


def test_a_plan_document_never_replaces_an_image(nothing_starts: Path, tmp_path: Path) -> None:
    before = nothing_starts.read_bytes()
    for target in (nothing_starts, tmp_path / "link.json"):
        if target != nothing_starts:
            target.symlink_to(nothing_starts)
        failed(2, "not-a-document", "plan", nothing_starts, "-o", target)
    assert nothing_starts.read_bytes() == before


def test_a_plan_document_needs_a_folder(nothing_starts: Path, tmp_path: Path) -> None:
    failed(2, "no-such-folder", "plan", nothing_starts, "-o", tmp_path / "none" / "plan.json")
    failed(2, "no-such-folder", "plan", nothing_starts, "-o", nothing_starts / "plan.json")


def test_an_image_named_twice(nothing_starts: Path, tmp_path: Path) -> None:
    link = tmp_path / "other-name.raw"
    link.symlink_to(nothing_starts)
    failed(2, "image-named-twice", "plan", nothing_starts, link)


def test_one_output_for_one_disk(nothing_starts: Path, shelf: Shelf, tmp_path: Path) -> None:
    second = shelf.disk(tmp_path, spec=data_disk(), name="second")
    failed(2, "one-output", "apply", nothing_starts, second, "--yes", "--output", tmp_path / "new.vhd")


def test_an_output_without_a_known_format(nothing_starts: Path, tmp_path: Path) -> None:
    failed(2, "output-format", "apply", nothing_starts, "--yes", "--output", tmp_path / "new.disk")


@pytest.mark.parametrize(
    "arguments", [["plan"], ["plan", "x", "--no-such"], ["no-such"], ["plan", "--root", "0", "x"]]
)
def test_what_the_parser_refuses_is_a_document_too(arguments: list[str]) -> None:
    assert failed(2, "usage", *arguments)["message"]
    ran = p2vprep(*arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert "Usage:" in ran.stderr


def test_help_and_version_are_no_errors() -> None:
    for arguments in (["--help"], ["--version"], ["apply", "--help"], ["profile", "--help"]):
        ran = p2vprep(*arguments)
        assert (ran.status, ran.stderr) == (0, "")
        assert ran.stdout


def _yes(command: str) -> list[str]:
    return ["--yes"] if command == "apply" else []
