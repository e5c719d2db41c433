r"""Which hardware abstraction layer Windows 2000 to 2003 was set up with, as it fits few machines.

Set-up chooses it once: with or without ACPI, with the old interrupt controller (PIC) or the new one
(APIC), for one processor or several. Vista and later choose at every start. The hardware id of the
computer's own device tells (seen in XP and 2003 hives: ``acpipic_up``, ``acpiapic_up``,
``acpiapic_mp``; Microsoft's hal.inf names the others). Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.bootdrivers import VISTA
from p2vprep.core.facts.keys import children, strings, text
from p2vprep.core.model import Hazard, RuleYield
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import fold
from p2vprep.core.rules.context import RuleContext

NAME = "hal"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "hal",
        default="keep",
        values=("warn", "keep"),
        help="Windows 2000 to 2003: tell what its hardware abstraction layer wants of the machine (warn).",
    ),
)
_COMPUTER = "{4D36E966-E325-11CE-BFC1-08002BE10318}"
_KNOWN = {
    "ACPIPIC_UP": (
        "ACPI with the old interrupt controller, one processor",
        "Give the new machine ACPI and one processor; if it hangs, switch its APIC off where offered.",
    ),
    "ACPIAPIC_UP": (
        "ACPI with APIC, one processor",
        "Give the new machine ACPI, APIC and one processor; Windows would not use a second one.",
    ),
    "ACPIAPIC_MP": (
        "ACPI with APIC, several processors",
        "Keep ACPI and APIC switched on; the number of processors does not matter.",
    ),
}
_WITHOUT_ACPI = (
    "without ACPI",
    "Switch ACPI off for the new machine if that is offered; else install the ACPI layer on the source.",
)


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """One warning for Windows before Vista: what the layer is and what it wants."""
    if not context.boots_next or context.setting("hal") == "keep":
        return
    if context.facts.guest.version.nt >= VISTA:
        return
    for layer in _layers(context):
        what, cure = _KNOWN.get(fold(layer), _WITHOUT_ACPI)
        yield Hazard(
            "hal",
            "warn",
            f"The hardware abstraction layer of this Windows is the one for machines of one kind: {what}. On "
            "another it hangs or stops (0x00000079, MISMATCHED_HAL).",
            evidence=(layer,),
            cure=cure,
        )


def _layers(context: RuleContext) -> Iterator[str]:
    r"""The hardware ids of the computer device below ``Enum\Root``."""
    for device in children(context.key(r"Enum\Root")):
        for instance in children(device):
            if fold(text(instance, "ClassGUID")) == _COMPUTER:
                yield from strings(instance, "HardwareID")[:1]
