"""Whole answers of Messages: their usage, errors in disguise, counts of tokens."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from anthropic.types import Usage as AnthropicUsage
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire.anthropic_messages_answer import (
    StreamedUsage,
    count_body,
    delta_fields,
    estimated_output,
    read_answer,
    read_count,
    read_usage,
    usage_fields,
    with_model,
)
from trunkline.wire.usage import MAX_COUNT, Usage

CORPUS = Path(__file__).parent.parent / "corpus" / "anthropic_messages"


def test_caches_are_part_of_the_input() -> None:
    assert read_answer((CORPUS / "tools.answer.json").read_bytes()).usage == Usage(
        input_tokens=2503,
        output_tokens=70,
        cached_input_tokens=2000,
        cache_write_tokens=500,
        cache_write_1h_tokens=400,
    )


def test_thinking_is_part_of_the_output() -> None:
    usage = read_answer((CORPUS / "thinking.answer.json").read_bytes()).usage
    assert usage == Usage(input_tokens=12, output_tokens=90, reasoning_tokens=60)


@pytest.mark.parametrize(
    "said",
    [
        b"{}",
        b"null",
        b"[]",
        b'{"input_tokens":1}',
        b'{"input_tokens":-1,"output_tokens":1}',
        b'{"input_tokens":1.5,"output_tokens":1}',
        b'{"input_tokens":"1","output_tokens":1}',
        b'{"input_tokens":%d,"output_tokens":1}' % (MAX_COUNT + 1),
        b'{"input_tokens":%d,"output_tokens":1,"cache_read_input_tokens":1}' % MAX_COUNT,
        b'{"input_tokens":1,"output_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":-1}}',
    ],
)
def test_counts_that_cannot_be_are_none(said: bytes) -> None:
    assert read_usage(Raw(said)) is None


def test_details_are_never_more_than_what_they_are_part_of() -> None:
    usage = read_usage(
        Raw(
            b'{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":3,'
            b'"cache_creation":{"ephemeral_1h_input_tokens":9},"output_tokens_details":{"thinking_tokens":9}}'
        )
    )
    assert usage is not None
    assert (usage.cache_write_1h_tokens, usage.reasoning_tokens) == (3, 2)


def test_later_counts_overwrite_and_nothing_is_added() -> None:
    usage = StreamedUsage()
    usage.start(Raw(b'{"input_tokens":5,"output_tokens":1,"cache_read_input_tokens":7}'))
    assert usage.total == Usage(input_tokens=12, output_tokens=1, cached_input_tokens=7)
    assert not usage.final
    usage.delta(Raw(b'{"output_tokens":4,"input_tokens":6,"cache_read_input_tokens":null}'))
    assert usage.total == usage.final == Usage(input_tokens=13, output_tokens=4, cached_input_tokens=7)
    usage.delta(Raw(b'{"output_tokens":5.5}'))
    assert usage.final == Usage(input_tokens=13, output_tokens=4, cached_input_tokens=7)


def test_usage_of_ours_reads_as_it_was_meant() -> None:
    usage = Usage(
        input_tokens=9,
        output_tokens=8,
        cached_input_tokens=3,
        cache_write_tokens=4,
        cache_write_1h_tokens=1,
        reasoning_tokens=2,
        cost_nanos=5,
    )
    written = msgspec.json.encode(usage_fields(usage))
    AnthropicUsage.model_validate(msgspec.json.decode(written))
    assert read_usage(Raw(written)) == msgspec.structs.replace(usage, cost_nanos=None)
    assert written.endswith(b'"cost":0.000000005}')
    assert "cache_creation" not in delta_fields(usage)
    assert delta_fields(usage)["cost"] == usage.cost


def test_an_answer_without_usage_can_be_weighed() -> None:
    body = (
        b'{"content":[{"type":"thinking","thinking":"12345678","signature":"ssssssss"},{"type":"text","text":"1234"}]}'
    )
    assert estimated_output(body) == 3


def test_an_error_in_disguise() -> None:
    answer = read_answer(b'{"type":"error","error":{"type":"api_error","message":"boom"},"request_id":"r"}')
    assert answer.error is not None
    assert (answer.error.message, answer.error.type) == ("boom", "api_error")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content":"x"}', b"<html>", b'{"content":["\xff"]}'])
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(body)


def test_another_name_and_nothing_else() -> None:
    body = b'{"model":"a","content":[ ],"x":1.0}'
    assert msgspec.json.decode(with_model(body, "b")) == {"model": "b", "content": [], "x": 1.0}
    assert with_model(b"no json", "b") == b"no json"


def test_counts_of_tokens() -> None:
    assert read_count(b'{"input_tokens":12,"context_management":{}}') == 12
    assert read_count(count_body(7)) == 7
    with pytest.raises(UpstreamFailed):
        read_count(b'{"tokens":1}')
