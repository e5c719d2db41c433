"""The error tree: every failure the tool can name, its stable code and its exit status.

An error says what happened and to what (``message``), what was left changed
(``changed``) and what to do next (``hint``). ``code`` is stable: scripts and
documentation may rely on it. Nothing in this module imports the rest of the package.
"""

from __future__ import annotations

from enum import IntEnum

NOTHING_CHANGED = "Nothing was changed."


class ExitStatus(IntEnum):
    """The documented exit statuses of the command line."""

    OK = 0
    BUG = 1
    USAGE = 2
    DIFFERENCES = 3
    STALE_PLAN = 4
    REFUSED = 5
    CANNOT_OPEN = 6
    INVALID_DOCUMENT = 7
    FAILED = 8
    NEEDS_RECOVER = 9
    WAVE_FAILURES = 10


class P2vprepError(Exception):
    """Base of all errors that are reported to the user without a traceback."""

    exit_status: ExitStatus = ExitStatus.FAILED
    default_code = "failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        subject: str | None = None,
        hint: str | None = None,
        changed: str = NOTHING_CHANGED,
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.subject = subject
        self.hint = hint
        self.changed = changed
        self.details = details

    def to_json(self) -> dict[str, object]:
        """The error as the ``p2vprep.error/1`` document."""
        return {
            "schema": "p2vprep.error/1",
            "code": self.code,
            "message": self.message,
            "subject": self.subject,
            "hint": self.hint,
            "changed": self.changed,
            "details": list(self.details),
            "exit_status": int(self.exit_status),
        }


class UsageError(P2vprepError):
    """The command line asks for something that makes no sense."""

    exit_status = ExitStatus.USAGE
    default_code = "usage"


class StalePlanError(P2vprepError):
    """The disk is no longer what the plan was made for."""

    exit_status = ExitStatus.STALE_PLAN
    default_code = "stale-plan"


class RefusedError(P2vprepError):
    """Going on would risk the disk. ``--allow CODE`` lifts it where ``liftable``."""

    exit_status = ExitStatus.REFUSED
    default_code = "refused"

    def __init__(self, message: str, *, liftable: bool = False, **more: object) -> None:
        super().__init__(message, **more)  # type: ignore[arg-type]
        self.liftable = liftable


class CannotOpenError(P2vprepError):
    """The image or the appliance cannot be opened; nothing was written."""

    exit_status = ExitStatus.CANNOT_OPEN
    default_code = "cannot-open"


class HiveError(CannotOpenError):
    """A registry hive is missing, damaged or cannot be read; ``code`` says which."""

    default_code = "hive-damaged"


class DocumentError(P2vprepError):
    """A profile, network, wave or plan document is invalid (with file, line, column)."""

    exit_status = ExitStatus.INVALID_DOCUMENT
    default_code = "invalid-document"


class FailedError(P2vprepError):
    """The work failed; the disk is as it was before."""

    exit_status = ExitStatus.FAILED
    default_code = "failed"


class NeedsRecoverError(P2vprepError):
    """The work stopped in the middle of a commit or a rollback; ``recover`` finishes it."""

    exit_status = ExitStatus.NEEDS_RECOVER
    default_code = "needs-recover"


class DifferencesError(P2vprepError):
    """A check found differences."""

    exit_status = ExitStatus.DIFFERENCES
    default_code = "differences"


class Interrupted(P2vprepError):  # noqa: N818 - it is a signal, not a fault
    """A signal asked for a clean stop; the exit status is 128 plus its number."""

    default_code = "interrupted"

    def __init__(self, signal_number: int, message: str, **more: object) -> None:
        super().__init__(message, **more)  # type: ignore[arg-type]
        self.signal_number = signal_number

    def to_json(self) -> dict[str, object]:
        """As of every error, with the exit status that a shell gives to a signal."""
        return {**super().to_json(), "exit_status": 128 + self.signal_number}
