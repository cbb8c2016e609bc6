"""generateContent as its own clients speak it, over upstreams of every protocol."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.suites import run_node_suite, run_suite

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(300)
def test_the_python_library(gateway: Gateway) -> None:
    run_suite(gateway, "clients", "google", 68)


def test_the_npm_library(gateway: Gateway, node: str) -> None:
    run_node_suite(gateway, node, "google", 16)
