"""Bodies within and beyond what is accepted."""

from __future__ import annotations

import pytest

from trunkline.errors import BodyTooLarge, ClientGone, TrunklineError, UnsupportedMediaType
from trunkline.http.asgi import Message, Receive
from trunkline.http.body import read_json_body


def receiver(*messages: Message) -> Receive:
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    return receive


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


async def test_one_message_and_many_give_the_same_body() -> None:
    assert await read_json_body({}, receiver(part(b"{}")), {}, 10) == b"{}"
    many = receiver(part(b"{", more=True), part(b"", more=True), part(b"}"))
    assert await read_json_body({}, many, {b"content-type": b"application/json; charset=utf-8"}, 10) == b"{}"


async def test_a_declared_excess_is_refused_before_a_byte_is_read() -> None:
    with pytest.raises(BodyTooLarge, match="10 bytes"):
        await read_json_body({}, receiver(), {b"content-length": b"11"}, 10)


async def test_an_undeclared_excess_is_refused_as_soon_as_it_shows() -> None:
    endless = receiver(part(b"123456", more=True), part(b"123456", more=True))
    with pytest.raises(BodyTooLarge):
        await read_json_body({}, endless, {}, 10)
    with pytest.raises(BodyTooLarge):
        await read_json_body({}, receiver(part(b"12345678901")), {}, 10)


async def test_a_client_that_leaves_in_its_body_is_gone() -> None:
    for messages in ([GONE], [part(b"{", more=True), GONE]):
        with pytest.raises(ClientGone):
            await read_json_body({}, receiver(*messages), {}, 10)


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({b"content-type": b"text/plain"}, UnsupportedMediaType),
        ({b"content-type": b"application/x-www-form-urlencoded"}, UnsupportedMediaType),
        ({b"content-type": b"multipart/form-data; boundary=x"}, UnsupportedMediaType),
        ({b"content-encoding": b"gzip"}, UnsupportedMediaType),
        ({b"content-encoding": b"gzip, identity"}, UnsupportedMediaType),
    ],
)
async def test_other_kinds_of_body_are_refused_by_name(named: dict[bytes, bytes], error: type[TrunklineError]) -> None:
    with pytest.raises(error):
        await read_json_body({}, receiver(part(b"{}")), named, 10)


@pytest.mark.parametrize(
    "media_type", [b"Application/JSON", b"application/json;charset=utf-8", b"application/vnd.x+json"]
)
async def test_json_by_any_of_its_names_is_read(media_type: bytes) -> None:
    assert await read_json_body({}, receiver(part(b"{}")), {b"content-type": media_type}, 10) == b"{}"
