"""Chat Completions requests: read as OpenAI documents them, refused where OpenAI refuses them.

Source: the `openai` package's types/chat/completion_create_params.py, and for tool results without their call the
refusals that OpenAI gives ("messages with role 'tool' must be a response to a preceding message with 'tool_calls'").
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import directives, models, sealed, words
from trunkline.providers.sandbox.chat_tools import (
    Function,
    FunctionChoice,
    Tool,
    ToolChoice,
    offered_functions,
    offered_tools,
)
from trunkline.providers.sandbox.prompt import Form, Image, Prompt, ShownReasoning
from trunkline.providers.sandbox.reply import MOST_CHARACTERS, Bounds

_MOST_CHOICES = 128
_MOST_STOPS = 4
_MOST_TOP_LOGPROBS = 20
ENCRYPTED = "chat reasoning"
"""What reasoning that is not shown is sealed as."""

_PART_TYPES = frozenset({"text", "image_url", "input_audio", "file", "refusal"})


class ImageURL(msgspec.Struct):
    url: str


class Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: ImageURL | None = None


class CallMade(msgspec.Struct):
    """A tool call of an earlier answer, brought back."""

    id: str


class ReasoningDetail(msgspec.Struct):
    """OpenRouter's carrier of signed reasoning, brought back."""

    type: str
    text: str | None = None
    signature: str | None = None
    data: str | None = None


class Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[CallMade] | None = None
    tool_call_id: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class JSONSchema(msgspec.Struct):
    schema: Any = None


class ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JSONSchema | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Function] | None = None
    function_call: str | FunctionChoice | None = None


class ChatAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A request understood: what the model is asked, and how its answers are to be written.

    `message` is the text of the last user message as it came. `top_logprobs` is None when none are wanted.
    """

    model: str
    prompt: Prompt
    message: str
    bounds: Bounds
    n: int = 1
    stream: bool = False
    include_usage: bool = False
    top_logprobs: int | None = None
    legacy: bool = False


_decode = msgspec.json.Decoder(ChatRequest).decode
_PLACE = re.compile(r"(?s)(.*) - at `(?:key in )?\$\.?([^`]*)`")
_MISSING = re.compile(r"missing required field `(\w+)`")


def read(body: bytes) -> ChatAsk:
    """Raises InvalidRequest with `param`, or NotFound for a model the sandbox does not have."""
    request = _decoded(body)
    model = request.model.casefold().removeprefix("sandbox/")
    if model not in models.CHAT:
        raise NotFound(f"The model `{request.model[:200]}` does not exist", code="model_not_found", param="model")
    n = _in_range(request.n, "n", 1, _MOST_CHOICES) or 1
    top_logprobs = _top_logprobs(request)
    prompt, message = _prompt(request, model)
    return ChatAsk(
        model=request.model.casefold(),
        prompt=prompt,
        message=message,
        bounds=_bounds(request, n * (1 + (top_logprobs or 0))),
        n=n,
        stream=request.stream is True,
        include_usage=request.stream_options is not None and request.stream_options.include_usage is True,
        top_logprobs=top_logprobs,
        legacy=request.functions is not None and not request.tools,
    )


def _decoded(body: bytes) -> ChatRequest:
    try:
        return _decode(body)
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from None
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {str(error)[:200]}", code="invalid_json") from None


def _named(message: str) -> InvalidRequest:
    """msgspec's sentence, and the field it is about in OpenAI's spelling (`messages[0].role`)."""
    place = _PLACE.match(message)
    said, param = (place[1], place[2]) if place else (message, "")
    if missing := _MISSING.search(said):
        param = f"{param}.{missing[1]}".removeprefix(".")
    return InvalidRequest(f"{param or 'the body'}: {said[:300]}", param=param[:200] or None)


def _in_range(value: int | None, param: str, low: int, high: int) -> int | None:
    if value is not None and not low <= value <= high:
        raise InvalidRequest(f"{param} is {low} to {high}, not {value}", param=param)
    return value


def _top_logprobs(request: ChatRequest) -> int | None:
    wanted = _in_range(request.top_logprobs, "top_logprobs", 0, _MOST_TOP_LOGPROBS)
    if request.logprobs:
        return wanted or 0
    if wanted is not None:
        raise InvalidRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    return None


def _bounds(request: ChatRequest, share: int) -> Bounds:
    """The caller's limits within the sandbox's own, which all choices and their logprobs share."""
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if len(stops) > _MOST_STOPS:
        raise InvalidRequest(f"stop has over {_MOST_STOPS} strings", param="stop")
    most = words.MOST_TOKENS // share
    for param in ("max_tokens", "max_completion_tokens"):
        if wanted := _in_range(getattr(request, param), param, 1, 2**63 - 1):
            most = min(most, wanted)
    return Bounds(tokens=most, characters=MOST_CHARACTERS // share, stops=stops)


def _prompt(request: ChatRequest, model: str) -> tuple[Prompt, str]:
    if not request.messages:
        raise InvalidRequest("messages is empty", param="messages")
    if request.reasoning_effort is not None and request.reasoning_effort not in models.EFFORTS:
        raise InvalidRequest(f"reasoning_effort is one of {', '.join(models.EFFORTS)}", param="reasoning_effort")
    _check_turns(request.messages)
    texts = [_texts(message, f"messages[{at}]") for at, message in enumerate(request.messages)]
    asked = max((at for at, message in enumerate(request.messages) if message.role == "user"), default=None)
    told, message, images = directives.NONE, "", []
    if asked is not None:
        where = f"messages[{asked}].content"
        message = "\n".join(texts[asked])
        texts[asked], told = directives.read(texts[asked], model, where)
        images = _images(request.messages[asked], where)
    legacy = request.functions is not None and not request.tools
    return (
        Prompt(
            text="\n".join(texts[asked]) if asked is not None else "",
            tokens=max(sum(words.count(text) for each in texts for text in each), 1),
            told=told,
            images=images,
            results=_results(request.messages, texts),
            tools=offered_functions(request.functions or [], request.function_call)
            if legacy
            else offered_tools(
                request.tools or [], request.tool_choice, parallel=request.parallel_tool_calls is not False
            ),
            form=_form(request.response_format),
            effort=request.reasoning_effort,
            shown=_shown(request.messages) if model == "think" else [],
            seed=request.seed or 0,
        ),
        message,
    )


def _texts(message: Message, where: str) -> list[str]:
    """The texts of a message, one for each part that has one."""
    if isinstance(message.content, str):
        return [message.content]
    found = []
    for at, part in enumerate(message.content or []):
        if part.type not in _PART_TYPES:
            param = f"{where}.content[{at}].type"
            raise InvalidRequest(f"{param}: unknown content part {part.type[:60]!r}", param=param)
        if part.type == "text":
            if part.text is None:
                raise InvalidRequest("a text part without text", param=f"{where}.content[{at}].text")
            found.append(part.text)
    return found


def _images(message: Message, where: str) -> list[Image]:
    if not isinstance(message.content, list):
        return []
    return [
        Image(part.image_url.url, f"{where}[{at}].image_url.url")
        for at, part in enumerate(message.content)
        if part.type == "image_url" and part.image_url is not None
    ]


def _check_turns(messages: list[Message]) -> None:
    """A tool result answers a call of the assistant's turn before it, and each call has its result."""
    open_calls: set[str] = set()
    for at, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id is None or message.tool_call_id not in open_calls:
                where = f"messages[{at}].tool_call_id"
                raise InvalidRequest("a tool message answers no tool call of the turn before it", param=where)
            open_calls.discard(message.tool_call_id)
            continue
        if open_calls:
            raise _unanswered(open_calls, f"messages[{at}].role")
        open_calls = {call.id for call in message.tool_calls or []} if message.role == "assistant" else set()
    if open_calls:
        raise _unanswered(open_calls, "messages")


