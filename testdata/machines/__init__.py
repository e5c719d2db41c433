"""Sample machines: readable recipes, and what turns them into registry hives in memory.

The layout of the keys follows what was observed in real hives (see docs/registry.md
and the references in the recipes); the machines themselves are made up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data, RegType

HERE = Path(__file__).parent
NET_CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
_STARTS = {"boot": 0, "system": 1, "auto": 2, "demand": 3, "disabled": 4}
_TYPES = {"service": 0x10, "driver": 1, "file-system": 2}


@dataclass(frozen=True)
class Machine:
    """A sample machine: its recipe and the hives the recipe stands for."""

    name: str
    summary: str
    recipe: dict[str, Any] = field(repr=False)

    @property
    def control_sets(self) -> list[str]:
        return [f"ControlSet{number:03d}" for number in self.recipe["control-sets"]["present"]]

    def system(self, *, with_logs: bool = True) -> MemoryHive:
        """SYSTEM as Windows would load it; without its logs' content where asked."""
        hive = MemoryHive()
        services = dict(self.recipe["services"])
        late = self.recipe.get("only-in-logs", {})
        if with_logs:
            services |= late.get("services", {})
        _select(hive, self.recipe["control-sets"])
        present = self.recipe["control-sets"]["present"]
        for number, control_set in zip(present, self.control_sets, strict=True):
            _identity(hive, control_set, self.recipe)
            for name, entry in services.items():
                if number in entry.get("sets", present):
                    _service(hive, control_set, name, entry)
            for adapter in self.recipe.get("adapters", []):
                _adapter(hive, control_set, adapter)
        _registry(hive, self.recipe.get("registry", {}).get("SYSTEM", {}), self.control_sets)
        return hive

    def software(self) -> MemoryHive:
        """SOFTWARE: the version and what the recipe adds."""
        hive = MemoryHive()
        windows = self.recipe["windows"]
        key = hive.root.make(r"Microsoft\Windows NT\CurrentVersion")
        key.set("ProductName", Data.sz(windows["product"]))
        key.set("CurrentVersion", Data.sz(str(windows["version"])))
        key.set("CurrentBuildNumber", Data.sz(str(windows["build"])))
        key.set("CurrentBuild", Data.sz(str(windows["build"])))
        if windows.get("installation-type"):
            key.set("InstallationType", Data.sz(windows["installation-type"]))
        if int(windows["build"]) >= 10240:
            key.set("CurrentMajorVersionNumber", Data.dword(10))
            key.set("CurrentMinorVersionNumber", Data.dword(0))
        key.set("SystemRoot", Data.sz("C:\\" + windows["folder"]))
        _registry(hive, self.recipe.get("registry", {}).get("SOFTWARE", {}), [])
        return hive

    def files(self) -> dict[str, bytes]:
        """The other files of the Windows volume."""
        return {path: str(text).encode() for path, text in self.recipe.get("files", {}).items()}


def names() -> tuple[str, ...]:
    """The recipes that lie here."""
    return tuple(sorted(path.stem for path in HERE.glob("*.yaml")))


def load(name: str) -> Machine:
    """The sample machine of a name. Raises FileNotFoundError where there is no such recipe."""
    recipe = YAML(typ="safe").load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return Machine(recipe["name"], recipe["summary"], recipe)


def data(plain: Any) -> Data:
    """A recipe's way to write a registry value, as data."""
    if isinstance(plain, dict):
        ((kind, held),) = plain.items()
        number = {"expand": RegType.EXPAND_SZ, "hex": RegType.BINARY, "qword": RegType.QWORD}[kind]
        return Data.from_plain(number, held)
    if isinstance(plain, int):
        return Data.dword(plain)
    if isinstance(plain, list):
        return Data.multi_sz(str(item) for item in plain)
    return Data.sz(str(plain))


def _registry(hive: MemoryHive, keys: dict[str, dict[str, Any]], control_sets: list[str]) -> None:
    for path, held in keys.items():
        places = [path]
        if path.startswith("CS\\"):
            places = [f"{control_set}{path[2:]}" for control_set in control_sets]
        for place in places:
            key = hive.root.make(place)
            for name, plain in held.items():
                key.set(str(name), data(plain))


def _select(hive: MemoryHive, entry: dict[str, int]) -> None:
    key = hive.root.make("Select")
    for name, spelt in (("current", "Current"), ("default", "Default"), ("failed", "Failed")):
        key.set(spelt, Data.dword(entry[name]))
    key.set("LastKnownGood", Data.dword(entry["last-known-good"]))


def _identity(hive: MemoryHive, control_set: str, recipe: dict[str, Any]) -> None:
    windows = recipe["windows"]
    control = hive.root.make(f"{control_set}\\Control")
    control.make(r"ComputerName\ComputerName").set("ComputerName", Data.sz(windows["computer-name"]))
    control.make("ProductOptions").set("ProductType", Data.sz(windows["product-type"]))
    environment = control.make(r"Session Manager\Environment")
    environment.set("PROCESSOR_ARCHITECTURE", Data.sz(windows["architecture"]))
    information = control.make("SystemInformation")
    for name, text in recipe.get("bios", {}).items():
        information.set(name, Data.sz(str(text)))


