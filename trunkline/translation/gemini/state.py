"""Thought signatures: how a provider's state travels in this protocol, both ways.

The field holds bytes, spelled in base64, and Google's clients decode and encode them: so to a caller the envelope of
translation/envelope.py is written in base64 once more. From and to a provider it is the signature as it came.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from trunkline.translation import envelope
from trunkline.translation.exchange import State
from trunkline.translation.gemini.spelling import camel
from trunkline.translation.gemini.vocabulary import NAMES, begins, takes_call_ids
from trunkline.translation.target import Target
from trunkline.wire import codec
from trunkline.wire.codec import Fields, encode

SKIPPED: Final = "skip_thought_signature_validator"
"""Stands for the signature of a call that another model made, or of which it was lost:
https://ai.google.dev/gemini-api/docs/thought-signatures#faqs and, the same for Vertex AI,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thought-signatures"""

OF_MEDIA: Final = "media:"
"""In hidden reasoning: the signature of the picture or sound that it follows."""

# All wrapped state begins so, in either alphabet of base64.
_MARK = b64encode(envelope.MARK.encode())[:5]
_URL_SAFE = str.maketrans("-_", "+/")


def wrapped(state: State) -> str:
    """For a caller."""
    return b64encode(envelope.wrap(state).encode()).decode()


def unwrapped(signature: str) -> State:
    """What a caller brought back; what was not wrapped is of unknown origin."""
    if signature.startswith(_MARK.decode()):
        plain = signature.translate(_URL_SAFE).rstrip("=")
        try:
            text = b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
        except ValueError:  # no base64, or no text
            return State("", signature)
        state = envelope.unwrap(text)
        if state.origin:
            return state
    return State("", signature)


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(Fields).decode
_decode_text = msgspec.json.Decoder(str).decode


def strip_foreign_state(fields: Fields, provider_id: str) -> Fields:
    """A caller's request on its way to a provider of this protocol: a signature that the gateway had wrapped is
    unwrapped when it is this provider's. Another's is removed; a function call gets the value that stands for one.
    Everything else stays as it came."""
    contents = fields.get("contents")
    if contents is None or _MARK not in bytes(contents):
        return fields
    return {**fields, "contents": _each(contents, lambda part: _cleaned(part, provider_id))}


def without_call_ids(fields: Fields) -> Fields:
    """For a provider that refuses the ids of function calls and their results."""
    contents = fields.get("contents")
    if contents is None or b'"id"' not in bytes(contents):
        return fields
    return {**fields, "contents": _each(contents, _nameless)}


def passed_fields(fields: Fields, target: Target, warnings: list[str]) -> Fields:
    """A caller's whole request for a provider of this protocol: with the state that is the provider's, without what it
    refuses. `warnings` gains a line for each parameter that is not sent."""
    fields = strip_foreign_state(fields, target.provider_id)
    if not takes_call_ids(target):
        fields = without_call_ids(fields)
    refused = {NAMES.get(name, name).removeprefix("generationConfig.") for name in target.drops}
    name = "generationConfig" if "generationConfig" in fields else "generation_config"
    config = codec.answer_fields(bytes(fields[name])) if refused and name in fields else None
    dropped = [one for one in config or () if camel(one) in refused]
    if config is None or not dropped:
        return fields
    warnings += [f"dropped {name}.{one}: not supported by {target.model_id}" for one in dropped]
    return {**fields, name: Raw(encode({one: raw for one, raw in config.items() if one not in dropped}))}


def _each(contents: Raw, edit: Callable[[Fields], Fields | None]) -> Raw:
    """Every part edited, those that `edit` gives nothing for left out, and contents of which nothing is left."""
    try:
        edited = [_edited(_decode_object(content), edit) for content in _listed(contents)]
    except codec.UNREADABLE:
        return contents  # the provider says what is wrong with it
    return Raw(encode([content for content in edited if content is not None]))


def _listed(raw: Raw) -> list[Raw]:
    return _decode_list(raw) if begins(raw, b"[") else [raw]


def _edited(content: Fields, edit: Callable[[Fields], Fields | None]) -> Fields | None:
    parts = content.get("parts")
    if parts is None:
        return content
    kept = [part for raw in _listed(parts) if (part := edit(_decode_object(raw))) is not None]
    return {**content, "parts": Raw(encode(kept))} if kept else None


def _cleaned(part: Fields, provider_id: str) -> Fields | None:
    name = next((one for one in ("thoughtSignature", "thought_signature") if one in part), None)
    state = unwrapped(_decode_text(part[name])) if name is not None else None
    if name is None or state is None or not state.origin:
        return part
    if state.origin == provider_id and not state.data.startswith(OF_MEDIA):
        return {**part, name: Raw(encode(state.data))}
    if "functionCall" in part or "function_call" in part:
        return {**part, name: Raw(encode(SKIPPED))}
    if "thought" in part or bytes(part.get("text", Raw())) == b'""':
        return None
    return {one: raw for one, raw in part.items() if one != name}


def _nameless(part: Fields) -> Fields:
    for name in ("functionCall", "function_call", "functionResponse", "function_response"):
        if name in part:
            inner = {one: raw for one, raw in _decode_object(part[name]).items() if one != "id"}
            part = {**part, name: Raw(encode(inner))}
    return part
