"""The items of conversations and of stored responses: what a caller gives becomes an item with an id, and what is shown
of one depends on `include`.

Source of the shapes: the `openai` package, types/responses/response_input_item_param.py for what is given and
types/conversations/conversation_item.py for what is shown; of `include`: types/responses/response_includable.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.ids import new_stored_id
from trunkline.wire import codec

Json = dict[str, Any]

INCLUDABLE: Final = frozenset(
    {
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
    }
)
ROLES: Final = ("user", "assistant", "system", "developer")
MESSAGE_PARTS: Final = ("input_text", "input_image", "input_file", "output_text", "refusal")
# The first letters of an id, by type; those of other types begin with `item`.
PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "file_search_call": "fs",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "code_interpreter_call": "ci",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "compaction": "cmp",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcprs",
}
# What an item of a type must have. A type that is not here may have any fields.
Kinds: TypeAlias = tuple[type, ...]
TEXT: Final[Kinds] = (str,)
TEXT_OR_LIST: Final[Kinds] = (str, list)
REQUIRED: Final[dict[str, dict[str, Kinds]]] = {
    "function_call": {"call_id": TEXT, "name": TEXT, "arguments": TEXT},
    "function_call_output": {"call_id": TEXT, "output": TEXT_OR_LIST},
    "custom_tool_call": {"call_id": TEXT, "name": TEXT, "input": TEXT},
    "custom_tool_call_output": {"call_id": TEXT, "output": TEXT_OR_LIST},
    "reasoning": {"summary": (list,)},
    "compaction": {"encrypted_content": TEXT},
    "computer_call_output": {"call_id": TEXT, "output": (dict,)},
}
HAVE_STATUS: Final = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "computer_call_output",
    }
)
# They say what to do with a call, and are nothing that can be kept.
NOT_KEPT: Final = ("item_reference", "compaction_trigger")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMES: Final[dict[type, str]] = {str: "a string", list: "a list", dict: "an object"}


class Item(NamedTuple):
    """`content` is its JSON, which holds the same id. `given`: the caller chose the id."""

    id: str
    content: bytes
    given: bool


def read_items(value: msgspec.Raw, param: str, most: int) -> list[Item]:
    """The items of a request's field, normalised as they will be shown. Raises InvalidRequest, naming the field."""
    found = _decode(value, param)
    if not isinstance(found, list):
        raise _wrong(param, "a list of items")
    if not 1 <= len(found) <= most:
        raise InvalidRequest(f"'{param}' takes 1 to {most} items, not {len(found)}.", param=param)
    items = [read_item(one, f"{param}[{place}]") for place, one in enumerate(found)]
    seen: set[str] = set()
    for place, item in enumerate(items):
        if item.id in seen:
            raise InvalidRequest(f"Two items have the id {item.id}.", param=f"{param}[{place}].id")
        seen.add(item.id)
    return items


def read_item(found: object, param: str) -> Item:
    """One decoded item. An item without an id gets one; a message's text becomes a part."""
    if not isinstance(found, dict):
        raise _wrong(param, "an object")
    kind = found.get("type", "message" if "role" in found else None)
    if not isinstance(kind, str) or not _ID.fullmatch(kind):
        raise _wrong(f"{param}.type", "the type of an item")
    if kind in NOT_KEPT:
        raise InvalidRequest(
            f"An item of the type {kind} cannot be added; send the item itself.", param=f"{param}.type"
        )
    for name, kinds in REQUIRED.get(kind, {}).items():
        if not isinstance(found.get(name), kinds):
            raise _wrong(f"{param}.{name}", " or ".join(_NAMES[one] for one in kinds))
    given = found.get("id")
    if given is not None and not (isinstance(given, str) and _ID.fullmatch(given)):
        raise _wrong(f"{param}.id", "1 to 64 letters, digits, `_` or `-`")
    item_id = given if given is not None else new_stored_id(PREFIXES.get(kind, "item"))
    item: Json = {**found, "id": item_id, "type": kind}
    if kind in HAVE_STATUS and item.get("status") is None:
        item["status"] = "completed"
    if kind == "message":
        item["content"] = _message_content(item, param)
    return Item(item_id, codec.encode(item), given is not None)


