"""Tokens: fetched once however many wait, replaced before their end, kept through a failure, never shown."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.providers.token_server import TokenServer, token
from trunkline import clock, errors
from trunkline.errors import Defect, UpstreamAccount, UpstreamError, UpstreamFailed
from trunkline.observe import Secret
from trunkline.providers.pool import HttpTransport
from trunkline.providers.signing import (
    EARLY_S,
    RETRY_S,
    BearerSigner,
    Keeper,
    Token,
    TokenAnswer,
    fetch,
    read_token,
    token_request,
)
from trunkline.providers.transport import Origin, Timers, TransportOptions, UpstreamRequest

if TYPE_CHECKING:
    from tests.providers.conftest import Loopback

CANARY = "canary-7f3a9d0c1b2e4f5a6978"
ELSEWHERE = Origin("https", "elsewhere.example", 443)
HERE = Origin("https", "api.example", 443)


class Clock:
    """Both clocks, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_800_000_000.0
        self.monotonic_s = 1_000.0
        monkeypatch.setattr(clock, "now_s", lambda: self.now_s)
        monkeypatch.setattr(clock, "monotonic_s", lambda: self.monotonic_s)

    def pass_(self, seconds: float) -> None:
        self.now_s += seconds
        self.monotonic_s += seconds


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Mint:
    """Gives 1, 2, 3 ... `gate` holds a fetch back; `error` makes it fail."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.fetched = 0
        self.lifetime_s = lifetime_s
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> Token:
        self.fetched += 1
        number = self.fetched
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Token(Secret(str(number)), self.lifetime_s)


async def value(keeper: Keeper[Token]) -> str:
    return (await keeper.get()).value.reveal()


async def settled() -> None:
    """Until what was begun in the background is through."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_however_many_wait_there_is_one_fetch() -> None:
    mint = Mint()
    keeper = Keeper(mint)
    mint.gate.clear()
    waiting = [asyncio.create_task(value(keeper)) for _ in range(50)]
    await settled()
    mint.gate.set()
    assert await asyncio.gather(*waiting) == ["1"] * 50
    assert await value(keeper) == "1"
    assert mint.fetched == 1


