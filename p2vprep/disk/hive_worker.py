"""The child process that lets hivex edit a copy of a hive; the only place where hivex is imported.

Run as a program: ``python -I hive_worker.py``, the request on stdin. It puts limits on itself before
anything else, so that whatever a hostile hive makes of hivex, it ends with this process.
It imports nothing but the standard library and hivex, so that it starts quickly.

The request is one JSON document::

    {"input": PATH, "output": PATH, "limits": {"memory": BYTES, "cpu": SECONDS, "file": BYTES},
     "keys": [{"path": [NAME, ...], "do": "create"|"delete"|"values",
               "values": [{"name": NAME, "type": NUMBER, "data": BASE64|null}, ...]}, ...]}

The answer is one JSON line on stdout: ``{"done": true}``, or ``{"error": TEXT, "at": PATH}``.
"""

from __future__ import annotations

import base64
import json
import resource
import sys
from typing import Any

Step = dict[str, Any]


class WorkerError(Exception):
    """hivex refused a step."""


def main() -> int:
    """Does what the request asks for; 0 where it is done, 1 with an answer that tells the error."""
    request = json.load(sys.stdin)
    limit(request["limits"])
    at = ""
    try:
        import hivex

        handle = hivex.Hivex(request["input"], write=True)
        for step in request["keys"]:
            at = "\\".join(step["path"])
            perform(handle, step)
        at = ""
        handle.commit(request["output"])
    except ImportError as problem:
        return answer({"error": str(problem), "at": "", "missing": True})
    except (RuntimeError, WorkerError, OSError, MemoryError) as problem:
        # hivex raises RuntimeError with the text of errno for all its failures.
        return answer({"error": str(problem) or type(problem).__name__, "at": at})
    return answer({"done": True})


def answer(document: dict[str, Any]) -> int:
    print(json.dumps(document), flush=True)
    return 0 if "done" in document else 1


def limit(limits: dict[str, int]) -> None:
    """Bounds this process: address space, processor time, size of written files; no core dump."""
    for kind, most in (
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_FSIZE, limits["file"]),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


def perform(handle: Any, step: Step) -> None:
    *above, name = step["path"] or [""]
    if step["do"] == "create":
        handle.node_add_child(find(handle, above), name)
    elif step["do"] == "delete":
        handle.node_delete_child(find(handle, step["path"]))
    else:
        set_values(handle, find(handle, step["path"]), step["values"])


def find(handle: Any, path: list[str]) -> int:
    node: int | None = handle.root()
    for name in path:
        node = handle.node_get_child(node, name)
        if node is None:
            raise WorkerError(f"hivex does not find the key {name!r}")
    assert node is not None
    return node


def set_values(handle: Any, node: int, wanted: list[Step]) -> None:
    """Sets and deletes values of one key at once; hivex writes all its values anew."""
    held: list[dict[str, Any]] = []
    for value in handle.node_values(node):
        kind, raw = handle.value_value(value)
        # Types from 2**31 on come back as negative numbers.
        held.append({"key": handle.value_key(value), "t": kind & 0xFFFFFFFF, "value": raw})
    for change in wanted:
        place = next((at for at, value in enumerate(held) if value["key"] == change["name"]), None)
        if change["data"] is None:
            if place is None:
                raise WorkerError(f"hivex does not find the value {change['name']!r}")
            del held[place]
            continue
        new = {"key": change["name"], "t": change["type"], "value": base64.b64decode(change["data"])}
        if place is None:
            held.append(new)
        else:
            held[place] = new
    handle.node_set_values(node, held)


if __name__ == "__main__":
    sys.exit(main())
