"""`p2vprep completion`: a script that makes the shell complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a completion script for your shell.

    \b
    bash:  p2vprep completion bash > ~/.local/share/bash-completion/completions/p2vprep
    zsh:   p2vprep completion zsh > ~/.zfunc/_p2vprep     (a folder of your fpath)
    fish:  p2vprep completion fish > ~/.config/fish/completions/p2vprep.fish
    """
    found = get_completion_class(shell)
    assert found is not None  # click knows the three of them
    program = click.get_current_context().find_root().command
    script = found(program, {}, "p2vprep", "_P2VPREP_COMPLETE")
    click.echo(script.source())
