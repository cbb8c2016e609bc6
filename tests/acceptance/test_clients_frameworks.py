"""Frameworks for agents and for answers of a form, by each protocol they speak, over upstreams of every protocol."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.suites import run_suite

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "passes"), [("pydantic_ai", 128), ("instructor", 44), ("agents", 60)])
def test_a_framework(gateway: Gateway, name: str, passes: int) -> None:
    run_suite(gateway, "clients", name, passes)
