"""Pages that may call, and pages that may not."""

from __future__ import annotations

from trunkline.http.asgi import Message
from trunkline.http.cors import Cors

PAGE = b"https://app.example"


def test_only_listed_origins_are_allowed() -> None:
    cors = Cors(("https://app.example/",), ("x-trunkline",))
    assert cors.allows(PAGE)
    assert not cors.allows(b"https://app.example.evil")
    assert not cors.allows(b"null")
    assert Cors(("*",), ()).allows(b"https://any.example")


def test_a_preflight_is_answered_only_for_an_allowed_page() -> None:
    cors = Cors(("https://app.example",), ("x-trunkline",))
    asked = {
        b"origin": PAGE,
        b"access-control-request-method": b"POST",
        b"access-control-request-headers": b"x-api-key",
    }
    answer = dict(cors.preflight({"method": "OPTIONS"}, asked) or [])
    assert answer[b"access-control-allow-origin"] == PAGE
    assert answer[b"access-control-allow-headers"] == b"x-api-key"
    assert b"x-trunkline-model" in answer[b"access-control-expose-headers"]
    assert cors.preflight({"method": "POST"}, asked) is None
    assert cors.preflight({"method": "OPTIONS"}, {b"origin": PAGE}) is None
    assert cors.preflight({"method": "OPTIONS"}, asked | {b"origin": b"https://evil.example"}) is None


async def test_a_wrapped_answer_keeps_its_own_headers() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    wrapped = Cors(("*",), ()).wrap(send, PAGE)
    await wrapped({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await wrapped({"type": "http.response.body", "body": b"x"})
    assert (b"a", b"b") in sent[0]["headers"]
    assert (b"access-control-allow-origin", PAGE) in sent[0]["headers"]
    assert sent[1] == {"type": "http.response.body", "body": b"x"}
