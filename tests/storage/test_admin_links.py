from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from tests.storage.conftest import PEPPER, HeldClock
from trunkline.storage.admin_links import SqlAdminLinks
from trunkline.storage.database import Database
from trunkline.storage.schema import admin_links


@pytest.fixture
def links(database: Database) -> SqlAdminLinks:
    return SqlAdminLinks(database, PEPPER)


def test_a_link_opens_once(links: SqlAdminLinks) -> None:
    token, other = links.create(), links.create()
    assert links.redeem(token)
    assert not links.redeem(token)
    assert links.redeem(other)


def test_of_many_at_once_one_gets_in(links: SqlAdminLinks) -> None:
    token = links.create()
    together, answers = threading.Barrier(6), list[bool]()

    def ask() -> None:
        together.wait()
        answers.append(links.redeem(token))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 5 + [True]


@pytest.mark.parametrize(("later_s", "opens"), [(3599.0, True), (3600.0, False), (1e9, False)])
def test_a_link_ends_after_an_hour(links: SqlAdminLinks, held_clock: HeldClock, later_s: float, opens: bool) -> None:
    token = links.create()
    held_clock.now_s += later_s
    assert links.redeem(token) is opens


@pytest.mark.parametrize("token", ["", "x", "' OR '1'='1", "%", "\ud800"])
def test_a_made_up_token_opens_nothing(links: SqlAdminLinks, token: str) -> None:
    links.create()
    assert not links.redeem(token)


def test_the_token_is_not_kept_and_ended_links_are_swept(
    links: SqlAdminLinks, database: Database, held_clock: HeldClock
) -> None:
    tokens = [links.create() for _ in range(3)]
    held_clock.now_s += 4000
    tokens.append(links.create())
    with database.reading() as connection:
        rows = connection.execute(select(admin_links)).all()
    assert len(rows) == 1
    assert not any(token.encode() in database.path.read_bytes() for token in tokens)
    assert not any(token in repr(rows) for token in tokens)
