"""Collected edits: what replaces what, what collides, what is shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.console.collected import NOTHING, Collection, Entry, target_of, value_after
from p2vprep.core.hand.making import (
    file_edits,
    key_deletion,
    key_edits,
    service_edits,
    value_deletion,
    value_edits,
)
from p2vprep.core.model import DeleteFile
from p2vprep.core.values import Data
from p2vprep.errors import UsageError

KEY = "HKLM\\SYSTEM\\ControlSet001\\Services\\Spooler"
ONE, TWO = Data.dword(1), Data.dword(2)


def setting(name: str, data: Data = ONE, key: str = KEY) -> Entry:
    return Entry(f"{key}\\{name}", f"→ {data.number}", value_edits(key, name, data))


def test_what_was_asked_for_again_replaces_what_was_asked_for_first() -> None:
    both = NOTHING.adding(setting("Start", ONE)).adding(setting("Other")).adding(setting("START", TWO))
    assert [entry.subject[-5:] for entry in both.entries] == ["Other", "START"]
    assert len(both.edits) == 2


def test_a_deletion_replaces_a_setting_of_the_same_value() -> None:
    deleted = Entry("x", "gone", value_deletion(KEY, "Start"))
    assert NOTHING.adding(setting("Start")).adding(deleted).entries == (deleted,)


@pytest.mark.parametrize("deleting_first", [True, False])
def test_below_a_key_that_goes_nothing_is_changed(deleting_first: bool) -> None:
    gone = Entry("key", "deleted", key_deletion("HKLM\\SYSTEM\\ControlSet001\\Services"))
    entries = [gone, setting("Start")] if deleting_first else [setting("Start"), gone]
    held = NOTHING.adding(entries[0])
    with pytest.raises(UsageError) as caught:
        held.adding(entries[1])
    assert caught.value.code == "edits-collide"
    assert held.entries[0].subject in caught.value.message


def test_keys_beside_one_that_goes_can_be_changed() -> None:
    gone = Entry("key", "deleted", key_deletion("HKLM\\SYSTEM\\ControlSet001\\Services\\Spool"))
    assert len(NOTHING.adding(gone).adding(setting("Start"))) == 2


def test_the_same_path_in_another_hive_is_another_key() -> None:
    gone = Entry("key", "deleted", key_deletion("HKLM\\SOFTWARE\\Acme"))
    other = setting("x", key="HKLM\\SYSTEM\\Acme")
    assert len(NOTHING.adding(gone).adding(other)) == 2


def test_a_part_of_what_was_asked_for_is_not_changed_behind_its_back() -> None:
    """A delayed start takes two values; one of them alone would leave half of what was shown."""
    held = NOTHING.adding(Entry("service Spooler", "auto → delayed", service_edits("Spooler", "delayed")))
    start = Entry("x", "", value_edits("HKLM\\SYSTEM\\CurrentControlSet\\Services\\Spooler", "Start", TWO))
    with pytest.raises(UsageError, match="service Spooler, auto → delayed"):
        held.adding(start)


def test_files_and_keys_do_not_meet() -> None:
    file = Entry("f", "", file_edits("/SYSTEM/ControlSet001", b"x"))
    made = Entry("k", "", key_edits("HKLM\\SYSTEM\\ControlSet001\\New"))
    assert len(NOTHING.adding(file).adding(made)) == 2
    assert target_of(DeleteFile("/system/CONTROLSET001", "", "")) == target_of(file.edits[0])


def test_taking_out() -> None:
    held = NOTHING.adding(setting("a")).adding(setting("b")).adding(setting("c"))
    assert [entry.subject[-1] for entry in held.without(1).entries] == ["a", "c"]
    assert [entry.subject[-1] for entry in held.without_subject(f"{KEY}\\c").entries] == ["a", "b"]
    assert held.without_subject("nobody") == held
    assert not held.emptied()
    assert held


def test_the_current_control_set_is_the_one_that_boots() -> None:
    edits = service_edits("Spooler", "disabled")
    held = Collection().adding(Entry("service Spooler", "", edits)).on("ControlSet002")
    here = list(held.value_edits("SYSTEM", "controlset002\\services\\SPOOLER"))
    assert value_after(iter(here), "START") == (True, Data.dword(4))
    assert value_after(iter(here), "Type") == (False, None)
    assert not list(held.value_edits("SYSTEM", "ControlSet001\\Services\\Spooler"))
    assert not list(held.value_edits("SOFTWARE", "ControlSet002\\Services\\Spooler"))


def test_a_key_that_goes_takes_those_below_it() -> None:
    held = NOTHING.adding(Entry("k", "", key_deletion("HKLM\\SYSTEM\\A\\B")))
    assert held.deletes("SYSTEM", "a\\b\\c")
    assert held.deletes("SYSTEM", "A\\B")
    assert not held.deletes("SYSTEM", "A")
    assert not held.deletes("SOFTWARE", "A\\B")
    after = value_after(iter([]), "x")
    assert after == (False, None)


NAMES = st.text(st.sampled_from("abC"), min_size=1, max_size=2)


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=8))
def test_no_target_is_ever_there_twice(asked: list[tuple[str, bool]]) -> None:
    held = NOTHING
    for name, deleting in asked:
        edits = value_deletion(KEY, name) if deleting else value_edits(KEY, name, ONE)
        held = held.adding(Entry(name, "", edits))
    targets = [target_of(edit) for edit in held.edits]
    assert len(targets) == len(set(targets)) == len({name.upper() for name, _ in asked})
