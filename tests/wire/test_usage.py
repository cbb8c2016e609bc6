"""One rule for every protocol's counts: all of them can be believed, or none of them counts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.wire import (
    anthropic_messages_answer,
    bedrock_converse,
    cohere_chat,
    gemini_answer,
    ollama_chat,
    openai_chat_answer,
    openai_responses_answer,
    passage,
)
from trunkline.wire.usage import MAX_COUNT, Usage, believed

JSON = dict[str, Any]


def read_ollama(raw: Raw) -> Usage | None:
    said: dict[str, Raw] = msgspec.json.decode(raw, type=dict[str, Raw])
    names = ("prompt_eval_count", "eval_count", "prompt_eval_cached_count")
    return ollama_chat.usage(*(said.get(name, Raw()) for name in names))


class Protocol(msgspec.Struct, frozen=True):
    """`counts` with every count that is read; `needed` are the paths of those that must be there, `within` that of one
    that is part of the input."""

    read: Callable[[Raw], Usage | None]
    counts: JSON
    needed: tuple[tuple[str, ...], ...]
    within: tuple[str, ...] | None = None


PROTOCOLS = {
    "openai_chat": Protocol(
        openai_chat_answer.read_usage,
        {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 1},
            "prompt_cache_hit_tokens": 3,
            "cached_tokens": 3,
        },
        (("prompt_tokens",), ("completion_tokens",)),
        ("prompt_tokens_details", "cached_tokens"),
    ),
    "openai_responses": Protocol(
        openai_responses_answer.read_usage,
        {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 14,
        },
        (("input_tokens",), ("output_tokens",)),
        ("input_tokens_details", "cache_write_tokens"),
    ),
    "anthropic_messages": Protocol(
        anthropic_messages_answer.read_usage,
        {
            "input_tokens": 4,
            "output_tokens": 5,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1},
            "output_tokens_details": {"thinking_tokens": 2},
        },
        (("input_tokens",), ("output_tokens",)),
    ),
    "gemini": Protocol(
        gemini_answer.read_usage,
        {
            "promptTokenCount": 8,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 5,
            "toolUsePromptTokenCount": 1,
            "totalTokenCount": 14,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1}],
        },
        (("promptTokenCount",),),
        ("cachedContentTokenCount",),
    ),
    "bedrock_converse": Protocol(
        bedrock_converse.read_usage,
        {
            "inputTokens": 4,
            "outputTokens": 5,
            "totalTokens": 14,
            "cacheReadInputTokens": 3,
            "cacheWriteInputTokens": 2,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 1}],
        },
        (("inputTokens",), ("outputTokens",)),
    ),
    "cohere_chat": Protocol(
        cohere_chat.read_usage,
        {
            "billed_units": {"input_tokens": 9, "output_tokens": 5},
            "tokens": {"input_tokens": 9, "output_tokens": 5},
            "cached_tokens": 5,
        },
        (),
        ("cached_tokens",),
    ),
    "ollama_chat": Protocol(
        read_ollama,
        {"prompt_eval_count": 9, "eval_count": 5, "prompt_eval_cached_count": 5},
        (("prompt_eval_count",), ("eval_count",), ("prompt_eval_cached_count",)),
        ("prompt_eval_cached_count",),
    ),
    "passage": Protocol(
        passage.read_usage,
        {
            "input_tokens": 9,
            "output_tokens": 5,
            "prompt_tokens": 9,
            "total_tokens": 14,
            "input_tokens_details": {"audio_tokens": 1, "cached_tokens": 5, "image_tokens": 1},
            "output_tokens_details": {"audio_tokens": 1, "image_tokens": 1},
        },
        (),
        ("input_tokens_details", "cached_tokens"),
    ),
}


def counts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, int):
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from counts_in(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from counts_in(inner, (*path, at))


def with_count(counts: JSON, path: tuple[Any, ...], value: Any) -> Raw:
    changed = copy.deepcopy(counts)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return Raw(msgspec.json.encode(changed))


EVERY = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
EVERY_COUNT = pytest.mark.parametrize(
    ("protocol", "path"),
    [
        pytest.param(protocol, path, id=f"{name}-{'.'.join(map(str, path))}")
        for name, protocol in PROTOCOLS.items()
        for path in counts_in(protocol.counts)
    ],
)
WRONG = ["9", "", 9.5, -0.5, True, False, -1, 3 * MAX_COUNT, 10**30, [9], {"n": 9}]


@EVERY
def test_what_can_be_believed_counts_as_reported(protocol: Protocol) -> None:
    usage = protocol.read(Raw(msgspec.json.encode(protocol.counts)))
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (9, 5)
    assert usage.cached_input_tokens + usage.cache_write_tokens == 5


@EVERY_COUNT
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_one_count_that_is_none_makes_all_of_it_absent(protocol: Protocol, path: tuple[Any, ...], wrong: Any) -> None:
    assert protocol.read(with_count(protocol.counts, path, wrong)) is None


@EVERY_COUNT
def test_only_cohere_writes_whole_numbers_as_floats(protocol: Protocol, path: tuple[Any, ...]) -> None:
    usage = protocol.read(with_count(protocol.counts, path, 1.0))
    assert (usage is not None) == (protocol.read is cohere_chat.read_usage)


@EVERY
def test_what_must_be_counted_cannot_be_null_or_left_out(protocol: Protocol) -> None:
    for path in protocol.needed:
        assert protocol.read(with_count(protocol.counts, path, None)) is None
    for nothing in (b"null", b"[]", b"{}", b"7", b'"x"', b"true"):
        assert protocol.read is read_ollama or protocol.read(Raw(nothing)) is None


@EVERY
def test_no_more_is_cached_than_there_was(protocol: Protocol) -> None:
    if protocol.within is not None:
        assert protocol.read(with_count(protocol.counts, protocol.within, 15)) is None


@EVERY_COUNT
def test_nothing_is_something(protocol: Protocol, path: tuple[Any, ...]) -> None:
    """0 is a count. Where it makes the others impossible, they are no usage; else it is read as it stands."""
    usage = protocol.read(with_count(protocol.counts, path, 0))
    if usage is not None:
        assert usage.cached_input_tokens + usage.cache_write_tokens <= usage.input_tokens
        assert usage.reasoning_tokens <= usage.output_tokens


def test_details_are_cut_to_what_they_are_part_of() -> None:
    usage = believed(
        3, 2, written=1, written_1h=9, reasoning=9, input_audio=9, output_audio=9, input_image=9, output_image=9
    )
    assert usage == Usage(
        input_tokens=3,
        output_tokens=2,
        cache_write_tokens=1,
        cache_write_1h_tokens=1,
        reasoning_tokens=2,
        input_audio_tokens=3,
        output_audio_tokens=2,
        input_image_tokens=3,
        output_image_tokens=2,
    )
    assert believed(MAX_COUNT, MAX_COUNT) is not None
    assert believed(MAX_COUNT + 1, 0) is None
    assert believed(0, MAX_COUNT + 1) is None
    assert believed(4, 0, cached=2, written=3) is None


def test_sums() -> None:
    usage = Usage(input_tokens=10, output_tokens=5, cached_input_tokens=3, cache_write_tokens=4, reasoning_tokens=2)
    assert usage.total_tokens == 15
    assert usage.fresh_input_tokens == 3


def test_answers_of_one_call_are_counted_together() -> None:
    one = Usage(input_tokens=10, output_tokens=5, cached_input_tokens=3)
    assert one.plus(Usage(input_tokens=1, output_tokens=2, reasoning_tokens=2)) == Usage(
        input_tokens=11, output_tokens=7, cached_input_tokens=3, reasoning_tokens=2
    )


def test_what_was_cached_is_never_more_than_all() -> None:
    assert Usage(input_tokens=1, output_tokens=0, cached_input_tokens=2).fresh_input_tokens == 0


def test_a_cost_is_no_count() -> None:
    usage = Usage(input_tokens=1, output_tokens=2, cost_nanos=1_500)
    assert usage.same_counts(Usage(input_tokens=1, output_tokens=2))
    assert not usage.same_counts(Usage(input_tokens=1, output_tokens=3, cost_nanos=1_500))
    assert not usage.same_counts(None)
    assert msgspec.json.encode({"cost": usage.cost}) == b'{"cost":0.0000015}'
    assert Usage(input_tokens=1, output_tokens=2).cost is msgspec.UNSET
