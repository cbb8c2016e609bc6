"""A client of the gateway tells an answer, a refusal, a cut and silence apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from trunkline.cli.gateway import Gateway, Question, ask, stream, text_of, url_of
from trunkline.errors import Refused, SettingsInvalid, Unavailable, UpstreamFailed
from trunkline.http.server import ServerOptions
from trunkline.observe import Secret
from trunkline.providers.pool import HttpTransport
from trunkline.providers.transport import TransportOptions

Start = Callable[..., str]
QUESTION = Question("sandbox/echo", "hi")
KEY = Secret("sk-tl-key")
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"hello"}}]}'
CHUNKS = (
    b': keep-alive\n\ndata: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"hel"}}]}\n\ndata: {"choices":[{"delta":{"content":"lo"}}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
)


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(TransportOptions())
    yield made
    await made.close()


async def test_a_question_is_a_chat_call_with_the_key(transport: HttpTransport, gateway_url: Start) -> None:
    heads: list[bytes] = []
    url = gateway_url(200, ANSWER, heads)
    assert text_of(await ask(transport, Gateway(url, KEY), QUESTION)) == "hello"
    head, _, body = heads[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert b"authorization: Bearer sk-tl-key" in head
    assert msgspec.json.decode(body) == {
        "model": "sandbox/echo",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
    }


async def test_a_gateway_may_live_below_a_path(transport: HttpTransport, gateway_url: Start) -> None:
    heads: list[bytes] = []
    url = gateway_url(200, ANSWER, heads)
    await ask(transport, Gateway(f"{url}/ai", KEY), QUESTION)
    assert heads[0].startswith(b"POST /ai/v1/chat/completions ")


async def test_a_stream_gives_its_text_in_order(transport: HttpTransport, gateway_url: Start) -> None:
    url = gateway_url(200, CHUNKS + b"data: [DONE]\n\n")
    assert [text async for text in stream(transport, Gateway(url, KEY), QUESTION)] == ["hel", "lo"]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (b"", "cut"),
        (b'data: {"error":{"message":"the model died","type":"server_error","code":null}}\n\n', "the model died"),
        (b"data: <html>\n\n", "not the answer of a gateway"),
    ],
)
async def test_a_stream_that_does_not_end_well_is_an_error(
    end: bytes, said: str, transport: HttpTransport, gateway_url: Start
) -> None:
    coming = stream(transport, Gateway(gateway_url(200, CHUNKS + end), KEY), QUESTION)
    assert [await anext(coming), await anext(coming)] == ["hel", "lo"]
    with pytest.raises(UpstreamFailed, match=said):
        await anext(coming)


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_refusal_is_told_in_the_gateways_words(
    streaming: bool, transport: HttpTransport, gateway_url: Start
) -> None:
    url = gateway_url(401, b'{"error":{"message":"No such key.","type":"x","param":null,"code":"invalid_api_key"}}')
    asking = (
        anext(stream(transport, Gateway(url, KEY), QUESTION))
        if streaming
        else ask(transport, Gateway(url, KEY), QUESTION)
    )
    with pytest.raises(Refused, match=r"401: No such key\.") as caught:
        await asking
    assert caught.value.code == "invalid_api_key"


async def test_nobody_there_is_told_with_what_helps(transport: HttpTransport) -> None:
    with pytest.raises(Unavailable, match="trunkline serve"):
        await ask(transport, Gateway("http://127.0.0.1:1", KEY), QUESTION)


async def test_a_url_that_is_none_is_refused(transport: HttpTransport) -> None:
    with pytest.raises(SettingsInvalid, match="--url"):
        await ask(transport, Gateway("gateway", KEY), QUESTION)


@pytest.mark.parametrize("body", [b"<html>", b'{"choices":3}'])
def test_another_programs_answer_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not the answer of a gateway"):
        text_of(body)


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (ServerOptions(), "http://127.0.0.1:8080"),
        (ServerOptions(host="::1", port=1), "http://[::1]:1"),
        (ServerOptions(host="0.0.0.0", tls_cert="c", tls_key="k"), "https://127.0.0.1:8080"),
    ],
)
def test_the_url_is_where_the_server_listens(options: ServerOptions, url: str) -> None:
    assert url_of(options) == url
