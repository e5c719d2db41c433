"""Writes a page for every shipped profile, docs/profiles/<name>.md, and their list, from the YAML.

Run from the checkout: ``python -m bench.profile_pages``; a test holds the pages against the profiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from p2vprep.core.documents.actions import (
    Action,
    BootPathTarget,
    DisableTarget,
    DriverTarget,
    FilterTarget,
    FirstBootTarget,
    ParkTarget,
    ServiceTarget,
    UninstallTarget,
    WarnTarget,
    When,
)
from p2vprep.core.documents.profile import Detect, off_by_default
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.profile_store import ProfileStore

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "profiles"
_NOTE = "<!-- Written by `python -m bench.profile_pages` from the profile; do not edit. -->"
_KINDS = {"source": "Sources", "target": "Targets", "stage": "Stages"}
_SURE = {
    "A": "A: the exact name is documented or was seen",
    "B": "B: the name was inferred; path or display name must fit",
    "C": "C: from recollection; only with a path or display name that fits, or where switched on",
}
_SIGNS = {
    "services": "services",
    "drivers": "drivers",
    "bios": "BIOS strings",
    "pci_subsystems": "PCI subsystem vendors",
    "devices": "devices",
    "products": "installed programs",
}


def pages(store: ProfileStore) -> dict[str, str]:
    """The text of every page by its file name, the list of all profiles as README.md."""
    profiles = store.all()
    found = {
        f"{profile.name}.md": page(profile, store.path(profile.name).read_text(encoding="utf-8"))
        for profile in profiles
    }
    found["README.md"] = _lines(_index(profiles))
    return found


def page(profile: ResolvedProfile, document: str) -> str:
    """The page of one profile; ``document`` is its YAML, whose head tells what is left alone."""
    return _lines(_page(profile, document))


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def _index(profiles: tuple[ResolvedProfile, ...]) -> Iterator[str]:
    yield from (_NOTE, "", "# Profiles", "")
    yield "What was found by `--source auto` on real hives: [detection.md](detection.md)."
    for kind, title in _KINDS.items():
        rows = [profile for profile in profiles if profile.kind == kind]
        if rows:
            yield from ("", f"## {title}", "", "| profile | what it is for | actions |", "|---|---|---|")
        for profile in rows:
            yield (
                f"| [{profile.name}]({profile.name}.md) | {_cell(profile.summary)} | {len(profile.actions)} |"
            )


def _page(profile: ResolvedProfile, document: str) -> Iterator[str]:
    yield from (_NOTE, "", f"# {profile.name}", "", f"{profile.summary}.", "")
    yield f"Kind: {profile.kind}. Version: {profile.version}."
    if profile.hypervisors:
        whose = "Guest of" if profile.kind == "source" else "Keeps the guest tools of"
        yield f"{whose}: {', '.join(profile.hypervisors)}."
    yield from ("", "```text", *_head(document), "```")
    yield from _detect(profile.detect)
    if profile.settings:
        yield from ("", "## Settings", "")
        yield from (f"- `{name}`: `{chosen}`" for name, chosen in profile.settings.items())
    if profile.parameters:
        yield from ("", "## Parameters", "", "| `--set` | values | what it does |", "|---|---|---|")
        for name, parameter in profile.parameters.items():
            values = ", ".join(
                f"**{value}**" if value == parameter.default else value for value in parameter.values
            )
            yield f"| `{name}` | {values} | {_cell(parameter.help)} |"
    yield from (
        "",
        "## Actions",
        "",
        "| action | what | when | sure | why | source |",
        "|---|---|---|---|---|---|",
    )
    for owned in profile.actions:
        action = owned.action
        off = "; off by default" if off_by_default(action, profile.parameters) else ""
        cells = (
            f"`{action.id}`",
            what(action),
            (conditions(action.when) or "always") + off,
            action.confidence,
            _cell(action.why),
            _cell(action.source),
        )
        yield f"| {' | '.join(cells)} |"
    used = sorted({owned.action.confidence for owned in profile.actions})
    yield from ("", "How sure:", "")
    yield from (f"- {_SURE[letter]}" for letter in used)


def _head(document: str) -> Iterator[str]:
    """The comment at the head of the YAML: what the profile is and what it leaves alone."""
    for line in document.splitlines():
        if not line.startswith("#"):
            return
        yield line[2:]


def _detect(wanted: Detect) -> Iterator[str]:
    given = {title: getattr(wanted, name) for name, title in _SIGNS.items() if getattr(wanted, name)}
    if given:
        yield from ("", "## How it is found", "")
        yield from (f"- {title}: {_names(names)}" for title, names in given.items())
    if wanted.enough != Detect().enough:
        yield f"- enough: {wanted.enough} point{'s' if wanted.enough > 1 else ''}"


def what(action: Action) -> str:
    """What an action does, in a few words."""
    target = action.target
    kind = f"**{action.kind}**"
    if isinstance(target, ServiceTarget):
        return f"{kind} {_names(target.names)}{_narrowed(target)}"
    if isinstance(target, UninstallTarget):
        more = [f"with {_names(target.silent)}"] if target.silent else []
        more += [f"{target.phase} of the first boot"] if target.phase != "after-network" else []
        return f"{kind} programs {_names(target.products)}" + (f" ({'; '.join(more)})" if more else "")
    if isinstance(target, FirstBootTarget):
        return f"{kind} {_names(target.commands)}"
    if isinstance(target, BootPathTarget):
        return f"{kind} {_cell(target.controller)} by {_names(target.drivers)}{_for_windows(target)}"
    if isinstance(target, WarnTarget):
        return f"{kind} {_code(target.code)}{_looked_for(target)}"
    fields: Mapping[str, object] = target.model_dump(by_alias=True, exclude_defaults=True)
    return f"{kind} " + ", ".join(f"{name} {_code(str(held))}" for name, held in fields.items())


def _for_windows(target: BootPathTarget) -> str:
    parts = [f"Windows {_code(one)}" for one in target.windows]
    parts += [" or ".join(target.architecture)] if target.architecture else []
    return f" ({'; '.join(parts)})" if parts else ""


def _looked_for(target: WarnTarget) -> str:
    parts = []
    if target.services is not None:
        parts.append(f"{_names(target.services.names)}{_narrowed(target.services)}")
    parts += [f"devices {_names(target.devices)}"] if target.devices else []
    parts += [f"programs {_names(target.products)}"] if target.products else []
    return f" where there is {', '.join(parts)}" if parts else ""


def _narrowed(target: ServiceTarget) -> str:
    parts = [] if target.type is None else [f"{target.type}s only"]
    by = [("path", target.image_path), ("display name", target.display_name)]
    fitting = [f"{title} fits {_code(pattern)}" for title, pattern in by if pattern is not None]
    if fitting:
        parts.append(" or ".join(fitting))
    if isinstance(target, DisableTarget) and target.boot_start:
        parts.append("also where it starts with Windows")
    if isinstance(target, ParkTarget) and target.start != "auto":
        parts.append(f"rests at {target.start}")
    if isinstance(target, DriverTarget):
        parts += [f"starts at {target.start}"] if target.start != "boot" else []
        parts += [f"before Vista for {_names(target.devices)}"] if target.devices else []
    if isinstance(target, FilterTarget):
        parts += [target.position] if target.position else []
        parts += [f"classes {_names(target.classes)}"] if target.classes else []
    return f" ({'; '.join(parts)})" if parts else ""


def conditions(when: When) -> str:
    """The conditions of an action; empty where there are none."""
    parts = [f"Windows {_code(one)}" for one in when.windows]
    parts += [f"role {' or '.join(when.role)}"] if when.role else []
    parts += [f"`{name}` is {' or '.join(values)}" for name, values in when.parameter.items()]
    parts += [f"with service {_names(when.service_exists)}"] if when.service_exists else []
    parts += [f"without service {_names(when.service_missing)}"] if when.service_missing else []
    parts += [f"with key {_names(when.key_exists)}"] if when.key_exists else []
    parts += [f"without key {_names(when.key_missing)}"] if when.key_missing else []
    if when.domain_member is not None:
        parts.append("domain members" if when.domain_member else "outside a domain")
    parts += [" or ".join(when.architecture)] if when.architecture else []
    return "; ".join(parts)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(_code(name) for name in names)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Writes all pages and drops those of profiles that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages(ProfileStore())
    for old in FOLDER.glob("*.md"):
        if old.name not in {*wanted, "detection.md"}:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
