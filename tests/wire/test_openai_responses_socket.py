"""The Responses API over a WebSocket: frames in, frames out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai.types.responses import responses_server_event
from pydantic import TypeAdapter

from trunkline.errors import InvalidRequest
from trunkline.wire.codec import encode
from trunkline.wire.openai_errors import error_body
from trunkline.wire.openai_responses_socket import error_frame, frames, read_create_frame

CORPUS = Path(__file__).parent.parent / "corpus" / "openai_responses"
SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(responses_server_event.ResponsesServerEvent)


def test_a_frame_is_a_body_that_asks_for_a_stream() -> None:
    frame = read_create_frame(
        '{"type":"response.create","model":"m","input":"Hi \u2028","background":true,"stream":false,"temperature":1.0}'
    )
    assert frame.body == '{"model":"m","input":"Hi \u2028","stream":true,"temperature":1.0}'.encode()
    assert (frame.generate, frame.stream_id) == (True, None)


def test_what_belongs_to_the_socket_is_taken_out() -> None:
    frame = read_create_frame(b'{"type":"response.create","model":"m","generate":false,"stream_id":"s1"}')
    assert msgspec.json.decode(frame.body) == {"model": "m", "stream": True}
    assert (frame.generate, frame.stream_id) == (False, "s1")


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ('{"type":"response.cancel"}', "type"),
        ('{"model":"m"}', "type"),
        ('{"type":"response.create","stream_id":5}', "stream_id"),
        ("[]", None),
        ("", None),
        ('{"type":"response.create","type":"x"}', "type"),
    ],
)
def test_another_frame_is_refused(text: str, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_create_frame(text)
    assert caught.value.param == param


def test_events_become_frames() -> None:
    events = (CORPUS / "text.sse").read_bytes()
    told = frames(b": keep-alive\n\n" + events)
    assert [msgspec.json.decode(frame)["type"].encode() for frame in told] == [
        line.removeprefix(b"event: ") for line in events.split(b"\n") if line.startswith(b"event: ")
    ]
    assert frames(b"") == frames(b": keep-alive\n\n") == []


def test_frames_say_which_stream_they_are_of() -> None:
    told = [msgspec.json.decode(frame) for frame in frames((CORPUS / "text.sse").read_bytes(), 's"1')]
    assert {frame["stream_id"] for frame in told} == {'s"1'}
    assert [frame["sequence_number"] for frame in told] == list(range(len(told)))


def test_an_error_has_its_status() -> None:
    frame = msgspec.json.decode(error_frame(400, error_body("invalid_request_error", "no", "model", None)))
    SERVER_EVENTS.validate_python(frame)
    assert frame == {
        "type": "error",
        "status": 400,
        "error": {"type": "invalid_request_error", "message": "no", "param": "model", "code": None},
    }
    assert encode(frame)
