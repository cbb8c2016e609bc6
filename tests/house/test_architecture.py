"""The picture in docs/architecture.md, the contract in pyproject.toml and the tree tell the same house."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.house import tree

PAGE = Path("docs/architecture.md")


def drawn_floors() -> list[set[str]]:
    """The picture's floors from the top, each with its rooms: a line is the rooms, two spaces, what they do."""
    block = re.search(r"## The floors\n.*?```text\n(.*?)```", tree.read(PAGE), re.DOTALL)
    assert block, f"{PAGE} has no picture of the floors"
    lines = [line for line in block[1].splitlines() if line.strip() and not line.startswith(" ")]
    return [set(re.split(r"\s*[|:]\s*", re.split(r"\s{2,}", line)[0])) for line in lines]


def enforced_floors() -> list[set[str]]:
    settings = tomllib.loads(tree.read(Path("pyproject.toml")))
    [contract] = [one for one in settings["tool"]["importlinter"]["contracts"] if one["id"] == "floors"]
    assert contract["exhaustive"], "a module outside the floors would not be noticed"
    return [set(re.split(r"\s*[|:]\s*", layer.replace("(", "").replace(")", ""))) for layer in contract["layers"]]


def test_the_picture_shows_the_floors_that_are_enforced() -> None:
    assert drawn_floors() == enforced_floors()


def test_every_file_is_on_a_floor() -> None:
    rooms = set().union(*drawn_floors())
    outside = {
        path.as_posix()
        for path in tree.sources("trunkline")
        if path != Path("trunkline/__init__.py")
        and path.relative_to("trunkline").parts[0].removesuffix(".py") not in rooms
    }
    assert not outside


def test_every_floor_stands_or_is_allowed_to_be_empty() -> None:
    there = {path.relative_to("trunkline").parts[0].removesuffix(".py") for path in tree.sources("trunkline")}
    assert set().union(*drawn_floors()) <= there


def test_the_table_of_changes_names_files_that_exist() -> None:
    table = tree.read(PAGE).partition("## Where would I change")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w./-]+\.(?:py|html|md|css|toml))`", table)
    assert len(named) >= 8, "the table is empty"
    missing = [name for name in named if not any((tree.ROOT / top / name).exists() for top in (".", "trunkline"))]
    assert not missing
