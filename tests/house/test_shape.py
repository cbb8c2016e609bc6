"""Sizes and names: what keeps every file readable in one sitting."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import tree

FILE_LINES = 500
FUNCTION_LINES = 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "core", "main", "handler", "manager", "misc", "types"}
# The version stands in the package, where the code that shows it can read it without asking the installer.
SAYS_MORE = {Path("trunkline/__init__.py"): {"__version__"}}
SOURCES = tree.sources("trunkline", "tests", "bench")
EXCEPTIONS = tomllib.loads(tree.read(Path("tests/house/exceptions.toml")))


def functions(module: ast.Module) -> Iterator[tuple[str, int]]:
    """(qualified name, lines) of every function, those inside classes and functions included."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    assert child.end_lineno is not None
                    yield name, child.end_lineno - child.lineno + 1
                yield from walk(child, name + ".")
            else:
                yield from walk(child, prefix)

    yield from walk(module, "")


def too_large(sizes: dict[str, int], limit: int, exceptions: dict[str, int]) -> list[str]:
    """What breaks the law or the list of exceptions."""
    wrong = []
    for name, lines in sizes.items():
        allowed = exceptions.get(name, limit)
        if lines > allowed:
            wrong.append(f"{name} has {lines} lines; {allowed} are allowed")
    for name, allowed in exceptions.items():
        lines = sizes.get(name, 0)
        if lines <= limit:
            wrong.append(f"exceptions.toml: {name} needs no exception; take it out")
        elif lines < allowed:
            wrong.append(f"exceptions.toml: {name} has {lines} lines; write that, not {allowed}")
    return wrong


def test_files_are_short() -> None:
    sizes = {path.as_posix(): len(tree.read(path).splitlines()) for path in SOURCES}
    assert not too_large(sizes, FILE_LINES, EXCEPTIONS["files"])


def test_functions_are_short() -> None:
    sizes = {
        f"{path.as_posix()}::{name}": lines for path in SOURCES for name, lines in functions(ast.parse(tree.read(path)))
    }
    assert not too_large(sizes, FUNCTION_LINES, EXCEPTIONS["functions"])


@pytest.mark.parametrize(
    ("lines", "exceptions", "wrong"),
    [
        (60, {}, 0),
        (61, {}, 1),
        (61, {"f": 61}, 0),
        (62, {"f": 61}, 1),
        (61, {"f": 62}, 1),
        (60, {"f": 61}, 1),
        (60, {"gone": 61}, 1),
    ],
)
def test_the_list_of_exceptions_may_only_shrink(lines: int, exceptions: dict[str, int], wrong: int) -> None:
    assert len(too_large({"f": lines}, 60, exceptions)) == wrong


def test_names_say_what_is_inside() -> None:
    wrong = [path.as_posix() for path in SOURCES if FORBIDDEN_NAMES & {path.stem, *path.parts[:-1]}]
    assert not wrong, "a file or folder is named after nothing"


def test_package_files_hold_a_docstring_and_nothing_else() -> None:
    wrong = []
    for path in tree.sources("trunkline"):
        if path.name != "__init__.py":
            continue
        module = ast.parse(tree.read(path))
        if not ast.get_docstring(module):
            wrong.append(f"{path}: no docstring")
        for statement in module.body[1:]:
            names = {target.id for target in getattr(statement, "targets", ()) if isinstance(target, ast.Name)}
            if not names or not names <= SAYS_MORE.get(path, set()):
                wrong.append(f"{path}:{statement.lineno}")
    assert not wrong


def test_test_folders_are_no_packages() -> None:
    assert not [path for path in tree.sources("tests") if path.name == "__init__.py"]


def test_modules_begin_with_their_purpose() -> None:
    wrong = [
        path.as_posix()
        for path in tree.sources("trunkline", "bench")
        if "versions" not in path.parts and not ast.get_docstring(ast.parse(tree.read(path)))
    ]
    assert not wrong
