"""Suites of programs/: files of tests that run where a client is installed, against a gateway.

A suite for Python is a pytest file, one for JavaScript a file of node:test. Neither may fail, skip or lose a test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from tests.acceptance.conftest import ENVIRONMENTS, PROGRAMS, Gateway, environment_python

OURS = ""
"""The environment that these tests themselves run in."""
SUITE_S = 300


def run_suite(gateway: Gateway, environment: str, name: str, passes: int) -> None:
    """All of programs/NAME_suite.py passes, `passes` tests or more."""
    python = environment_python(environment) if environment else sys.executable
    # Clients that keep one pool of connections for the process need all its tests to share a loop.
    loops = [option for kind in ("test", "fixture") for option in ("-o", f"asyncio_default_{kind}_loop_scope=session")]
    command = [
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", "-o", "asyncio_mode=auto", *loops,
        "-W", "ignore::pytest.PytestConfigWarning", "--tb=short",
        "--rootdir", str(PROGRAMS), "-c", os.devnull, str(PROGRAMS / f"{name}_suite.py"),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=SUITE_S,
        check=False,
        env=gateway.environment(),
        cwd=PROGRAMS,
    )
    said = done.stdout[-6000:] + done.stderr[-1000:]
    assert done.returncode == 0, said
    counted = {kind: int(count) for count, kind in re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1])}
    assert counted["passed"] >= passes, f"tests were lost\n{said}"
    assert "skipped" not in counted, said


def run_node_suite(gateway: Gateway, node: str, name: str, passes: int) -> None:
    """The same for programs/NAME_suite.mjs."""
    folder = ENVIRONMENTS / "node"
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, folder)
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", f"{name}_suite.mjs"],
        capture_output=True,
        text=True,
        timeout=SUITE_S,
        check=False,
        env=gateway.environment(),
        cwd=folder,
    )
    said = done.stdout[-6000:] + done.stderr[-1000:]
    assert done.returncode == 0, said
    counted = {kind: int(count) for kind, count in re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE)}
    assert counted["pass"] >= passes, f"tests were lost\n{said}"
    assert (counted["fail"], counted["skipped"], counted["todo"]) == (0, 0, 0), said
