"""Thinking blocks and what they carry, in callers' hands and back.

A provider's own signature stands in a thinking block, its redacted thinking in a redacted_thinking block. In a `State`
the second is told from the first by a prefix, which never leaves this protocol's rooms bare. State of any origin that
a caller of this protocol is to carry is wrapped (translation/envelope.py). What belongs to a tool call or to a text
rides in a redacted_thinking block of its own, with a prefix that says what it belongs to.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.translation import envelope
from trunkline.translation.anthropic_messages.vocabulary import begins
from trunkline.translation.exchange import State, ToolCall
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

REDACTED = "redacted:"
_CALL = "call:"
_TEXT = "text:"


def of_redacted(origin: str, data: str) -> State:
    return State(origin, REDACTED + data)


def of_call(call: ToolCall, state: State) -> str:
    """A call's state as a redacted_thinking block carries it."""
    return envelope.wrap(State(state.origin, f"{_CALL}{len(call.id)}:{call.id}{state.data}"))


def of_text(state: State) -> str:
    return envelope.wrap(State(state.origin, _TEXT + state.data))


class Belongs(msgspec.Struct, frozen=True):
    """State that a redacted_thinking block brought back: the call's; the text's before it when `call_id` is None."""

    call_id: str | None
    state: State


def belonging(state: State) -> Belongs | None:
    """None for thinking, which stands for itself."""
    data = state.data
    if data.startswith(_TEXT):
        return Belongs(None, State(state.origin, data[len(_TEXT) :]))
    if data.startswith(_CALL):
        length, _, rest = data[len(_CALL) :].partition(":")
        if length.isdecimal() and int(length) <= len(rest):
            return Belongs(rest[: int(length)], State(state.origin, rest[int(length) :]))
    return None


class _Block(msgspec.Struct):
    type: str = ""
    signature: str = ""
    data: str = ""


_decode_messages = msgspec.json.Decoder(list[Fields]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_fields = msgspec.json.Decoder(Fields).decode


def strip_foreign_state(fields: Fields, provider_id: str) -> Fields:
    """A caller's request on its way to a provider of this protocol: thinking that the gateway had wrapped is unwrapped
    when it is this provider's, and removed when it is another's. Everything else stays as it came."""
    messages = fields.get("messages")
    if messages is None or not envelope.is_within(bytes(messages)):
        return fields
    try:
        cleaned = [_cleaned(message, provider_id) for message in _decode_messages(messages)]
    except codec.UNREADABLE:
        return fields  # the provider says what is wrong with it
    return {**fields, "messages": Raw(encode([message for message in cleaned if message is not None]))}


def _cleaned(message: Fields, provider_id: str) -> Fields | None:
    """None when nothing is left of it."""
    content = message.get("content", Raw())
    if not begins(content, b"[") or not envelope.is_within(bytes(content)):
        return message
    blocks = [
        _returned(block, provider_id) if envelope.is_within(bytes(block)) else block for block in _decode_list(content)
    ]
    kept = [block for block in blocks if block is not None]
    return {**message, "content": Raw(encode(kept))} if kept else None


def _returned(raw: Raw, provider_id: str) -> Raw | None:
    block = _decode_block(raw)
    name = {"thinking": "signature", "redacted_thinking": "data"}.get(block.type)
    carried = block.signature if name == "signature" else block.data
    if name is None or not envelope.is_wrapped(carried):
        return raw
    state = envelope.unwrap(carried)
    if state.origin != provider_id or belonging(state) is not None:
        return None
    if block.type == "redacted_thinking" and not state.data.startswith(REDACTED):
        # Thinking whose text was never shown.
        return Raw(encode({"type": "thinking", "thinking": "", "signature": state.data}))
    return Raw(encode({**_decode_fields(raw), name: state.data.removeprefix(REDACTED)}))
