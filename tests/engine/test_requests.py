"""What is asked for survives in a plan document, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.engine import operations
from p2vprep.engine.documents import plain
from p2vprep.engine.options import Options
from p2vprep.errors import DocumentError, UsageError

NAMES = st.lists(st.text(max_size=8), max_size=3).map(tuple)
REQUESTS = st.builds(
    Options,
    sources=NAMES,
    targets=NAMES,
    stages=NAMES,
    settings=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3).map(
        lambda held: tuple(sorted(held.items()))
    ),
    control_sets=st.sampled_from(["auto", "boot", "all"]),
    first_boot=st.booleans(),
    root=st.none() | st.integers(1, 9),
    allow=st.frozensets(st.text(max_size=8), max_size=3),
)


@given(REQUESTS)
def test_a_request_is_read_back_as_it_was(options: Options) -> None:
    assert Options().with_request(options.to_request()) == options


def test_how_to_work_is_no_part_of_a_request_and_what_is_allowed_adds_up() -> None:
    here = Options(
        allow=frozenset({"a"}), state_dir=Path("/s"), profile_dirs=(Path("/p"),), accelerator="tcg"
    )
    read = here.with_request(Options(allow=frozenset({"b"}), stages=()).to_request())
    assert read.allow == {"a", "b"}
    assert (read.state_dir, read.profile_dirs, read.accelerator) == (Path("/s"), (Path("/p"),), "tcg")
    assert read.stages == ()


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("sources", "auto"),
        ("stages", [1]),
        ("settings", [["a", "b"]]),
        ("settings", {"a": 1}),
        ("control_sets", "none"),
        ("first_boot", 1),
        ("root", "1"),
        ("root", True),
    ],
)
def test_a_request_of_another_shape_is_refused(name: str, held: Any) -> None:
    with pytest.raises(DocumentError, match=name):
        Options().with_request(Options().to_request() | {name: held})


@pytest.mark.parametrize("request_", [None, [], "x", {}])
def test_what_is_no_request_is_refused(request_: Any) -> None:
    with pytest.raises(DocumentError):
        Options().with_request(request_)


def test_a_plan_that_is_far_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{}" * 10)
    monkeypatch.setattr(operations, "PLAN_LIMIT", 10)
    with pytest.raises(DocumentError, match="too large"):
        operations.load_plan(path)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev"])
def test_a_document_never_takes_the_place_of_a_device(path: str) -> None:
    before = Path(path).stat()
    with pytest.raises(UsageError) as caught:
        operations.write_new_file(Path(path), b"{}")
    assert caught.value.code == "not-a-document"
    assert Path(path).stat().st_rdev == before.st_rdev


def test_a_document_goes_where_a_link_points(tmp_path: Path) -> None:
    link, target = tmp_path / "link.json", tmp_path / "plan.json"
    link.symlink_to(target)
    operations.write_new_file(link, b"{}")
    assert link.is_symlink()
    assert target.read_bytes() == b"{}"


def test_a_document_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    for path in (Path("/proc/plan.json"), tmp_path / ("n" * 250)):
        with pytest.raises(UsageError, match="cannot be"):
            operations.write_new_file(path, b"{}")
    assert list(tmp_path.iterdir()) == []


def test_values_of_the_model_as_json() -> None:
    held = {1: frozenset({2}), "raw": b"\x01\xff", "path": Path("/a"), "deep": ((None, True),)}
    assert plain(held) == {"1": [2], "raw": "01ff", "path": "/a", "deep": [[None, True]]}
