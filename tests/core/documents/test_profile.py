from __future__ import annotations

import json

import pytest

from p2vprep.core.documents.actions import KINDS
from p2vprep.core.documents.profile import json_schema, load, off_by_default
from p2vprep.core.values import Data
from p2vprep.errors import DocumentError, ExitStatus
from tests.support.profiles import HEAD, document

HEAD_LINES = HEAD.count("\n")


def faults(body: str) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        document(body)
    assert caught.value.exit_status is ExitStatus.INVALID_DOCUMENT
    assert caught.value.details
    assert caught.value.message.startswith(caught.value.details[0])
    return caught.value.details


def action(rest: str) -> str:
    return f"actions:\n  - {{id: a, why: a good reason, source: a test, {rest}}}\n"


BODIES = {
    "disable": "disable: Agent",
    "park": "park: {names: Agent, start: disabled}",
    "demand": "demand: [Agent, Other]",
    "filter-remove": "filter-remove: {names: prl_strg, position: LowerFilters}",
    "driver-enable": "driver-enable: {names: storahci, start: boot}",
    "value": r"value: {key: '%ControlSet%\Control\X', name: N, type: REG_DWORD, data: 4}",
    "value-delete": r"value-delete: {hive: SOFTWARE, key: Microsoft\Run, name: N}",
    "key-delete": r"key-delete: {key: '%ControlSet%\Control\X'}",
    "uninstall": "uninstall: {products: ['^HP ']}",
    "file": "file: {path: /p2vprep/a.cmd, content: text}",
    "file-delete": "file-delete: {path: /p2vprep/a.cmd}",
    "first-boot": "first-boot: {commands: [net start x], timeout: 10}",
    "boot-path": "boot-path: {controller: SATA, drivers: storahci, windows: '>=6.2', architecture: x64}",
    "warn": "warn: {code: licence-dongle, services: hasplms, cure: Attach it to the new machine.}",
}


def test_every_kind_is_read() -> None:
    assert set(BODIES) == set(KINDS)
    for kind, body in BODIES.items():
        found = document(action(body)).actions[0]
        assert found.kind == kind
        assert (found.services is not None) == (
            kind in {"disable", "park", "demand", "filter-remove", "driver-enable"}
        )


def test_what_drivers_paths_warnings_and_commands_say() -> None:
    driver = document(action("driver-enable: {names: atapi, devices: ['*pnp0600'], device-class: scsi}"))
    assert driver.actions[0].driver_enable is not None
    assert driver.actions[0].driver_enable.devices == ("*pnp0600",)
    command = document(action("first-boot: {commands: ver, phase: before-network, good: 0, reboot: [7]}"))
    assert command.actions[0].first_boot is not None
    assert (command.actions[0].first_boot.good, command.actions[0].first_boot.reboot) == ((0,), (7,))
    assert document(action("file: {path: '%SystemRoot%/a.ini', content: x, locked: false}")).actions[0].file
    assert document("hypervisor: [nutanix, kvm]\n" + action("disable: a")).hypervisor == ("nutanix", "kvm")


@pytest.mark.parametrize(
    "body",
    [
        "driver-enable: {names: atapi, devices: ['a b']}",
        "driver-enable: {names: atapi, devices: ['PCI\\VEN']}",
        "warn: {code: A B, services: abc}",
        "boot-path: {controller: SATA, drivers: []}",
        "boot-path: {controller: SATA, drivers: a, windows: new}",
        "first-boot: {commands: []}",
        'first-boot: {commands: "two\\nlines"}',
        "first-boot: {commands: 'grün'}",
        f"first-boot: {{commands: '{'x' * 1001}'}}",
        "file: {path: '%TEMP%/a', content: x}",
        "file: {path: '/a/../b', content: x}",
        "file: {path: '/a/b:c', content: x}",
        "file: {path: '/a/b ', content: x}",
        "file-delete: {path: '%SystemRoot%'}",
        "disable: a, when: {architecture: x32}",
    ],
)
def test_what_is_no_driver_path_warning_or_command(body: str) -> None:
    with pytest.raises(DocumentError):
        document(action(body))


def test_short_forms_of_names() -> None:
    for short in ("Agent", "[Agent]", "{names: Agent}", "{names: [Agent]}"):
        services = document(action(f"disable: {short}")).actions[0].services
        assert services is not None
        assert services.names == ("Agent",)


def test_value_data_is_encoded() -> None:
    found = document(action(BODIES["value"])).actions[0].value
    assert found is not None
    assert found.content == Data.dword(4)


def test_unknown_keys_are_named_with_line_and_column() -> None:
    body = "actions:\n  - id: a\n    why: a good reason\n    source: a test\n    disable: x\n    wehn: {}\n"
    assert faults(body) == (f"testers.yaml:{HEAD_LINES + 6}:5: unknown key 'actions[0].wehn'",)
    assert "unknown key 'sumary'" in faults("sumary: x\n")[0]
    assert "unknown key 'actions[0].disable.name'" in faults(action("disable: {names: x, name: y}"))[0]


