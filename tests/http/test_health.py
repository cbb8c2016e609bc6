"""Health answers: who is told what, as tables."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from trunkline.errors import Forbidden, StoreUnavailable, Unauthenticated
from trunkline.http import health
from trunkline.http.health import Scraper
from trunkline.ids import AccountId, KeyId
from trunkline.ports.keys import KeyRecord

FIGURES = b"trunkline_calls_total 3.0\n"


@dataclass
class State:
    ready: bool = True
    draining: bool = False


def key(*, admin: bool) -> KeyRecord:
    return KeyRecord(digest=b"d" * 32, key_id=KeyId("key_1"), account_id=AccountId("acct_root"), name="k", admin=admin)


class Identify:
    """Answers with a key or raises; remembers whether it was asked."""

    def __init__(self, outcome: KeyRecord | Exception) -> None:
        self.outcome = outcome
        self.asked = False

    async def __call__(self) -> KeyRecord:
        self.asked = True
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_healthz_is_always_up() -> None:
    status, headers, body = health.healthz()
    assert (status, body) == (200, b'{"status":"ok"}')
    assert (b"content-type", b"application/json") in headers


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [
        (State(ready=True), 200, b"ready"),
        (State(ready=False), 503, b"starting"),
        (State(ready=True, draining=True), 503, b"draining"),
        (State(ready=False, draining=True), 503, b"draining"),
    ],
)
def test_readyz_takes_traffic_only_when_ready_and_staying(state: State, status: int, word: bytes) -> None:
    answer = health.readyz(state)
    assert answer.status == status
    assert answer.body == b'{"status":"%s"}' % word
    assert (b"cache-control", b"no-store") in answer.headers


LOCAL = [
    ("127.0.0.1", {}, False, True),
    ("127.8.9.10", {}, False, True),
    ("::1", {}, False, True),
    ("::ffff:127.0.0.1", {}, False, True),
    ("127.0.0.1", {}, True, False),
    ("10.0.0.7", {}, False, False),
    ("::ffff:10.0.0.7", {}, False, False),
    (None, {}, False, False),
    ("", {}, False, False),
    ("localhost", {}, False, False),
    *[("127.0.0.1", {name: b""}, False, False) for name in sorted(health.FORWARDING_HEADERS)],
]


@pytest.mark.parametrize(("peer", "named", "behind_proxy", "local"), LOCAL)
def test_what_counts_as_local(peer: str | None, named: dict[bytes, bytes], behind_proxy: bool, local: bool) -> None:
    assert Scraper(peer, named, behind_proxy).is_local is local


async def test_a_local_scraper_needs_no_key() -> None:
    identify = Identify(Unauthenticated("no key"))
    status, headers, body = await health.metrics(Scraper("127.0.0.1", {}, False), identify, lambda: FIGURES)
    assert (status, body) == (200, FIGURES)
    assert dict(headers)[b"content-type"].startswith(b"text/plain")
    assert not identify.asked


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Unauthenticated("no key"), Unauthenticated),
        (StoreUnavailable("away"), StoreUnavailable),
        (key(admin=False), Forbidden),
    ],
)
async def test_a_remote_scraper_without_an_admin_key_is_refused(
    outcome: KeyRecord | Exception, error: type[Exception]
) -> None:
    def render() -> bytes:
        raise AssertionError("figures were rendered for a refused caller")

    with pytest.raises(error):
        await health.metrics(Scraper("10.0.0.7", {}, False), Identify(outcome), render)


async def test_a_remote_scraper_with_an_admin_key_is_answered() -> None:
    answer = await health.metrics(Scraper("10.0.0.7", {}, False), Identify(key(admin=True)), lambda: FIGURES)
    assert answer.body == FIGURES
