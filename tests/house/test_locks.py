"""The locks hold what is asked for: pyproject.toml, the lists beside it, and those of the tests' environments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from tests.house import tree

PYPROJECT = tomllib.loads(tree.read(Path("pyproject.toml")))
LISTS = tree.files(".in")
SERVER_LOCK = Path("requirements.lock")
NODE = [Path("tests/environments/node"), Path("tests/environments/cli")]

Pins = dict[NormalizedName, set[Version]]


def pins(lock: Path) -> Pins:
    """Name -> its versions: one, or one for each kind of machine."""
    found: Pins = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", tree.read(lock), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(Version(version))
    return found


def unmet(asked: list[str], lock: Path) -> Iterator[str]:
    locked = pins(lock)
    for line in asked:
        requirement = Requirement(line)
        versions = locked.get(canonicalize_name(requirement.name))
        if not versions:
            yield f"{line} is not in {lock}"
        elif not all(requirement.specifier.contains(version, prereleases=True) for version in versions):
            yield f"{lock} has {requirement.name} {', '.join(map(str, versions))}, asked for is {line}"


def lines_of(path: Path) -> list[str]:
    return [line for line in tree.read(path).splitlines() if line and not line.startswith(("#", "-"))]


def lock_of(path: Path) -> Path:
    return SERVER_LOCK if path.name == "requirements-build.in" else path.with_suffix(".lock")


def test_the_server_and_its_build_backend_are_locked() -> None:
    asked = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["build-system"]["requires"]]
    assert not list(unmet(asked, SERVER_LOCK))


def test_the_build_backend_is_said_once_more_as_it_is() -> None:
    assert lines_of(Path("requirements-build.in")) == PYPROJECT["build-system"]["requires"]


@pytest.mark.parametrize("path", LISTS, ids=str)
def test_every_list_is_locked(path: Path) -> None:
    assert not list(unmet(lines_of(path), lock_of(path)))


def test_the_checks_run_on_the_server_s_own_versions() -> None:
    server, checks = pins(SERVER_LOCK), pins(Path("requirements-dev.lock"))
    assert not {name: (server[name], checks[name]) for name in server.keys() & checks if server[name] != checks[name]}


@pytest.mark.parametrize("folder", NODE, ids=str)
def test_the_clients_on_node_are_locked(folder: Path) -> None:
    asked = msgspec.json.decode(tree.read(folder / "package.json"))["dependencies"]
    locked = msgspec.json.decode(tree.read(folder / "package-lock.json"))["packages"]
    assert locked.pop("")["dependencies"] == asked
    assert all("integrity" in one and "resolved" not in one for one in locked.values())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["aiohttp>=3"], ""),
        (["aiohttp<1"], "asked for is aiohttp<1"),
        (["no-such-package"], "no-such-package is not in requirements.lock"),
    ],
)
def test_drift_is_seen(asked: list[str], said: str) -> None:
    assert said in "".join(unmet(asked, SERVER_LOCK))
    assert bool(said) == bool(list(unmet(asked, SERVER_LOCK)))