async def test_a_call_that_is_cancelled_leaves_the_fetch_to_the_others() -> None:
    mint = Mint()
    keeper = Keeper(mint)
    mint.gate.clear()
    first, second = (asyncio.create_task(value(keeper)) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    mint.gate.set()
    assert await second == "1"
    assert first.cancelled()
    assert mint.fetched == 1


async def test_a_failure_reaches_all_who_wait_and_the_next_call_tries_again() -> None:
    mint = Mint()
    keeper = Keeper(mint)
    mint.error = UpstreamAccount("no")
    mint.gate.clear()
    waiting = [asyncio.create_task(value(keeper)) for _ in range(3)]
    await settled()
    mint.gate.set()
    assert [type(found) for found in await asyncio.gather(*waiting, return_exceptions=True)] == [UpstreamAccount] * 3
    mint.error = None
    assert await value(keeper) == "2"


async def test_a_failure_that_nobody_waits_for_any_more_is_only_logged() -> None:
    mint = Mint()
    keeper = Keeper(mint)
    mint.error = UpstreamAccount("no")
    mint.gate.clear()
    waiting = asyncio.create_task(value(keeper))
    await settled()
    waiting.cancel()
    mint.gate.set()
    with capture_logs() as lines:
        await settled()
    assert [line["event"] for line in lines] == ["token_not_fetched"]


async def test_a_token_is_replaced_shortly_before_its_end_while_calls_go_on(held: Clock) -> None:
    mint = Mint()
    keeper = Keeper(mint)
    assert await value(keeper) == "1"
    held.pass_(3600 - EARLY_S - 1)
    assert await value(keeper) == "1"
    await settled()
    assert mint.fetched == 1
    held.pass_(2)
    assert await value(keeper) == "1", "nobody waits for the new one"
    await settled()
    assert mint.fetched == 2
    assert await value(keeper) == "2"


async def test_an_expired_token_is_waited_for(held: Clock) -> None:
    mint = Mint()
    keeper = Keeper(mint)
    await keeper.get()
    held.pass_(3600)
    assert await value(keeper) == "2"


async def test_while_a_token_holds_a_failing_endpoint_is_asked_only_now_and_then(held: Clock) -> None:
    mint = Mint()
    keeper = Keeper(mint)
    await keeper.get()
    mint.error = UpstreamFailed("down")
    held.pass_(3600 - EARLY_S + 1)
    for _ in range(10):
        assert await value(keeper) == "1"
        await settled()
    assert mint.fetched == 2
    held.pass_(RETRY_S)
    assert await value(keeper) == "1"
    await settled()
    assert mint.fetched == 3
    held.pass_(EARLY_S)
    with pytest.raises(UpstreamFailed, match="down"):
        await keeper.get()


async def test_a_short_life_is_not_spent_on_fetching(held: Clock) -> None:
    mint = Mint(lifetime_s=100.0)
    keeper = Keeper(mint)
    await keeper.get()
    held.pass_(74)
    await keeper.get()
    await settled()
    assert mint.fetched == 1
    held.pass_(2)
    await keeper.get()
    await settled()
    assert mint.fetched == 2


async def test_a_token_without_an_end_is_kept(held: Clock) -> None:
    mint = Mint(lifetime_s=math.inf)
    keeper = Keeper(mint)
    await keeper.get()
    held.pass_(1e9)
    assert await value(keeper) == "1"


async def test_neither_a_clock_set_back_nor_a_machine_asleep_makes_a_token_live_longer(held: Clock) -> None:
    mint = Mint()
    keeper = Keeper(mint)
    await keeper.get()
    held.now_s -= 86_400
    held.monotonic_s += 3600
    assert await value(keeper) == "2"
    held.now_s += 3600  # the other clock stood still
    assert await value(keeper) == "3"


async def test_a_tokens_life_begins_when_it_is_asked_for(held: Clock) -> None:
    mint = Mint(lifetime_s=100.0)
    keeper = Keeper(mint)
    mint.gate.clear()
    waiting = asyncio.create_task(value(keeper))
    await settled()
    held.pass_(99)
    mint.gate.set()
    assert await waiting == "1"
    held.pass_(1)
    assert await value(keeper) == "2"


def request(origin: Origin = HERE) -> UpstreamRequest:
    return UpstreamRequest(origin=origin, target=b"/", headers=[(b"accept", b"*/*")], timers=Timers())


async def test_a_bearer_rides_on_its_own_request_to_its_own_origin() -> None:
    signer = BearerSigner(HERE, Mint(), [(b"x-goog-user-project", b"p")])
    asked = request()
    signed = await signer.sign(asked)
    assert asked.headers == [(b"accept", b"*/*")]
    assert signed.headers == [*asked.headers, (b"authorization", b"Bearer 1"), (b"x-goog-user-project", b"p")]
    with pytest.raises(Defect):
        await signer.sign(request(ELSEWHERE))


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    opened = HttpTransport(TransportOptions())
    yield opened
    await opened.close()


@pytest.fixture
async def server(loopback: Loopback) -> TokenServer:
    return await TokenServer().start(loopback)


async def test_a_form_is_posted_and_the_answer_has_its_time(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/t"] = (200, b"x", b"Date: Sat, 01 Jan 2000 00:00:10 GMT\r\n")
    answer = await fetch(transport, token_request(server.origin, b"/t", [], {"a": "b c&d"}), "office")
    assert answer == TokenAnswer(b"x", 946_684_810.0)
    (asked,) = server.asked
    assert (asked.method, asked.form) == ("POST", {"a": "b c&d"})
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamAccount),
        (401, UpstreamAccount),
        (403, UpstreamAccount),
        (404, UpstreamAccount),
        (429, errors.UpstreamRateLimited),
        (500, UpstreamFailed),
        (503, errors.UpstreamOverloaded),
        (302, UpstreamFailed),
    ],
)
@pytest.mark.parametrize(
    "said",
    [
        b'{"error":"invalid_grant","error_description":"Invalid JWT Signature: %s"}',
        b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\n<Message>no %s</Message></Error>",
        b'{"error":{"message":"%s"}}',
        b"%s",
    ],
)
async def test_a_refusal_is_told_to_the_log_and_no_secret_to_anybody(
    server: TokenServer, transport: HttpTransport, status: int, kind: type[UpstreamError], said: bytes
) -> None:
    server.answers["/t"] = (status, said % CANARY.encode())
    form = {"client_secret": CANARY}
    with capture_logs() as lines, pytest.raises(kind) as caught:
        await fetch(transport, token_request(server.origin, b"/t", [], form), "office")
    assert CANARY not in caught.value.message
    assert "office" in caught.value.message
    assert CANARY not in repr(lines)
    if kind is UpstreamAccount:
        assert [line["event"] for line in lines] == ["credential_refused"]
        assert "Your key is fine" in caught.value.message


async def test_the_log_says_why(server: TokenServer, transport: HttpTransport) -> None:
    server.answers["/t"] = (400, b'{"error":"invalid_grant","error_description":"account not found"}')
    with capture_logs() as lines, pytest.raises(UpstreamAccount):
        await fetch(transport, token_request(server.origin, b"/t", []), "office")
    assert lines[0]["reason"] == "invalid_grant: account not found"
    server.answers["/t"] = (403, b"<Code>AccessDenied</Code>\n  <Message>not this role</Message>")
    with capture_logs() as lines, pytest.raises(UpstreamAccount):
        await fetch(transport, token_request(server.origin, b"/t", []), "office")
    assert lines[0]["reason"] == "AccessDenied: not this role"


async def test_an_endpoint_that_is_not_there_is_no_fault_of_the_credential(transport: HttpTransport) -> None:
    with pytest.raises(UpstreamFailed):
        await fetch(transport, token_request(Origin("http", "127.0.0.1", 1), b"/t", []), "office")


@pytest.mark.parametrize("expires_in", [3600, 3600.5, "3600"])
def test_a_token_and_its_life(expires_in: object) -> None:
    _, body = token("abc", expires_in)[:2]
    found = read_token(TokenAnswer(body, 0.0), "office", HERE)
    assert found == Token(Secret("abc"), float(str(expires_in)))
    assert "abc" not in repr(found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"access_token":"x"}',
        b'{"access_token":"","expires_in":1}',
        b'{"access_token":"x","expires_in":0}',
        b'{"access_token":"x","expires_in":-1}',
        b'{"access_token":"x\\r\\ny: z","expires_in":1}',
        b'{"access_token":"x y","expires_in":1}',
        '{"access_token":"é","expires_in":1}'.encode(),
        b"\xff",
    ],
)
def test_what_is_no_token_is_no_token(body: bytes) -> None:
    with pytest.raises(UpstreamFailed, match=r"api\.example did not answer with a credential"):
        read_token(TokenAnswer(body, 0.0), "office", HERE)


def test_a_token_never_goes_into_a_file() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Token(Secret(CANARY), 1.0))
