"""The options beside profiles and settings: as a part of a plan's request, and as wishes for the rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from p2vprep.core.wishes import GhostChoice, Wishes
from p2vprep.errors import DocumentError

if TYPE_CHECKING:
    from p2vprep.core.model import FirstBootItem, Guest, PutFile
    from p2vprep.engine.options import Options


def to_plain(options: Options) -> dict[str, object]:
    """These options as JSON; host files by their absolute paths."""
    from pydantic import TypeAdapter

    from p2vprep.core.documents import edits
    from p2vprep.core.network import Network

    network = options.network
    return {
        "ghosts": options.ghosts,
        "network": None if network is None else TypeAdapter(Network).dump_python(network, mode="json"),
        "edits": edits.to_plain(options.edits),
        "only_edits": options.only_edits,
        "add_files": _path_to_plain(options.add_files),
        "first_boot_steps": [str(path.absolute()) for path in options.first_boot_steps],
        "virtio_win": _path_to_plain(options.virtio_win),
    }


def from_plain(request: Mapping[str, Any]) -> dict[str, Any]:
    """The same options from a plan's request, as keyword arguments of Options.

    Raises KeyError for what is absent, DocumentError for what is wrong.
    """
    from pydantic import TypeAdapter, ValidationError

    from p2vprep.core.documents import edits
    from p2vprep.core.network import Network

    ghosts = request["ghosts"]
    if ghosts is not None and ghosts not in get_args(GhostChoice):
        raise DocumentError(f"the plan's request: ghosts is none of {', '.join(get_args(GhostChoice))}")
    network = request["network"]
    try:
        parsed = None if network is None else TypeAdapter(Network).validate_python(network)
    except ValidationError as problem:
        raise DocumentError(f"the plan's request: network: {problem.errors()[0]['msg']}") from problem
    steps = request["first_boot_steps"]
    if not isinstance(steps, list):
        raise DocumentError("the plan's request: first_boot_steps is not a list of paths")
    return {
        "ghosts": ghosts,
        "network": parsed,
        "edits": edits.from_plain(request["edits"]),
        "only_edits": _truth(request, "only_edits"),
        "add_files": _path(request, "add_files"),
        "first_boot_steps": tuple(_as_path(step, "first_boot_steps") for step in steps),
        "virtio_win": _path(request, "virtio_win"),
    }


def gather_wishes(options: Options, guest: Guest | None = None) -> Wishes:
    """The wishes that the options stand for; reads the host files they name.

    ``guest`` decides which of the kit's drivers are read. Raises UsageError for a host file that
    cannot be read.
    """
    drivers = None
    if options.virtio_win is not None and guest is not None:
        from p2vprep.virtio_files import load_kit

        drivers = load_kit(options.virtio_win, guest)
    puts, items = _host_files(options)
    return Wishes(
        ghosts=options.ghosts,
        network=options.network,
        edits=(*options.edits, *puts),
        only_edits=options.only_edits,
        items=items,
        drivers=drivers,
    )


def _host_files(options: Options) -> tuple[tuple[PutFile, ...], tuple[FirstBootItem, ...]]:
    """The files of ``--add-files`` and ``--first-boot-step``, and the steps that run the latter."""
    if options.add_files is None and not options.first_boot_steps:
        return (), ()
    from p2vprep.engine import host_files

    added = () if options.add_files is None else host_files.added_files(options.add_files)
    scripts, items = host_files.steps(options.first_boot_steps)
    return (*added, *scripts), items


def _truth(request: Mapping[str, Any], name: str) -> bool:
    held = request[name]
    if not isinstance(held, bool):
        raise DocumentError(f"the plan's request: {name} is neither true nor false")
    return held


def _path_to_plain(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _path(request: Mapping[str, Any], name: str) -> Path | None:
    return None if request[name] is None else _as_path(request[name], name)


def _as_path(plain: object, name: str) -> Path:
    if not isinstance(plain, str) or not plain:
        raise DocumentError(f"the plan's request: {name} is not a path")
    return Path(plain)