@pytest.mark.parametrize("missing", ["id", "why", "source"])
def test_id_why_and_source_are_mandatory(missing: str) -> None:
    given = {"id": "a", "why": "a good reason", "source": "a test", "disable": "x"}
    del given[missing]
    body = "actions:\n  - {" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}\n"
    assert faults(body) == (f"testers.yaml:{HEAD_LINES + 2}:5: 'actions[0].{missing}' is missing",)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (action("disable: x, park: y"), "this one has disable and park"),
        (action("when: {windows: '>=6.1'}"), "this one has none"),
        (action("disable: x, when: {windows: 'seven'}"), "not a comparison"),
        (action("disable: x, when: {role: workstation}"), "client"),
        (action("disable: ''"), "cannot be the name"),
        (action("disable: ' x'"), "cannot be the name"),
        (action(r"disable: 'a\b'"), "cannot be the name"),
        (action("disable: []"), "at least 1"),
        (action("disable: [7]"), "string"),
        (action("disable: 'a*'"), "too wide"),
        (action("disable: '*'"), "too wide"),
        (action("disable: {names: '*', image-path: HP, display-name: HP}"), "too wide"),
        (action("disable: {names: x, image-path: '('}"), "not a regular expression"),
        (action("disable: {names: x, image-path: 'a*'}"), "matches everything"),
        (action("disable: x, confidence: D"), "'A', 'B' or 'C'"),
        (action("disable: x, confidence: B"), "confidence B needs"),
        (action("disable: x, confidence: C"), "confidence C needs"),
        (action("disable: x, when: {parameter: {unheard: on}}"), "no parameter 'unheard'"),
        (action(r"value: {key: 'Select\X', name: N, type: REG_DWORD, data: 4}"), "Select is never touched"),
        (action(r"value: {key: 'CurrentControlSet\X', name: N, type: REG_DWORD, data: 4}"), "%ControlSet%"),
        (action(r"value: {key: 'Setup\X', name: N, type: REG_DWORD, data: zz}"), "REG_DWORD"),
        (action(r"value: {key: 'Setup\X', name: N, type: REG_NOTHING, data: 1}"), "REG_NOTHING"),
        (action(r"value: {key: 'Setup\X', name: N, type: REG_DWORD, data: true}"), "data"),
        (action(r"key-delete: {key: '%ControlSet%\Services\Agent'}"), "cannot delete the key of a service"),
        (action(r"key-delete: {key: 'Setup'}"), "not a key path"),
        (action("file: {path: '/p2vprep/../x', content: ''}"), "not a path"),
        (action("file: {path: 'C:/x', content: ''}"), "not a path"),
        (action("first-boot: {commands: x, timeout: 0}"), "greater than or equal"),
        ("parameters: {p: {default: c, values: [a, b], help: some help}}\n", "not one of a, b"),
        ("detect: {pci-subsystems: [103X]}\n", "pattern"),
        ("detect: {services: ['*']}\n", "too wide"),
        ("extends: ['Not A Name']\n", "pattern"),
    ],
)
def test_faults_are_told(body: str, what: str) -> None:
    assert any(what in fault for fault in faults(body))


def test_a_service_key_is_not_deleted_but_what_is_below_it_may_be() -> None:
    found = document(action(r"key-delete: {key: '%ControlSet%\Services\Agent\Parameters\Cache'}"))
    assert found.actions[0].kind == "key-delete"


def test_all_faults_are_told_at_once() -> None:
    found = faults("extra: 1\n" + action("disable: x, confidence: B"))
    assert len(found) == 2


def test_ids_are_used_once() -> None:
    body = "".join(
        ("actions:\n" if not index else "")
        + f"  - {{id: same, why: a good reason, source: a test, disable: x{index}}}\n"
        for index in range(3)
    )
    assert [fault.split(": ", 1)[1] for fault in faults(body)] == ["the action id 'same' is here twice"] * 2


def test_confidence_b_wants_a_condition_on_the_service() -> None:
    for condition in ("image-path: 'x'", "display-name: 'x'"):
        assert document(action(f"disable: {{names: x, {condition}}}, confidence: B")).actions


def test_confidence_c_wants_a_condition_or_to_be_off() -> None:
    parameter = "parameters: {p: {default: '%s', values: ['on', 'off'], help: some help}}\n"
    body = action("disable: x, confidence: C, when: {parameter: {p: 'on'}}")
    off = document(parameter % "off" + body)
    assert off_by_default(off.actions[0], off.parameters)
    assert "confidence C" in faults(parameter % "on" + body)[0]
    on = document(parameter % "on" + action("disable: x, when: {parameter: {p: 'on'}}"))
    assert not off_by_default(on.actions[0], on.parameters)
    assert document(action("disable: {names: x, image-path: 'x'}, confidence: C")).actions


def test_a_strange_parameter_value_is_told() -> None:
    parameter = "parameters: {p: {default: a, values: [a, b], help: some help}}\n"
    assert "'c' is not a value" in faults(parameter + action("disable: x, when: {parameter: {p: c}}"))[0]


def test_another_schema_is_refused_by_name() -> None:
    with pytest.raises(DocumentError, match=r"f:1:9: this is 'p2vprep.profile/2'"):
        load("schema: p2vprep.profile/2\n", "f")
    with pytest.raises(DocumentError, match="'schema' is missing"):
        load("name: x\n", "f")
    with pytest.raises(DocumentError, match="f:1:1"):
        load("- a list\n", "f")


def test_the_json_schema_knows_all_kinds_and_the_short_forms() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    assert schema["properties"]["schema"]["const"] == "p2vprep.profile/1"
    assert set(schema["required"]) == {"schema", "name", "version", "kind", "summary"}
    action_schema = schema["$defs"]["Action"]
    assert set(KINDS) <= set(action_schema["properties"])
    assert action_schema["additionalProperties"] is False
    short = json.dumps(action_schema["properties"]["disable"])
    assert '"type": "string"' in short
    assert '"type": "array"' in short
    assert "image-path" in text
    assert "image_path" not in text
