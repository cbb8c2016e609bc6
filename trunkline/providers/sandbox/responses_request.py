"""Responses requests: read as OpenAI documents them, refused where OpenAI refuses them, or where state would be needed.

Source: the `openai` package's types/responses/response_create_params.py and input_token_count_params.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import directives, json_body, responses_input, responses_tools, served, words
from trunkline.providers.sandbox.prompt import Form, Prompt
from trunkline.providers.sandbox.reply import Bounds
from trunkline.providers.sandbox.responses_input import Talk
from trunkline.providers.sandbox.responses_tools import CustomTool, Tool, ToolChoice

Includable = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Summary = Literal["auto", "concise", "detailed"]
Verbosity = Literal["low", "medium", "high"]
Truncation = Literal["auto", "disabled"]
Input = str | list[msgspec.Raw]
_FormatName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
_MetadataKey = Annotated[str, Meta(max_length=64)]
_MetadataValue = Annotated[str, Meta(max_length=512)]


class ReasoningWish(msgspec.Struct, forbid_unknown_fields=True):
    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: Summary | UnsetType | None = UNSET
    context: Literal["auto", "current_turn", "all_turns"] | UnsetType | None = UNSET
    mode: str | UnsetType | None = UNSET


class TextFormat(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"]
    name: _FormatName | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    strict: bool | UnsetType | None = UNSET


class TextWish(msgspec.Struct, forbid_unknown_fields=True):
    format: TextFormat | None = None
    verbosity: Verbosity | None = None


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_obfuscation: bool | None = None


class ResponsesRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: str
    input: Input | None = None
    instructions: str | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextWish | None = None
    reasoning: ReasoningWish | None = None
    include: list[Includable] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: Annotated[dict[_MetadataKey, _MetadataValue], Meta(max_length=16)] | None = None
    truncation: Truncation | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    client_metadata: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    prompt: Any = None
    context_management: Any = None
    moderation: Any = None
    access_programs: Any = None


class InputTokensRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: str | None = None
    input: Input | None = None
    instructions: str | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningWish | None = None
    text: TextWish | None = None
    truncation: Truncation | None = None
    personality: str | None = None
    previous_response_id: str | None = None
    conversation: Any = None


class CompactRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: str
    input: Input | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: str | None = None
    image: dict[str, Any] | None = None


class ResponsesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A request understood.

    `bare` is the model without its provider, `customs` are the names of custom tools, `top_logprobs` is None when
    none are wanted.
    """

    model: str
    bare: str
    prompt: Prompt
    message: str
    bounds: Bounds
    request: ResponsesRequest
    removed: list[responses_input.Removed] = []
    customs: frozenset[str] = frozenset()
    encrypted: bool = False
    top_logprobs: int | None = None

    @property
    def summary(self) -> Summary | None:
        wish = self.request.reasoning
        return None if wish is None else wish.summary or wish.generate_summary or None


_request = msgspec.json.Decoder(ResponsesRequest)
_count_request = msgspec.json.Decoder(InputTokensRequest)
_compact_request = msgspec.json.Decoder(CompactRequest)


def read(body: bytes) -> ResponsesAsk:
    """Raises InvalidRequest with `param`, or NotFound for a model or an item that is not here."""
    request = json_body.read(_request, body)
    model = served.model_of(request.model, "/responses")
    _refuse_state(request)
    talk = responses_input.read(_input(request.input), model, store=request.store is not False)
    told, message = directives.NONE, ""
    if talk.asked is not None:
        message = "\n".join(talk.texts[talk.asked])
        talk.texts[talk.asked], told = directives.read(talk.texts[talk.asked], model, talk.places[talk.asked])
    include = request.include or []
    top_logprobs = (request.top_logprobs or 0) if "message.output_text.logprobs" in include else None
    return ResponsesAsk(
        model=request.model.casefold(),
        bare=model,
        prompt=_prompt(request, talk, told),
        message=message,
        bounds=Bounds(tokens=_most_tokens(request, top_logprobs)),
        request=request,
        removed=talk.removed,
        customs=frozenset(tool.name for tool in request.tools or [] if isinstance(tool, CustomTool)),
        encrypted="reasoning.encrypted_content" in include,
        top_logprobs=top_logprobs,
    )


def count_input(body: bytes) -> int:
    """The tokens of what /responses/input_tokens is asked about."""
    request = json_body.read(_count_request, body)
    model = "" if request.model is None else served.model_of(request.model, "/responses")
    _refuse_earlier(request.previous_response_id, request.conversation)
    return tokens_of(responses_input.read(_input(request.input), model, store=True), request.instructions)


def read_compact(body: bytes) -> tuple[Talk, int]:
    """What is to be compacted, and its tokens."""
    request = json_body.read(_compact_request, body)
    model = served.model_of(request.model, "/responses")
    _refuse_earlier(request.previous_response_id, None)
    talk = responses_input.read(_input(request.input), model, store=True)
    if talk.asked is None:
        raise InvalidRequest("there is no user message to keep", param="input")
    return talk, tokens_of(talk, request.instructions)


def tokens_of(talk: Talk, instructions: str | None) -> int:
    said = sum(words.count(text) for texts in talk.texts for text in texts)
    return max(said + words.count(instructions or ""), 1)


def _prompt(request: ResponsesRequest, talk: Talk, told: directives.Directives) -> Prompt:
    text = "\n".join(talk.texts[talk.asked]) if talk.asked is not None else ""
    return Prompt(
        text=text,
        tokens=tokens_of(talk, request.instructions),
        told=told,
        images=talk.images,
        results=talk.results,
        tools=responses_tools.offered(
            request.tools or [], request.tool_choice, text, parallel=request.parallel_tool_calls is not False
        ),
        form=_form(request.text.format if request.text else None),
        effort=request.reasoning.effort if request.reasoning else None,
    )


def _most_tokens(request: ResponsesRequest, top_logprobs: int | None) -> int:
    """The caller's limit within the sandbox's own, which logprobs share."""
    most = words.MOST_TOKENS // (1 + (top_logprobs or 0))
    return min(most, request.max_output_tokens or most)


def _form(wanted: TextFormat | None) -> Form | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Form(where="text.format")
    for name in ("name", "schema"):
        if getattr(wanted, name) is UNSET:
            param = f"text.format.{name}"
            raise InvalidRequest(
                f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
            )
    return Form(schema=wanted.schema, where="text.format.schema")


def _input(given: Input | None) -> Input:
    if given is None:
        sentence = "One of 'input' or 'previous_response_id' or 'prompt' or 'conversation' must be provided."
        raise InvalidRequest(sentence, code="missing_required_parameter", param="input")
    return given


def _refuse_state(request: ResponsesRequest) -> None:
    """Nothing is kept from call to call, so nothing can be referred to and nothing goes on in the background."""
    _refuse_earlier(request.previous_response_id, request.conversation)
    if request.background:
        raise InvalidRequest("the sandbox answers at once: background is not offered", param="background")
    for name in ("prompt", "context_management", "moderation", "access_programs"):
        if getattr(request, name) is not None:
            raise InvalidRequest(f"{name} is not offered by the sandbox", code="unsupported_parameter", param=name)


def _refuse_earlier(response_id: str | None, conversation: object) -> None:
    if response_id is not None:
        raise InvalidRequest(
            f"Previous response with id {response_id[:80]!r} not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    if conversation is not None:
        raise NotFound("Conversation not found: the sandbox keeps none.", param="conversation")
