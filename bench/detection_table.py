"""Writes docs/profiles/detection.md: what every source profile finds on every hive of the corpus.

Run from the checkout: ``python -m bench.detection_table``. SOFTWARE is looked at where the corpus has it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.profile_pages import FOLDER
from p2vprep.core.detect import Detection, detect
from p2vprep.core.facts import gather
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.profile_store import ProfileStore
from tests.support.corpus import hive_bytes, hive_entries, hive_logs, system_hive_names

_HEAD = """\
<!-- Written by `python -m bench.detection_table` from the corpus of real hives; do not edit. -->

# What is found on real hives

Every source profile was asked for every real SYSTEM hive of the corpus. Bold: `--source auto` uses the
profile (two points or more, see `p2vprep/core/detect.py`). No machine of the corpus is a server with its
vendor's agents, so none of the server profiles may be sure here; boards of a maker only tell that it made
the machine, not that it is a server, and using its profile changes nothing where nothing of it is found.
Profiles that are not named found nothing.

| hive | Windows | what was found |
|---|---|---|
"""


def table() -> str:
    """The whole document."""
    return _HEAD + "\n".join(_rows()) + "\n"


def _rows() -> Iterator[str]:
    sources = ProfileStore().all("source")
    for name in sorted(system_hive_names()):
        windows, found = examine(name, sources)
        shown = "<br>".join(_words(one) for one in found) or "nothing"
        yield f"| {name} | {windows} | {shown} |"


def examine(name: str, sources: tuple[ResolvedProfile, ...]) -> tuple[str, tuple[Detection, ...]]:
    """Which Windows a hive is of, and what the profiles find there."""
    data = recover(hive_bytes(name), hive_logs(name), accept_dirty=True).data
    beside = name.replace(".SYSTEM", ".SOFTWARE")
    known = {entry["name"] for entry in hive_entries()}
    software = HiveReader(hive_bytes(beside)) if beside in known else None
    facts = gather(HiveReader(data), software, system_root="/Windows")
    return f"{facts.guest.product} {facts.guest.version}", detect(sources, facts)


def _words(found: Detection) -> str:
    words = found.words.replace("|", "\\|")
    name, _colon, rest = words.partition(":")
    return f"**{name}**:{rest}" if found.applies else words


def main() -> None:
    """Writes the document."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "detection.md").write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
