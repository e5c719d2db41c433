"""Properties: any history replays to its end; any damage gives a part of it or a clear refusal."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import LOG_NAMES, Recovery, recover
from p2vprep.core.registry import walk
from p2vprep.core.values import Data
from p2vprep.errors import HiveError
from testdata.kit import logwriter
from testdata.kit.hivewriter import build_hive
from testdata.kit.logwriter import DirtyHive

NAMES = st.text("abcdeXYZ01", min_size=1, max_size=3)
DATA = st.one_of(
    st.integers(0, 2**32 - 1).map(Data.dword),
    st.text(max_size=20).map(Data.sz),
    st.builds(
        lambda size, byte: Data.binary(bytes([byte]) * size), st.integers(0, 6000), st.integers(0, 255)
    ),
)
TREES = st.dictionaries(NAMES, st.dictionaries(NAMES, DATA, max_size=3), min_size=1, max_size=4)


def content(hive: bytes) -> dict[str, dict[str, Data]]:
    """Every key with its values."""
    return {key.path: dict(key.values()) for key in walk(HiveReader(hive).root)}


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """A few states of one hive, each a whole hive of its own."""
    sequence = draw(st.integers(1, 2**31))
    slack = draw(st.sampled_from([0, 4096, 16384]))
    trees = draw(st.lists(TREES, min_size=2, max_size=3))
    return [build_hive(tree, sequence=(sequence, sequence), slack=slack) for tree in trees]


@settings(deadline=None, max_examples=50)
@given(histories(), st.data())
def test_a_new_log_replays_to_the_last_state(states: list[bytes], draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(1, len(states) - 1))
    assume(all(logwriter.changed_pages(old, new) for old, new in pairwise(states)))
    made = logwriter.write_new(states, cut=cut, earlier=draw.draw(st.sampled_from(["LOG1", "LOG2"])))
    found = recover(made.primary, made.logs)
    assert found.data == made.recovered
    assert content(found.data) == content(states[-1])
    assert recover(found.data, made.logs).data == found.data


@settings(deadline=None, max_examples=50)
@given(histories(), st.data())
def test_an_old_log_replays_to_the_last_state(states: list[bytes], draw: st.DataObject) -> None:
    made = logwriter.write_old(
        states[0],
        states[-1],
        name=draw.draw(st.sampled_from(LOG_NAMES)),
        written=draw.draw(st.integers(0, 5)),
    )
    found = recover(made.primary, made.logs)
    assert found.data == made.recovered
    assert content(found.data) == content(states[-1])


@st.composite
def damaged(draw: st.DrawFn, log: bytes) -> bytes:
    """A log with bytes changed, cut off, or with a part moved elsewhere."""
    raw = bytearray(log)
    for _ in range(draw(st.integers(1, 3))):
        raw[draw(st.one_of(st.integers(0, 700), st.integers(0, len(raw) - 1)))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        del raw[draw(st.integers(0, len(raw) - 1)) :]
    elif draw(st.booleans()):
        source, target = (512 * draw(st.integers(0, len(raw) // 512 - 1)) for _ in range(2))
        raw[target : target + 512] = raw[source : source + 512]
    return bytes(raw)


HISTORY = [
    build_hive(
        {"A": {"x": Data.dword(number)}, "B": {"data": Data.binary(bytes([number]) * (3000 * number))}},
        sequence=(40, 40),
        slack=32768,
    )
    for number in range(4)
]
NEW = logwriter.write_new(HISTORY, cut=2)
OLD = logwriter.write_old(HISTORY[0], HISTORY[-1], name="LOG1", written=1)
PREFIXES = [logwriter.write_new(HISTORY[: count + 1]).recovered for count in range(1, 4)]


def outcome(primary: bytes, logs: dict[str, bytes], *, accept_dirty: bool = False) -> Recovery | HiveError:
    """What recovering gives; no other exception than HiveError is caught."""
    try:
        return recover(primary, logs, accept_dirty=accept_dirty)
    except HiveError as refusal:
        return refusal


@settings(deadline=None)
@given(st.data())
def test_damaged_new_logs_give_a_part_of_the_entries_or_a_refusal(draw: st.DataObject) -> None:
    logs = {name: draw.draw(st.one_of(st.just(log), damaged(log))) for name, log in NEW.logs.items()}
    found = outcome(NEW.primary, logs)
    if isinstance(found, HiveError):
        assert found.code in {"dirty-hive-without-log", "hive-log-unusable"}
    else:
        assert found.data in PREFIXES


@settings(deadline=None)
@given(st.data())
def test_a_damaged_old_log_is_refused_unless_only_its_pages_differ(draw: st.DataObject) -> None:
    """The old format has no hashes: where header and bitmap hold, Windows believes the pages."""
    log = draw.draw(damaged(OLD.logs["LOG1"]))
    found = outcome(OLD.primary, {"LOG1": log})
    if isinstance(found, HiveError):
        assert found.code in {"dirty-hive-without-log", "hive-log-unusable"}
    else:
        assert log[:512] == OLD.logs["LOG1"][:512]
        assert found.data[:4096] == OLD.recovered[:4096]


@settings(deadline=None)
@given(st.sampled_from([NEW, OLD]), st.booleans(), st.data())
def test_a_damaged_hive_gives_a_clean_hive_or_a_refusal(
    made: DirtyHive, accept: bool, draw: st.DataObject
) -> None:
    found = outcome(draw.draw(damaged(made.primary)), made.logs, accept_dirty=accept)
    if isinstance(found, HiveError):
        assert found.code in {"not-a-hive", "hive-damaged", "dirty-hive-without-log", "hive-log-unusable"}
    else:
        assert recover(found.data, {}).data == found.data
