"""The command `p2vprep`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from p2vprep import __version__
from p2vprep.cli.commands import MACHINE_COMMANDS
from p2vprep.cli.output import Output
from p2vprep.errors import ExitStatus, UsageError

LATE = {
    "adapters": ("p2vprep.cli.hand_looks", "adapters"),
    "autoruns": ("p2vprep.cli.hand_looks", "autoruns"),
    "completion": ("p2vprep.cli.completion", "completion"),
    "console": ("p2vprep.cli.console_command", "console"),
    "drivers": ("p2vprep.cli.hand_commands", "drivers"),
    "events": ("p2vprep.cli.hand_looks", "events"),
    "files": ("p2vprep.cli.hand_looks", "files"),
    "network": ("p2vprep.cli.network_commands", "network"),
    "profile": ("p2vprep.cli.profile_commands", "profile"),
    "registry": ("p2vprep.cli.hand_commands", "registry"),
    "services": ("p2vprep.cli.hand_commands", "services"),
    "wave": ("p2vprep.cli.wave_commands", "wave"),
}
"""Commands that are loaded only when asked for, since that takes a while: module and attribute by name."""


class _Commands(click.Group):
    """Loads some commands late.

    What click's parser refuses is told like every other error where ``--json`` was given.
    """

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        context.obj = "--json" in arguments
        return super().parse_args(context, arguments)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.UsageError as problem:
            if not context.obj:
                raise
            Output.create(as_json=True, verbose=False).error(UsageError(problem.format_message()))
            context.exit(int(ExitStatus.USAGE))

    def list_commands(self, context: click.Context) -> list[str]:
        return [*super().list_commands(context), *LATE]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in LATE:
            module, attribute = LATE[name]
            found = getattr(import_module(module), attribute)
            assert isinstance(found, click.Command)
            return found
        return super().get_command(context, name)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="p2vprep")
def main() -> None:
    """Prepare the disk of a converted Windows machine, offline, before its first boot.

    Nothing is written to an image before everything is edited and verified on an
    overlay; a run can be undone bit for bit with `p2vprep rollback IMAGE`.
    """


for _command in MACHINE_COMMANDS:
    main.add_command(_command)
