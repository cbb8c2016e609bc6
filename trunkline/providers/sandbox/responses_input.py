"""The `input` of a Responses request: a string or items, each read as OpenAI documents it and refused where it refuses.

Source: the `openai` package's types/responses/response_input_item_param.py for the shapes; for the refusals what the
API answers, as callers have reported it: a function call without its reasoning item
(https://github.com/continuedev/continue/issues/10018), reasoning that is not kept and came without its sealed content
(https://github.com/vercel/ai/issues/7543), sealed content that was changed (https://github.com/openai/codex/issues/8145).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import images, json_body, sealed
from trunkline.providers.sandbox.prompt import Image

Status = Literal["in_progress", "completed", "incomplete"]
Detail = Literal["low", "high", "auto", "original"]
CallId = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class InputText(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="input_text"):
    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputImage(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="input_image"):
    detail: Detail | None = None
    image_url: str | None = None
    file_id: str | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputFile(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="input_file"):
    detail: Literal["auto", "low", "high"] | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class OutputText(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="output_text"):
    text: str
    annotations: list[Any] = []
    logprobs: list[Any] | None = None


class OutputRefusal(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="refusal"):
    refusal: str


InputPart = InputText | InputImage | InputFile


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """Of a user, system or developer."""

    role: Literal["user", "system", "developer"]
    content: str | list[InputPart]
    type: Literal["message"] = "message"
    id: str | None = None
    status: Status | None = None
    phase: str | None = None


class AssistantMessage(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["assistant"]
    content: str | list[OutputText | OutputRefusal]
    type: Literal["message"] = "message"
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Literal["function_call"]
    call_id: CallId
    name: Name
    arguments: str
    id: str | None = None
    status: Status | None = None
    namespace: str | None = None
    caller: dict[str, Any] | None = None
    async_: bool | None = msgspec.field(name="async", default=None)


class FunctionCallOutput(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Literal["function_call_output"]
    call_id: CallId
    output: str | list[InputPart]
    id: str | None = None
    status: Status | None = None
    name: str | None = None
    namespace: str | None = None
    caller: dict[str, Any] | None = None


class CustomToolCall(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Literal["custom_tool_call"]
    call_id: CallId
    name: Name
    input: str
    id: str | None = None
    namespace: str | None = None
    caller: dict[str, Any] | None = None
    async_: bool | None = msgspec.field(name="async", default=None)


class CustomToolCallOutput(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Literal["custom_tool_call_output"]
    call_id: CallId
    output: str | list[InputPart]
    id: str | None = None
    caller: dict[str, Any] | None = None


class ReasoningPart(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["summary_text", "reasoning_text"]
    text: str


class Reasoning(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Literal["reasoning"]
    summary: list[ReasoningPart]
    id: str | None = None
    content: list[ReasoningPart] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


class Compaction(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: Literal["compaction"]
    encrypted_content: str
    id: str | None = None


Item = (
    Message
    | AssistantMessage
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | Reasoning
    | Compaction
)


class _Head(msgspec.Struct):
    """What says of which type an item is."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


class SealedReasoning(msgspec.Struct, array_like=True):
    """What `encrypted_content` of a reasoning item holds."""

    id: str
    model: str
    text: str


class Removed(msgspec.Struct):
    """A reasoning item that the model is not shown."""

    id: str
    reason: str
    action: str = "removed"
    type: str = "reasoning"


class Talk(msgspec.Struct, kw_only=True):
    """What the items say. `texts` are those of each item, `asked` the place of the last that speaks for the user."""

    texts: list[list[str]] = []
    places: list[str] = []
    asked: int | None = None
    images: list[Image] = []
    results: list[str] = []
    removed: list[Removed] = []


_head = msgspec.json.Decoder(_Head)
_sealed_reasoning = msgspec.json.Decoder(SealedReasoning)
_message = msgspec.json.Decoder(Message)
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "assistant": msgspec.json.Decoder(AssistantMessage),
    "function_call": msgspec.json.Decoder(FunctionCall),
    "function_call_output": msgspec.json.Decoder(FunctionCallOutput),
    "custom_tool_call": msgspec.json.Decoder(CustomToolCall),
    "custom_tool_call_output": msgspec.json.Decoder(CustomToolCallOutput),
    "reasoning": msgspec.json.Decoder(Reasoning),
    "compaction": msgspec.json.Decoder(Compaction),
}
_ID_PREFIXES = {AssistantMessage: "msg", FunctionCall: "fc", CustomToolCall: "ctc", Reasoning: "rs", Compaction: "cmp"}
_COMPACTION = "compaction"


