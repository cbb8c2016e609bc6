"""Whose model a name means, and the words for why an answer ended."""

from __future__ import annotations

import pytest
from msgspec import Raw

from trunkline.translation.bedrock_converse import vocabulary
from trunkline.translation.bedrock_converse.vocabulary import CachePoint, cache_point, lifetime, maker, mended, said


@pytest.mark.parametrize(
    ("name", "made_by"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic"),
        ("us-gov.anthropic.claude-3-7-sonnet-20250219-v1:0", "anthropic"),
        ("global.anthropic.claude-opus-4-6-v1", "anthropic"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-8", "anthropic"),
        ("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0", "amazon"),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3", ""),
        ("my-claude", "anthropic"),
        ("openai.gpt-oss-120b-1:0", "openai"),
        ("us.deepseek.r1-v1:0", "deepseek"),
        ("moonshot.kimi-k2-thinking", "moonshot"),
        ("mistral.mistral-large-2407-v1:0", "mistral"),
        ("qwen.qwen3-235b-a22b-2507-v1:0", "qwen"),
    ],
)
def test_a_name_tells_its_maker(name: str, made_by: str) -> None:
    assert maker(name) == made_by


@pytest.mark.parametrize("reason", sorted(vocabulary.STOP_OF))
def test_every_reason_reads_back_as_itself_or_as_what_it_means(reason: str) -> None:
    stop = vocabulary.STOP_OF[reason]
    assert vocabulary.STOP_OF[vocabulary.stop_reason(stop, called=False)] == stop


def test_an_end_with_calls_is_a_call() -> None:
    assert vocabulary.stop_reason("end", called=True) == "tool_use"
    assert vocabulary.stop_reason("length", called=True) == "max_tokens"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('{"a":"\\ud83d"}', '{"a":"\\ufffd"}'),
        ('{"a":"\\ud83d\\ude00\\ude00"}', '{"a":"\\ud83d\\ude00\\ufffd"}'),
        ('{"a":"\\\\ud83d"}', '{"a":"\\\\ud83d"}'),
        ('{"a":"plain"}', '{"a":"plain"}'),
    ],
)
def test_halves_of_pairs_are_mended(text: str, whole: str) -> None:
    assert mended(text) == whole


def test_a_cache_point_has_a_time_only_where_it_is_another_than_the_usual() -> None:
    assert cache_point("5m") == {"cachePoint": {"type": "default"}}
    assert cache_point("1h") == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert [lifetime(CachePoint(ttl)) for ttl in (None, "5m", "1h")] == ["5m", "5m", "1h"]


def test_null_is_not_said() -> None:
    assert [said(Raw(raw)) for raw in (b"", b"null", b"0", b'""')] == [False, False, True, True]
