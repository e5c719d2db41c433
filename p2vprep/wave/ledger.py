"""What was done so far, in SQLite beside the manifest; the only home of that.

``<manifest>.p2vprep/ledger.sqlite``. Every change of a machine's state is committed before the
next thing happens, so whoever kills the run at any moment finds here what is left to do. The
token of an attempt is written before the attempt begins: it is the machine's receipt that tells
whether the attempt got through.

A rollback journal and no WAL, because manifests lie on network shares.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from p2vprep.disk.image import shown
from p2vprep.disk.state import SUFFIX, utc_now
from p2vprep.errors import CannotOpenError, RefusedError
from p2vprep.wave.job import Outcome, Told
from p2vprep.wave.manifest import Machine, Manifest

MachineState = Literal["waiting", "running", "applied", "nothing-to-do", "failed"]
DONE = ("applied", "nothing-to-do")
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS wave (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machine (
  name TEXT PRIMARY KEY, position INTEGER NOT NULL, listed INTEGER NOT NULL, disks TEXT NOT NULL,
  fingerprint TEXT NOT NULL, done_fingerprint TEXT, state TEXT NOT NULL, token TEXT NOT NULL,
  attempts INTEGER NOT NULL, started TEXT, finished TEXT, outcome TEXT, verified TEXT, verification TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS details (name TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS session (
  number INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, host TEXT NOT NULL, ending TEXT
);
"""


@dataclass(frozen=True)
class Entry:
    """One machine as the ledger has it."""

    name: str
    disks: tuple[str, ...]
    state: MachineState
    listed: bool
    """Whether the manifest still has it."""
    changed: bool
    """Whether the manifest asks for something else than what was done."""
    attempts: int
    started: str | None
    finished: str | None
    outcome: Outcome | None
    verified: str | None
    verification: Outcome | None

    @property
    def first_boot(self) -> str:
        """How the first boot ended, as far as somebody looked; empty where nobody did."""
        checked = self.verification
        if checked is None:
            return ""
        return str(checked.result.get("first_boot", "")) or f"not known: {checked.code}"

    @property
    def is_as_planned(self) -> bool:
        """False where the last look at the disks found them otherwise than planned, or not at all."""
        checked = self.verification
        return checked is None or (checked.error is None and bool(checked.result.get("as_planned")))

    def to_json(self) -> Told:
        """The machine for the documents of ``wave status`` and ``wave report``."""
        outcome = self.outcome
        checked = self.verification
        return {
            "name": self.name,
            "disks": list(self.disks),
            "state": self.state,
            "listed": self.listed,
            "changed": self.changed,
            "attempts": self.attempts,
            "started": self.started,
            "finished": self.finished,
            "seconds": None if outcome is None else round(outcome.seconds, 3),
            "times": [] if outcome is None else [list(one) for one in outcome.times],
            "host": None if outcome is None else outcome.host,
            "error": None if outcome is None else outcome.error,
            "result": {} if outcome is None else outcome.result,
            "verified": self.verified,
            "verification": None if checked is None else {"error": checked.error, **checked.result},
        }


def folder_of(manifest: Path) -> Path:
    """Where the ledger of a manifest lies."""
    return manifest.with_name(manifest.name + SUFFIX)