def _unanswered(calls: set[str], param: str) -> InvalidRequest:
    return InvalidRequest(f"no tool message answers the tool call {min(calls)[:60]!r}", param=param)


def _results(messages: list[Message], texts: list[list[str]]) -> list[str]:
    """The texts of the tool results that stand at the end, in their order."""
    first = len(messages)
    while first and messages[first - 1].role in ("tool", "function"):
        first -= 1
    return [" ".join(each) for each in texts[first:]]


def _shown(messages: list[Message]) -> list[ShownReasoning]:
    """Reasoning that was shown, to be looked at later; what is encrypted is looked at here."""
    for at, message in enumerate(messages):
        for number, detail in enumerate(message.reasoning_details or []):
            if detail.type == "reasoning.encrypted" and sealed.unseal(ENCRYPTED, detail.data or "") is None:
                where = f"messages[{at}].reasoning_details[{number}].data"
                raise InvalidRequest(
                    "the data is not that of reasoning made here: pass reasoning_details back unchanged",
                    code="invalid_signature",
                    param=where,
                )
    return [
        ShownReasoning(
            text=detail.text or "",
            signature=detail.signature or "",
            where=f"messages[{at}].reasoning_details[{number}].signature",
        )
        for at, message in enumerate(messages)
        for number, detail in enumerate(message.reasoning_details or [])
        if detail.type != "reasoning.encrypted"
    ]


def _form(wanted: ResponseFormat | None) -> Form | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Form()
    if wanted.json_schema is None:
        raise InvalidRequest("a json_schema format without json_schema", param="response_format.json_schema")
    schema = wanted.json_schema.schema
    return Form(schema=True if schema is None else schema, where="response_format.json_schema.schema")
