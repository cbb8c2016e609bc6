"""TESTS_MAY_NOT_SKIP=1 makes a skipped test a failure: where all is installed, a skip hides what was not tested."""

from __future__ import annotations

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A worker of xdist has a reporter of no use; the process that gathers their reports decides.
    if reporter is None or hasattr(session.config, "workerinput") or not os.environ.get("TESTS_MAY_NOT_SKIP"):
        return
    if skipped := len(reporter.stats.get("skipped", [])):
        reporter.write_line("")
        reporter.write_line(f"TESTS_MAY_NOT_SKIP is set, and {skipped} did", red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
