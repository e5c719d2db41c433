"""The console's port to the engine: a real machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from p2vprep.console.ports import Done, FolderEntry, HiveName
from p2vprep.core.hand.places import READ_ONLY
from p2vprep.core.model import Edit, Facts, Hazard, Plan
from p2vprep.core.registry import Hive, fold
from p2vprep.engine import byhand, story
from p2vprep.engine.options import Options
from p2vprep.errors import StalePlanError
from p2vprep.events import Sink

_ORDER = {"folder": 0, "file": 1, "other": 2}


class Machine:
    """One machine's images, as the console wants them."""

    def __init__(self, paths: Sequence[Path], options: Options) -> None:
        self._paths = tuple(paths)
        self._options = options

    @property
    def title(self) -> str:
        return ", ".join(path.name for path in self._paths)

    @contextmanager
    def browse(self, sink: Sink) -> Iterator[Opened]:
        with byhand.browse(self._paths, self._options, sink) as browser:
            yield Opened(browser)

    def apply(self, edits: Sequence[Edit], reviewed: Plan, sink: Sink) -> Done:
        def as_reviewed(plan: Plan) -> bool:
            if (plan.changes, plan.hives) != (reviewed.changes, reviewed.hives):
                raise StalePlanError(
                    "the disk is no longer as it was when the changes were shown",
                    hint="Open the machine again (o) and review the changes once more.",
                )
            return True

        done = byhand.apply_edits(self._paths, edits, self._options, sink, as_reviewed)
        if not done.committed:
            return Done(False, f"Nothing was written: {done.why}.")
        count = len(done.plan.changes)
        changes = f"{count} change{'' if count == 1 else 's'}"
        written = f"{done.written_bytes / 1024:.0f} KiB written and proved by reading back"
        return Done(True, f"{changes}; {written}. r takes this back.")

    def rollback(self, sink: Sink) -> str:
        return str(story.rollback(self._paths, self._options, sink)["summary"])


class Opened:
    """A machine that is open for looking."""

    def __init__(self, browser: byhand.Browser) -> None:
        self._browser = browser

    @property
    def facts(self) -> Facts:
        return self._browser.facts

    @property
    def findings(self) -> tuple[Hazard, ...]:
        return self._browser.findings

    def hives(self) -> tuple[HiveName, ...]:
        return tuple(HiveName(name, name not in READ_ONLY) for name in self._browser.hive_names())

    def hive(self, name: str) -> Hive:
        return self._browser.hive(name)

    def folder(self, path: str) -> tuple[FolderEntry, ...]:
        found = self._browser.list_dir(path)
        ordered = sorted(found, key=lambda one: (_ORDER[one.kind], fold(one.name)))
        return tuple(FolderEntry(one.name, one.kind, one.size) for one in ordered)

    def read(self, path: str, limit: int) -> bytes:
        return self._browser.read_file(path, limit)

    def plan(self, edits: Sequence[Edit]) -> Plan:
        return self._browser.plan(edits).plan
