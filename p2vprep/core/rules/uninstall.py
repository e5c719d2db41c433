"""Programs of what is gone are uninstalled by the first boot, where the user asks for it.

Only inside Windows can a program be removed with all that belongs to it. By default none is: its
services are disabled already, an uninstaller that runs unattended can fail in ways nobody sees, and
what it removes does not come back with a rollback of the disk. The plan names what could go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2vprep.core.documents.actions import UninstallTarget
from p2vprep.core.model import Hazard, Product, RuleYield, RunCommands, Skip
from p2vprep.core.profiles import OwnedAction, Setting
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.uninstallers import command, matching, product_code

NAME = "uninstall"
KINDS: tuple[str, ...] = ("uninstall",)
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "uninstall",
        default="keep",
        values=("keep", "first-boot"),
        help="Programs of what is gone: keep them (their services are disabled), or let the first boot "
        "remove them for good.",
    ),
)
_MOST_BY_ONE_PATTERN = 20
_NOT_INSTALLED = (1605, 1614)
"""msiexec: the product is not installed, or is gone already (Microsoft's error codes of MsiExec)."""


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """One step for each program, in the order of profiles, actions and their patterns."""
    if not context.boots_next:
        return
    taken: set[str] = set()
    for owned in context.actions:
        target = owned.action.target
        assert isinstance(target, UninstallTarget)
        if "SOFTWARE" not in context.hives:
            yield Skip(NAME, owned.name, "without the SOFTWARE hive nobody knows what is installed")
            continue
        for pattern, products in zip(target.products, matching(target, context.facts.products), strict=True):
            if len(products) > _MOST_BY_ONE_PATTERN:
                yield _too_many(owned, pattern, products)
                continue
            for product in products:
                identity = product_code(product) or product.key
                if identity not in taken:
                    taken.add(identity)
                    yield _one(context, owned, target, product, len(taken))


def _one(
    context: RuleContext, owned: OwnedAction, target: UninstallTarget, product: Product, number: int
) -> RuleYield:
    line = command(product, target.silent)
    if line is None:
        known = product.quiet or product.command or "it has none"
        reason = f"no silent way to remove it is known; its own command is: {known}"
        return Skip(NAME, product.display_name, f"{owned.name}: {reason}")
    if context.setting("uninstall") == "keep":
        return Skip(
            NAME,
            product.display_name,
            f"{owned.name}: kept; with --set uninstall=first-boot the first boot runs {line}",
        )
    return RunCommands(
        name=step_name(product, number),
        commands=(line,),
        phase=target.phase,
        timeout=target.timeout,
        why=f"{product.display_name}: {owned.action.why}",
        good=(0, *_NOT_INSTALLED) if product_code(product) else (0,),
    )


def step_name(product: Product, number: int) -> str:
    """``uninstall-01-vmware-tools``: in order, letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9]+", "-", product.display_name.lower()).strip("-")[:40].strip("-")
    return f"uninstall-{number:02d}" + (f"-{plain}" if plain else "")


def _too_many(owned: OwnedAction, pattern: str, products: tuple[Product, ...]) -> Hazard:
    return Hazard(
        "uninstall-too-wide",
        "warn",
        f"{owned.name}: {pattern!r} means {len(products)} installed programs; none of them is removed",
        tuple(product.display_name for product in products[:10]),
        "Write a narrower pattern, or add the publisher.",
        liftable=False,
    )
