"""The loop of the tests that speak to sockets on a loop is the one that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.http.organization_house import Organization, OrganizationHouse
from tests.http.stored import House, migrated, open_house
from tests.http.till import Till

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    if item.path.name == "test_acceptor.py":
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def current(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return migrated(tmp_path_factory.mktemp("current"))


@pytest.fixture
def stored_house(tmp_path: Path, current: bytes) -> Iterator[House]:
    made = open_house(tmp_path, current)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_till(tmp_path_factory: pytest.TempPathFactory, current: bytes) -> Iterator[Till]:
    made = Till(tmp_path_factory.mktemp("till"), current)
    yield made
    made.close()


@pytest.fixture
def till(shared_till: Till) -> Till:
    shared_till.reset()
    return shared_till


@pytest.fixture(scope="session")
def organization_house(tmp_path_factory: pytest.TempPathFactory, current: bytes) -> Iterator[OrganizationHouse]:
    made = OrganizationHouse(tmp_path_factory.mktemp("organizations"), current)
    yield made
    made.close()


@pytest.fixture
def organization(organization_house: OrganizationHouse) -> Organization:
    """An account of its own, which sees nothing of what other tests do."""
    return organization_house.organization()
