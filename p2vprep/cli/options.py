"""The options that commands share, spelt once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from p2vprep.core.network import Network
from p2vprep.engine.options import AUTO, DEFAULT_STAGE, Options
from p2vprep.errors import DocumentError, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

IMAGES = click.argument(
    "images",
    nargs=-1,
    required=True,
    metavar="IMAGE...",
    type=click.Path(path_type=Path),
)


def _stack(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def output_options(function: Command) -> Command:
    """``--json`` and ``-v``, which every command has."""
    return _stack(
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
        click.option("-v", "--verbose", is_flag=True, help="Tell more."),
    )(function)


def state_option(function: Command) -> Command:
    """``--state-dir``: where lock, journal, overlay, undo and receipts live."""
    return click.option(
        "--state-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Keep the state here instead of in IMAGE.p2vprep/ beside the image.",
    )(function)


def appliance_options(function: Command) -> Command:
    """How the image is opened."""
    return _stack(
        click.option(
            "--root", type=click.IntRange(min=1), metavar="N", help="Which Windows, where there are several."
        ),
        click.option(
            "--allow",
            "allow",
            multiple=True,
            metavar="CODE",
            help="Lift one refusal by its code. Repeatable.",
        ),
        click.option(
            "--accel",
            "accelerator",
            type=click.Choice(["auto", "kvm", "tcg"]),
            default=AUTO,
            show_default=True,
            help="How the appliance runs. auto: KVM where it works.",
        ),
    )(function)


def plan_options(function: Command) -> Command:
    """What shall be done."""
    return _stack(
        click.option(
            "--source",
            "sources",
            multiple=True,
            metavar="auto|NAME",
            help="Profile of the source machine's vendor. Repeatable. [default: auto]",
        ),
        click.option(
            "--target", "targets", multiple=True, metavar="NAME", help="Profile of the target hypervisor."
        ),
        click.option(
            "--stage",
            "stages",
            multiple=True,
            metavar="NAME",
            help=f"What the first boot is to be like; none for no stage. [default: {DEFAULT_STAGE}]",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A profile's setting or parameter."
        ),
        click.option(
            "--ghosts",
            type=click.Choice(["keep", "neutralise", "remove"]),
            help="What becomes of adapters whose hardware is gone. [default: by the Windows version]",
        ),
        click.option(
            "--network",
            "network_file",
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            metavar="FILE",
            help="A network document: addresses, gateways, name servers for each adapter.",
        ),
        click.option(
            "--add-files",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            metavar="DIR",
            help="Copy the files of this folder into the guest.",
        ),
        click.option(
            "--first-boot-step",
            "first_boot_steps",
            multiple=True,
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            metavar="FILE",
            help="A .cmd file that the first boot runs. Repeatable.",
        ),
        click.option(
            "--virtio-win",
            type=click.Path(path_type=Path, exists=True),
            metavar="DIR|ISO",
            help="virtio drivers for a KVM target, from a virtio-win folder or ISO.",
        ),
        click.option(
            "--edits",
            "edits_files",
            multiple=True,
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            metavar="FILE",
            help="Make these edits as well, collected by hand with --plan-only -o FILE. Repeatable.",
        ),
        click.option("--only-edits", is_flag=True, help="Make the edits of --edits and nothing else."),
        click.option(
            "--control-sets",
            type=click.Choice(["auto", "boot", "all"]),
            default=AUTO,
            show_default=True,
            help="Edit the control set that boots next, or all. auto: all up to 2008 R2, boot after.",
        ),
        click.option(
            "--first-boot/--no-first-boot",
            "first_boot",
            default=True,
            help="Drop a first-boot job where one is needed.",
        ),
        click.option(
            "--profile-dir",
            "profile_dirs",
            multiple=True,
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help="A folder of your own profiles. Repeatable.",
        ),
    )(function)


def to_options(given: dict[str, Any]) -> Options:
    """The click parameters as Options; reads the network document.

    Raises UsageError for a malformed or contradictory ``--set``, DocumentError for an invalid document.
    """
    settings: dict[str, str] = {}
    for pair in given.get("settings", ()):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, not {pair!r}", code="bad-setting")
        if settings.setdefault(key, value) != value:
            raise UsageError(
                f"--set gives {key} two values, {settings[key]!r} and {value!r}", code="bad-setting"
            )
    stages = tuple(given.get("stages") or (DEFAULT_STAGE,))
    options = Options(
        sources=_without_none(tuple(given.get("sources") or (AUTO,))),
        targets=_without_none(tuple(given.get("targets", ()))),
        stages=_without_none(stages),
        settings=tuple(sorted(settings.items())),
        control_sets=given.get("control_sets", AUTO),
        first_boot=given.get("first_boot", True),
        ghosts=given.get("ghosts"),
        network=read_network(given.get("network_file")),
        add_files=given.get("add_files"),
        first_boot_steps=tuple(given.get("first_boot_steps") or ()),
        virtio_win=given.get("virtio_win"),
        root=given.get("root"),
        allow=frozenset(given.get("allow", ())),
        state_dir=given.get("state_dir"),
        profile_dirs=tuple(given.get("profile_dirs", ())),
        accelerator=given.get("accelerator", AUTO),
    )
    return _with_edits(options, given)


def _with_edits(options: Options, given: dict[str, Any]) -> Options:
    """The options with edits collected by hand. Raises UsageError and DocumentError."""
    files, alone = given.get("edits_files", ()), given.get("only_edits", False)
    if not files and not alone:
        return options
    if not files:
        raise UsageError("--only-edits needs edits; name them with --edits", code="no-edits")
    from p2vprep.engine import byhand

    edits = tuple(edit for path in files for edit in byhand.load_edits(path))
    return byhand.by_hand(options, edits) if alone else replace(options, edits=edits)


def read_network(path: Path | None) -> Network | None:
    """The network document of a file; None without one.

    Raises UsageError where the file cannot be read, DocumentError with the place of every fault.
    """
    if path is None:
        return None
    from p2vprep.core.documents import network

    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror}", subject=str(path)) from problem
    except UnicodeDecodeError as problem:
        raise DocumentError(f"{path} is not text in UTF-8", subject=str(path)) from problem
    return network.load(text, str(path))


def _without_none(names: tuple[str, ...]) -> tuple[str, ...]:
    """``none`` stands for "no profile of this kind"."""
    return tuple(name for name in names if name != "none")
