"""Where skips are failures, a run with a skip fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import tree

SKIPPED = "import pytest\ndef test_a():\n    pytest.skip('because')\n"
UNREACHED = "import pytest\npytest.skip('because', allow_module_level=True)\n"
EXPECTED = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_a():\n    assert False\n"
PASSED = "def test_b():\n    pass\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "strict", "processes", "status"),
    [
        (SKIPPED, "1", "0", pytest.ExitCode.TESTS_FAILED),
        (SKIPPED, "1", "2", pytest.ExitCode.TESTS_FAILED),
        (UNREACHED, "1", "0", pytest.ExitCode.TESTS_FAILED),
        (EXPECTED, "1", "0", pytest.ExitCode.OK),
        (SKIPPED, "", "0", pytest.ExitCode.OK),
    ],
    ids=["skip", "skip-of-a-worker", "skip-of-a-module", "expected-failure", "not-asked-for"],
)
def test_a_skip_counts(tmp_path: Path, program: str, strict: str, processes: str, status: int) -> None:
    shutil.copy(tree.ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(program)
    (tmp_path / "test_other.py").write_text(PASSED)
    where = ["-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-n", processes, *where],
        cwd=tmp_path,
        env={**os.environ, "TESTS_MAY_NOT_SKIP": strict},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("because" in done.stdout) == (program != EXPECTED)
