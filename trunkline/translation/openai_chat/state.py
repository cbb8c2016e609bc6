"""Reasoning state in a caller's chat messages, on its way to a provider of the same protocol."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.translation import envelope
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

_CARRIERS = ("signature", "data")
_decode_messages = msgspec.json.Decoder(list[Fields]).decode
_decode_text = msgspec.json.Decoder(str | None).decode


def strip_state(fields: Fields) -> Fields:
    """Entries of `reasoning_details` that the gateway had wrapped are left out: they are another provider's, and even
    this provider's own would not be what it made. Everything else stays as it came."""
    messages = fields.get("messages")
    if messages is None or not envelope.is_within(bytes(messages)):
        return fields
    try:
        cleaned = [_cleaned(message) for message in _decode_messages(messages)]
    except codec.UNREADABLE:
        return fields  # the provider says what is wrong with it
    return {**fields, "messages": Raw(encode(cleaned))}


def _cleaned(message: Fields) -> Fields:
    details = message.get("reasoning_details")
    if details is None or not envelope.is_within(bytes(details)):
        return message
    kept = [entry for entry in _decode_messages(details) if not _is_wrapped(entry)]
    return {**message, "reasoning_details": Raw(encode(kept))}


def _is_wrapped(entry: Fields) -> bool:
    carried = (_decode_text(entry[name]) for name in _CARRIERS if name in entry)
    return any(text is not None and envelope.is_wrapped(text) for text in carried)
