"""The layout of the package, checked: imports go one way, and each binding has one home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "p2vprep"

# Who may import whom: a layer may use those below it in this list, and itself.
LAYERS = ["cli", "console", "wave", "engine", "firstboot", "disk"]
LAYERS += ["profile_faults", "profile_store", "profile_files", "virtio_files", "core", "events", "errors"]
MAY_NOT = {"firstboot": {"disk"}, "events": {"errors"}, "core": {"events"}}

HOMES = {
    "guestfs": {"disk/guestfs_appliance.py"},
    "hivex": {"disk/hive_worker.py"},
    "nbd": {"disk/nbd.py"},
    "subprocess": {
        "disk/qemu.py",
        "disk/hive.py",
        "disk/accel.py",
        "disk/worker.py",
        "wave/children.py",
    },
    "sqlite3": {"wave/ledger.py"},
    "pycdlib": {"virtio_files.py"},
    "jinja2": {"wave/page/page.py"},
    "distributed": {"wave/cluster.py", "wave/cluster_task.py"},
    "click": {"cli"},
    "rich": {"cli", "console"},
    "textual": {"console"},
}
IMPURE = {"os", "io", "pathlib", "subprocess", "time", "datetime", "socket", "tempfile", "shutil", "random"}
MAX_LINES = 480


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def relative(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def layer_of(parts: list[str]) -> str | None:
    return parts[1] if len(parts) > 1 else None


def imports(module: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(module)}: relative import"
            found.append(node.module or "")
            found.extend(f"{node.module}.{alias.name}" for alias in node.names if node.module == "p2vprep")
    return found


@pytest.mark.parametrize("module", modules(), ids=relative)
def test_imports_go_one_way(module: Path) -> None:
    here = relative(module).split("/")[0].removesuffix(".py")
    if here not in LAYERS:
        return
    for name in imports(module):
        there = layer_of(name.split("."))
        if not name.startswith("p2vprep.") or there == here or there not in LAYERS:
            continue
        assert LAYERS.index(there) > LAYERS.index(here), f"{relative(module)} imports {name}"
        assert there not in MAY_NOT.get(here, set()), f"{relative(module)} imports {name}"


@pytest.mark.parametrize("module", modules(), ids=relative)
def test_each_binding_has_one_home(module: Path) -> None:
    for name in imports(module):
        homes = HOMES.get(name.split(".")[0])
        if homes is not None:
            place = relative(module)
            assert place in homes or place.split("/")[0] in homes, f"{place} imports {name}"


@pytest.mark.parametrize("module", [m for m in modules() if relative(m).startswith("core/")], ids=relative)
def test_the_core_is_pure(module: Path) -> None:
    for name in imports(module):
        assert name.split(".")[0] not in IMPURE, f"{relative(module)} imports {name}"
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval"}, relative(module)


@pytest.mark.parametrize("module", modules(), ids=relative)
def test_modules_stay_small(module: Path) -> None:
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{relative(module)} has {lines} lines"


@pytest.mark.parametrize("module", modules(), ids=relative)
def test_modules_say_what_they_are(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))), relative(module)
