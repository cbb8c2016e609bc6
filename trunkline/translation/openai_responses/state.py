"""The state that a call of this protocol refers to: items by their ids, and reasoning that only its maker can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.openai_responses.asked import refusal
from trunkline.translation.openai_responses.sealed import unseal
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode
from trunkline.wire.openai_responses import is_reference

MakeId = Callable[[str], str]
"""Makes an id from its prefix, such as `msg`."""

# Prefixes of the ids of items, by type; the others have their type's first letters at OpenAI, and `item` here.
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "mcp_call": "mcp",
    "compaction": "cmp",
}
_NULL = b"null"


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None
    id: str | None = None
    encrypted_content: str | None = None


_decode_items = msgspec.json.Decoder(list[Raw]).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def strip_foreign_state(fields: Fields, provider_id: str) -> Fields:
    """The body for a provider that gets it raw: state of ours that it made is unwrapped, items with another's are
    taken out. The same object when there is none. Raises InvalidRequest for items that cannot be read."""
    raw = fields.get("input")
    if raw is None or bytes(memoryview(raw)[:1]) == b'"' or not envelope.is_within(bytes(raw)):
        return fields
    kept: list[Raw] = []
    for index, item in enumerate(_items(raw)):
        head = _head(item, index)
        if head.encrypted_content is None or not envelope.is_wrapped(head.encrypted_content):
            kept.append(item)
            continue
        state = envelope.unwrap(head.encrypted_content)
        if state.origin == provider_id:
            changed = _decode_fields(item)
            changed.pop("hidden", None)
            item_id, encrypted = unseal(state.data)
            changed["encrypted_content"] = Raw(encode(encrypted))
            if item_id is not None:
                changed["id"] = Raw(encode(item_id))
            kept.append(Raw(encode(changed)))
    return {**fields, "input": Raw(encode(kept))}


def visible(response: bytes, *, state: bool) -> bytes:
    """A kept response as its caller sees it; `state`: he asked for encrypted reasoning."""
    fields = _decode_fields(response)
    output = [shown for item in _decode_items(fields["output"]) if (shown := visible_item(item, state=state))]
    fields["output"] = Raw(encode(output))
    return encode(fields)


def visible_item(item: Raw, *, state: bool) -> Raw | None:
    """A kept item as its caller sees it, None when he does not."""
    if not envelope.is_within(bytes(item)):
        return item
    fields = _decode_fields(item)
    if bytes(fields.get("type", b"")) != b'"reasoning"':
        return item
    if "hidden" in fields:
        return None
    if state:
        return item
    fields.pop("encrypted_content", None)
    return Raw(encode(fields))


def input_items(fields: Fields, make_id: MakeId) -> list[bytes]:
    """This request's own items as the API lists them: a text is a message, a message's content is a list, and each has
    an id. References are left as they are. Raises InvalidRequest for items that cannot be read."""
    raw = fields.get("input")
    if raw is None or bytes(raw) == _NULL:
        return []
    if bytes(memoryview(raw)[:1]) == b'"':
        return [_message(make_id("msg"), b'"user"', _parts(raw, "input_text"))]
    return [_listed(item, index, make_id) for index, item in enumerate(_items(raw))]


def _listed(raw: Raw, index: int, make_id: MakeId) -> bytes:
    head = _head(raw, index)
    if is_reference(head.type, head.role, head.id):
        return bytes(raw)
    fields = _decode_fields(raw)
    kind = head.type or "message"
    if not head.id:
        fields["id"] = Raw(encode(make_id(_PREFIXES.get(kind, "item"))))
    if kind == "message":
        fields["type"] = Raw(b'"message"')
        content = fields.get("content", Raw(b'""'))
        if bytes(memoryview(content)[:1]) == b'"':
            fields["content"] = _parts(content, "output_text" if head.role == "assistant" else "input_text")
    if kind in ("message", "function_call", "function_call_output"):
        fields.setdefault("status", Raw(b'"completed"'))
    return encode({"id": fields.pop("id"), **fields})


def _parts(text: Raw, kind: str) -> Raw:
    if kind == "output_text":
        return Raw(b'[{"type":"output_text","text":' + bytes(text) + b',"annotations":[],"logprobs":[]}]')
    return Raw(b'[{"type":"input_text","text":' + bytes(text) + b"}]")


def _message(item_id: str, role: bytes, content: Raw) -> bytes:
    return b'{"id":%b,"type":"message","role":%b,"content":%b,"status":"completed"}' % (
        encode(item_id),
        role,
        bytes(content),
    )


def references(fields: Fields) -> list[str]:
    """The ids of items that the input names instead of giving them."""
    raw = fields.get("input")
    if raw is None or bytes(memoryview(raw)[:1]) != b"[":
        return []
    heads = [_head(item, index) for index, item in enumerate(_items(raw))]
    return [head.id for head in heads if is_reference(head.type, head.role, head.id) and head.id]


def expand(previous: Iterable[Raw], fields: Fields, known: Mapping[str, Raw] | None = None) -> Fields:
    """The body with everything it goes on from in its input: `previous` items first, and for each reference the item
    of that id, from `known` or `previous`. What it went on from is not named in it any more.

    Raises InvalidRequest naming a reference whose item is not there.
    """
    earlier = list(previous)
    found: dict[str, Raw] = {}
    items: list[Raw] = []
    raw = fields.get("input")
    if raw is not None and bytes(memoryview(raw)[:1]) == b'"':
        items = [Raw(b'{"type":"message","role":"user","content":' + bytes(raw) + b"}")]
    elif raw is not None and bytes(raw) != _NULL:
        items = _items(raw)
    for index, item in enumerate(items):
        head = _head(item, index)
        if not is_reference(head.type, head.role, head.id):
            continue
        stored = (known or {}).get(head.id or "")
        if stored is None:
            found = found or {one.id: other for other in earlier if (one := _decode_item(other)).id}
            stored = found.get(head.id or "")
        if stored is None:
            raise InvalidRequest(
                f"'input[{index}]' refers to the item '{head.id}', which is not known.",
                code="item_not_found",
                param=f"input[{index}].id",
            )
        items[index] = stored
    gone = ("previous_response_id", "conversation")
    kept = {name: value for name, value in fields.items() if name not in gone}
    return {**kept, "input": Raw(encode([*earlier, *items]))}


def _items(raw: Raw) -> list[Raw]:
    try:
        return _decode_items(raw)
    except codec.UNREADABLE as error:
        raise refusal(error, "input") from None


def _head(item: Raw, index: int) -> _Item:
    try:
        return _decode_item(item)
    except codec.UNREADABLE as error:
        raise refusal(error, f"input[{index}]") from None
