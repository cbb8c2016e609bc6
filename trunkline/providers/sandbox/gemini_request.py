"""Gemini requests: read as Google documents them, refused where Google refuses them.

Sources: https://ai.google.dev/api/generate-content and the `google-genai` package's types.py (GenerateContentConfig).
Names may be in camelCase or snake_case, and numbers may be strings, as in every JSON that Google reads (ProtoJSON).
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from trunkline.errors import Forbidden, InvalidRequest
from trunkline.providers.sandbox import models
from trunkline.providers.sandbox.gemini_parts import (
    Blob,
    Content,
    FileData,
    FunctionCall,
    FunctionResponse,
    FunctionResponsePart,
    Part,
)
from trunkline.providers.sandbox.gemini_schema import PAYLOAD, camel, snake, unknown
from trunkline.providers.sandbox.gemini_tools import FunctionCallingConfig, FunctionDeclaration, Tool, ToolConfig
from trunkline.providers.sandbox.strays import strays

MIME_TYPES = ("text/plain", "application/json", "text/x.enum")
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_MOST_STOPS = 5
_INT32 = 2**31 - 1
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (1, _INT32),
    "max_output_tokens": (1, _INT32),
    "candidate_count": (1, 8),
    "seed": (-_INT32 - 1, _INT32),
    "logprobs": (0, 20),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}


class ThinkingConfig(msgspec.Struct, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class TextFormat(msgspec.Struct, rename="camel"):
    mime_type: str | None = None
    schema: Any = None


class ResponseFormat(msgspec.Struct):
    text: TextFormat | None = None


class GenerationConfig(msgspec.Struct, rename="camel"):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    candidate_count: int | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: Any = None
    response_json_schema: Any = None
    response_format: list[ResponseFormat] | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking_config: ThinkingConfig | None = None
    response_modalities: list[str] | None = None
    media_resolution: str | None = None
    speech_config: Any = None
    image_config: Any = None
    enable_enhanced_civic_answers: bool | None = None


class GenerateRequest(msgspec.Struct, rename="camel"):
    contents: list[Content] | None = None
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    safety_settings: list[Any] | None = None
    cached_content: str | None = None
    model: str | None = None
    service_tier: str | None = None
    store: bool | None = None


class CountRequest(msgspec.Struct, rename="camel"):
    contents: list[Content] | None = None
    generate_content_request: GenerateRequest | None = None


_STRUCTS: tuple[type[msgspec.Struct], ...] = (
    *(Blob, Content, FileData, FunctionCall, FunctionResponse, FunctionResponsePart, Part),
    *(FunctionCallingConfig, FunctionDeclaration, Tool, ToolConfig),
    *(ThinkingConfig, TextFormat, ResponseFormat, GenerationConfig, GenerateRequest, CountRequest),
)
_KNOWN = frozenset(field.encode_name for kind in _STRUCTS for field in msgspec.structs.fields(kind))
_OPAQUE = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "responseSchema", "schema"}
    | {"partMetadata", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"}
)
"""What is inside of these is nobody's name but the caller's."""

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r"(?s)(.*) - at `(?:key in )?\$\.?([^`]*)`")


def decoded(body: bytes, kind: type[T]) -> T:
    """Raises InvalidRequest about the field that is wrong, or about all that Google does not have."""
    try:
        raw = _camelled(msgspec.json.decode(body)) if body else {}
        request = msgspec.convert(raw, kind, strict=False)
    except RecursionError:
        raise InvalidRequest("Invalid JSON payload received. Nested too deeply.", code=PAYLOAD) from None
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"Invalid JSON payload received. {str(error)[:200]}", code=PAYLOAD) from None
    found = [unknown(name, _spelled(path)) for path, name in strays(raw, request)]
    if found:
        raise InvalidRequest("\n".join(found[:20]), code=PAYLOAD)
    return request


def check_config(config: GenerationConfig) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise bad(f"generation_config.{name}", f"{name} must be in the range [{low}, {high}].")
    if len(config.stop_sequences or []) > _MOST_STOPS:
        raise bad("generation_config.stop_sequences", f"at most {_MOST_STOPS} stop sequences are allowed.")
    if config.logprobs is not None and not config.response_logprobs:
        raise bad("generation_config.logprobs", "logprobs can only be set when response_logprobs is true.")
    if config.response_mime_type not in (None, "", *MIME_TYPES):
        raise bad("generation_config.response_mime_type", f"allowed mimetypes are {', '.join(MIME_TYPES)}.")
    _check_form(config)


def check_cached(request: GenerateRequest) -> None:
    if request.cached_content:
        raise Forbidden("CachedContent not found (or permission denied)", param="cachedContent")


def effort_of(config: GenerationConfig, *, by_default: bool) -> str:
    """How much is thought, in the sandbox's words. A budget of -1 leaves it to the model, 0 is none."""
    wish = config.thinking_config
    if wish is None:
        return "medium" if by_default else "none"
    if wish.thinking_budget is not None and wish.thinking_level is not None:
        raise bad("generation_config.thinking_config", "You can only set only one of thinking budget and level.")
    if wish.thinking_budget == 0 and wish.include_thoughts:
        raise bad("generation_config.thinking_config", "include_thoughts is only enabled when thinking is enabled.")
    if wish.thinking_level is not None and wish.thinking_level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        if wish.thinking_level.lower() not in _LEVELS:
            raise bad("generation_config.thinking_config.thinking_level", "is not a thinking level.")
        return wish.thinking_level.lower()
    if wish.thinking_budget is None:
        return "medium" if by_default or wish.include_thoughts else "none"
    if wish.thinking_budget < -1:
        raise bad("generation_config.thinking_config.thinking_budget", "must be -1, 0 or above.")
    if wish.thinking_budget <= 0:
        return "medium" if wish.thinking_budget else "none"
    fitting = [name for name, tokens in models.EFFORTS.items() if 0 < tokens <= wish.thinking_budget]
    return fitting[-1] if fitting else "minimal"


def bad(where: str, said: str) -> InvalidRequest:
    return InvalidRequest(f"* GenerateContentRequest.{where}: {said}", param=where)


def _check_form(config: GenerationConfig) -> None:
    given = [name for name in ("response_schema", "response_json_schema") if getattr(config, name) is not None]
    if len(given) > 1:
        raise bad("generation_config", "only one of response_schema and response_json_schema may be set.")
    if given and config.response_mime_type not in MIME_TYPES[1:]:
        raise bad(f"generation_config.{given[0]}", "requires response_mime_type application/json or text/x.enum.")


def _camelled(raw: object) -> object:
    """Names that Google knows in camelCase, in which they are read here."""
    if isinstance(raw, list):
        return [_camelled(each) for each in raw]
    if not isinstance(raw, dict):
        return raw
    found: dict[str, object] = {}
    for name, value in raw.items():
        spelled = camel(name) if "_" in name and camel(name) in _KNOWN else name
        found[spelled] = value if spelled in _OPAQUE else _camelled(value)
    return found


def _spelled(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).removeprefix(".")


def _named(message: str) -> InvalidRequest:
    place = _PLACE.match(message)
    said, path = (place[1], place[2]) if place else (message, "")
    return InvalidRequest(f"Invalid value at '{snake(path)}': {said[:300]}", code=PAYLOAD, param=path[:200] or None)