def _service(hive: MemoryHive, control_set: str, name: str, entry: dict[str, Any]) -> None:
    key = hive.root.make(f"{control_set}\\Services\\{name}")
    kind = entry.get("kind", "service")
    key.set("Type", Data.dword(entry.get("type", 0x20 if "svchost" in entry else _TYPES[kind])))
    key.set("Start", Data.dword(_STARTS[entry["start"]]))
    key.set("ErrorControl", Data.dword(entry.get("error", 1)))
    if "svchost" in entry:
        image = f"%SystemRoot%\\system32\\svchost.exe -k {entry['svchost']}"
        key.make("Parameters").set("ServiceDll", Data.expand_sz(f"%SystemRoot%\\{entry['dll']}"))
    else:
        image = entry["image"]
    key.set("ImagePath", Data.expand_sz(image))
    key.set("DisplayName", Data.sz(entry.get("display", name)))
    if kind == "service":
        key.set("ObjectName", Data.sz(entry.get("account", "LocalSystem")))
    if "group" in entry:
        key.set("Group", Data.sz(entry["group"]))
    if "depends" in entry:
        key.set("DependOnService", Data.multi_sz(entry["depends"]))
    if entry.get("delayed"):
        key.set("DelayedAutostart", Data.dword(1))
    if "start-override" in entry:
        key.make("StartOverride").set("0", Data.dword(entry["start-override"]))


def _adapter(hive: MemoryHive, control_set: str, entry: dict[str, Any]) -> None:
    guid, number = entry["guid"], entry["class"]
    instance = f"{entry['hardware']}\\{entry['instance']}"
    enum = hive.root.make(f"{control_set}\\Enum\\{instance}")
    enum.set("DeviceDesc", Data.sz(entry["description"].split(" #")[0]))
    enum.set("FriendlyName", Data.sz(entry["description"]))
    enum.set("ClassGUID", Data.sz(NET_CLASS))
    enum.set("HardwareID", Data.multi_sz([entry["hardware"]]))
    enum.set("Service", Data.sz(entry["service"]))
    enum.set("Driver", Data.sz(f"{NET_CLASS}\\{number}"))
    enum.set("ConfigFlags", Data.dword(0))
    _dates(
        enum.make(r"Properties\{83da6326-97a6-4088-9453-a1923f573b29}"), removed=bool(entry.get("removed"))
    )
    network_class = hive.root.make(f"{control_set}\\Control\\Class\\{NET_CLASS}\\{number}")
    network_class.set("NetCfgInstanceId", Data.sz(guid))
    network_class.set("DriverDesc", Data.sz(entry["description"].split(" #")[0]))
    network_class.set("ComponentId", Data.sz(entry["hardware"].lower()))
    network_class.set("Characteristics", Data.dword(0x84))
    network_class.set("BusType", Data.sz("5"))
    network_class.set("DeviceInstanceID", Data.sz(instance))
    network_class.set("NetLuidIndex", Data.dword(entry["index"]))
    network_class.set("*IfType", Data.dword(6))
    network_class.make("Linkage").set("RootDevice", Data.multi_sz([guid])).set(
        "Export", Data.multi_sz([f"\\Device\\{guid}"])
    )
    connection = hive.root.make(f"{control_set}\\Control\\Network\\{NET_CLASS}\\{guid}\\Connection")
    connection.set("Name", Data.sz(entry["name"])).set("PnpInstanceID", Data.sz(instance))
    tcpip = hive.root.make(f"{control_set}\\Services\\Tcpip\\Parameters")
    interface = tcpip.make(f"Interfaces\\{guid}")
    for name, plain in entry["config"].items():
        interface.set(name, data(plain))
    tcpip.make(f"Adapters\\{guid}").set("LLInterface", Data.sz("")).set(
        "IpConfig", Data.multi_sz([f"Tcpip\\Parameters\\Interfaces\\{guid}"])
    )
    hive.root.make(f"{control_set}\\Services\\NetBT\\Parameters\\Interfaces\\Tcpip_{guid}").set(
        "NameServerList", Data.multi_sz([])
    ).set("NetbiosOptions", Data.dword(0))


def _dates(properties: Any, *, removed: bool) -> None:
    """Install, arrival and removal dates (windows-facts: Properties 0064 to 0067, FILETIME)."""
    arrived, gone = 130500000000000000, 131900000000000000
    for number in ("0064", "0065", "0066"):
        properties.make(number).set("", Data(0xFFFF0010, arrived.to_bytes(8, "little")))
    if removed:
        properties.make("0067").set("", Data(0xFFFF0010, gone.to_bytes(8, "little")))