def read(given: str | list[msgspec.Raw], model: str, *, store: bool) -> Talk:
    """Raises InvalidRequest or NotFound, about the place in `input`.

    With `store` off, a function call must stand behind the reasoning it was made with, when that was given out sealed.
    """
    if isinstance(given, str):
        return Talk(texts=[[given]], places=["input"], asked=0)
    if not given:
        raise InvalidRequest("input is empty", code="missing_required_parameter", param="input")
    items = [_item(raw, f"input[{at}]") for at, raw in enumerate(given)]
    _check_ids(items)
    _check_calls(items)
    if not store:
        _check_reasoning_before_calls(items)
    return _heard(items, model)


def seal_reasoning(item_id: str, model: str, text: str) -> str:
    return sealed.seal("reasoning", msgspec.json.encode(SealedReasoning(item_id, model, text)).decode())


def seal_compaction(text: str) -> str:
    """Of the last user's text, which is what of a conversation the sandbox answers to."""
    return sealed.seal(_COMPACTION, text)


def reasoning_of(call_id: str) -> str | None:
    """The reasoning item that a call's item id says it was made with: `fc_a_b` stands behind `rs_b`, `fc_a` alone."""
    _, _, needed = call_id.removeprefix("fc_").partition("_")
    return f"rs_{needed}" if needed else None


def _item(raw: msgspec.Raw, where: str) -> Item:
    head = json_body.read(_head, raw, where)
    if head.type == "item_reference" or (head.type is None and head.role is None and head.id is not None):
        raise _not_kept(head.id or "")
    if head.type in (None, "message"):
        decoder = _DECODERS["assistant"] if head.role == "assistant" else _message
    elif head.type in _DECODERS and head.type != "assistant":
        decoder = _DECODERS[head.type]
    else:
        raise InvalidRequest(f"items of type {head.type[:60]!r} are not read here", param=f"{where}.type")
    item: Item = json_body.read(decoder, raw, where)
    prefix = _ID_PREFIXES.get(type(item))
    if prefix and item.id is not None and not item.id.startswith(prefix):
        sentence = f"Invalid '{where}.id': {item.id[:80]!r}. Expected an ID that begins with '{prefix}'."
        raise InvalidRequest(sentence, param=f"{where}.id")
    return item


def _not_kept(item_id: str) -> NotFound:
    return NotFound(
        f"Item with id {item_id[:80]!r} not found. Nothing is kept here: send the item itself.", param="input"
    )


def _check_ids(items: list[Item]) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id is not None and item.id in seen:
            raise InvalidRequest(f"Duplicate item found with id {item.id[:80]}.", param="input")
        if item.id is not None:
            seen.add(item.id)


def _check_calls(items: list[Item]) -> None:
    """Each output follows its call, and each call has its output."""
    waiting: dict[str, str] = {}
    for item in items:
        if isinstance(item, FunctionCall | CustomToolCall):
            waiting[item.call_id] = "function" if isinstance(item, FunctionCall) else "custom tool"
        elif isinstance(item, FunctionCallOutput | CustomToolCallOutput):
            kind = "function" if isinstance(item, FunctionCallOutput) else "custom tool"
            if waiting.pop(item.call_id, None) != kind:
                raise InvalidRequest(
                    f"No tool call found for {kind} call output with call_id {item.call_id}.", param="input"
                )
    for call_id, kind in waiting.items():
        raise InvalidRequest(f"No tool output found for {kind} call {call_id}.", param="input")


