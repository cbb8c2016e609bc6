"""Vercel's ai, by each protocol that its providers speak, over upstreams of every protocol."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.suites import run_node_suite

pytestmark = pytest.mark.acceptance


def test_the_framework(gateway: Gateway, node: str) -> None:
    run_node_suite(gateway, node, "ai", 140)
