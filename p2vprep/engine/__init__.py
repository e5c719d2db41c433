"""The flow for one machine: inspect, plan, apply, verify, rollback, recover, history, forget.

Each operation takes paths and :class:`~p2vprep.engine.options.Options` and returns a value;
what is shown of it, and how, is the command line's concern. Progress goes to a sink.
"""

from p2vprep.engine.operations import apply, doctor, inspect, plan, require_place, verify, write_new_file
from p2vprep.engine.results import Applied, Inspection, Planned, Verification
from p2vprep.engine.story import forget, history, recover, rollback

__all__ = [
    "Applied",
    "Inspection",
    "Planned",
    "Verification",
    "apply",
    "doctor",
    "forget",
    "history",
    "inspect",
    "plan",
    "recover",
    "require_place",
    "rollback",
    "verify",
    "write_new_file",
]
