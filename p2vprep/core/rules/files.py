r"""Text files that profiles write into the guest, and files that they delete.

Lines end as Windows wants them (CR LF). What is plain ASCII stays so, everything else is UTF-8
without a mark, which cmd would take for a command. Files are one for the whole machine, so they
are told once, with the control set that boots next. What may not be touched is decided in
:mod:`p2vprep.core.editguard`.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.documents.actions import SYSTEM_ROOT, FileDeleteTarget, FileTarget
from p2vprep.core.editguard import why_file_refused
from p2vprep.core.model import DeleteFile, Hazard, PutFile, RuleYield, Skip
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import fold
from p2vprep.core.rules.context import RuleContext

NAME = "files"
KINDS: tuple[str, ...] = ("file", "file-delete")
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """The files to write and to delete, or the reasons why they are left alone."""
    if not context.boots_next:
        return
    for owned in context.actions:
        target, why = owned.action.target, owned.action.why
        assert isinstance(target, FileTarget | FileDeleteTarget)
        path = in_guest(target.path, context.facts.guest.system_root)
        edit: PutFile | DeleteFile = DeleteFile(path, NAME, why)
        if isinstance(target, FileTarget):
            edit = PutFile(path, as_text(target.content), NAME, why, locked=target.locked)
        reason = why_file_refused(edit, context.facts.guest.system_root)
        if reason is None:
            yield edit
            continue
        yield Skip(NAME, path, f"{owned.name}: {reason}")
        yield Hazard(
            "edit-refused",
            "warn",
            f"{owned.name} would {owned.action.kind} {path}, which the guard refuses: {reason}",
            cure="Nothing to do: it is left as it is. Mend the profile.",
            liftable=False,
        )


def in_guest(path: str, system_root: str) -> str:
    """A path of a document as it is in this guest: the Windows folder in place of ``%SystemRoot%``."""
    first, slash, rest = path.partition("/")
    return f"{system_root}{slash}{rest}" if fold(first) == fold(SYSTEM_ROOT) else path


def as_text(content: str) -> bytes:
    """A text as a Windows file: CR LF at the end of every line, ASCII where it can be, else UTF-8."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace("\n", "\r\n").encode("utf-8")
