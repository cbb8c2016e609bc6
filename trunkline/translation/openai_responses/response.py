"""The Response object: who answered what, in what state, and all that the caller asked with, repeated.

Source: the `openai` package's types/responses/response.py; the keys that are always there are those that OpenAI's and
the Open Responses descriptions require.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw

from trunkline.translation.exchange import Opaque, Request, Stop, Usage
from trunkline.translation.openai_responses.asked import Asked
from trunkline.translation.openai_responses.request import write_output
from trunkline.translation.openai_responses.tools import echo_tools, write_choice, written_tool
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.openai_responses_answer import write_usage

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed"]
_NULL = b"null"
_NO_USAGE = Usage(input_tokens=0, output_tokens=0)
_TIERS = {"auto": "default", "standard": "default", "standard_only": "default"}
_KNOWN_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))
# What a failed response may give as its reason (types/responses/response_error.py) and we have a use for.
_ERROR_CODES = frozenset(("server_error", "rate_limit_exceeded", "invalid_prompt"))
# Field -> what it is where the caller does not say. These are repeated as they came.
_ECHO: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
_ECHO_IF_GIVEN = ("prompt", "prompt_cache_retention", "user")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who the response is, where the gateway keeps it. `now` gives Unix seconds, for when it was completed."""

    response_id: str
    created_at: int
    previous_response_id: str | None = None
    conversation_id: str | None = None
    store: bool = True
    background: bool = False
    now: Callable[[], int] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How it stands. `reason`: why it is incomplete."""

    status: Status
    reason: str | None = None
    error: tuple[str, str] | None = None


def outcome(stop: Stop, *, refused: bool) -> Outcome:
    """`refused`: the refusal stands in the answer, in the model's words."""
    if stop == "length":
        return Outcome("incomplete", "max_output_tokens")
    if stop == "filter" or (stop == "refusal" and not refused):
        return Outcome("incomplete", "content_filter")
    return Outcome("completed")


def failure(code: str, message: str) -> Outcome:
    return Outcome("failed", None, (code if code in _ERROR_CODES else "server_error", message))


def response_id(provider_id: str) -> str:
    """An id of this protocol's form, the same for the same id."""
    if provider_id.startswith("resp_") and provider_id[5:]:
        return provider_id
    stem = re.sub(r"[^A-Za-z0-9]", "", re.sub(r"^(chatcmpl-|msg_)", "", provider_id))
    if not stem:
        stem = hashlib.sha256(provider_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"resp_{stem}"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer says of itself."""

    id: str
    model: str
    created: int
    service_tier: str | None = None


class ResponseObject:
    """Writes one response as often as it is told of, and gives its items their ids."""

    __slots__ = ("_after", "_before", "_made", "_now", "_stem", "id")

    def __init__(self, request: Request, origin: Origin, identity: Identity | None) -> None:
        self.id = identity.response_id if identity is not None else response_id(origin.id)
        self._made: dict[str, int] = {}
        self._stem = self.id.removeprefix("resp_")
        self._now = identity.now if identity is not None else None
        created = identity.created_at if identity is not None else origin.created
        head = {"id": self.id, "object": "response", "created_at": created}
        self._before = encode(head)[:-1]
        self._after = b"," + encode(_echo(request, origin, identity))[1:]

    def item_id(self, prefix: str) -> str:
        """For the next item of this kind. Kinds are counted apart, so that an item has the same id whether or not
        those of another kind are shown. A prefix may say after a dot what else sets its items apart."""
        number = self._made[prefix] = self._made.get(prefix, -1) + 1
        kind, _, further = prefix.partition(".")
        return f"{kind}_{self._stem}{further}{number:03d}"

    def write(self, how: Outcome, items: list[bytes], usage: Usage | None) -> bytes:
        """`usage` None: what is not known counts nothing where the response has ended."""
        ended = how.status in ("completed", "incomplete")
        completed_at = self._now() if how.status == "completed" and self._now is not None else None
        state = {
            "status": how.status,
            "completed_at": completed_at,
            "error": None if how.error is None else {"code": how.error[0], "message": how.error[1]},
            "incomplete_details": None if how.reason is None else {"reason": how.reason},
        }
        counted = write_usage(usage or _NO_USAGE) if usage is not None or ended else _NULL
        parts = (self._before, b",", encode(state)[1:-1], b',"output":[', b",".join(items), b'],"usage":', counted)
        return b"".join((*parts, self._after))


def _echo(request: Request, origin: Origin, identity: Identity | None) -> dict[str, Any]:
    told = _told(request)
    echo: dict[str, Any] = {"model": origin.model or request.model}
    for name, default in _ECHO.items():
        echo[name] = told.get(name, default)
    for name in _ECHO_IF_GIVEN:
        if name in told:
            echo[name] = told[name]
    echo["tools"] = told.get("tools", [])
    echo["tool_choice"] = told.get("tool_choice", "auto")
    echo["reasoning"] = {"effort": None, "summary": None, **_object(told.get("reasoning"))}
    echo["text"] = {"format": {"type": "text"}, **_object(told.get("text"))}
    tier = origin.service_tier or request.service_tier or "default"
    tier = _TIERS.get(tier, tier)
    echo["service_tier"] = tier if tier in _KNOWN_TIERS else "default"
    echo["previous_response_id"] = told.get("previous_response_id")
    echo["background"] = False
    echo["store"] = bytes(told.get("store", Raw(b"true"))) == b"true"
    if identity is not None:
        echo["previous_response_id"] = identity.previous_response_id
        echo["background"] = identity.background
        echo["store"] = identity.store
        if identity.conversation_id is not None:
            echo["conversation"] = {"id": identity.conversation_id}
    return echo


def _object(value: Any) -> Fields:
    """The fields that say something."""
    if isinstance(value, Raw):
        value = codec.answer_fields(bytes(value))
    return {name: field for name, field in (value or {}).items() if not _is_null(field)}


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, Raw) and bytes(memoryview(value)[:5]) == _NULL)


def _told(request: Request) -> dict[str, Any]:
    """What the caller said, by field: as he wrote it, or as it would be written here where he spoke another
    protocol."""
    if isinstance(request, Asked) and request.echo:
        told: dict[str, Any] = {name: raw for name, raw in request.echo.items() if not _is_null(raw)}
        if "tools" in told:
            told["tools"] = echo_tools(told["tools"])
        return told
    said: dict[str, Any] = {
        "max_output_tokens": request.max_tokens,
        "metadata": request.metadata,
        "parallel_tool_calls": request.parallel_tool_calls,
        "prompt_cache_key": request.cache_key,
        "safety_identifier": request.safety_identifier,
        "temperature": request.temperature,
        "top_logprobs": request.top_logprobs,
        "top_p": request.top_p,
        "user": request.end_user,
        "tool_choice": write_choice(request),
        "text": write_output(request),
        "reasoning": {"effort": request.reasoning.effort, "summary": request.reasoning.summary},
        "tools": [tool.raw if isinstance(tool, Opaque) else written_tool(tool) for tool in request.tools] or None,
    }
    return {name: value for name, value in said.items() if value is not None}
