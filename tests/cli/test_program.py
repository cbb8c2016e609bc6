"""The list of commands is complete, quick, and refuses what it does not know."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import trunkline
from trunkline.cli.program import COMMANDS, app


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments), prog_name="trunkline")
    return done.exit_code, done.stdout, done.stderr


def test_help_names_every_command() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in COMMANDS:
        assert f"  {name} " in out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_loads_and_explains_itself(name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"Usage: trunkline {name}" in out


def test_a_command_that_is_not_there_is_wrong_usage() -> None:
    code, _, errors = run("srve")
    assert code == 2
    assert "No such command 'srve'" in errors


def test_an_option_that_is_not_there_is_wrong_usage() -> None:
    assert run("doctor", "--nosuch")[0] == 2


def test_without_arguments_it_helps() -> None:
    code, out, errors = run()
    assert code == 2
    assert "Usage: trunkline" in out + errors


def test_version() -> None:
    assert run("--version") == (0, f"trunkline {trunkline.__version__}\n", "")


def test_help_loads_nothing_that_a_command_needs() -> None:
    program = (
        "import sys\n"
        "from trunkline.cli.program import run\n"
        "sys.argv = ['trunkline', '--help']\n"
        "try:\n    run()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'trunkline.config', 'sqlalchemy', 'uvicorn', 'litestar', 'structlog', 'rich', 'aiohttp'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
