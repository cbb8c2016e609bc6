"""A call over ASGI: what comes in becomes a call, what comes back is written out, whoever leaves is noticed."""

from __future__ import annotations

import asyncio

import pytest

from tests.driver import Connection, Reply, ask, json_headers, scope_of
from tests.pipeline.scripted import (
    ANSWER,
    HELLO,
    KEY,
    NOBODY,
    STREAM,
    Ledger,
    ScriptedTransport,
    good,
    key_table,
    pipeline,
    refused,
    whole,
)
from tests.pipeline.scripted import Reply as Upstream
from tests.pipeline.test_relay import DONE, FINISH_WITH_USAGE, ROLE, TEXT, jump, seconds
from trunkline import errors
from trunkline.http.asgi import Headers, Message
from trunkline.http.facts import FactHeaders
from trunkline.http.inference import InferenceRoutes, request_id_of, trace_of
from trunkline.ids import CallId

CHAT = "/v1/chat/completions"
LIMIT_BYTES = 100_000


class House:
    """The route before scripted providers, and what they and the log were told."""

    def __init__(self, *script: Upstream | Exception) -> None:
        self.transport = ScriptedTransport(*script)
        self.ledger = Ledger()
        self.defects: list[tuple[str, BaseException]] = []
        self.connection = Connection()
        self.routes = InferenceRoutes(
            pipeline(self.transport, self.ledger, keys=key_table()),
            FactHeaders("x-trunkline"),
            LIMIT_BYTES,
            lambda call_id, error: self.defects.append((call_id, error)),
        )

    async def post(self, body: bytes, more: Headers | None = None, key: str | None = KEY) -> Reply:
        scope = scope_of("POST", CHAT, json_headers(key, more), self.connection)
        return await ask(self.routes.chat_completions, scope, body)


FACTS = {"model": "one/small", "alias": "any", "provider": "one", "attempts": "1"}


def facts_of(reply: Reply) -> dict[str, str | None]:
    return {fact: reply.header(f"x-trunkline-{fact}") for fact in FACTS}


async def test_a_whole_answer() -> None:
    house = House(whole())
    reply = await house.post(HELLO)
    assert (reply.status, reply.body) == (200, ANSWER)
    assert reply.header("content-type") == "application/json"
    assert reply.header("content-length") == str(len(ANSWER))
    assert facts_of(reply) == FACTS
    assert reply.header("x-trunkline-call-id") == house.ledger.calls[0].id
    assert house.connection.on_gone is None


async def test_a_stream() -> None:
    house = House(Upstream((0, ROLE + TEXT), (0, FINISH_WITH_USAGE + DONE)))
    reply = await house.post(STREAM)
    assert reply.status == 200
    assert reply.writes == [ROLE + TEXT, FINISH_WITH_USAGE + DONE]
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"
    assert reply.header("cache-control") == "no-cache"
    assert reply.header("x-accel-buffering") == "no"
    assert reply.header("content-length") is None
    assert facts_of(reply) == FACTS
    assert house.connection.on_gone is None


def test_headers_that_had_to_go_early_tell_only_the_ids() -> None:
    async def scene() -> None:
        house = House(Upstream((20, errors.StreamCut("cut"))), good())
        reply = await house.post(STREAM)
        assert reply.events()[-1] == "[DONE]"
        assert facts_of(reply) == dict.fromkeys(FACTS)
        assert reply.header("x-trunkline-overhead-ms") is None
        assert reply.header("x-request-id")
        assert reply.header("x-trunkline-call-id")

    jump(scene())


async def test_an_error_before_the_first_event_is_a_status() -> None:
    for body in (HELLO, STREAM):
        house = House(refused(429), refused(429), refused(503, message="busy"))
        reply = await house.post(body)
        assert house.connection.on_gone is None
        assert (reply.status, reply.json()["error"]["code"]) == (503, "provider_overloaded")
        assert reply.header("content-length") == str(len(reply.body))
        assert facts_of(reply) == {"model": "three/small", "alias": "any", "provider": "three", "attempts": "3"}


def test_an_error_in_a_begun_stream_is_its_last_event() -> None:
    async def scene() -> None:
        for script in (
            [Upstream((0, ROLE + TEXT), (1, errors.StreamCut("The answer broke off.")))],
            # Begun by a comment alone.
            [Upstream((20, errors.StreamCut("cut"))), refused(500), refused(422, message="bad")],
            [Upstream((0, ROLE), (1, ZeroDivisionError("x")))],
        ):
            reply = await House(*script).post(STREAM)
            assert reply.status == 200
            last = reply.events()[-1]
            assert set(last["error"]) == {"message", "type", "param", "code"}
            assert reply.body.endswith(b"\n\n")
            assert b"[DONE]" not in reply.body

    jump(scene())


@pytest.mark.parametrize("body", [HELLO, STREAM])
def test_a_defect_is_logged_with_the_calls_id_and_not_told(body: bytes) -> None:
    async def scene() -> None:
        bug = ZeroDivisionError("secret thoughts")
        house = House(Upstream((0, bug)))
        reply = await house.post(body)
        assert (reply.status, reply.json()["error"]["code"]) == (500, "internal_error")
        assert b"secret" not in reply.body
        assert house.defects == [(reply.header("x-trunkline-call-id"), bug)]
        # What a provider calls its own error is none of ours.
        told = House(refused(400, "internal_error"))
        assert (await told.post(body)).json()["error"]["code"] == "internal_error"
        assert told.defects == []

    jump(scene())


