from __future__ import annotations

import json
from ipaddress import IPv4Address, ip_interface
from typing import Any

import pytest

from p2vprep.core.documents.first_boot import KIND_OF, PlainItem, from_plain, to_plain
from p2vprep.core.model import (
    ConfigureInterface,
    OnlineDisks,
    RemoveDevice,
    ResetNetwork,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.core.network import Gateway, InterfaceConfig, Match

CONFIG = InterfaceConfig(
    Match(mac="00:15:5d:00:00:01"),
    addresses=(ip_interface("192.0.2.10/24"), ip_interface("2001:db8::10/64")),
    gateways=(Gateway(IPv4Address("192.0.2.1"), 5),),
)
ITEMS: list[PlainItem] = [
    ConfigureInterface(CONFIG, "why", "{A}"),
    TuneNetwork(("interface", "tcp"), "why"),
    RunCommands("name", ("ver", "dir"), "last", 30, "why", (0, 1605)),
    RunScript("user/a.cmd", "after-network", 30, "why"),
    RemoveDevice(r"PCI\VEN_1", "why"),
    ResetNetwork("both", "why"),
    OnlineDisks("why"),
]


def test_every_kind_has_its_example() -> None:
    assert {type(item) for item in ITEMS} == set(KIND_OF)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: KIND_OF[type(item)])
def test_an_item_is_read_back_as_it_was(item: PlainItem) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(item)))) == item
    assert from_plain(item) is item


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timeout": "30"}, "timeout: Input should be a valid integer"),
        ({"phase": "soon"}, "phase: Input should be"),
        ({"more": 1}, "more than belongs to it"),
        ({"commands": [1]}, "commands/0: Input should be a valid string"),
        ({"kind": "other"}, "no item of the first boot"),
    ],
)
def test_what_we_would_not_have_written_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_plain(to_plain(ITEMS[2]) | change)


@pytest.mark.parametrize("plain", [None, 3, "run-commands", [], {}])
def test_what_is_no_item_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match="no item"):
        from_plain(plain)
