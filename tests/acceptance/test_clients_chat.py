"""Chat Completions as its own clients speak it, over upstreams of every protocol."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.suites import OURS, run_node_suite, run_suite

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(300)
@pytest.mark.parametrize("environment", [OURS, "previous"], ids=["openai-3", "openai-2"])
def test_the_python_library(gateway: Gateway, environment: str) -> None:
    run_suite(gateway, environment, "openai_chat", 84)


def test_the_npm_library(gateway: Gateway, node: str) -> None:
    """Over Chat Completions and over Responses."""
    run_node_suite(gateway, node, "openai", 36)
