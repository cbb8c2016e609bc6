"""Messages requests: read as Anthropic documents them, refused where Anthropic refuses them.

Source: the `anthropic` package's types/message_create_params.py and message_count_tokens_params.py; the sampling
parameters, which the package no longer has, from https://platform.claude.com/docs/en/api/migration-2026-10-21.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox.messages_blocks import CacheControl, Text
from trunkline.providers.sandbox.messages_tools import Tool, ToolChoice
from trunkline.providers.sandbox.messages_turns import Message
from trunkline.providers.sandbox.strays import strays

SAMPLING = ("temperature", "top_p", "top_k")
VERSIONS = (b"2023-06-01", b"2026-10-21")
_LEAST_BUDGET = 1_024


class ThinkingWish(msgspec.Struct, kw_only=True):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class FormatWish(msgspec.Struct):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, kw_only=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: FormatWish | None = None


class Metadata(msgspec.Struct):
    user_id: Annotated[str, Meta(max_length=512)] | None = None


class CountRequest(msgspec.Struct, kw_only=True):
    """What /v1/messages/count_tokens takes."""

    model: Annotated[str, Meta(min_length=1)]
    messages: list[Message]
    system: str | list[Text] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingWish | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None


class MessagesRequest(CountRequest, kw_only=True):
    """What /v1/messages takes."""

    max_tokens: Annotated[int, Meta(ge=0)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    container: Any = None
    diagnostics: Any = None
    inference_geo: str | None = None


class Versions(msgspec.Struct, frozen=True):
    """The API's version, and the betas that were asked for."""

    api: bytes
    betas: frozenset[str] = frozenset()


R = TypeVar("R", bound=CountRequest)

_PLACE = re.compile(r"(?s)(.*) - at `(?:key in )?\$([^`]*)`")
_MISSING = re.compile(r"missing required field `(\w+)`")
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")


def versions_of(headers: dict[bytes, bytes]) -> Versions:
    """Raises InvalidRequest for a version that is missing or not one of VERSIONS."""
    version = headers.get(b"anthropic-version")
    if version is None:
        raise InvalidRequest("anthropic-version: header is required")
    if version not in VERSIONS:
        raise InvalidRequest(f'anthropic-version: "{version[:40].decode("latin-1")}" is not a valid version')
    betas = headers.get(b"anthropic-beta", b"").decode("latin-1")
    return Versions(version, frozenset(beta.strip() for beta in betas.split(",") if beta.strip()))


def decoded(body: bytes, kind: type[R], versions: Versions) -> R:
    """Raises InvalidRequest about the field that is wrong, missing, or not a field of this version."""
    try:
        raw = msgspec.json.decode(body)
        request = msgspec.convert(raw, kind)
    except RecursionError:
        raise InvalidRequest("The request body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {str(error)[:200]}") from None
    if versions.api != VERSIONS[0]:
        for name in SAMPLING:
            if name in raw:
                raise _extra(name)
    if not versions.betas:
        _refuse_strays(raw, request)
    return request


def check_sampling(request: MessagesRequest) -> None:
    """What does not go with thinking, or is empty."""
    for at, stop in enumerate(request.stop_sequences or []):
        if not stop.strip():
            raise InvalidRequest(
                f"stop_sequences.{at}: each stop sequence must contain non-whitespace", param="stop_sequences"
            )
    if not thinks(request.thinking):
        return
    if request.temperature not in (None, 1):
        raise InvalidRequest("`temperature` may only be set to 1 when thinking is enabled.", param="temperature")
    if request.top_k:
        raise InvalidRequest("`top_k` must be unset when thinking is enabled.", param="top_k")
    if request.top_p is not None and request.top_p < 0.95:
        raise InvalidRequest(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.", param="top_p"
        )


def check_thinking_wish(request: CountRequest, versions: Versions) -> None:
    """Manual mode has a budget below `max_tokens` and no forced tool use; the other modes have no budget."""
    wish = request.thinking
    if wish is None:
        return
    if wish.type != "enabled":
        if wish.budget_tokens is not None:
            raise _extra(f"thinking.{wish.type}.budget_tokens")
        return
    if wish.budget_tokens is None:
        raise InvalidRequest("thinking.enabled.budget_tokens: Field required", param="thinking.budget_tokens")
    if wish.budget_tokens < _LEAST_BUDGET:
        raise InvalidRequest(
            f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_BUDGET}",
            param="thinking.budget_tokens",
        )
    most = request.max_tokens if isinstance(request, MessagesRequest) else None
    if most is not None and wish.budget_tokens >= most and not interleaves(versions):
        raise InvalidRequest("`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
    if request.tool_choice is not None and request.tool_choice.forces:
        raise InvalidRequest("Thinking may not be enabled when tool_choice forces tool use.", param="tool_choice")


def thinks(wish: ThinkingWish | None) -> bool:
    return wish is not None and wish.type != "disabled"


def interleaves(versions: Versions) -> bool:
    return any(beta.startswith("interleaved-thinking") for beta in versions.betas)


def _refuse_strays(raw: object, request: CountRequest) -> None:
    for path, name in strays(raw, request):
        if len(path) == 2 and path[0] == "tools" and not (request.tools or [])[int(path[1])].is_custom:
            continue  # a server tool has fields of its own
        raise _extra(".".join(map(str, (*path, name))))


def _extra(param: str) -> InvalidRequest:
    return InvalidRequest(f"{param[:200]}: Extra inputs are not permitted", param=param[:200])


def _named(message: str) -> InvalidRequest:
    """msgspec's sentence in Anthropic's spelling of places (`messages.0.role`)."""
    place = _PLACE.match(message)
    said, path = (place[1], place[2]) if place else (message, "")
    param = _INDEX.sub(r".\1", path).removeprefix(".")
    if missing := _MISSING.search(said):
        param, said = f"{param}.{missing[1]}".removeprefix("."), "Field required"
    return InvalidRequest(f"{param[:200] or 'The request body'}: {said[:300]}", param=param[:200] or None)
