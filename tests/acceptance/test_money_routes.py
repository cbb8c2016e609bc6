"""Every route that can spend, from the live router: refused without room, charged once to the nano-dollar with it.

A route that is added fails here until it stands in one of the two tables.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.asyncio.client import connect

from tests.acceptance import vendors
from tests.acceptance.asking import Reply, connected, eventually, head, read_reply
from tests.acceptance.books import Books, Row, kind_of, number_of
from tests.acceptance.conftest import Gateway, serving
from tests.acceptance.scripted import Exchange, Provider, event, providing
from tests.acceptance.surfaces import CONTENTS, MESSAGES, family_of
from trunkline import config
from trunkline.app.application import App
from trunkline.http.server import Serving

pytestmark = pytest.mark.acceptance

BOUNDARY = "a-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
TAG, USER = "spring", "customer-9"
TOKENS = 3 * 1000 + 2 * 3000
"""What every provider here says it used: 3 tokens of input, 2 of output."""
PICTURE = 10_000_000
REQUEST = 2_000_000
PRICES = """
[prices."office/talk"]
input = 1
output = 3
[prices."rival/talk"]
input = 1
output = 3
[prices."labs/gpt-5-codex-m"]
input = 1
output = 3
[prices."search/talk"]
input = 1
output = 3
[prices."office/paint"]
input = 1
output = 3
image = 0.01
[prices."office/hear"]
input = 1
output = 3
audio_input = 1
[prices."office/piece"]
request = 0.002
audio_output = 0
input = 0
output = 0
"""


class Spending(NamedTuple):
    """One way to spend: `route` as the router has it, `path` as it is asked for. `cost` of the whole answer."""

    route: str
    path: str
    endpoint: str
    body: dict[str, Any] | bytes
    cost: int = TOKENS
    has_user: bool = True

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def form(**fields: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    file += f"abc\r\n--{BOUNDARY}--\r\n"
    return "".join([*parts, file]).encode()


CHAT = {"model": "office/talk", "messages": MESSAGES, "max_tokens": 9, "user": USER}
CROSSED = {**CHAT, "model": "rival/talk"}
MESSAGE = {"model": "rival/talk", "messages": MESSAGES, "max_tokens": 9, "metadata": {"user_id": USER}}
RESPONSE = {"model": "labs/gpt-5-codex-m", "input": "hi", "max_output_tokens": 16, "safety_identifier": USER}
GENERATE = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 9}}
IMAGE = {"model": "office/paint", "prompt": "sea", "n": 2, "size": "32x32", "user": USER}
SPENDING = {
    "chat": Spending("/v1/chat/completions", "/v1/chat/completions", "chat", CHAT),
    "chat, streamed": Spending("/v1/chat/completions", "/v1/chat/completions", "chat", {**CHAT, "stream": True}),
    "chat, crossed": Spending("/v1/chat/completions", "/v1/chat/completions", "chat", CROSSED),
    "chat, crossed and streamed": Spending(
        "/v1/chat/completions", "/v1/chat/completions", "chat", {**CROSSED, "stream": True}
    ),
    "messages": Spending("/v1/messages", "/v1/messages", "messages", MESSAGE),
    "messages, streamed": Spending("/v1/messages", "/v1/messages", "messages", {**MESSAGE, "stream": True}),
    "responses": Spending("/v1/responses", "/v1/responses", "responses", {**RESPONSE, "store": False}),
    "responses, streamed": Spending(
        "/v1/responses", "/v1/responses", "responses", {**RESPONSE, "store": False, "stream": True}
    ),
    "responses, stored": Spending("/v1/responses", "/v1/responses", "responses", RESPONSE),
    "responses, in the background": Spending(
        "/v1/responses", "/v1/responses", "responses", {**RESPONSE, "background": True, "store": True}
    ),
    "compact": Spending(
        "/v1/responses/compact",
        "/v1/responses/compact",
        "compact",
        {"model": "labs/gpt-5-codex-m", "input": "hi", "safety_identifier": USER},
    ),
    **{
        f"gemini {version}": Spending(
            f"/{version}/models/{{id}}",
            f"/{version}/models/search%2Ftalk:{method}",
            "generate",
            GENERATE,
            has_user=False,
        )
        for version, method in (
            ("v1beta", "generateContent"), ("v1alpha", "generateContent"), ("v1", "streamGenerateContent?alt=sse"),
        )
    },
    "embeddings": Spending(
        "/v1/embeddings", "/v1/embeddings", "embeddings", {"model": "office/talk", "input": "hi", "user": USER}, 3000
    ),
    "images": Spending("/v1/images/generations", "/v1/images/generations", "images", IMAGE, TOKENS + 2 * PICTURE),
    "images, streamed": Spending(
        "/v1/images/generations",
        "/v1/images/generations",
        "images",
        {**IMAGE, "n": 1, "stream": True, "partial_images": 1},
        TOKENS + PICTURE,
    ),
    "image edits": Spending(
        "/v1/images/edits",
        "/v1/images/edits",
        "image_edits",
        form(model="office/paint", prompt="sea", size="32x32", n="2"),
        TOKENS + 2 * PICTURE,
        has_user=False,
    ),
    "speech": Spending(
        "/v1/audio/speech",
        "/v1/audio/speech",
        "speech",
        {"model": "office/piece", "input": "hi", "voice": "alloy", "user": USER},
        REQUEST,
    ),
    "transcriptions": Spending(
        "/v1/audio/transcriptions",
        "/v1/audio/transcriptions",
        "transcriptions",
        form(model="office/hear"),
        has_user=False,
    ),
    "translations": Spending(
        "/v1/audio/translations", "/v1/audio/translations", "translations", form(model="office/hear"), has_user=False
    ),
    "moderations": Spending(
        "/v1/moderations",
        "/v1/moderations",
        "moderations",
        {"model": "office/piece", "input": "hi", "user": USER},
        REQUEST,
    ),
    **{
        f"rerank {version}": Spending(
            f"/{version}/rerank",
            f"/{version}/rerank",
            "rerank",
            {"model": "office/talk", "query": "hi", "documents": ["a"], "user": USER},
            3000,
        )
        for version in ("v1", "v2")
    },
}  # fmt: skip
COSTS_NOTHING = {
    "/v1/messages/count_tokens",
    "/v1/responses/input_tokens",
    "/v1/responses/{id}/cancel",
    "/v1/conversations",
    "/v1/conversations/{id}",
    "/v1/conversations/{id}/items",
}
SOCKETS = {"/v1/responses"}


def test_every_route_that_can_spend_stands_here(tmp_path: Path) -> None:
    app = App(config.load(None, tmp_path, environment={}), Serving())
    posts = {path for method, path in app.door.paths() if method not in ("GET", "HEAD", "DELETE")}
    assert posts == COSTS_NOTHING | {one.route for one in SPENDING.values()}
    assert set(app.door._sockets) == SOCKETS
    app.store.close()


EVENTS = (
    event({"type": "image_generation.partial_image", "b64_json": "AA==", "partial_image_index": 0}),
    event(
        {
            "type": "image_generation.completed",
            "b64_json": "AA==",
            "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
        }
    ),
)
USED = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
HEARD = {**USED, "type": "tokens", "input_token_details": {"audio_tokens": 2, "text_tokens": 1}}
ANSWERS: dict[str, Any] = {
    "/embeddings": {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    },
    "/images/generations": {"created": 1, "data": [{"b64_json": "AA=="}] * 2, "usage": USED},
    "/images/edits": {"created": 1, "data": [{"b64_json": "AA=="}] * 2, "usage": USED},
    "/audio/transcriptions": {"text": "hi", "usage": HEARD},
    "/audio/translations": {"text": "hi", "usage": HEARD},
    "/moderations": {"id": "modr-1", "model": "m", "results": []},
    "/rerank": {"results": [], "usage": {"total_tokens": 3}},
    "/responses/compact": {"id": "resp_p", "object": "response.compaction", "output": [], "usage": USED},
}
VENDORS = {"/chat/completions": vendors.CHAT, "/messages": vendors.MESSAGES, "/responses": vendors.RESPONSES}


def answer(exchange: Exchange) -> None:
    """As the path asks for it."""
    path = exchange.head.split(b" ", 2)[1].decode()
    if "Generate" in path or ":generate" in path:
        vendor: vendors.Vendor | None = vendors.GEMINI
        streamed = "streamGenerate" in path
    else:
        vendor = next((one for end, one in VENDORS.items() if path.endswith(end)), None)
        streamed = b'"stream":true' in exchange.body.replace(b" ", b"")
    if vendor is not None:
        exchange.stream(*vendor.pieces, *vendor.end) if streamed else exchange.answer(200, vendor.whole)
    elif path.endswith("/audio/speech"):
        exchange.answer(200, b"ID3", kind="audio/mpeg")
    elif streamed:
        exchange.stream(*EVENTS)
    else:
        exchange.answer(200, json.dumps(next(said for end, said in ANSWERS.items() if path.endswith(end))).encode())


class Counter(NamedTuple):
    """`tiny` and `ample` are keys with a budget: for nothing, and for much. `open` has none."""

    gateway: Gateway
    provider: Provider
    tiny: str
    ample: str
    open: str

    def send(self, spending: Spending, key: str) -> Reply:
        kind = FORM if isinstance(spending.body, bytes) else "application/json"
        headers = [
            ("authorization", f"Bearer {key}"),
            ("content-type", kind),
            ("content-length", str(len(spending.data))),
            ("x-trunkline-tag", TAG),
        ]
        with connected(self.gateway.url) as link:
            link.sendall(head("POST", spending.path, headers) + spending.data)
            return read_reply(link)

    def entries(self) -> list[Row]:
        return Books.of(self.gateway.folder).entries

    def ended(self, before: int) -> Row:
        """The one entry that has ended a call since."""

        def fresh() -> list[Row]:
            return [row for row in self.entries()[before:] if row["state"] != "open"]

        eventually(lambda: bool(fresh()), 5)
        [row] = fresh()
        return row


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    with providing() as provider:
        for model in ("talk", "gpt-5-codex-m", "paint", "hear", "piece"):
            provider.scripts[model] = answer
        rows = (
            ("office", "openai-compatible", provider.url),
            ("rival", "anthropic", provider.url[:-3]),
            ("labs", "openai", provider.url),
            ("search", "google", provider.url[:-3]),
        )
        settings = "".join(
            f'[providers.{name}]\nkind = "{kind}"\nbase_url = "{url}"\napi_key = "k"\n' for name, kind, url in rows
        )
        with serving(tmp_path_factory.mktemp("money-routes"), settings + PRICES) as gateway:
            keys = [
                gateway.command("keys", "create", "--name", name, *limit)
                for name, limit in (
                    ("tiny", ["--budget-usd", "0.000001"]),
                    ("ample", ["--budget-usd", "50"]),
                    ("open", []),
                )
            ]
            made = Counter(gateway, provider, *keys)
            # Keys that were made by another process are known within a second.
            eventually(lambda: made.send(SPENDING["chat"], made.open).status == 200, 5)
            yield made


def figures(error: dict[str, Any], family: str) -> dict[str, Any]:
    """What the refusal says, in whichever envelope."""
    if family != "google":
        return error
    [info] = error["details"]
    assert info["reason"] == "budget_exceeded"
    said = info["metadata"]
    return {
        name: (float(value) if name in ("limit", "used", "held") else value or None) for name, value in said.items()
    }


@pytest.mark.parametrize("name", SPENDING)
def test_without_room_nothing_is_sent(counter: Counter, name: str) -> None:
    spending = SPENDING[name]
    before, asked = len(counter.entries()), len(counter.provider.seen)
    reply = counter.send(spending, counter.tiny)
    assert reply.status == 402, reply.body
    assert reply.header("x-should-retry") == "false"
    assert reply.header("retry-after") is None
    error = reply.json()["error"]
    family = family_of(spending.path) if "models/" not in spending.path else "google"
    if family == "openai":
        assert (error["type"], error["code"], error["param"]) == ("budget_exceeded", "budget_exceeded", None)
    elif family == "anthropic":
        assert error["type"] == "billing_error"
        assert reply.json()["type"] == "error"
    said = figures(error, family)
    assert {field: said[field] for field in ("scope", "limit", "used", "held", "resets_at")} == {
        "scope": "key", "limit": 0.000001, "used": 0, "held": 0, "resets_at": None
    }  # fmt: skip
    assert len(counter.provider.seen) == asked
    assert len(counter.entries()) == before


@pytest.mark.parametrize("budgeted", [True, False], ids=["a budget", "no budget"])
@pytest.mark.parametrize("name", SPENDING)
def test_with_room_it_is_charged_once_and_exactly(counter: Counter, name: str, budgeted: bool) -> None:
    spending = SPENDING[name]
    before = len(counter.entries())
    reply = counter.send(spending, counter.ample if budgeted else counter.open)
    assert reply.status == 200, reply.body
    row = counter.ended(before)
    assert (row["state"], row["status"]) == ("settled", 200)
    assert row["cost_nanos"] == row["upstream_cost_nanos"] == spending.cost
    assert (row["endpoint"], row["tag"]) == (spending.endpoint, TAG)
    assert row["end_user"] == (USER if spending.has_user else None)
    assert row["overshoot_nanos"] == 0
    assert row["held_nanos"] >= row["cost_nanos"]
    assert (row["pots"] is not None) is budgeted
    same = [one for one in counter.entries() if number_of(one) == number_of(row)]
    streamed = row["entry_id"] - 1 in {one["entry_id"] for one in same}
    assert len(same) == (2 if budgeted or streamed else 1)
    assert [kind_of(one) for one in same] in ([0, 1], [1])


def test_the_pots_are_the_sums_of_their_entries(counter: Counter) -> None:
    books = Books.of(counter.gateway.folder)
    books.check()
    assert books.open() == []


async def over_the_socket(counter: Counter, key: str) -> dict[str, Any]:
    """The last event of one answer."""
    url = counter.gateway.url.replace("http", "ws", 1) + "/v1/responses"
    headers = {"authorization": f"Bearer {key}", "x-trunkline-tag": TAG}
    async with asyncio.timeout(20), connect(url, additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "response.create", **RESPONSE}))
        while True:
            said: dict[str, Any] = json.loads(await socket.recv())
            if said["type"] in ("response.completed", "response.failed", "error"):
                return said


def test_over_a_websocket_too(counter: Counter) -> None:
    before, asked = len(counter.entries()), len(counter.provider.seen)
    refused = asyncio.run(over_the_socket(counter, counter.tiny))
    error = refused.get("error", refused)
    assert error["code"] == "budget_exceeded"
    assert (error["scope"], error["limit"], error["used"], error["held"]) == ("key", 0.000001, 0, 0)
    assert (len(counter.entries()), len(counter.provider.seen)) == (before, asked)
    answered = asyncio.run(over_the_socket(counter, counter.ample))
    assert answered["response"]["usage"]["cost"] == TOKENS / 1e9
    row = counter.ended(before)
    assert (row["cost_nanos"], row["endpoint"], row["tag"], row["end_user"]) == (TOKENS, "responses", TAG, USER)
