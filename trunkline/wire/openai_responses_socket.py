"""OpenAI's Responses over a WebSocket: the same requests and events, each as the text of one frame.

Source: the `openai` package's types/responses/responses_client_event.py and responses_server_event.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.wire import codec
from trunkline.wire.codec import encode

_READ = frozenset(("type", "stream", "background", "generate", "stream_id"))
_TRUE = Raw(b"true")
_FALSE = Raw(b"false")
_KIND = "response.create"


class CreateFrame(msgspec.Struct, frozen=True):
    """A call in a frame. `body` is what `POST /responses` would have been sent; it asks for a stream.

    `generate` False: only what the next call goes on from is to be prepared. `stream_id` is to stand in every event of
    the answer, None when the client gave none.
    """

    body: bytes
    generate: bool = True
    stream_id: str | None = None


def read_create_frame(text: str | bytes) -> CreateFrame:
    """Raises InvalidRequest for anything but a `response.create`. Whether `stream` and `background` are there makes no
    difference: a socket always streams, and what runs in the background is not asked for here."""
    fields = codec.fields(text.encode() if isinstance(text, str) else text, _READ)
    kind = bytes(fields.pop("type", Raw(b"null")))
    if kind != b'"response.create"':
        raise InvalidRequest(f"'type' must be '{_KIND}'.", code="invalid_value", param="type")
    generate = bytes(fields.pop("generate", _TRUE)) != bytes(_FALSE)
    stream_id = fields.pop("stream_id", None)
    fields.pop("background", None)
    fields["stream"] = _TRUE
    try:
        told = None if stream_id is None else msgspec.json.decode(stream_id, type=str | None)
    except codec.UNREADABLE:
        raise InvalidRequest("'stream_id' must be a string.", code="invalid_type", param="stream_id") from None
    return CreateFrame(encode(fields), generate, told)


def frames(events: bytes, stream_id: str | None = None) -> list[bytes]:
    """The frames that whole server-sent events become; comments become none."""
    found = [data for event in events.split(b"\n\n") if (data := event.partition(b"data: ")[2])]
    if stream_id is None:
        return found
    told = b',"stream_id":' + encode(stream_id) + b"}"
    return [data[:-1] + told for data in found]


def error_frame(status: int, body: bytes) -> bytes:
    """What is sent where a POST would have been answered with this status and this body. The socket stays open."""
    return b'{"type":"error","status":%d,' % status + body[1:]
