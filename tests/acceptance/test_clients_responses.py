"""Responses as its own clients speak it, over upstreams of every protocol."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.suites import OURS, run_suite

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(300)
@pytest.mark.parametrize("environment", [OURS, "previous"], ids=["openai-3", "openai-2"])
def test_the_python_library(gateway: Gateway, environment: str) -> None:
    run_suite(gateway, environment, "openai_responses", 83)
