"""Shell completion, --version, and commands that are loaded late."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from p2vprep import __version__
from p2vprep.cli.completion import SHELLS
from p2vprep.cli.main import LATE, main
from tests.support.flow import failed, p2vprep


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_every_shell(shell: str) -> None:
    ran = p2vprep("completion", shell)
    assert ran.status == 0
    assert f"_P2VPREP_COMPLETE={shell}_complete" in ran.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_understands_its_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = p2vprep("completion", shell).stdout
    done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_that_nobody_knows_is_usage() -> None:
    assert p2vprep("completion", "tcsh").status == 2


@pytest.mark.parametrize(
    ("typed", "begun", "offered"),
    [
        ([], "ap", {"apply"}),
        (["apply"], "--tar", {"--target"}),
        (["profile"], "", {"list", "show", "check", "schema", "explain"}),
        (["plan", "--ghosts"], "n", {"neutralise"}),
        (["completion"], "", set(SHELLS)),
    ],
)
def test_what_is_offered(typed: list[str], begun: str, offered: set[str]) -> None:
    completer = ShellComplete(main, {}, "p2vprep", "_P2VPREP_COMPLETE")
    found = {item.value for item in completer.get_completions(typed, begun)}
    assert offered <= found
    assert all(value.startswith(begun) for value in found)


def test_the_version() -> None:
    assert p2vprep("--version").stdout == f"p2vprep, version {__version__}\n"


def test_every_late_command_is_listed_and_there() -> None:
    helped = CliRunner().invoke(main, ["--help"]).stdout
    for name in LATE:
        assert f"  {name} " in helped
        assert p2vprep(name, "--help").status == 0, name


def test_a_console_needs_a_terminal() -> None:
    ran = p2vprep("console", "nothing.vhd")
    assert ran.status == 2
    assert "[no-terminal]" in ran.stderr
    assert "ssh -t" in ran.stderr


def test_other_commands_still_say_what_is_wrong() -> None:
    failed(2, "usage", "nonsense")