def _message_content(message: Json, param: str) -> list[Json]:
    role = message.get("role")
    if role not in ROLES:
        raise _wrong(f"{param}.role", f"one of {', '.join(ROLES)}")
    content = message.get("content")
    if isinstance(content, str):
        return [_part({"type": "output_text" if role == "assistant" else "input_text", "text": content})]
    if not isinstance(content, list):
        raise _wrong(f"{param}.content", "a string or a list")
    for place, part in enumerate(content):
        where = f"{param}.content[{place}]"
        if not isinstance(part, dict):
            raise _wrong(where, "an object")
        if part.get("type") not in MESSAGE_PARTS:
            raise _wrong(f"{where}.type", f"one of {', '.join(MESSAGE_PARTS)}")
        if part["type"] in ("input_text", "output_text") and not isinstance(part.get("text"), str):
            raise _wrong(f"{where}.text", "a string")
        if part["type"] == "refusal" and not isinstance(part.get("refusal"), str):
            raise _wrong(f"{where}.refusal", "a string")
    return [_part(part) for part in content]


def _part(part: Json) -> Json:
    """With the fields that the shown form must have."""
    if part["type"] == "output_text":
        return {"annotations": [], **part}
    if part["type"] == "input_image":
        return {"detail": "auto", **{name: value for name, value in part.items() if value is not None}}
    return part


def _decode(value: msgspec.Raw, param: str) -> object:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"'{param}' is not valid JSON: {error}.", code=codec.INVALID_JSON, param=param) from None
    except RecursionError:
        raise InvalidRequest(f"'{param}' is nested too deeply.", code=codec.INVALID_JSON, param=param) from None


def _wrong(param: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"'{param}' must be {wanted}.", code="invalid_type", param=param)


class _Kind(msgspec.Struct):
    type: str = ""


_decode_kind = msgspec.json.Decoder(_Kind).decode


def shown(content: bytes, include: frozenset[str]) -> bytes:
    """An item as it is shown: what must be asked for by `include` and was not is left out."""
    kind = _decode_kind(content).type
    hide = _HIDE.get(kind)
    if hide is None:
        return content
    item: Json = msgspec.json.decode(content)
    hide(item, include)
    return codec.encode(item)


def shown_response(response: bytes, include: frozenset[str]) -> bytes:
    """A whole Response object, each item of its output as it is shown."""
    fields = codec.answer_fields(response)
    if fields is None or "output" not in fields:
        return response
    output: list[msgspec.Raw] = msgspec.json.decode(fields["output"], type=list[msgspec.Raw])
    fields["output"] = msgspec.Raw(codec.encode([msgspec.Raw(shown(bytes(item), include)) for item in output]))
    return codec.encode(fields)


def _hide_reasoning(item: Json, include: frozenset[str]) -> None:
    if "reasoning.encrypted_content" not in include:
        item.pop("encrypted_content", None)


def _hide_message(item: Json, include: frozenset[str]) -> None:
    for part in _objects(item.get("content")):
        if part.get("type") == "input_image" and "message.input_image.image_url" not in include:
            part.pop("image_url", None)
        if part.get("logprobs") and "message.output_text.logprobs" not in include:
            part["logprobs"] = []


def _hide_sources(item: Json, include: frozenset[str]) -> None:
    if "web_search_call.action.sources" not in include:
        for action in _objects([item.get("action")]):
            action.pop("sources", None)


def _hide_screenshot(item: Json, include: frozenset[str]) -> None:
    if "computer_call_output.output.image_url" not in include:
        for output in _objects([item.get("output")]):
            output.pop("image_url", None)


def _hide_results(item: Json, include: frozenset[str]) -> None:
    if "file_search_call.results" not in include:
        item["results"] = None


def _hide_outputs(item: Json, include: frozenset[str]) -> None:
    if "code_interpreter_call.outputs" not in include:
        item["outputs"] = None


def _objects(found: object) -> Iterable[Json]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


_HIDE: Final[dict[str, Callable[[Json, frozenset[str]], None]]] = {
    "reasoning": _hide_reasoning,
    "message": _hide_message,
    "web_search_call": _hide_sources,
    "computer_call_output": _hide_screenshot,
    "file_search_call": _hide_results,
    "code_interpreter_call": _hide_outputs,
}
