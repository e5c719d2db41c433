"""The pages of docs/reference/, by file name, and the command that writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from bench.reference import codes
from bench.reference.codes import Found
from bench.reference.commands import commands_page
from bench.reference.schemas import schema_page
from bench.reference.words import code, head, page, plain, table
from p2vprep.errors import ExitStatus
from p2vprep.profile_store import ProfileStore

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"

EXIT_STATUS = {
    ExitStatus.OK: ("done, or nothing to do", ""),
    ExitStatus.BUG: ("a bug in p2vprep", "Run again with `-v` and report what it prints."),
    ExitStatus.USAGE: ("the command line asks for something that makes no sense", "The error says what."),
    ExitStatus.DIFFERENCES: ("`verify` or a check found differences", "They are listed."),
    ExitStatus.STALE_PLAN: (
        "the plan is stale: the disk, the profiles or p2vprep are no longer what it was made for",
        "Make a new plan, read it, apply that one.",
    ),
    ExitStatus.REFUSED: (
        "refused for safety",
        "Cure what the finding names, or lift it by name with `--allow CODE` where that is possible.",
    ),
    ExitStatus.CANNOT_OPEN: ("image or appliance cannot be opened; nothing was written", "`p2vprep doctor`"),
    ExitStatus.INVALID_DOCUMENT: ("a document is invalid", "The error names file, line and column."),
    ExitStatus.FAILED: ("failed; the disk is as it was before", "The error says what failed."),
    ExitStatus.NEEDS_RECOVER: (
        "stopped in the middle of a commit or a rollback",
        "`p2vprep recover IMAGE`, before the machine is started.",
    ),
    ExitStatus.WAVE_FAILURES: ("a wave finished, and machines of it failed", "`p2vprep wave report WAVE`"),
}


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    from p2vprep.core.documents import network, profile

    return {
        "README.md": page(_index()),
        "commands.md": commands_page(),
        "exit-status.md": page(_exit_status()),
        "hazards.md": page(_hazards(codes.hazards())),
        "errors.md": page(_errors(codes.errors())),
        "profile-schema.md": schema_page(
            "Profile documents",
            profile.json_schema(),
            "How to write one: [writing-profiles.md](../writing-profiles.md). "
            "For editors: `p2vprep profile schema`.",
        ),
        "network-schema.md": schema_page(
            "Network documents", network.json_schema(), "With examples: [network.md](../network.md)."
        ),
    }


def _index() -> Iterator[str]:
    yield from head("Reference", "Written from the program, so it says what this version does.")
    yield "- [Commands](commands.md)"
    yield "- [Exit status](exit-status.md)"
    yield "- [Findings and their codes](hazards.md)"
    yield "- [Error codes](errors.md)"
    yield "- [Profile documents](profile-schema.md)"
    yield "- [Network documents](network-schema.md)"
    yield "- [Profiles that come with the tool](../profiles/README.md)"


def _exit_status() -> Iterator[str]:
    yield from head("Exit status")
    rows = [(str(int(status)), what, then) for status, (what, then) in EXIT_STATUS.items()]
    rows.append(("128+N", "stopped by signal N; the disk is as before unless the error says otherwise", ""))
    yield from table(("status", "what it means", "what to do next"), rows)
    yield "With `--json` the standard output always holds one document: `p2vprep.error/1` where a command"
    yield "failed, with `code`, `message`, `subject`, `hint`, `changed`, `details` and `exit_status`."


def _hazards(found: Iterable[Found]) -> Iterator[str]:
    yield from head(
        "Findings and their codes",
        "What `inspect` and `plan` list as findings. **stop** ends an apply before anything is changed; "
        "where the third column says so, `--allow CODE` lifts it by name, and the receipt records that. "
        "**note** only tells. Words that depend on the machine are shown as `…`.",
    )
    rows = []
    for name, same in groupby(found, key=lambda one: one.code):
        told = list(same)
        words = "<br>".join(dict.fromkeys(plain(one.message) for one in told))
        cures = "<br>".join(dict.fromkeys(plain(one.next) for one in told if one.next))
        rows.append((code(name), _severity(told), _lifts(told), words, cures))
    yield from table(("code", "", "`--allow`", "what it says", "what to do next"), rows)
    yield from ("## From profiles", "", "Profiles bring warnings of their own.", "")
    yield from table(("code", "profile", "what it says", "what to do next"), _of_profiles())


def _severity(told: list[Found]) -> str:
    severities = {part for one in told for part in one.severity.split(" / ")}
    return " or ".join(
        {"refuse": "stop", "warn": "note"}.get(one, "stop or note") for one in sorted(severities)
    )


def _lifts(told: list[Found]) -> str:
    refusing = [one for one in told if "refuse" in one.severity]
    if not refusing:
        return ""
    return "lifts it" if all(one.liftable for one in refusing) else "does not lift it"


def _of_profiles() -> Iterator[tuple[str, str, str, str]]:
    for profile in ProfileStore().all():
        for owned in profile.actions:
            target = owned.action.target
            if owned.action.kind == "warn" and owned.profile == profile.name:
                held = target.model_dump(by_alias=True)
                link = f"[{profile.name}](../profiles/{profile.name}.md)"
                said = str(held.get("message") or owned.action.why)
                yield (
                    code(str(held.get("code", owned.action.id))),
                    link,
                    plain(said),
                    plain(str(held.get("cure") or "")),
                )


def _errors(found: Iterable[Found]) -> Iterator[str]:
    yield from head(
        "Error codes",
        "An error ends a command. It says what happened, to what, what was left changed, and what to do "
        "next; its code is stable, also in the JSON document. Where nothing else is said, nothing was "
        "changed. Words that depend on the case are shown as `…`.",
    )
    rows = []
    classes = codes.error_classes()
    for name, same in groupby(found, key=lambda one: one.code):
        told = list(same)
        statuses = sorted({classes[one.kind][1] for one in told})
        words = "<br>".join(dict.fromkeys(plain(one.message) for one in told if one.message))
        hints = "<br>".join(dict.fromkeys(plain(one.next) for one in told if one.next))
        rows.append((code(name), ", ".join(map(str, statuses)), words, hints))
    yield from table(("code", "exit status", "what it says", "what to do next"), rows)


def main() -> None:
    """Writes all pages and drops those that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
