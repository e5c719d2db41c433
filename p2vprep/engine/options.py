"""What the user asks for, as one value, and as the ``request`` of a plan document."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from p2vprep.core.model import Edit
from p2vprep.core.network import Network
from p2vprep.core.wishes import GhostChoice
from p2vprep.engine import extras
from p2vprep.errors import DocumentError

AUTO: Final = "auto"
DEFAULT_STAGE = "isolated-first-boot"
ControlSetChoice = Literal["auto", "boot", "all"]
Accelerator = Literal["auto", "kvm", "tcg"]


@dataclass(frozen=True)
class Options:
    """The options that shape a plan, and those that only say where and how to work.

    The first block is recorded in the plan document: with the same disk and the
    same first block, planning gives the same plan. The second never changes a plan.
    """

    sources: tuple[str, ...] = (AUTO,)
    targets: tuple[str, ...] = ()
    stages: tuple[str, ...] = (DEFAULT_STAGE,)
    settings: tuple[tuple[str, str], ...] = ()
    control_sets: ControlSetChoice = AUTO
    first_boot: bool = True
    root: int | None = None
    allow: frozenset[str] = frozenset()
    ghosts: GhostChoice | None = None
    network: Network | None = None
    edits: tuple[Edit, ...] = ()
    """Changes made by hand."""
    only_edits: bool = False
    """Nothing but these changes: no rule runs."""
    add_files: Path | None = None
    """A host folder whose files the guest gets; read again when the plan is applied."""
    first_boot_steps: tuple[Path, ...] = ()
    """Host files that the first boot runs, in this order."""
    virtio_win: Path | None = None
    """A virtio-win folder or ISO of the host."""

    state_dir: Path | None = None
    profile_dirs: tuple[Path, ...] = ()
    accelerator: Accelerator = AUTO

    def to_request(self) -> dict[str, object]:
        """The plan-shaping options as JSON."""
        return {
            "sources": list(self.sources),
            "targets": list(self.targets),
            "stages": list(self.stages),
            "settings": dict(self.settings),
            "control_sets": self.control_sets,
            "first_boot": self.first_boot,
            "root": self.root,
            "allow": sorted(self.allow),
            **extras.to_plain(self),
        }

    def with_request(self, request: object) -> Options:
        """These options with the plan-shaping ones taken from a plan document's request.

        Raises DocumentError where the request is not one this version can have written.
        """
        if not isinstance(request, dict):
            raise DocumentError("the plan's request is not an object")
        try:
            reader = _Request(request)
            return Options(
                sources=reader.strings("sources"),
                targets=reader.strings("targets"),
                stages=reader.strings("stages"),
                settings=reader.pairs("settings"),
                control_sets=reader.choice("control_sets"),
                first_boot=reader.truth("first_boot"),
                root=reader.number("root"),
                # What was allowed for the plan is allowed for its apply; more can be added then.
                allow=frozenset(reader.strings("allow")) | self.allow,
                **extras.from_plain(request),
                state_dir=self.state_dir,
                profile_dirs=self.profile_dirs,
                accelerator=self.accelerator,
            )
        except KeyError as missing:
            raise DocumentError(f"the plan's request lacks {missing}") from missing


@dataclass(frozen=True)
class _Request:
    """Typed reading of a request; KeyError for what is absent, DocumentError for what is wrong."""

    document: dict[str, object] = field(default_factory=dict)

    def strings(self, name: str) -> tuple[str, ...]:
        held = self.document[name]
        if not isinstance(held, list) or not all(isinstance(item, str) for item in held):
            raise DocumentError(f"the plan's request: {name} is not a list of names")
        return tuple(held)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        held = self.document[name]
        if not isinstance(held, dict) or not all(isinstance(item, str) for item in held.values()):
            raise DocumentError(f"the plan's request: {name} does not map names to texts")
        return tuple(sorted(held.items()))

    def choice(self, name: str) -> ControlSetChoice:
        held = self.document[name]
        if held == "auto" or held == "boot" or held == "all":
            return held
        raise DocumentError(f"the plan's request: {name} is none of auto, boot, all")

    def truth(self, name: str) -> bool:
        held = self.document[name]
        if not isinstance(held, bool):
            raise DocumentError(f"the plan's request: {name} is neither true nor false")
        return held

    def number(self, name: str) -> int | None:
        held = self.document[name]
        if held is not None and (not isinstance(held, int) or isinstance(held, bool)):
            raise DocumentError(f"the plan's request: {name} is not a number")
        return held
