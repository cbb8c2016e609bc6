"""Anthropic's Messages: the whole answer and its usage, as far as the gateway reads them.

Shapes: the `anthropic` package's types/message.py, usage.py and message_delta_usage.py.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire import billing, codec, seen
from trunkline.wire.codec import encode
from trunkline.wire.provider_errors import ErrorFacts, error_in
from trunkline.wire.usage import Count, Usage, believed, tier_of


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
    service_tier: str | None = None
    speed: str | None = None

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
        usage = believed(
            self.input_tokens + read + written,
            self.output_tokens,
            cached=read,
            written=written,
            written_1h=self.cache_creation.ephemeral_1h_input_tokens if self.cache_creation else None,
            reasoning=self.output_tokens_details.thinking_tokens if self.output_tokens_details else None,
        )
        if usage is not None:
            usage.service_tier = tier_of("fast" if self.speed == "fast" else self.service_tier)
        return usage


_decode_usage = msgspec.json.Decoder(MessageUsage).decode


def read_counts(raw: Raw) -> MessageUsage | None:
    """None unless every count is a JSON integer from 0 to 10,000,000."""
    try:
        return _decode_usage(raw)
    except codec.UNREADABLE:
        return None


def read_usage(raw: Raw) -> Usage | None:
    said = read_counts(raw)
    return said.total() if said is not None else None


class StreamedUsage:
    """The usage of a streamed answer: told at its start, when all the input is known, and again with its end.

    `total` is what is known so far; `final` is None until the end has told how much there was to say, and stays so
    where it does not. What makes no sense is passed over, so the last counts that do are those that hold.
    """

    __slots__ = ("_counts", "_output_told")

    def __init__(self) -> None:
        self._counts = MessageUsage()
        self._output_told = False

    def start(self, raw: Raw) -> None:
        """Of message_start."""
        self._counts = read_counts(raw) or MessageUsage()

    def delta(self, raw: Raw) -> None:
        """Of message_delta."""
        said = read_counts(raw)
        if said is None:
            return
        counts = self._counts.later(said)
        if counts.total() is not None or self.final is None:
            self._counts = counts
            self._output_told = self._output_told or said.output_tokens is not None

    @property
    def total(self) -> Usage | None:
        return self._counts.total()

    @property
    def final(self) -> Usage | None:
        return self._counts.total() if self._output_told else None


def usage_fields(usage: Usage) -> dict[str, Any]:
    """All that this protocol tells of it, and what it cost once that is known."""
    fields: dict[str, Any] = {
        "input_tokens": usage.fresh_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.cache_write_tokens:
        fields["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens - usage.cache_write_1h_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        }
    if usage.reasoning_tokens:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.cost_nanos is not None:
        fields["cost"] = usage.cost
    return fields


def delta_fields(usage: Usage) -> dict[str, Any]:
    """The same as the end of a stream has it, which does not tell how long is kept what was cached."""
    return {name: value for name, value in usage_fields(usage).items() if name != "cache_creation"}


class _Answer(msgspec.Struct, gc=False):
    content: list[Raw]
    usage: Raw = Raw()
    id: Raw = Raw()
    stop_reason: Raw = Raw()
    error: None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer's facts. `error` is set when the provider hid a failure in an answer of status 200."""

    usage: Usage | None = None
    error: ErrorFacts | None = None
    response_id: str | None = None
    finish_reason: str | None = None


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
    usage = read_usage(said.usage) if said.usage else None
    return Answer(usage, None, codec.text_of(said.id), codec.text_of(said.stop_reason))


class _Counted(msgspec.Struct, gc=False):
    usage: Raw = Raw()


_decode_counted = msgspec.json.Decoder(_Counted).decode


def billed(body: bytes, usage: Usage, *, replaced: bool) -> bytes:
    """A whole answer that `read_answer` took, with what it cost. `replaced`: the provider gave no usage that counts;
    `usage` is shown in its place."""
    said = _decode_counted(body).usage
    return billing.with_usage(
        body, b"usage", said, usage, encode(usage_fields(usage)) if replaced or not said else None
    )


def estimated_output(body: bytes) -> int:
    """A whole answer's tokens, about, where the provider did not count them."""
    return seen.whole_answer(body, "content")


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
