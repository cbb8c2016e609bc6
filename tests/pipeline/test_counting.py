"""Counts of tokens: asked of who counts them, else estimated and said so, and billed to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from tests.pipeline.scripted import (
    NOBODY,
    Ledger,
    Reply,
    ScriptedClient,
    ScriptedTransport,
    key_table,
    new_call,
    pipeline,
    refused,
    whole,
)
from tests.pipeline.test_relay import jump
from trunkline import clock, errors
from trunkline.errors import InvalidRequest, TrunklineError
from trunkline.ids import AccountId
from trunkline.pipeline import protocols
from trunkline.pipeline.call import Call
from trunkline.pipeline.counting import Counted, Counting
from trunkline.providers import credentials
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.transport import Headers
from trunkline.routing.table import Available, RouteTable
from trunkline.translation import estimate
from trunkline.wire import anthropic_messages, anthropic_messages_answer, codec, gemini
from trunkline.wire.inbound import Inbound

JSON = dict[str, Any]
OF_MESSAGES = Counted(
    protocol=protocols.MESSAGES,
    read=lambda body, path: anthropic_messages.read_count_request(body),
    written=anthropic_messages_answer.count_body,
)
OF_GEMINI = Counted(
    protocol=protocols.GEMINI,
    read=lambda body, path: gemini.read_count_request(body, path.model if path else ""),
    written=lambda count: codec.encode({"totalTokens": count}),
)
KINDS = ("anthropic", "openai", "google", "openai-compatible")
QUESTION: JSON = {
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "one two three"}],
    "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {}}}],
}


@pytest.fixture(autouse=True)
def _held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_s", lambda: asyncio.get_running_loop().time())


class Counts:
    """One count through a house with a provider of each kind, which follow a script."""

    def __init__(self, *script: Reply | Exception) -> None:
        self.transport = ScriptedTransport(*script)
        self.ledger = Ledger()
        self.house = pipeline(self.transport, self.ledger)
        urls = {"openai-compatible": "https://plain.example/v1"}
        upstreams = credentials.configured(
            {kind: ProviderOptions(kind=kind, api_key="key-of-ours", base_url=urls.get(kind)) for kind in KINDS},
            {},
        )
        catalog = self.house.settings.routes._catalog
        routes = RouteTable(
            catalog, Available(providers={name: one.row for name, one in upstreams.items()}, aliases={})
        )
        self.house.settings = msgspec.structs.replace(
            self.house.settings, routes=routes, upstreams=upstreams, reaches={}
        )
        self.call: Call = new_call()
        self.error: TrunklineError | None = None
        self.answer: JSON = {}

    async def run(
        self, model: str, *, counted: Counted = OF_MESSAGES, headers: Headers | None = None, **more: Any
    ) -> Counts:
        client = ScriptedClient(msgspec.json.encode({"model": model, **QUESTION, **more}))
        client.protocol_headers = headers or []
        counting = Counting(self.house, {"https": self.transport}, self.ledger)
        try:
            self.answer = msgspec.json.decode(await counting.run(self.call, client, counted))
        except TrunklineError as error:
            self.error = error
        assert self.ledger.calls == [self.call], "recorded exactly once"
        assert self.transport.all_closed()
        assert self.call.usage is None, "a count is never billed"
        return self

    @property
    def sent(self) -> JSON:
        (request,) = self.transport.requests
        body: JSON = msgspec.json.decode(request.body)
        return body


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    jump(scene())


def test_a_provider_of_the_same_protocol_is_asked_as_the_caller_asked() -> None:
    async def scene() -> None:
        beta: Headers = [(b"anthropic-beta", b"one")]
        counts = await Counts(whole(b'{"input_tokens":42}')).run(
            "anthropic/claude-sonnet-4-5", headers=beta, x_unheard_of=[1.5]
        )
        assert counts.answer == {"input_tokens": 42}
        (request,) = counts.transport.requests
        assert (request.origin.host, request.target) == ("api.anthropic.com", b"/v1/messages/count_tokens")
        headers = dict(request.headers)
        assert headers[b"anthropic-beta"] == b"one"
        assert headers[b"anthropic-version"] == b"2023-06-01"
        assert headers[b"x-api-key"] == b"key-of-ours"
        assert counts.sent == {"model": "claude-sonnet-4-5", **QUESTION}, "and nothing that a count does not take"
        assert counts.call.warnings == []
        assert counts.ledger.attempts == [("anthropic/claude-sonnet-4-5", None)]
        assert counts.call.attempts == 1
        assert counts.call.is_decided

    play(scene)


def test_a_callers_version_goes_with_his_count() -> None:
    async def scene() -> None:
        his: Headers = [(b"anthropic-version", b"2026-10-21")]
        counts = await Counts(whole(b'{"input_tokens":1}')).run("anthropic/claude-sonnet-4-5", headers=his)
        (request,) = counts.transport.requests
        assert [value for name, value in request.headers if name == b"anthropic-version"] == [b"2026-10-21"]

    play(scene)


@pytest.mark.parametrize(
    ("model", "said", "target"),
    [
        ("google/gemini-3-pro", b'{"totalTokens":5}', b"/v1beta/models/gemini-3-pro:countTokens"),
        ("openai/gpt-5.2-pro", b'{"object":"response.input_tokens","input_tokens":5}', b"/v1/responses/input_tokens"),
    ],
)
def test_a_provider_of_another_protocol_is_asked_in_its_own(model: str, said: bytes, target: bytes) -> None:
    async def scene() -> None:
        counts = await Counts(whole(said)).run(model)
        assert counts.answer == {"input_tokens": 5}
        (request,) = counts.transport.requests
        assert request.target == target
        assert b"anthropic-version" not in dict(request.headers)
        assert "one two three" in request.body.decode()
        assert "look" in request.body.decode()
        assert not {"max_tokens", "max_output_tokens", "stream", "store"} & counts.sent.keys()

    play(scene)


def test_a_count_of_googles_is_read_and_written_in_its_words() -> None:
    async def scene() -> None:
        counts = Counts(whole(b'{"input_tokens":7}'))
        client = ScriptedClient(b'{"contents":[{"parts":[{"text":"one two three"}]}]}')
        client.path = protocols.Named("anthropic/claude-sonnet-4-5", stream=False)
        counting = Counting(counts.house, {"https": counts.transport}, counts.ledger)
        assert await counting.run(counts.call, client, OF_GEMINI) == b'{"totalTokens":7}'
        assert counts.sent["messages"] == [{"role": "user", "content": "one two three"}]

    play(scene)


# Who does not count, or cannot just now: the estimate answers, and says so.
ESTIMATED: list[Callable[[], Reply | Exception]] = [
    *(lambda status=status: refused(status) for status in (404, 405, 501, 500, 503, 529, 408)),
    lambda: errors.UpstreamFailed("no connection"),
    lambda: errors.UpstreamTimeout("no headers"),
    lambda: whole(b"<html>"),
    lambda: whole(b'{"input_tokens":"many"}'),
]


def check_estimate(counts: Counts, model: str) -> None:
    assert counts.error is None
    body = msgspec.json.encode({"model": model, **QUESTION})
    request = protocols.MESSAGES.spoken.translator.read_request(anthropic_messages.read_count_request(body))
    assert counts.answer == {"input_tokens": estimate.tokens(request)}
    assert counts.call.warnings == [f"changed input_tokens: estimated, because {model} counted none"]
    assert counts.call.is_decided


@pytest.mark.parametrize("failure", ESTIMATED)
def test_where_the_counter_does_not_answer_it_is_estimated(failure: Callable[[], Reply | Exception]) -> None:
    async def scene() -> None:
        counts = await Counts(failure()).run("anthropic/claude-sonnet-4-5")
        check_estimate(counts, "anthropic/claude-sonnet-4-5")
        ((model, error),) = counts.ledger.attempts
        assert (model, error is None) == ("anthropic/claude-sonnet-4-5", False)

    play(scene)


def test_who_has_no_counter_is_not_asked() -> None:
    async def scene() -> None:
        counts = await Counts().run("openai-compatible/small")
        check_estimate(counts, "openai-compatible/small")
        assert counts.transport.requests == []
        assert counts.ledger.attempts == []

    play(scene)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (lambda: refused(400), errors.UpstreamRefused),
        (lambda: refused(413), errors.UpstreamRefused),
        (lambda: refused(401), errors.UpstreamAccount),
        (lambda: refused(429), errors.UpstreamRateLimited),
    ],
)
def test_what_an_estimate_would_hide_is_told(failure: Callable[[], Reply], kind: type[TrunklineError]) -> None:
    async def scene() -> None:
        counts = await Counts(failure()).run("anthropic/claude-sonnet-4-5")
        assert isinstance(counts.error, kind)
        assert counts.call.error is counts.error

    play(scene)


def test_who_may_not_call_may_not_count() -> None:
    async def scene() -> None:
        counts = Counts()
        counts.house.keys = key_table("openai/*")
        await counts.run("anthropic/claude-sonnet-4-5")
        assert isinstance(counts.error, errors.Forbidden | errors.NotFound)
        stranger = Counts()
        client = ScriptedClient(b"{}", credential=NOBODY)
        with pytest.raises(errors.Unauthenticated):
            await Counting(stranger.house, {}, stranger.ledger).run(stranger.call, client, OF_MESSAGES)
        assert stranger.ledger.calls == [stranger.call]

    play(scene)


@pytest.mark.parametrize("fields", [{"messages": 5}, {"messages": [{"role": "user", "content": 5}]}])
def test_what_cannot_be_read_is_refused_before_anybody_is_asked(fields: JSON) -> None:
    async def scene() -> None:
        counts = await Counts().run("openai-compatible/small", **fields)
        assert isinstance(counts.error, InvalidRequest)
        assert (counts.error.param or "").startswith("messages")
        assert counts.transport.requests == []

    play(scene)


def test_what_a_request_goes_on_from_is_counted_with_it() -> None:
    async def scene() -> None:
        asked_of: list[AccountId] = []

        async def expanded(inbound: Inbound, account_id: AccountId) -> Inbound:
            asked_of.append(account_id)
            earlier = msgspec.Raw(b'[{"role":"user","content":"earlier"},{"role":"user","content":"now"}]')
            return msgspec.structs.replace(inbound, fields={**inbound.fields, "messages": earlier})

        counted = msgspec.structs.replace(OF_MESSAGES, expanded=expanded)
        counts = await Counts(whole(b'{"input_tokens":9}')).run("anthropic/claude-sonnet-4-5", counted=counted)
        assert counts.answer == {"input_tokens": 9}
        assert [message["content"] for message in counts.sent["messages"]] == ["earlier", "now"]
        assert asked_of == ["acct_1"]

    play(scene)
