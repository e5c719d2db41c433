from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.facts.services import dependants, dependency_order, read_services
from p2vprep.core.model import Service
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data

SERVICES = r"ControlSet001\Services"


def read(keys: dict[str, dict[str, Data]]) -> dict[str, Service]:
    hive = MemoryHive({rf"{SERVICES}\{path}": values for path, values in keys.items()})
    root = hive.root.subkey("ControlSet001")
    assert root is not None
    return {service.name: service for service in read_services(root)}


def service(name: str, *needs: str, **more: Any) -> Service:
    return Service(name, "", 0x20, more.pop("start", 2), "service", depends_on_services=needs, **more)


def test_everything_a_service_says() -> None:
    found = read(
        {
            "BITS": {
                "Type": Data.dword(0x20),
                "Start": Data.dword(2),
                "ErrorControl": Data.dword(0),
                "DelayedAutoStart": Data.dword(1),
                "DisplayName": Data.sz("@%SystemRoot%\\system32\\qmgr.dll,-1000"),
                "ImagePath": Data.expand_sz("%SystemRoot%\\System32\\svchost.exe -k netsvcs"),
                "Group": Data.sz("Net"),
                "ObjectName": Data.sz("LocalSystem"),
                "DependOnService": Data.multi_sz(["RpcSs", "EventSystem"]),
                "DependOnGroup": Data.multi_sz(["TDI"]),
            },
            r"BITS\Parameters": {"ServiceDll": Data.expand_sz("%SystemRoot%\\System32\\qmgr.dll")},
            r"BITS\TriggerInfo\0": {"Type": Data.dword(5), "Action": Data.dword(1)},
            r"BITS\TriggerInfo\1": {"Type": Data.dword(4), "Action": Data.dword(2)},
        }
    )
    assert found == {
        "BITS": Service(
            name="BITS",
            key=rf"{SERVICES}\BITS",
            type=0x20,
            start=2,
            kind="service",
            display_name="@%SystemRoot%\\system32\\qmgr.dll,-1000",
            image_path="%SystemRoot%\\System32\\svchost.exe -k netsvcs",
            service_dll="%SystemRoot%\\System32\\qmgr.dll",
            group="Net",
            object_name="LocalSystem",
            error_control=0,
            delayed=True,
            depends_on_services=("RpcSs", "EventSystem"),
            depends_on_groups=("TDI",),
            triggers=(5,),
        )
    }
    assert found["BITS"].start_name == "auto (delayed)"


def test_a_key_without_type_and_start_of_four_bytes_is_no_service() -> None:
    number = Data.dword(1)
    assert not read(
        {
            "PerfStub": {},
            "NoType": {"Start": number},
            "NoStart": {"Type": number},
            "StartIsText": {"Type": number, "Start": Data.sz("2")},
            "StartTooShort": {"Type": number, "Start": Data(4, b"\2")},
            "StartIsQword": {"Type": number, "Start": Data.qword(2)},
        }
    )


def test_drivers_per_user_templates_instances_and_deleted_ones_are_told_apart() -> None:
    def of(kind: int, **more: Data) -> dict[str, Data]:
        return {"Type": Data.dword(kind), "Start": Data.dword(3), **more}

    found = read(
        {
            "Kernel": of(1),
            "FileSystem": of(2),
            "Recogniser": of(8),
            "Own": of(0x10),
            "Interactive": of(0x110),
            "Template": of(0x60),
            "Template_3763e": of(0xE0),
            "Going": of(0x10, DeleteFlag=Data.dword(1)),
        }
    )
    assert {name for name, s in found.items() if s.kind == "driver"} == {"Kernel", "FileSystem", "Recogniser"}
    assert [name for name, s in found.items() if s.per_user] == ["Template"]
    assert [name for name, s in found.items() if s.instance] == ["Template_3763e"]
    assert [name for name, s in found.items() if s.deleted] == ["Going"]
    assert found["Own"].delayed is None
    assert found["Own"].error_control == 1


def test_a_dependency_list_stored_as_text_is_read() -> None:
    values = {"Type": Data.dword(1), "Start": Data.dword(3), "DependOnService": Data.sz("Tcpip")}
    assert read({"Odd": values})["Odd"].depends_on_services == ("Tcpip",)


def test_a_set_without_services_has_none() -> None:
    root = MemoryHive({"ControlSet001": {}}).root.subkey("ControlSet001")
    assert root is not None
    assert read_services(root) == ()


# --- the graph ---------------------------------------------------------------------------------


def names(services: tuple[Service, ...]) -> list[str]:
    return [service.name for service in services]


def test_dependants_are_transitive_and_ignore_case() -> None:
    services = [service("NlaSvc", "nsi"), service("netprofm", "nlasvc"), service("Nsi"), service("Other")]
    assert names(dependants(services, "NSI")) == ["NlaSvc", "netprofm"]
    assert names(dependants(services, "netprofm")) == []
    assert names(dependants(services, "absent")) == []


def test_dependants_survive_a_cycle() -> None:
    services = [service("A", "B"), service("B", "C"), service("C", "A")]
    assert names(dependants(services, "A")) == ["B", "C"]


def test_a_group_is_lost_only_with_its_last_startable_member() -> None:
    services = [
        service("one", group="TDI"),
        service("two", group="tdi"),
        service("off", group="TDI", start=4),
        service("needs", depends_on_groups=("Tdi",)),
        service("later", "needs"),
        service("empty", depends_on_groups=("Nobody",)),
    ]
    assert names(dependants(services, "one")) == []
    assert names(dependants(services, "one", "two")) == ["needs", "later"]


@st.composite
def graphs(draw: st.DrawFn) -> list[Service]:
    letters = [chr(ord("a") + number) for number in range(draw(st.integers(1, 9)))]
    return [service(name, *draw(st.lists(st.sampled_from(letters), max_size=3))) for name in letters]


@given(graphs())
def test_dependants_agree_with_reachability(services: list[Service]) -> None:
    reaches = {s.name: set(s.depends_on_services) for s in services}
    for _ in services:
        for name in reaches:
            reaches[name] |= {far for near in reaches[name] for far in reaches[near]}
    for target in reaches:
        expected = [name for name in reaches if target in reaches[name] and name != target]
        assert names(dependants(services, target.upper())) == expected


@given(graphs(), st.data())
def test_the_order_holds_every_name_once_even_with_cycles(
    services: list[Service], data: st.DataObject
) -> None:
    wanted = data.draw(st.permutations([s.name for s in services]))
    assert sorted(dependency_order(services, wanted)) == sorted(wanted)


@given(graphs(), st.data())
def test_without_cycles_dependencies_come_first(services: list[Service], data: st.DataObject) -> None:
    acyclic = [service(s.name, *(need for need in s.depends_on_services if need < s.name)) for s in services]
    ordered = dependency_order(acyclic, data.draw(st.permutations([s.name for s in acyclic])))
    for s in acyclic:
        for need in s.depends_on_services:
            assert ordered.index(need) < ordered.index(s.name)


def test_the_order_counts_dependencies_through_services_that_are_not_named() -> None:
    services = [service("last", "middle"), service("middle", "first"), service("first")]
    assert dependency_order(services, ["last", "ghost", "first"]) == ("first", "last", "ghost")


def test_the_order_counts_groups() -> None:
    services = [service("user", depends_on_groups=("Net",)), service("net", group="net")]
    assert dependency_order(services, ["user", "net"]) == ("net", "user")
