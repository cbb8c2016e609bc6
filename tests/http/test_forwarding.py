"""Forwarded calls over ASGI: forms and JSON in, answers of any kind out, and an upload that is refused is heard."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.driver import Connection, Reply, ask, json_headers, scope_of
from tests.http.test_inference import FACTS, facts_of
from tests.pipeline.endpoints import FORM_TYPE, ForwardingHouse, kind
from tests.pipeline.scripted import KEY, NOBODY, refused, whole
from tests.pipeline.scripted import Reply as Upstream
from tests.pipeline.test_forward import ANSWER, SOUND, vectors
from tests.pipeline.test_relay import jump
from tests.pipeline.test_upload import END, MEGABYTE, part
from tests.wire.test_passage import COMPLETED, PARTIAL
from trunkline import errors
from trunkline.http import forwarding
from trunkline.http.asgi import Headers, Message, Scope
from trunkline.http.door import Door
from trunkline.http.facts import FactHeaders
from trunkline.http.forwarding import ROUTES, ForwardingRoutes
from trunkline.http.inference import InferenceRoutes
from trunkline.pipeline.upload import HELD_BYTES

LIMIT_BYTES = 100_000
TRANSCRIPTIONS = "/v1/audio/transcriptions"


async def nothing(scope: Scope, receive: object, send: object) -> None:
    raise AssertionError("no lifespan here")


class House:
    """All routes behind a door, before scripted providers, and what they and the log were told."""

    def __init__(self, *script: Upstream | Exception) -> None:
        self.inside = ForwardingHouse(*script)
        self.defects: list[tuple[str, BaseException]] = []
        self.connection = Connection()
        inference = InferenceRoutes(self.inside.pipeline, FactHeaders("x-trunkline"), LIMIT_BYTES, self._defect)
        self.door = Door(self.inside.pipeline.keys, None, nothing)
        ForwardingRoutes(inference, self.inside.forwarder).add_to(self.door)

    def _defect(self, call_id: str, error: BaseException) -> None:
        self.defects.append((call_id, error))

    async def post(self, path: str, body: bytes, headers: Headers | None = None) -> Reply:
        return await ask(self.door, scope_of("POST", path, headers or json_headers(KEY), self.connection), body)


def form_headers(content_type: str = FORM_TYPE, *more: tuple[bytes, bytes]) -> Headers:
    return [
        (b"host", b"gateway"),
        (b"authorization", b"Bearer " + KEY.encode()),
        (b"content-type", content_type.encode()),
        *more,
    ]


FORM = part("model", b"any") + part("file", b"abc", "a") + END
ASK = b'{"model":"any","input":"x"}'


@pytest.mark.parametrize("path", ROUTES)
async def test_every_route_answers(path: str) -> None:
    endpoint = ROUTES[path]
    house = House(vectors(1) if endpoint == "embeddings" else Upstream((0, ANSWER), headers=kind(b"application/json")))
    if endpoint in ("transcriptions", "translations", "image_edits"):
        reply = await house.post(path, FORM, form_headers())
    else:
        reply = await house.post(path, ASK)
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.header("content-length") == str(len(reply.body))
    assert facts_of(reply) == FACTS
    assert reply.header("x-trunkline-call-id") == house.inside.ledger.calls[0].id
    assert house.connection.on_gone is None


async def test_sound_is_written_as_it_comes() -> None:
    house = House(Upstream((0, SOUND), (0, b"more"), headers=kind(b"audio/mpeg")))
    reply = await house.post("/v1/audio/speech", ASK)
    assert (reply.status, reply.header("content-type"), reply.writes) == (200, "audio/mpeg", [SOUND, b"more"])
    assert (reply.header("content-length"), reply.header("x-content-type-options")) == (None, "nosniff")
    assert facts_of(reply) == FACTS


async def test_events_are_written_whole() -> None:
    house = House(Upstream((0, PARTIAL), (0, COMPLETED), headers=kind(b"text/event-stream")))
    reply = await house.post("/v1/images/generations", b'{"model":"any","stream":true}')
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"
    assert (reply.writes, facts_of(reply)) == ([PARTIAL, COMPLETED], FACTS)
    broken = House(
        Upstream((0, PARTIAL), (0, errors.StreamCut("The answer broke off.")), headers=kind(b"text/event-stream"))
    )
    told = await broken.post("/v1/images/generations", b'{"model":"any","stream":true}')
    assert told.events()[-1]["error"]["code"] == "stream_cut"


REFUSALS: list[tuple[str, bytes, Headers | None, tuple[int, str, str | None]]] = [
    # path, body, headers, and the status, code and param of the refusal
    ("/v1/embeddings", b'{"model":"any","input":[]}', None, (400, "invalid_value", "input")),
    ("/v1/embeddings", b'{"model":"none","input":"x"}', None, (400, "unsupported_endpoint", "model")),
    ("/v1/embeddings", b"x" * (LIMIT_BYTES + 1), None, (413, "request_too_large", None)),
    ("/v1/embeddings", ASK, json_headers(NOBODY), (401, "invalid_api_key", None)),
    ("/v1/embeddings", ASK, form_headers("text/plain"), (415, "unsupported_media_type", None)),
    ("/v1/rerank", b'{"model":"nowhere/x"}', None, (404, "model_not_found", "model")),
    (TRANSCRIPTIONS, ASK, None, (415, "unsupported_media_type", None)),
    (TRANSCRIPTIONS, FORM, form_headers("multipart/form-data"), (400, "invalid_form", None)),
    (TRANSCRIPTIONS, FORM[:-9], form_headers(), (400, "invalid_form", None)),
    (TRANSCRIPTIONS, part("file", b"x", "a") + END, form_headers(), (400, "missing_required_parameter", "model")),
    (
        TRANSCRIPTIONS,
        FORM,
        form_headers(FORM_TYPE, (b"content-encoding", b"gzip")),
        (415, "unsupported_content_encoding", None),
    ),
]


@pytest.mark.parametrize(("path", "body", "headers", "refusal"), REFUSALS)
async def test_refusals(path: str, body: bytes, headers: Headers | None, refusal: tuple[int, str, str | None]) -> None:
    house = House()
    reply = await house.post(path, body, headers)
    error = reply.json()["error"]
    assert (reply.status, error["code"], error["param"]) == refusal
    assert set(error) == {"message", "type", "param", "code"}
    assert house.inside.transport.requests == []
    assert house.connection.on_gone is None


async def test_a_providers_refusal_keeps_its_class() -> None:
    reply = await House(refused(429), refused(429)).post("/v1/moderations", ASK)
    assert (reply.status, reply.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert facts_of(reply)["provider"] == "two"


async def test_a_bug_of_ours_is_logged_under_the_calls_id() -> None:
    house = House(ZeroDivisionError("x"))
    reply = await house.post("/v1/moderations", ASK)
    assert (reply.status, reply.json()["error"]["code"]) == (500, "internal_error")
    ((call_id, error),) = house.defects
    assert (call_id, type(error)) == (house.inside.ledger.calls[0].id, ZeroDivisionError)


async def test_other_methods_are_told_what_there_is() -> None:
    house = House()
    reply = await ask(house.door, scope_of("GET", "/v1/embeddings", json_headers(KEY)))
    assert (reply.status, reply.header("allow")) == (405, "POST")


class Uploader:
    """A client that goes on sending: `pieces` of 64 KB after `head`, then what `then` is."""

    def __init__(self, head: bytes, pieces: int, then: str = "end", pause_s: float = 0) -> None:
        self.reply = Reply()
        self.ended = False
        self.sent = 0
        self._head = head
        self._pieces = pieces
        self._then = then
        self._pause_s = pause_s

    async def receive(self) -> Message:
        if self._pause_s:
            await asyncio.sleep(self._pause_s)
        self.sent += 1
        if self.sent == 1:
            return {"type": "http.request", "body": self._head, "more_body": True}
        if self.sent <= self._pieces + 1:
            return {"type": "http.request", "body": bytes(65_536), "more_body": True}
        if self._then == "leave":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": END, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.reply.status, self.reply.headers = message["status"], message["headers"]
        else:
            assert not self.ended
            self.reply.body += message["body"]
            self.ended = not message.get("more_body", False)


FILE_FIRST = part("file", b"", "a")[:-2]


async def test_a_refused_upload_is_answered_before_its_end_and_read_on_for_a_while() -> None:
    house = House()
    uploader = Uploader(FILE_FIRST, 200)
    scope = scope_of("POST", TRANSCRIPTIONS, form_headers(), house.connection)
    await house.door(scope, uploader.receive, uploader.send)
    reply = uploader.reply
    assert (reply.status, json.loads(reply.body)["error"]["param"]) == (413, "model")
    assert reply.header("connection") == "close"
    assert reply.header("content-length") == str(len(reply.body))
    assert uploader.ended
    assert uploader.sent == 202  # to its end


def test_an_upload_that_goes_on_and_on_is_not_read_forever() -> None:
    async def scene() -> None:
        unknown = part("model", b"nowhere/x") + FILE_FIRST
        scope = scope_of("POST", TRANSCRIPTIONS, form_headers())
        endless = Uploader(unknown, 10**9)
        await House().door(scope, endless.receive, endless.send)
        assert (endless.ended, endless.reply.status) == (True, 404)
        assert endless.sent * 65_536 < forwarding.LINGER_BYTES + 2_000_000
        slow = Uploader(unknown, 10**9, pause_s=0.3)
        began = asyncio.get_running_loop().time()
        await House().door(scope, slow.receive, slow.send)
        pieces_until_refused = HELD_BYTES / 65_536 + 2
        assert asyncio.get_running_loop().time() - began < 0.3 * pieces_until_refused + forwarding.LINGER_S + 0.5

    jump(scene())


async def test_a_caller_who_leaves_in_the_middle_of_an_upload_gets_no_answer() -> None:
    house = House(whole(b"{}"))
    head = part("model", b"any") + FILE_FIRST
    uploader = Uploader(head, 40, then="leave")
    scope = scope_of("POST", TRANSCRIPTIONS, form_headers(), house.connection)
    await house.door(scope, uploader.receive, uploader.send)
    assert uploader.reply.status == 0
    (call,) = house.inside.ledger.calls
    assert isinstance(call.error, errors.ClientGone)


class CutConnection(Connection):
    def __init__(self) -> None:
        super().__init__()
        self.was_cut = asyncio.Event()

    def cut(self) -> None:
        self.was_cut.set()


async def test_sound_that_breaks_off_is_cut_off() -> None:
    house = House(Upstream((0, SOUND), (0, errors.StreamCut("broken")), headers=kind(b"audio/mpeg")))
    connection = CutConnection()
    sent = [{"type": "http.request", "body": ASK, "more_body": False}]
    written: list[Message] = []

    async def receive() -> Message:
        if sent:
            return sent.pop()
        await connection.was_cut.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        written.append(message)

    async with asyncio.timeout(5):
        await house.door(scope_of("POST", "/v1/audio/speech", json_headers(KEY), connection), receive, send)
    assert connection.was_cut.is_set()
    assert [message.get("body") for message in written[1:]] == [SOUND]
    # Not ended: whoever reads must not take it for whole.
    assert written[-1]["more_body"]


async def test_a_large_upload_reaches_the_provider_whole() -> None:
    house = House(whole(b'{"text":"hi"}'))
    reply = await house.post(
        TRANSCRIPTIONS, part("model", b"any") + part("file", 3 * MEGABYTE, "a") + END, form_headers()
    )
    assert (reply.status, reply.json()) == (200, {"text": "hi"})
    assert 3 * MEGABYTE in house.inside.transport.bodies[0]
