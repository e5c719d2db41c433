from __future__ import annotations

from p2vprep.core.model import RunCommands, Skip
from p2vprep.core.planner import draft
from tests.support.machines import Machine
from tests.support.profiles import actions

LINE = "first-boot: {commands: [ver, 'net start x'], phase: after-network, timeout: 5, good: [0, 2]}"


def test_commands_are_handed_to_the_first_boot_once() -> None:
    (item,) = Machine("ControlSet001", "ControlSet002").draft(actions(LINE)).first_boot
    assert item == RunCommands(
        name="testers-a0",
        commands=("ver", "net start x"),
        phase="after-network",
        timeout=5,
        why="a good reason 0",
        good=(0, 2),
        reboot=(1641, 3010),
    )


def test_a_step_has_a_name_that_a_file_can_have() -> None:
    found = actions(LINE).actions[0]
    (item,) = Machine().draft(actions(LINE, name="my-site")).first_boot
    assert isinstance(item, RunCommands)
    assert item.name == "my-site-a0"
    assert found.action.id == "a0"


def test_without_a_first_boot_job_the_commands_are_skipped_with_a_reason() -> None:
    machine = Machine()
    wanted = draft(machine.facts(), {"SYSTEM": machine.hive}, [actions(LINE)], first_boot=False)
    assert wanted.first_boot == ()
    reason = "without a first-boot job nothing would do it"
    assert wanted.skips == (Skip("first-boot", "a good reason 0", reason),)