class Ledger:
    """The ledger of one wave. Use as a context manager."""

    def __init__(self, manifest: Path, *, create: bool) -> None:
        """Raises RefusedError ``no-ledger`` where there is none, CannotOpenError for another file."""
        self.path = folder_of(manifest) / "ledger.sqlite"
        if create:
            _make_folder(self.path.parent)
        elif not self.path.exists():
            raise RefusedError(
                "nothing was done for this wave yet",
                code="no-ledger",
                subject=shown(manifest),
                hint="`p2vprep wave run` begins it.",
            )
        try:
            self._base = sqlite3.connect(self.path, isolation_level=None, timeout=30.0)
            self._prepare()
        except sqlite3.Error as problem:
            raise self._broken(problem) from problem

    def _prepare(self) -> None:
        self._base.row_factory = sqlite3.Row
        self._base.execute("PRAGMA journal_mode = TRUNCATE")
        # A killed process loses nothing; after a loss of power the newest states may be older ones, and
        # the receipts tell the truth.
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.executescript(_TABLES)
        held = self._base.execute("SELECT value FROM wave WHERE key = 'version'").fetchone()
        if held is None:
            self._base.execute("INSERT OR IGNORE INTO wave VALUES ('version', ?)", (str(_VERSION),))
        elif held["value"] != str(_VERSION):
            raise CannotOpenError(
                "another version of p2vprep wrote this ledger", code="ledger-version", subject=str(self.path)
            )

    def _broken(self, problem: sqlite3.Error) -> CannotOpenError:
        return CannotOpenError(
            f"the ledger cannot be used: {problem}",
            code="ledger-unusable",
            subject=str(self.path),
            hint="Move its folder away to begin anew: machines that were done are recognised as done.",
        )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One durable change, whole or not at all."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")
        except sqlite3.Error as problem:
            raise self._broken(problem) from problem

    # --- the manifest

    def enter(self, manifest: Manifest) -> None:
        """Takes over the machines of a manifest; what was done for them stays."""
        rows = [
            (
                one.name,
                position,
                json.dumps([str(disk) for disk in one.disks]),
                one.fingerprint,
                new_token(),
            )
            for position, one in enumerate(manifest.machines)
        ]
        with self._change() as base:
            base.execute("INSERT OR REPLACE INTO wave VALUES ('name', ?)", (manifest.name,))
            base.execute("UPDATE machine SET listed = 0")
            base.executemany(
                "INSERT INTO machine (name, position, listed, disks, fingerprint, state, token, attempts) "
                "VALUES (?, ?, 1, ?, ?, 'waiting', ?, 0) ON CONFLICT (name) DO UPDATE SET "
                "position = excluded.position, listed = 1, disks = excluded.disks, "
                "token = CASE fingerprint WHEN excluded.fingerprint THEN token ELSE excluded.token END, "
                "fingerprint = excluded.fingerprint",
                rows,
            )

    def left(self, *, redo_changed: bool = False) -> dict[str, str]:
        """The tokens of the listed machines that are still to be done, by name, in their order.

        A machine that was running keeps its token: it may have got through. With ``redo_changed``
        also those that are done, but for another entry of the manifest.
        """
        query = (
            "SELECT name, token FROM machine WHERE listed AND (state NOT IN ('applied', 'nothing-to-do') "
            "OR (? AND done_fingerprint <> fingerprint)) ORDER BY position"
        )
        return {row["name"]: row["token"] for row in self._base.execute(query, (redo_changed,))}

    def again(self, names: Sequence[str]) -> None:
        """These machines are to be done once more, whatever was done; an earlier receipt does not count."""
        with self._change() as base:
            base.executemany(
                "UPDATE machine SET state = 'waiting', token = ? WHERE name = ?",
                [(new_token(), name) for name in names],
            )

    # --- the run

    def begin(self, names: Sequence[str]) -> None:
        """These machines are worked on from now on; written before anything is."""
        now = _now()
        with self._change() as base:
            base.executemany(
                "UPDATE machine SET state = 'running', attempts = attempts + 1, started = ?, finished = NULL "
                "WHERE name = ?",
                [(now, name) for name in names],
            )

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """The outcomes of machines. A failed one gets a new token: its next attempt is another one."""
        now = _now()
        with self._change() as base:
            for outcome in outcomes:
                state = "failed" if outcome.state == "failed" else outcome.state
                base.execute(
                    "UPDATE machine SET state = ?, finished = ?, outcome = ?, "
                    "done_fingerprint = CASE ? WHEN 'failed' THEN done_fingerprint ELSE fingerprint END, "
                    "token = CASE ? WHEN 'failed' THEN ? ELSE token END, "
                    "verified = NULL, verification = NULL WHERE name = ?",
                    (state, now, _plain(outcome), state, state, new_token(), outcome.name),
                )
                if outcome.details:
                    body = zlib.compress(json.dumps(outcome.details).encode(), 6)
                    base.execute("INSERT OR REPLACE INTO details VALUES (?, ?)", (outcome.name, body))

    def wait_again(self, names: Sequence[str]) -> None:
        """Machines that were begun and not decided: they are left to do, with the token they have."""
        with self._change() as base:
            base.executemany(
                "UPDATE machine SET state = 'waiting' WHERE name = ?", [(name,) for name in names]
            )

    def verified(self, outcome: Outcome) -> None:
        """What a look at a machine's disks after its first boot told."""
        with self._change() as base:
            base.execute(
                "UPDATE machine SET verified = ?, verification = ? WHERE name = ?",
                (_now(), _plain(outcome), outcome.name),
            )

    def open_session(self, host: str) -> int:
        """Notes that a run begins; returns its number."""
        with self._change() as base:
            row = base.execute("INSERT INTO session (started, host) VALUES (?, ?)", (_now(), host))
            return int(row.lastrowid or 0)

    def close_session(self, number: int, ending: str) -> None:
        with self._change() as base:
            base.execute(
                "UPDATE session SET finished = ?, ending = ? WHERE number = ?", (_now(), ending, number)
            )

    # --- reading

    @property
    def name(self) -> str:
        """The name of the wave."""
        row = self._base.execute("SELECT value FROM wave WHERE key = 'name'").fetchone()
        return "" if row is None else str(row["value"])

    def entries(self) -> Iterator[Entry]:
        """All machines in the order of the manifest, those that are no longer listed last; one at a time."""
        for row in self._base.execute("SELECT * FROM machine ORDER BY listed DESC, position"):
            yield _entry(row)

    def entry(self, name: str) -> Entry:
        """One machine that the ledger has. Raises KeyError for another."""
        row = self._base.execute("SELECT * FROM machine WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise KeyError(name)
        return _entry(row)

    def counts(self) -> dict[str, int]:
        """How many listed machines are in each state."""
        rows = self._base.execute("SELECT state, count(*) AS held FROM machine WHERE listed GROUP BY state")
        return {row["state"]: row["held"] for row in rows}

    def changed(self) -> tuple[str, ...]:
        """The listed machines that were done for another entry of the manifest than the present one."""
        rows = self._base.execute(
            "SELECT name FROM machine WHERE listed AND done_fingerprint <> fingerprint ORDER BY position"
        )
        return tuple(row["name"] for row in rows)

    def unlisted(self) -> tuple[str, ...]:
        """Machines of the ledger that the manifest no longer has."""
        rows = self._base.execute("SELECT name FROM machine WHERE NOT listed ORDER BY position")
        return tuple(row["name"] for row in rows)

    def details(self, name: str) -> Told:
        """The changes and skips of a machine; empty where it has none."""
        row = self._base.execute("SELECT body FROM details WHERE name = ?", (name,)).fetchone()
        held: Told = {} if row is None else json.loads(zlib.decompress(row["body"]))
        return held

    def sessions(self) -> tuple[Mapping[str, Any], ...]:
        """All runs of the wave so far: started, finished, host, ending."""
        return tuple(dict(row) for row in self._base.execute("SELECT * FROM session ORDER BY number"))


@contextmanager
def only_run(manifest: Path) -> Iterator[None]:
    """Nobody else runs this wave meanwhile. Raises RefusedError ``wave-busy`` where somebody does."""
    folder = folder_of(manifest)
    _make_folder(folder)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise RefusedError(
                "another p2vprep runs this wave",
                code="wave-busy",
                subject=shown(manifest),
                hint="`p2vprep wave status` tells how far it is.",
            ) from problem
        yield
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as problem:
        raise CannotOpenError(
            f"no ledger can be kept beside the manifest: {problem.strerror}",
            code="ledger-unusable",
            subject=shown(folder),
            hint="Copy the manifest to a folder you may write to.",
        ) from problem


def new_token() -> str:
    """A token that no other attempt has."""
    return uuid.uuid4().hex


def tokens(machines: Sequence[Machine]) -> dict[str, str]:
    """New tokens for work that no ledger knows of."""
    return {machine.name: new_token() for machine in machines}


def _now() -> str:
    return utc_now().isoformat(timespec="seconds")


def _plain(outcome: Outcome) -> str:
    return json.dumps({**outcome.to_plain(), "details": {}})


def _outcome(text: str | None) -> Outcome | None:
    return None if text is None else Outcome.from_plain(json.loads(text))


def _entry(row: sqlite3.Row) -> Entry:
    done = row["done_fingerprint"]
    return Entry(
        name=row["name"],
        disks=tuple(json.loads(row["disks"])),
        state=row["state"],
        listed=bool(row["listed"]),
        changed=done is not None and done != row["fingerprint"],
        attempts=row["attempts"],
        started=row["started"],
        finished=row["finished"],
        outcome=_outcome(row["outcome"]),
        verified=row["verified"],
        verification=_outcome(row["verification"]),
    )