def _check_reasoning_before_calls(items: list[Item]) -> None:
    seen: set[str | None] = set()
    for item in items:
        if isinstance(item, Reasoning):
            seen.add(item.id or _unsealed_id(item))
        if isinstance(item, FunctionCall) and item.id is not None:
            needed = reasoning_of(item.id)
            if needed is not None and needed not in seen:
                sentence = (
                    f"Item '{item.id}' of type 'function_call' was provided without its required 'reasoning' item: "
                    f"'{needed}'."
                )
                raise InvalidRequest(sentence, param="input")


def _unsealed_id(item: Reasoning) -> str | None:
    found = _unsealed(item)
    return found.id if found else None


def _unsealed(item: Reasoning) -> SealedReasoning | None:
    text = sealed.unseal("reasoning", item.encrypted_content or "")
    return None if text is None else _sealed_reasoning.decode(text)


def _heard(items: list[Item], model: str) -> Talk:
    talk = Talk(texts=[], places=[], images=[], results=[], removed=[])
    for at, item in enumerate(items):
        where = f"input[{at}]"
        texts: list[str] = []
        if isinstance(item, Message):
            texts, shown = _parts(item.content, f"{where}.content")
            if item.role == "user":
                talk.asked, talk.images = at, shown
        elif isinstance(item, AssistantMessage):
            texts = [item.content] if isinstance(item.content, str) else [_said(part) for part in item.content]
        elif isinstance(item, FunctionCallOutput | CustomToolCallOutput):
            texts, brought = _parts(item.output, f"{where}.output")
            texts = [*texts, *(f"[{images.describe(each.url, each.where)}]" for each in brought)]
            talk.images = [*talk.images, *brought]
        elif isinstance(item, Compaction):
            texts = [_compacted(item, where)]
            talk.asked, talk.images = at, []
        elif isinstance(item, Reasoning):
            _verify(item, model, talk)
        talk.texts.append(texts)
        talk.places.append(f"{where}.content")
    first = len(items)
    while first and isinstance(items[first - 1], FunctionCallOutput | CustomToolCallOutput):
        first -= 1
    talk.results = [" ".join(texts) for texts in talk.texts[first:]]
    return talk


def _parts(content: str | list[InputPart], where: str) -> tuple[list[str], list[Image]]:
    if isinstance(content, str):
        return [content], []
    texts: list[str] = []
    shown: list[Image] = []
    for at, part in enumerate(content):
        place = f"{where}[{at}]"
        if isinstance(part, InputText):
            texts.append(part.text)
        elif part.file_id is not None:
            raise InvalidRequest("the sandbox keeps no files", code="file_not_found", param=f"{place}.file_id")
        elif isinstance(part, InputImage):
            if part.image_url is None:
                raise InvalidRequest("an image has an image_url", param=f"{place}.image_url")
            shown.append(Image(part.image_url, f"{place}.image_url"))
        elif (part.file_data is None) == (part.file_url is None):
            raise InvalidRequest("a file has either file_data or file_url", param=f"{place}.file_data")
    return texts, shown


def _said(part: OutputText | OutputRefusal) -> str:
    return part.text if isinstance(part, OutputText) else part.refusal


def _compacted(item: Compaction, where: str) -> str:
    text = sealed.unseal(_COMPACTION, item.encrypted_content)
    if text is None:
        raise _not_verified(
            item.id, f"{where}.encrypted_content", "Encrypted content could not be decrypted or parsed."
        )
    return text


def _verify(item: Reasoning, model: str, talk: Talk) -> None:
    """Reasoning comes back as it was given out: sealed, under its own id when it has one.

    Reasoning of another model is passed over, which the answer tells.
    """
    if item.encrypted_content is None:
        raise _not_kept(item.id or "")
    found = _unsealed(item)
    if found is None:
        raise _not_verified(item.id, None, "Encrypted content could not be decrypted or parsed.")
    if item.id is not None and item.id != found.id:
        raise _not_verified(item.id, None, "Encrypted content item_id did not match the target item id.")
    if found.model != model:
        talk.removed.append(Removed(found.id, "model_mismatch"))


def _not_verified(item_id: str | None, param: str | None, reason: str) -> InvalidRequest:
    name = f"for item {item_id[:80]} " if item_id else ""
    sentence = f"The encrypted content {name}could not be verified. Reason: {reason}"
    return InvalidRequest(sentence, code="invalid_encrypted_content", param=param)
