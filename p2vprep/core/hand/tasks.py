r"""Files of scheduled tasks: XML since Vista, ``.job`` before ([MS-TSCH] 2.5 and 2.4)."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

from p2vprep.core.hand.autoruns import Autorun, is_windows_task

TASK_LIMIT = 1 << 20
"""A task's file is never longer (bytes)."""
_APPLICATION_OFFSET_AT = 20
_FLAGS_AT = 48
_DISABLED = 0x4
_TRIGGER = "Trigger"


def from_xml(path: str, content: bytes) -> Autorun | None:
    """The task of a file below System32\\Tasks; None where it is not one. ``path`` names the task."""
    text = _text(content)
    if text is None or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - short, and without entities
    except ElementTree.ParseError:
        return None
    if _plain(root.tag) != "Task":
        return None
    command = "; ".join(_actions(root)) or "(no program)"
    enabled = (_found(root, "Settings", "Enabled") or "true").strip().lower() != "false"
    author = _found(root, "RegistrationInfo", "Author") or ""
    return Autorun(
        "task",
        path,
        command,
        "when: " + (", ".join(_triggers(root)) or "never by itself"),
        enabled,
        True if is_windows_task(path) else None,
        "" if author.startswith("$") else author,
    )


def from_job(path: str, content: bytes) -> Autorun | None:
    """The task of a ``.job`` file of Windows 2003 and before; None where it is not one."""
    try:
        (at,) = struct.unpack_from("<H", content, _APPLICATION_OFFSET_AT)
        (flags,) = struct.unpack_from("<I", content, _FLAGS_AT)
        program, after = _counted(content, at)
        arguments, _ = _counted(content, after)
    except (struct.error, UnicodeDecodeError):
        return None
    command = f"{program} {arguments}".strip()
    return Autorun("task", path, command or "(no program)", "when: see the file", not flags & _DISABLED)


def _counted(content: bytes, at: int) -> tuple[str, int]:
    """A string with its length in UTF-16 units in front, and where it ends."""
    (length,) = struct.unpack_from("<H", content, at)
    end = at + 2 + 2 * length
    if end > len(content):
        raise struct.error("a string goes on after the end of the file")
    return content[at + 2 : end].decode("utf-16-le").rstrip("\0"), end


def _text(content: bytes) -> str | None:
    """The XML without its declaration, which may name an encoding that the text is no longer in."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text.partition("?>")[2] if text.lstrip().startswith("<?xml") else text


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _child(node: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((child for child in node if _plain(child.tag) == name), None)


def _found(root: ElementTree.Element, *path: str) -> str | None:
    node: ElementTree.Element | None = root
    for name in path:
        node = None if node is None else _child(node, name)
    return None if node is None else node.text


def _actions(root: ElementTree.Element) -> list[str]:
    told = []
    for action in _child(root, "Actions") or ():
        kind = _plain(action.tag)
        if kind == "Exec":
            words = (_found(action, "Command"), _found(action, "Arguments"))
            told.append(" ".join(word for word in words if word))
        elif kind == "ComHandler":
            told.append(f"COM {_found(action, 'ClassId') or '?'}")
        else:
            told.append(kind)
    return told


def _triggers(root: ElementTree.Element) -> list[str]:
    found = [_plain(trigger.tag) for trigger in _child(root, "Triggers") or ()]
    return list(dict.fromkeys(kind.replace(_TRIGGER, "").lower() for kind in found))
