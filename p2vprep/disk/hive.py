"""Opens and edits registry hives so that nothing can be lost.

:func:`load` replays the transaction logs and checks the structure; :func:`edit` makes
exactly the given changes on a copy and proves it: the structure is as sound as before,
and a comparison of every key and value with a reader that is not hivex shows the
changes and nothing else. hivex works in a child process under limits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from p2vprep.core.compare import Difference, KeyDifference, ValueDifference, compare, unexpected
from p2vprep.core.model import Change, Hazard, HiveState, KeyChange, ValueChange
from p2vprep.core.regf import patch
from p2vprep.core.regf.baseblock import SIZE, BaseBlock
from p2vprep.core.regf.check import StructureReport, check
from p2vprep.core.regf.handover import finish_header
from p2vprep.core.regf.pages import changed_pages
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import Recovery, recover
from p2vprep.core.registry import split
from p2vprep.core.routing import RegistryChange, Routes, route
from p2vprep.errors import CannotOpenError, FailedError, HiveError, P2vprepError

DIRTY_WITHOUT_LOG = "dirty-hive-without-log"
_WORKER = Path(__file__).with_name("hive_worker.py")
_SHOWN = 5
"""How many problems or differences an error's details list."""
_MOST_WORDS = 2000
"""How many bytes of what the child said on stderr are kept."""


@dataclass(frozen=True)
class Limits:
    """What the child process may use: bytes of address space over six times the hive, seconds."""

    memory: int = 256 << 20
    cpu: int = 60
    seconds: float = 120.0

    def for_hive(self, size: int) -> dict[str, int]:
        """The limits as the child gets them: hivex holds the hive once or twice, plus a bitmap."""
        return {"memory": self.memory + 6 * size, "cpu": self.cpu, "file": 2 * size + (64 << 20)}


@dataclass(frozen=True)
class LoadedHive:
    """A hive that is safe to edit. ``data`` is clean: its logs are replayed.

    ``primary`` and ``logs`` are the files as found; ``notes`` say what was replayed
    or passed over, ``hazards`` what the operator must know.
    """

    name: str
    path: str
    primary: bytes = field(repr=False)
    logs: Mapping[str, bytes] = field(repr=False)
    data: bytes = field(repr=False)
    hive: HiveReader = field(repr=False)
    state: HiveState
    report: StructureReport = field(repr=False)
    notes: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()


@dataclass(frozen=True)
class EditedHive:
    """A hive after its changes, proved. ``pages`` are (offset, bytes) that differ from the file on the disk.

    ``data`` may be longer than that file; the pages cover what is new. ``state`` describes the
    edited bytes. ``notes`` tell which changes were made without hivex, and why.
    """

    data: bytes = field(repr=False)
    pages: tuple[tuple[int, bytes], ...] = field(repr=False)
    state: HiveState
    notes: tuple[str, ...] = ()


# --- load --------------------------------------------------------------------------------------


def load(
    name: str, path: str, primary: bytes, logs: Mapping[str, bytes], *, allow: frozenset[str] = frozenset()
) -> LoadedHive:
    """The hive as Windows would load it. ``logs`` maps LOG, LOG1, LOG2 to their bytes.

    Raises HiveError: ``not-a-hive``, ``hive-damaged`` (with the first problems),
    ``hive-log-unusable``, ``dirty-hive-without-log``; the last two are lifted by
    ``dirty-hive-without-log`` in ``allow``, and a hazard then says what may be lost.
    """
    try:
        recovery = recover(primary, logs, accept_dirty=DIRTY_WITHOUT_LOG in allow)
        report = check(recovery.data)
    except HiveError as problem:
        raise _named(problem, path) from problem
    if report.errors:
        raise HiveError(
            f"the registry hive {name} is damaged: {report.errors[0]}",
            code="hive-damaged",
            subject=path,
            hint="Let Windows repair it or restore the hive from a backup, then try again.",
            details=tuple(map(str, report.errors[:_SHOWN])),
        )
    return LoadedHive(
        name=name,
        path=path,
        primary=primary,
        logs=dict(logs),
        data=recovery.data,
        hive=HiveReader(recovery.data),
        state=_state(name, path, primary, logs, recovery),
        report=report,
        notes=(*recovery.notes, *map(str, report.notes[:_SHOWN])),
        hazards=_hazards(name, recovery),
    )


def _named(problem: HiveError, path: str) -> HiveError:
    """The same error with the hive's file in front."""
    return HiveError(
        f"{path}: {problem.message}",
        code=problem.code,
        subject=problem.subject or path,
        hint=problem.hint,
        details=problem.details,
    )


