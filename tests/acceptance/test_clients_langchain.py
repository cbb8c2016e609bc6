"""LangChain's own standard for chat models, by each protocol its clients speak, over upstreams of every protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.suites import run_suite

pytestmark = pytest.mark.acceptance


@pytest.fixture
def restamping(tmp_path: Path) -> Iterator[Gateway]:
    """Answers bear the model's name as it was asked for, which the standard wants."""
    with serving(tmp_path, "[compat]\nrestamp_model = true\n") as found:
        yield found


@pytest.mark.timeout(300)
def test_the_standard_of_langchain(restamping: Gateway) -> None:
    run_suite(restamping, "langchain", "langchain_crossings", 699)
