"""The command `p2vprep`."""

from __future__ import annotations

import click

from p2vprep import __version__
from p2vprep.cli.commands import MACHINE_COMMANDS


class _Commands(click.Group):
    """Loads the profile commands only when asked for: their documents take a while to load."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*super().list_commands(context), "profile"]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name == "profile":
            from p2vprep.cli.profile_commands import profile

            return profile
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
