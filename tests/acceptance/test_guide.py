"""The programs of the guide run as pasted, and print what the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from tests.house import tree
from tests.house.snippets import Snippet, fits, snippets_of

pytestmark = pytest.mark.acceptance

NODE_MODULES = tree.ROOT / ".envs" / "node" / "node_modules"
RUNNING = [
    snippet
    for path in tree.files(".md")
    if path.parts[:2] == ("docs", "guide")
    for snippet in snippets_of(path)
    if snippet.runs
]
# What a reader's shell has and a snippet may need; nothing of a provider.
FROM_OUTSIDE = ("PATH", "HOME", "LANG", "TMPDIR")


class Gateway(Protocol):
    """The part of conftest's Gateway that the programs need."""

    @property
    def url(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def admin_key(self) -> str: ...

    @property
    def folder(self) -> Path: ...


@pytest.fixture
def desk(gateway: Gateway, tmp_path: Path) -> Path:
    """Where a reader stands: the gateway's data in ./.trunkline, the npm library beside."""
    (tmp_path / ".trunkline").symlink_to(gateway.folder / "data")
    if NODE_MODULES.exists():
        (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    return tmp_path


def command(snippet: Snippet, desk: Path, request: pytest.FixtureRequest) -> list[str]:
    ending = {"bash": "sh", "python": "py", "javascript": "mjs"}[snippet.language]
    program = desk / f"program.{ending}"
    program.write_text(snippet.text, encoding="utf-8")
    if snippet.language == "javascript":
        return [request.getfixturevalue("node"), str(program)]
    if snippet.language == "python":
        return [sys.executable, str(program)]
    if "curl " in snippet.text and shutil.which("curl") is None:
        pytest.skip("needs curl: apt-get install curl")
    return ["bash", "-eu", "-o", "pipefail", str(program)]


@pytest.mark.parametrize("snippet", RUNNING, ids=str)
def test_it_runs(snippet: Snippet, gateway: Gateway, desk: Path, request: pytest.FixtureRequest) -> None:
    own = Path(sys.executable).parent
    environment = {name: os.environ[name] for name in FROM_OUTSIDE if name in os.environ}
    environment |= {
        "PATH": f"{own}{os.pathsep}{os.environ['PATH']}",
        "TRUNKLINE_URL": gateway.url,
        "TRUNKLINE_KEY": gateway.key,
        "TRUNKLINE_ADMIN_KEY": gateway.admin_key,
    }
    done = subprocess.run(
        command(snippet, desk, request),
        cwd=desk,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if snippet.output is not None:
        assert fits(done.stdout, snippet.output), done.stdout


@pytest.mark.parametrize(
    ("printed", "expected", "fitting"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nc\n", "a\nb\n", False),
        ("a\nx\ny\nb\n", "a\n...\nb\n", True),
        ("a\nb\n", "a\n...\nb\n", True),
        ("a\nb\nc\n", "a\n...\nb\n", False),
        ("12 tokens\n", "... tokens\n", True),
        ("12 words\n", "... tokens\n", False),
        ("a.c\n", "a.c\n", True),
        ("abc\n", "a.c\n", False),
    ],
)
def test_outputs_are_compared_and_not_waved_through(printed: str, expected: str, fitting: bool) -> None:
    assert fits(printed, expected) is fitting
