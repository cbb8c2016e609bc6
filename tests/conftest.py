"""What holds for every run of the tests.

TESTS_MAY_NOT_SKIP=1 makes a skipped test a failure: where all is installed, a skip hides what was not tested.
Hypothesis's examples have no deadline: on a busy machine one may take long, and speed is tested where it is the point.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.thoroughness import examples

settings.register_profile("untimed", deadline=None, max_examples=examples(100))
settings.load_profile("untimed")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A worker of xdist has a reporter of no use; the process that gathers their reports decides.
    if reporter is None or hasattr(session.config, "workerinput") or not os.environ.get("TESTS_MAY_NOT_SKIP"):
        return
    if skipped := len(reporter.stats.get("skipped", [])):
        reporter.write_line("")
        reporter.write_line(f"TESTS_MAY_NOT_SKIP is set, and {skipped} did", red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