@pytest.mark.parametrize("body", [HELLO, STREAM])
@pytest.mark.parametrize("leaves_at", [1.0, 3.0, 4.5])
def test_a_client_that_leaves_cancels_the_provider_at_once(body: bytes, leaves_at: float) -> None:
    async def scene() -> None:
        upstream = Upstream((1, ROLE), (1, TEXT), (100, DONE), head_s=2)
        house = House(upstream)
        task = asyncio.create_task(house.post(body))
        await asyncio.sleep(leaves_at)
        house.connection.on_gone()
        reply = await task
        assert seconds() == leaves_at
        assert (upstream.closed_at == leaves_at) is (leaves_at > 2)
        assert house.transport.all_closed()
        (call,) = house.ledger.calls
        assert type(call.error) is errors.ClientGone
        held = (call.error.__traceback__, call.error.__context__)
        assert held == (None, None), "it would hold all that was on its way"
        assert b"error" not in reply.body
        assert len(asyncio.all_tasks()) == 1

    jump(scene())


async def test_a_client_that_leaves_while_it_sends_is_recorded() -> None:
    house, sent = House(), []
    messages: list[Message] = [
        {"type": "http.request", "body": HELLO[:5], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await house.routes.chat_completions(scope_of("POST", CHAT, json_headers(KEY)), receive, send)
    assert sent == []
    assert type(house.ledger.calls[0].error) is errors.ClientGone


async def test_a_server_that_tells_of_no_leaving_is_good_enough() -> None:
    scope = scope_of("POST", CHAT, json_headers(KEY))
    del scope["trunkline.connection"]
    assert (await ask(House(whole()).routes.chat_completions, scope, HELLO)).status == 200


BIG = str(LIMIT_BYTES + 1).encode()


@pytest.mark.parametrize(
    ("headers", "key", "body", "status", "closes"),
    [
        ([(b"content-length", BIG)], KEY, b"", 413, True),
        ([], KEY, b" " * (LIMIT_BYTES + 1), 413, True),
        ([(b"content-length", b"65537")], NOBODY, b"", 401, True),
        ([(b"transfer-encoding", b"chunked")], NOBODY, b"", 401, True),
        ([(b"content-length", b"65537"), (b"content-encoding", b"gzip")], KEY, b"", 415, True),
        ([(b"content-length", b"65536")], NOBODY, b"", 401, False),
        ([], NOBODY, b"{}", 401, False),
        ([(b"content-length", b"70000")], KEY, b" " * 70_000, 400, False),
    ],
)
async def test_a_connection_with_much_left_unread_is_closed(
    headers: Headers, key: str, body: bytes, status: int, closes: bool
) -> None:
    house = House()
    reply = await house.post(body, headers, key)
    assert reply.status == status
    assert reply.header("connection") == ("close" if closes else None)
    assert facts_of(reply) == dict.fromkeys(FACTS)
    assert house.transport.requests == []


OWN = CallId("call_own")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, OWN),
        (b"", OWN),
        (b"mine-7", "mine-7"),
        (b"a b", "a b"),
        (b"x" * 128, "x" * 128),
        (b"x" * 129, OWN),
        (b"\xc3\xa9", OWN),
        (b"a\tb", OWN),
        (b"a\x7f", OWN),
        (b"a\r\nb: c", OWN),
    ],
)
async def test_a_request_id_is_the_callers_when_it_is_fit_to_be_repeated(given: bytes | None, used: str) -> None:
    named = {} if given is None else {b"x-request-id": given}
    assert request_id_of(named, OWN) == used
    reply = await House(whole()).post(HELLO, list(named.items()))
    own = reply.header("x-trunkline-call-id")
    assert reply.header("x-request-id") == (own if used == OWN else used)


async def test_every_call_has_an_id_of_its_own() -> None:
    house = House(whole(), whole(), refused(400))
    ids = {(await house.post(HELLO, [(b"x-request-id", b"same")])).header("x-trunkline-call-id") for _ in range(3)}
    assert len(ids) == 3
    assert ids == {call.id for call in house.ledger.calls}


@pytest.mark.parametrize(
    ("given", "crosses"),
    [
        ({b"traceparent": b"00-1", b"tracestate": b"a=b"}, [(b"traceparent", b"00-1"), (b"tracestate", b"a=b")]),
        ({b"traceparent": b"00-1"}, [(b"traceparent", b"00-1")]),
        # W3C Trace Context, 3.3: without a traceparent the state means nothing.
        ({b"tracestate": b"a=b"}, []),
        ({b"baggage": b"user=1", b"cookie": b"c", b"openai-organization": b"o"}, []),
    ],
)
async def test_of_the_callers_headers_only_the_trace_crosses(given: dict[bytes, bytes], crosses: Headers) -> None:
    assert trace_of(given) == crosses
    house = House(whole())
    await house.post(HELLO, list(given.items()))
    sent = house.transport.requests[0].headers
    assert [header for header in sent if header[0] in given or header[0].startswith(b"trace")] == crosses
    assert KEY.encode() not in repr(sent).encode()
