"""What a provider of this protocol answered: its items as parts."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import Opaque, Part, Reasoning, Refusal, State, Stop, Text, ToolCall
from trunkline.translation.openai_responses.asked import PROTOCOL, flat
from trunkline.translation.openai_responses.items import PHASE
from trunkline.translation.openai_responses.parts import ContentPart, citations
from trunkline.translation.openai_responses.sealed import seal
from trunkline.wire import codec
from trunkline.wire.codec import encode


class Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Said(msgspec.Struct, gc=False):
    """A response as far as it is read."""

    id: str = ""
    model: str = ""
    created_at: float = 0
    output: list[Raw] | None = None
    status: str | None = None
    incomplete_details: Incomplete | None = None
    usage: Raw = Raw()
    service_tier: str | None = None


class MessageSaid(msgspec.Struct, tag_field="type", tag="message", gc=False):
    content: list[ContentPart] = []
    phase: str | None = None

    def logprobs(self) -> list[Raw]:
        return [part.logprobs for part in self.content if bytes(memoryview(part.logprobs)[:1]) == b"["]


class ReasoningSaid(msgspec.Struct, tag_field="type", tag="reasoning", gc=False):
    summary: list[ContentPart] | None = None
    content: list[ContentPart] | None = None
    encrypted_content: str | None = None
    id: str | None = None

    def logprobs(self) -> list[Raw]:
        return []


class CallSaid(msgspec.Struct, tag_field="type", tag="function_call", gc=False):
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    namespace: str | None = None
    id: str | None = None

    def logprobs(self) -> list[Raw]:
        return []


class CustomCallSaid(msgspec.Struct, tag_field="type", tag="custom_tool_call", gc=False):
    call_id: str = ""
    name: str = ""
    input: str = ""
    namespace: str | None = None
    id: str | None = None

    def logprobs(self) -> list[Raw]:
        return []


class OtherSaid(msgspec.Struct, gc=False):
    """An item that only this protocol knows."""

    raw: Raw
    type: str

    def logprobs(self) -> list[Raw]:
        return []


ItemSaid = MessageSaid | ReasoningSaid | CallSaid | CustomCallSaid | OtherSaid


class _Head(msgspec.Struct, gc=False):
    type: str


_KNOWN = frozenset(("message", "reasoning", "function_call", "custom_tool_call"))
_decode_known = msgspec.json.Decoder(MessageSaid | ReasoningSaid | CallSaid | CustomCallSaid).decode
_decode_head = msgspec.json.Decoder(_Head).decode


def read_item(raw: Raw) -> ItemSaid:
    """Raises UpstreamFailed for what is no item."""
    try:
        known: ItemSaid = _decode_known(raw)
    except codec.UNREADABLE:
        return _other(raw)
    return known


def _other(raw: Raw) -> OtherSaid:
    try:
        head = _decode_head(raw)
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer has an item without a type.") from None
    if head.type in _KNOWN:
        raise UpstreamFailed(f"The provider's answer has a {head.type} that is none.")
    return OtherSaid(raw, head.type)


def parts_of(item: ItemSaid, provider_id: str) -> list[Part]:
    """What says nothing is left out."""
    if isinstance(item, MessageSaid):
        return _message(item)
    if isinstance(item, ReasoningSaid):
        part = Reasoning(
            text=reasoning_text(item),
            summaries=[said.text or "" for said in item.summary or ()],
            state=state_of(item, provider_id),
        )
        return [part] if part.text or any(part.summaries) or part.state is not None else []
    if isinstance(item, OtherSaid):
        return [Opaque(PROTOCOL, item.raw, item.type)]
    name = flat(item.namespace, item.name)
    if isinstance(item, CustomCallSaid):
        return [ToolCall(id=call_id(item), name=name, arguments=item.input, custom=True)]
    return [ToolCall(id=call_id(item), name=name, arguments=item.arguments)]


def state_of(item: ReasoningSaid, provider_id: str) -> State | None:
    if item.encrypted_content is None:
        return None
    return State(provider_id, seal(item.id, item.encrypted_content))


def _message(item: MessageSaid) -> list[Part]:
    parts: list[Part] = []
    if item.phase is not None:
        parts.append(phase_part(item.phase))
    for said in item.content:
        if said.type == "refusal":
            if said.refusal:
                parts.append(Refusal(said.refusal))
        elif said.text:
            parts.append(Text(text=said.text, citations=citations(said)))
    return parts


def phase_part(phase: str) -> Opaque:
    return Opaque(PROTOCOL, Raw(encode(phase)), PHASE)


def reasoning_text(item: ReasoningSaid) -> str:
    return "\n\n".join(said.text for said in item.content or () if said.text)


def call_id(item: CallSaid | CustomCallSaid) -> str:
    """Engines that have one id for the item and the call give only the item's."""
    return item.call_id or item.id or ""


def stop_of(said: Said, *, called: bool, refused: bool) -> Stop:
    """`called`, `refused`: there is a call of a tool, a refusal."""
    if said.status == "incomplete":
        details = said.incomplete_details
        return "filter" if details is not None and details.reason == "content_filter" else "length"
    if called:
        return "tool"
    return "refusal" if refused else "end"
