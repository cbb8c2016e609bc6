"""Anthropic's Messages: the whole answer and its usage, as far as the gateway reads them.

Shapes: the `anthropic` package's types/message.py, usage.py and message_delta_usage.py.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import codec
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in
from trunkline.wire.usage import MAX_COUNT, Count, Usage


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: Count | None = None


class MessageUsage(msgspec.Struct, gc=False):
    """Counts as this protocol has them: `input_tokens` is what was neither read from a cache nor written to one. None:
    not said, or not said again."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None

    def later(self, said: MessageUsage) -> MessageUsage:
        """With what a later event said: its counts are of the whole call so far, so they overwrite."""
        mine = msgspec.structs.asdict(self)
        mine.update((name, value) for name, value in msgspec.structs.asdict(said).items() if value is not None)
        return MessageUsage(**mine)

    def total(self) -> Usage | None:
        """None when the counts that matter are not all there, or are more than any call has."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        whole_input = self.input_tokens + read + written
        if whole_input > MAX_COUNT:
            return None
        kept = self.cache_creation.ephemeral_1h_input_tokens if self.cache_creation else None
        thought = self.output_tokens_details.thinking_tokens if self.output_tokens_details else None
        return Usage(
            input_tokens=whole_input,
            output_tokens=self.output_tokens,
            cached_input_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=min(kept or 0, written),
            reasoning_tokens=min(thought or 0, self.output_tokens),
        )


_decode_usage = msgspec.json.Decoder(MessageUsage).decode
_NOTHING = MessageUsage()


def read_counts(raw: Raw) -> MessageUsage:
    """Empty unless every count is a JSON integer from 0 to 10,000,000."""
    try:
        return _decode_usage(raw)
    except codec.UNREADABLE:
        return _NOTHING


def read_usage(raw: Raw) -> Usage | None:
    return read_counts(raw).total()


class _Answer(msgspec.Struct, gc=False):
    content: list[Raw]
    usage: Raw = Raw()
    error: None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200."""

    usage: Usage | None = None
    error: ErrorFacts | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Answer:
    """Raises UpstreamFailed when it is no message at all."""
    try:
        if not body.isascii():
            body.decode()
        said = _decode_answer(body)
    except codec.UNREADABLE:
        facts = error_in(codec.answer_fields(body) or {})
        if facts is None:
            raise UpstreamFailed("The provider's answer is not a message.") from None
        return Answer(None, facts)
    return Answer(read_usage(said.usage) if said.usage else None)


def with_model(body: bytes, model: str) -> bytes:
    """A whole answer that names `model`, every other value as it came."""
    fields = codec.answer_fields(body)
    if fields is None:
        return body
    fields["model"] = Raw(encode(model))
    return encode(fields)


class _TokenCount(msgspec.Struct, gc=False):
    input_tokens: Count


_decode_token_count = msgspec.json.Decoder(_TokenCount).decode


def read_count(body: bytes) -> int:
    """The answer to a count of tokens. Raises UpstreamFailed when it is none."""
    try:
        return _decode_token_count(body).input_tokens
    except codec.UNREADABLE:
        raise UpstreamFailed("The provider's answer is not a count of tokens.") from None


def count_body(input_tokens: int) -> bytes:
    return encode(_TokenCount(input_tokens))
