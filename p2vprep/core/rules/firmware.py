"""Whether the target starts a machine the way this disk wants: BIOS or UEFI.

Nothing on a disk can be changed to make one of the other, so this only tells. What the firmware
does not find it does not start: there is no stop code, only "no boot device".
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import Hazard, RuleYield
from p2vprep.core.profiles import Setting
from p2vprep.core.rules.context import RuleContext

NAME = "firmware"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "firmware",
        default="keep",
        values=("keep", "any", "bios", "uefi"),
        help="What starts the machine on the target: either (any), only BIOS, only UEFI; keep does not look.",
    ),
)
_WORDS = {
    "bios": "BIOS (an active partition)",
    "uefi": "UEFI (an EFI system partition)",
}
_OTHER = {
    "bios": "Choose a target with BIOS, such as Hyper-V generation 1, or make the disk a UEFI one before "
    "(mbr2gpt on the source)",
    "uefi": "Choose a target with UEFI, such as Hyper-V generation 2",
}


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """A refusal where the target cannot start this disk; a warning where its firmware has to be chosen."""
    wanted, found = context.setting("firmware"), context.facts.firmware
    if not context.boots_next or wanted == "keep" or found == "unknown":
        return
    if wanted == "any":
        if found == "uefi":
            yield Hazard(
                "firmware",
                "warn",
                "This disk starts through UEFI; with a BIOS the new machine finds no boot device.",
                evidence=(_WORDS[found],),
                cure="Give the new machine UEFI firmware before its first start.",
            )
        return
    if wanted != found:
        yield Hazard(
            "firmware-mismatch",
            "refuse",
            f"The target starts through {wanted.upper()}, and this disk through {found.upper()}: it would "
            "find no boot device there",
            evidence=(_WORDS[found],),
            cure=_OTHER[found],
        )
