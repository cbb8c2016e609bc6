"""The front door: each path to its route, and nothing said to a stranger, not even that a path does not exist."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.driver import Reply, ask, scope_of
from tests.pipeline.scripted import KEY, NOBODY, key_table
from trunkline.errors import Forbidden, Unauthenticated
from trunkline.http.asgi import Application, Headers, Message, Receive, Scope, Send
from trunkline.http.cors import Cors
from trunkline.http.door import Door, log, respond

PAGE = b"https://app.example"
WITH_KEY: Headers = [(b"authorization", b"Bearer " + KEY.encode())]
STRANGERS: list[Headers] = [[], [(b"authorization", b"Bearer " + NOBODY.encode())], [(b"x-api-key", NOBODY.encode())]]


def says(word: str) -> Application:
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, [(b"content-type", b"text/plain")], f"{word} {scope['path']}".encode())

    return route


async def names(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, 200, [], "{id} and {part_id}".format_map(scope["path_params"]).encode())


def door(cors: Cors | None = None) -> Door:
    made = Door(key_table(), cors, says("lifespan"))
    made.add("GET", "/v1/things", says("list"))
    made.add("POST", "/v1/things", says("make"))
    made.add("GET", "/v1/things/special", says("special"))
    made.add_pattern("GET", "/v1/things/{id}/parts", says("parts"))
    made.add_pattern("POST", "/v1/things/{id}/parts/{part_id}", names)
    made.add_prefix("GET", "/v1/things/", says("show"))
    made.add_prefix("DELETE", "/v1/things/", says("drop"))
    made.put_beside(says("beside"), ("/admin", "/docs"))
    return made


async def at(method: str, path: str, headers: Headers | None = None, cors: Cors | None = None) -> Reply:
    return await ask(door(cors), scope_of(method, path, headers or []))


@pytest.mark.parametrize(
    ("method", "path", "word"),
    [
        ("GET", "/v1/things", "list"),
        ("GET", "/v1/things?limit=2", "list"),
        ("POST", "/v1/things", "make"),
        ("GET", "/v1/things/special", "special"),
        ("GET", "/v1/things/openai/gpt-4o", "show"),
        ("DELETE", "/v1/things/x", "drop"),
        ("GET", "/v1/things/x/parts", "parts"),
        ("GET", "/v1/things/x/y/parts", "show"),
        ("GET", "/v1/things//parts", "show"),
        ("GET", "/admin", "beside"),
        ("PATCH", "/admin/x", "beside"),
        ("GET", "/docs", "beside"),
    ],
)
async def test_each_path_has_its_route(method: str, path: str, word: str) -> None:
    reply = await at(method, path)
    assert (reply.status, reply.body.decode()) == (200, f"{word} {path.partition('?')[0]}")


NOWHERE = [
    ("GET", "/", 404),
    ("GET", "/v1", 404),
    ("GET", "/v1/thing", 404),
    ("GET", "/v1/things2", 404),
    ("GET", "/V1/things", 404),
    ("GET", "//v1/things", 404),
    ("GET", "/v1/things/", 404),  # a prefix alone names nothing
    ("OPTIONS", "*", 404),
    ("PUT", "/v1/things", 405),
    ("HEAD", "/v1/things", 405),
    ("DELETE", "/v1/things", 405),
    ("OPTIONS", "/v1/things", 405),
    ("POST", "/v1/things/x", 405),
    ("POST", "/v1/things/special", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), NOWHERE)
async def test_a_key_is_told_what_is_not_there(method: str, path: str, status: int) -> None:
    reply = await at(method, path, WITH_KEY)
    error = reply.json()["error"]
    assert (reply.status, error["code"]) == (status, "unknown_url" if status == 404 else "method_not_allowed")
    assert path in error["message"]
    assert method in error["message"]
    assert reply.header("x-request-id")


@pytest.mark.parametrize(("method", "path", "_status"), NOWHERE)
@pytest.mark.parametrize("headers", STRANGERS)
async def test_a_stranger_is_told_nothing_of_it(method: str, path: str, _status: int, headers: Headers) -> None:
    reply = await at(method, path, headers)
    assert (reply.status, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert path not in reply.json()["error"]["message"] or path in ("/", "*")


async def test_the_methods_that_a_path_takes_are_told_once_each() -> None:
    things = (await at("PUT", "/v1/things", WITH_KEY)).json()["error"]["message"]
    assert things == "/v1/things takes GET, POST, not PUT."
    special = (await at("PUT", "/v1/things/special", WITH_KEY)).json()["error"]["message"]
    assert special == "/v1/things/special takes GET, DELETE, not PUT."


@pytest.mark.parametrize("path", ["/" + "x" * 5000, "/a\r\nb", "/\u2028", "/\x1b[2J", "/\ud800"])
async def test_a_hostile_path_is_shown_short_and_harmless(path: str) -> None:
    scope = scope_of("GET", "/", WITH_KEY)
    scope["path"] = path
    reply = await ask(door(), scope)
    message = reply.json()["error"]["message"]
    assert reply.status == 404
    assert message.isprintable()
    assert len(message) < 1500


async def test_a_caller_of_messages_gets_errors_in_its_own_words() -> None:
    reply = await at("GET", "/v1/messages/none", [(b"x-request-id", b"mine-1")])
    assert reply.json()["type"] == "error"
    assert (reply.header("request-id"), reply.header("x-request-id")) == ("mine-1", "mine-1")
    assert (await at("GET", "/v1/none", [(b"anthropic-version", b"1")])).json()["error"]["type"] != "error"


async def test_ids_are_the_callers_or_each_its_own() -> None:
    front = door()
    replies = [await ask(front, scope_of("GET", "/none", [])) for _ in range(3)]
    assert len({reply.header("x-request-id") for reply in replies}) == 3
    own = await ask(front, scope_of("GET", "/none", [(b"x-request-id", b"mine")]))
    assert own.header("x-request-id") == "mine"


async def test_identify_takes_a_key_and_no_other() -> None:
    front = door()
    scope = scope_of("GET", "/", WITH_KEY)
    assert (await front.identify(scope, dict(scope["headers"]))).key_id == "key_1"
    for headers in STRANGERS:
        scope = scope_of("GET", "/", headers)
        with pytest.raises(Unauthenticated):
            await front.identify(scope, dict(headers))
    scope = scope_of("GET", f"/?key={KEY}", WITH_KEY)
    with pytest.raises(Unauthenticated):
        await front.identify(scope, dict(WITH_KEY))


async def test_an_answer_has_its_length_and_its_id() -> None:
    front = door()

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        await front.answer(scope, send, 201, [(b"a", b"b")], b"four")

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await front.refuse(scope, send, Forbidden("Not you."))

    front.add("GET", "/good", route)
    front.add("GET", "/bad", refusing)
    good = await ask(front, scope_of("GET", "/good", [(b"x-request-id", b"mine")]))
    assert good.status == 201
    assert good.headers == [(b"a", b"b"), (b"x-request-id", b"mine"), (b"content-length", b"4")]
    bad = await ask(front, scope_of("GET", "/bad", []))
    assert (bad.status, bad.header("content-length")) == (403, str(len(bad.body)))


async def test_a_bug_in_a_route_is_logged_and_answered_in_the_envelope() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"]:
            await respond(send, 200, [], b"begun")
        raise ZeroDivisionError("secret thoughts")

    front = door()
    front.add("GET", "/broken", broken)
    vars(log).pop("bind", None)
    with capture_logs() as lines:
        reply = await ask(front, scope_of("GET", "/broken", []))
        assert (reply.status, reply.json()["error"]["code"]) == (500, "internal_error")
        assert b"secret" not in reply.body
        # Two answers cannot be given: the server sees it and cuts the connection.
        with pytest.raises(AssertionError, match="two status lines"):
            await ask(front, scope_of("GET", "/broken?begun", []))
    vars(log).pop("bind", None)
    assert [(line["event"], line["log_level"], line["path"]) for line in lines] == [("defect", "error", "/broken")] * 2


def test_its_paths_are_all_of_its_paths() -> None:
    assert door().paths() == {
        ("GET", "/v1/things"),
        ("POST", "/v1/things"),
        ("GET", "/v1/things/special"),
        ("GET", "/v1/things/{id}/parts"),
        ("POST", "/v1/things/{id}/parts/{part_id}"),
        ("GET", "/v1/things/{id}"),
        ("DELETE", "/v1/things/{id}"),
    }


PREFLIGHT: Headers = [(b"origin", PAGE), (b"access-control-request-method", b"POST")]
CORS = Cors(("https://app.example",), ("x-trunkline",))


def cors_names(reply: Reply) -> set[bytes]:
    return {name for name, _ in reply.headers if name.startswith(b"access-control-") or name == b"vary"}


@pytest.mark.parametrize("path", ["/v1/things", "/v1/none", "/admin/x"])
async def test_a_preflight_needs_no_key_and_tells_nothing_of_a_path(path: str) -> None:
    reply = await at("OPTIONS", path, PREFLIGHT, CORS)
    assert (reply.status, reply.body, reply.header("content-length")) == (204, b"", None)
    assert reply.header("access-control-allow-origin") == PAGE.decode()
    assert reply.header("access-control-allow-credentials") is None


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", [(b"origin", b"https://evil.example"), PREFLIGHT[1]]),
        ("OPTIONS", [(b"origin", PAGE)]),
        ("OPTIONS", [PREFLIGHT[1]]),
        ("PUT", PREFLIGHT),
    ],
)
async def test_what_is_no_preflight_of_an_allowed_page_needs_a_key(method: str, headers: Headers) -> None:
    assert (await at(method, "/v1/things", headers, CORS)).status == 401


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/v1/things", [], 200), ("/v1/none", [], 401), ("/v1/none", WITH_KEY, 404), ("/admin", [], 200)],
)
async def test_an_allowed_page_can_read_every_answer_and_another_none(path: str, headers: Headers, status: int) -> None:
    allowed = await at("GET", path, [(b"origin", PAGE), *headers], CORS)
    assert allowed.status == status
    assert allowed.header("access-control-allow-origin") == PAGE.decode()
    for others, cors in (([(b"origin", b"https://evil.example")], CORS), ([(b"origin", PAGE)], None), ([], CORS)):
        reply = await at("GET", path, [*others, *headers], cors)
        assert (reply.status, cors_names(reply)) == (status, set())


async def exchange(scope: Scope, *incoming: Message) -> list[Message]:
    waiting, sent = list(incoming), []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await door(CORS)(scope, receive, send)
    assert not waiting
    return sent


@pytest.mark.parametrize("path", ["/v1/things", "/v1/realtime", "/admin"])
async def test_a_websocket_is_closed_before_it_opens(path: str) -> None:
    scope: dict[str, Any] = {**scope_of("GET", path, [*WITH_KEY, (b"origin", PAGE)]), "type": "websocket"}
    assert await exchange(scope, {"type": "websocket.connect"}) == [{"type": "websocket.close", "code": 1008}]


async def test_the_lifespan_goes_to_whoever_minds_it() -> None:
    sent = await exchange({"type": "lifespan", "path": "itself"})
    assert sent[-1]["body"] == b"lifespan itself"


async def test_what_no_server_speaks_yet_is_left_alone() -> None:
    assert await exchange({"type": "webtransport"}) == []


async def test_a_pattern_names_what_it_finds() -> None:
    reply = await at("POST", "/v1/things/a.b/parts/c")
    assert reply.body == b"a.b and c"
    wrong = await at("PUT", "/v1/things/x/parts/y", WITH_KEY)
    assert (wrong.status, wrong.header("allow")) == (405, "POST, GET, DELETE")