def _state(name: str, path: str, primary: bytes, logs: Mapping[str, bytes], recovery: Recovery) -> HiveState:
    found = sha256(primary)
    return HiveState(
        name=name,
        path=path,
        primary=found,
        recovered=sha256(recovery.data) if recovery.dirty else found,
        dirty=recovery.dirty,
        logs={suffix: sha256(raw) for suffix, raw in logs.items()},
        replayed_pages=recovery.pages,
        replayed_from=recovery.sources,
    )


def _hazards(name: str, recovery: Recovery) -> tuple[Hazard, ...]:
    if not recovery.dirty or recovery.sources:
        return ()
    return (
        Hazard(
            code=DIRTY_WITHOUT_LOG,
            severity="warn",
            message=f"The dirty {name} hive is taken without its logs: its newest changes may be lost",
            evidence=recovery.notes,
            cure="Start the source machine once more, shut it down, and convert it again.",
        ),
    )


def sha256(data: bytes) -> str:
    """The SHA-256 in hex, as states carry it."""
    return hashlib.sha256(data).hexdigest()


# --- edit --------------------------------------------------------------------------------------


def edit(
    loaded: LoadedHive, changes: Iterable[ValueChange | KeyChange], *, limits: Limits | None = None
) -> EditedHive:
    """The hive with exactly these changes; those for other hives are passed over. The disk is not touched.

    Raises StalePlanError where the hive does not hold what a change says was before,
    RefusedError by the guards, FailedError: ``plan-contradictory``, ``hivex-not-started``,
    ``hivex-refused``, ``hivex-crashed``, ``hivex-timeout``, ``hive-edit-damaged`` (the result is less sound),
    ``hive-edit-mismatch`` (more or less changed than asked for; the details say what).
    CannotOpenError ``hivex-missing`` where hivex is not installed, HiveError
    ``hive-log-unusable`` where no sequence number is above those in the logs.
    """
    wanted = [change for change in changes if change.hive == loaded.name]
    routes = route(loaded.hive, wanted)
    try:
        data = _changed(loaded, routes, limits or Limits())
        data = finish_header(data, loaded.logs)
        report = check(data)
        _require_sound(loaded, report)
        _require_exact(loaded, HiveReader(data), (*routes.hivex, *routes.patch))
    except HiveError as problem:
        if problem.code == "hive-log-unusable":
            raise _named(problem, loaded.path) from problem
        raise _failed(
            loaded, "hive-edit-damaged", f"the edited hive cannot be read: {problem.message}"
        ) from problem
    digest = sha256(data)
    state = HiveState(loaded.name, loaded.path, digest, digest, dirty=False, logs=loaded.state.logs)
    return EditedHive(data, changed_pages(loaded.primary, data), state, routes.reasons)


def _changed(loaded: LoadedHive, routes: Routes, limits: Limits) -> bytes:
    """The edited bytes, before anything about them is believed."""
    if not routes.hivex and not routes.patch:
        return loaded.data
    if routes.hivex:
        data = run_hivex(loaded.name, loaded.data, steps(routes.hivex), limits)
    else:
        block = BaseBlock.parse(loaded.data)
        # As hivex does it on commit; the number goes round.
        data = block.with_sequence((block.primary_sequence + 1) & 0xFFFFFFFF) + loaded.data[SIZE:]
    return patch.apply(data, routes.patch) if routes.patch else data


def _require_sound(loaded: LoadedHive, report: StructureReport) -> None:
    """Raises FailedError where the edited hive is less sound than the loaded one, which had no errors.

    hivex may leave an emptied list behind, which nobody minds: leaked cells do not count.
    """
    new = list(report.errors)
    before = Counter(problem.code for problem in loaded.report.notes)
    after = Counter(problem.code for problem in report.notes)
    worse = {code for code in after if after[code] > before[code] and code != "leaked"}
    new += [problem for problem in report.notes if problem.code in worse]
    if new:
        details = tuple(map(str, new[:_SHOWN]))
        raise _failed(loaded, "hive-edit-damaged", f"the edited hive is damaged: {details[0]}", details)


def _require_exact(loaded: LoadedHive, after: HiveReader, changes: Sequence[RegistryChange]) -> None:
    """Raises FailedError where anything but the changes differs, or one of them is missing."""
    missing, extra = unexpected(compare(loaded.hive, after), changes, loaded.name)
    if missing or extra:
        details = (
            *(f"missing: {_shown(change)}" for change in missing[:_SHOWN]),
            *(f"not asked for: {_shown(difference)}" for difference in extra[:_SHOWN]),
        )
        raise _failed(loaded, "hive-edit-mismatch", "the edited hive differs from the plan", details)


