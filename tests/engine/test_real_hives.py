"""Real SYSTEM hives as the machine's own, planned by the command: the .reg form says what the plan says."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core import regtext
from p2vprep.core.documents import plan_document
from p2vprep.core.model import FileChange
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import MemoryHive, fold, join, split
from tests.support.corpus import hive_bytes, hive_logs, system_hive_names
from tests.support.flow import CONFIG, SYSTEM, Shelf, p2vprep, sample, with_files, with_room, without_logs
from tests.support.machines import carry_out, dump, in_memory
from tests.support.pacing import paced

OPTIONS = ("--set", "ncsi=park", "--set", "stale-dhcp=clear", "--control-sets", "all")


def imported(sections: tuple[regtext.Section, ...], hive: MemoryHive) -> MemoryHive:
    """What regedit makes of a SYSTEM hive by these sections."""
    for section in sections:
        name, key = regtext.hive_key(section.key)
        assert name == "SYSTEM"
        if section.delete:
            *above, last = split(key)
            hive.root.make(join(*above)).children.pop(fold(last))
            continue
        made = hive.root.make(key)
        for value, data in section.values:
            if data is None:
                made.data.pop(fold(value))
            else:
                made.set(value, data)
    return hive


@pytest.mark.corpus
@pytest.mark.parametrize("name", paced(system_hive_names()))
def test_the_reg_file_of_a_plan_does_exactly_its_registry_changes(
    name: str, shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    content, logs = hive_bytes(name), hive_logs(name)
    files: dict[str, bytes | None] = {**without_logs(), SYSTEM: content, f"{CONFIG}/SOFTWARE": None}
    disk = shelf.disk(tmp_path, spec=with_room(with_files(sample(), files), 24), name=f"real-{name}")
    assert p2vprep("plan", disk, *OPTIONS, "-o", tmp_path / "plan.json").status == 0
    assert p2vprep("plan", disk, *OPTIONS, "--format", "reg", "-o", tmp_path / "plan.reg").status == 0
    plan = plan_document.load((tmp_path / "plan.json").read_text(), "plan.json").plan
    changes = [change for change in plan.changes if not isinstance(change, FileChange)]
    assert bool(changes) == ("phony" not in name)  # the one made-up hive has nothing to change

    sections = regtext.parse((tmp_path / "plan.reg").read_bytes())
    assert sections == regtext.sections(plan.changes)
    hive = HiveReader(recover(content, logs, accept_dirty=True).data)
    by_plan, by_reg = in_memory(hive), imported(sections, in_memory(hive))
    carry_out(changes, {"SYSTEM": by_plan})
    assert dump(by_reg) == dump(by_plan)
    assert (dump(by_reg) != dump(hive)) == bool(changes)
