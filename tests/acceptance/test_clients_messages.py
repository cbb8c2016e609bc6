"""Messages as its own clients speak it, over upstreams of every protocol."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.suites import OURS, run_node_suite, run_suite

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(300)
@pytest.mark.parametrize("environment", [OURS, "previous"], ids=["anthropic-2", "anthropic-1"])
def test_the_python_library(gateway: Gateway, environment: str) -> None:
    run_suite(gateway, environment, "anthropic", 91)


def test_the_npm_library(gateway: Gateway, node: str) -> None:
    run_node_suite(gateway, node, "anthropic", 25)
