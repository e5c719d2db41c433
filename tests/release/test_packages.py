"""What is released: a wheel and a source archive with everything inside, installable and usable."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from p2vprep import __version__

CHECKOUT = Path(__file__).resolve().parents[2]
PROFILES = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "profiles").rglob("*.yaml")}


def run(*command: str | Path, **more: object) -> str:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        **more,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and a source archive, built from a copy of what is under version control or new."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("packages")
    for kind in ("sdist", "wheel"):
        run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=CHECKOUT)
    return folder


@pytest.mark.long
def test_the_wheel_holds_package_profiles_and_nothing_else(packages: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"p2vprep/{name}" for name in PROFILES} <= names
    assert {"p2vprep/cli/main.py", "p2vprep/console/app.py", "p2vprep/py.typed"} <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"p2vprep", f"p2vprep-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.long
def test_the_source_archive_can_be_tested_and_built(packages: Path) -> None:
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    wanted = {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "Containerfile",
        "Makefile",
    }
    assert wanted <= names
    assert names >= PROFILES
    assert {"tests/conftest.py", "docs/index.md", "testdata/build.py", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith((".venv", "build/", "docs/site"))]


@pytest.mark.long
def test_it_installs_into_a_fresh_environment_and_runs(packages: Path, tmp_path: Path) -> None:
    """As pipx does: an environment that sees the distribution's bindings, and the wheel."""
    (wheel,) = packages.glob("*.whl")
    home = tmp_path / "venv"
    base = Path(sys.base_prefix) / "bin" / "python3"
    run(base, "-m", "venv", "--system-site-packages", home)
    run(home / "bin" / "pip", "install", "-q", wheel)
    program = home / "bin" / "p2vprep"
    assert run(program, "--version", cwd=tmp_path).strip() == f"p2vprep, version {__version__}"
    listed = json.loads(run(program, "profile", "list", "--json", cwd=tmp_path))
    assert {one["name"] for one in listed["profiles"]} == {Path(name).stem for name in PROFILES}
    told = run(home / "bin" / "python", "-c", "import p2vprep; print(p2vprep.__file__)", cwd=tmp_path)
    assert Path(told.strip()).is_relative_to(home)
    assert "_P2VPREP_COMPLETE" in run(program, "completion", "bash", cwd=tmp_path)
    run(home / "bin" / "python", "-c", "import p2vprep.console.app", cwd=tmp_path)


def test_the_container_file_copies_only_what_is_there() -> None:
    for line in (CHECKOUT / "Containerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _target = line.split()[1:]
            for source in sources:
                assert (CHECKOUT / source).exists(), source


def test_the_container_file_installs_the_bindings_that_the_setup_knows() -> None:
    """The two lists of distribution packages must not drift apart."""
    container = (CHECKOUT / "Containerfile").read_text(encoding="utf-8")
    setup = (CHECKOUT / ".ci" / "setup").read_text(encoding="utf-8")
    for package in ("python3-guestfs", "python3-hivex", "python3-libnbd", "qemu-utils", "ntfs-3g"):
        assert package in container
        assert package in setup


def test_what_the_package_needs_is_declared() -> None:
    """Every third-party import of the package is a dependency, an extra, or the distribution's."""
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    standard = set(sys.stdlib_module_names)
    distribution = {"guestfs", "hivex", "nbd"}
    named = {"ruamel": "ruamel.yaml", "yaml": "PyYAML", "dask": "distributed"}
    for module in sorted((CHECKOUT / "p2vprep").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in {name.split(".")[0] for name in names} - standard - distribution - {"p2vprep"}:
                assert f'"{named.get(name, name)}' in text, f"{module.name}: {name}"