def _shown(item: Change | Difference) -> str:
    """A change or difference in one line, for details of errors."""
    if isinstance(item, ValueChange | ValueDifference):
        before = "absent" if item.before is None else item.before.show()
        after = "absent" if item.after is None else item.after.show()
        return f"{item.key}: {item.name or '(default)'}: {before} -> {after}"
    if isinstance(item, KeyDifference):
        return f"{item.key}: {item.change}, with {item.keys} keys and {item.values} values"
    if isinstance(item, KeyChange):
        return f"{item.key}: {'made' if item.exists_after else 'deleted'}"
    return str(item)


def _failed(loaded: LoadedHive, code: str, message: str, details: tuple[str, ...] = ()) -> FailedError:
    return FailedError(
        f"editing the {loaded.name} hive failed: {message}",
        code=code,
        subject=loaded.path,
        hint="Report this as a bug, with the plan and, where you may, the hive.",
        details=details,
    )


# --- hivex -------------------------------------------------------------------------------------


def steps(changes: Iterable[RegistryChange]) -> list[dict[str, Any]]:
    """The changes as the child process takes them: all values of a key in one step."""
    made: list[dict[str, Any]] = []
    by_key: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        path = list(split(change.key))
        if isinstance(change, KeyChange):
            made.append({"path": path, "do": "create" if change.exists_after else "delete"})
            continue
        values = by_key.get(change.key)
        if values is None:
            values = by_key[change.key] = []
            made.append({"path": path, "do": "values", "values": values})
        data = None if change.after is None else base64.b64encode(change.after.raw).decode("ascii")
        kind = 0 if change.after is None else int(change.after.type)
        values.append({"name": change.name, "type": kind, "data": data})
    return made


def run_hivex(name: str, data: bytes, keys: list[dict[str, Any]], limits: Limits) -> bytes:
    """The bytes that hivex makes of a hive by the steps, in a child process under limits.

    All that goes between the two lies in memory: a hive holds secrets, and nothing is left
    behind however the work ends. Raises FailedError naming the hive where the child
    cannot be started, refuses, crashes or takes too long.
    """
    with ExitStack() as open_files:
        try:
            source, target, request, answer, messages = (
                open_files.enter_context(os.fdopen(os.memfd_create(f"p2vprep-{what}"), "r+b"))
                for what in ("before", "after", "request", "answer", "messages")
            )
            document = {
                "input": f"/proc/self/fd/{source.fileno()}",
                "output": f"/proc/self/fd/{target.fileno()}",
                "limits": limits.for_hive(len(data)),
                "keys": keys,
            }
            _fill(source, data)
            _fill(request, json.dumps(document).encode("ascii"))
            status = _run_worker(name, (source, target), (request, answer, messages), limits.seconds)
        except OSError as problem:
            raise FailedError(
                f"hivex cannot be started for the {name} hive: {problem}",
                code="hivex-not-started",
                subject=name,
                hint="Look at the memory and the processes of this host.",
            ) from problem
        edited = _content(target)
        if status != 0 or not edited:
            raise _worker_failure(name, status, _content(answer), _content(messages))
        return edited


def _fill(file: IO[bytes], content: bytes) -> None:
    file.write(content)
    file.flush()
    file.seek(0)


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _run_worker(
    name: str,
    hives: tuple[IO[bytes], IO[bytes]],
    streams: tuple[IO[bytes], IO[bytes], IO[bytes]],
    seconds: float,
) -> int:
    """The child's exit status; negative: the signal that ended it."""
    stdin, stdout, stderr = streams
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_WORKER)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=[file.fileno() for file in hives],
            timeout=seconds,
            check=False,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        )
    except subprocess.TimeoutExpired as problem:
        raise FailedError(
            f"hivex did not finish with the {name} hive within {seconds:g} seconds",
            code="hivex-timeout",
            subject=name,
            hint="The hive may be damaged on purpose; look at it before trying again.",
        ) from problem
    return done.returncode


def _worker_failure(name: str, status: int, output: bytes, messages: bytes) -> P2vprepError:
    last_words = messages[-_MOST_WORDS:].decode("utf-8", "replace").strip()
    details = (last_words,) if last_words else ()
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "error" not in answer:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return FailedError(
            f"hivex crashed on the {name} hive: its process {how}",
            code="hivex-crashed",
            subject=name,
            hint="The hive may be damaged on purpose; look at it before trying again.",
            details=details,
        )
    if answer.get("missing"):
        return CannotOpenError(
            f"the Python binding of hivex cannot be used: {answer['error']}",
            code="hivex-missing",
            hint="Install python3-hivex (Debian, Ubuntu, Fedora) for the Python that runs p2vprep.",
        )
    where = f" at {answer['at']}" if answer.get("at") else ""
    return FailedError(
        f"hivex refused to edit the {name} hive{where}: {answer['error']}",
        code="hivex-refused",
        subject=answer.get("at") or name,
        details=details,
    )
