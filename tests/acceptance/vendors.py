"""What providers of each protocol say, as bytes: an answer whole and streamed, refusals, errors inside a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.acceptance.scripted import DONE, chunk, event

TEXT = ("hello ", "there")


def _named(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\n".encode() + event({"type": kind, **data})


@dataclass(frozen=True)
class Vendor:
    """`kind` is the registry's row. `pieces` are the stream's events up to and with the text, `end` what follows;
    `noise` is what may come between them and means nothing; `failure` an error that ends a stream. `refusal` is
    the body of a refusal with this message."""

    kind: str
    whole: bytes
    pieces: tuple[bytes, ...]
    end: tuple[bytes, ...]
    noise: bytes
    failure: bytes

    def refusal(self, status: int, message: str) -> bytes:
        return json.dumps(_REFUSALS[self.kind](status, message)).encode()


def _anthropic_error(status: int, message: str) -> dict[str, Any]:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 503: "api_error"}
    return {"type": "error", "error": {"type": kinds[status], "message": message}, "request_id": "req_1"}


def _google_error(status: int, message: str) -> dict[str, Any]:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": names[status]}}


def _openai_error(status: int, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 429 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


_REFUSALS = {"openai": _openai_error, "anthropic": _anthropic_error, "google": _google_error}

CHAT = Vendor(
    kind="openai",
    whole=json.dumps(
        {
            "id": "chatcmpl-p",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "hello there"}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }
    ).encode(),
    pieces=(chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in TEXT)),
    end=(chunk({}, "stop"), chunk(None, usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}), DONE),
    noise=b": PROCESSING\n\n",
    failure=event({"error": {"message": "out of cards", "type": "server_error", "param": None, "code": None}}),
)

_START: dict[str, Any] = {
    "id": "msg_p",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
MESSAGES = Vendor(
    kind="anthropic",
    whole=json.dumps(
        {
            **_START,
            "content": [{"type": "text", "text": "hello there"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
    ).encode(),
    pieces=(
        _named("message_start", message=_START),
        _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(_named("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in TEXT),
    ),
    end=(
        _named("content_block_stop", index=0),
        _named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}),
        _named("message_stop"),
    ),
    noise=_named("ping"),
    failure=_named("error", error={"type": "overloaded_error", "message": "out of cards"}),
)


def _candidates(text: str, **more: Any) -> bytes:
    content = {"parts": [{"text": text}], "role": "model"}
    return json.dumps(
        {
            "candidates": [{"content": content, "index": 0, **more}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
            "modelVersion": "m",
            "responseId": "p",
        }
    ).encode()


GEMINI = Vendor(
    kind="google",
    whole=_candidates("hello there", finishReason="STOP"),
    pieces=tuple(b"data: " + _candidates(piece) + b"\r\n\r\n" for piece in TEXT),
    end=(b"data: " + _candidates("", finishReason="STOP") + b"\r\n\r\n",),
    noise=b": \r\n\r\n",
    failure=b"data: " + json.dumps(_google_error(503, "out of cards")).encode() + b"\r\n\r\n",
)


def _response(status: str, text: str = "") -> dict[str, Any]:
    output = [
        {
            "type": "message",
            "id": "msg_p",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        }
    ]
    return {
        "id": "resp_p",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": output if text else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 5,
        },
    }


def _numbered(number: int, kind: str, **data: Any) -> bytes:
    return _named(kind, sequence_number=number, **data)


_ITEM = {"type": "message", "id": "msg_p", "role": "assistant", "status": "in_progress", "content": []}
_AT = {"item_id": "msg_p", "output_index": 0, "content_index": 0}
_WHOLE_PART = {"type": "output_text", "text": "hello there", "annotations": [], "logprobs": []}
RESPONSES = Vendor(
    kind="openai",
    whole=json.dumps(_response("completed", "hello there")).encode(),
    pieces=(
        _numbered(0, "response.created", response=_response("in_progress")),
        _numbered(1, "response.in_progress", response=_response("in_progress")),
        _numbered(2, "response.output_item.added", output_index=0, item=_ITEM),
        _numbered(3, "response.content_part.added", **_AT, part={**_WHOLE_PART, "text": ""}),
        *(
            _numbered(4 + at, "response.output_text.delta", **_AT, delta=piece, logprobs=[])
            for at, piece in enumerate(TEXT)
        ),
    ),
    end=(
        _numbered(6, "response.output_text.done", **_AT, text="hello there", logprobs=[]),
        _numbered(7, "response.content_part.done", **_AT, part=_WHOLE_PART),
        _numbered(
            8, "response.output_item.done", output_index=0, item=_response("completed", "hello there")["output"][0]
        ),
        _numbered(9, "response.completed", response=_response("completed", "hello there")),
    ),
    noise=b": keep-alive\n\n",
    failure=_numbered(
        6,
        "response.failed",
        response={**_response("failed"), "error": {"code": "server_error", "message": "out of cards"}},
    ),
)
