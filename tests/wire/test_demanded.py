from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.wire import anthropic_messages, demanded, gemini, openai_chat, openai_responses
from trunkline.wire.demand import Demand
from trunkline.wire.inbound import Inbound

JSON = dict[str, Any]
SAID: JSON = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "anthropic_messages": {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"parts": [{"text": "hi"}]}]},
    "openai_responses": {"model": "m", "input": "hi"},
}
PROTOCOLS = sorted(SAID)


def read(protocol: str, body: JSON | bytes) -> Inbound:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if protocol == "openai_chat":
        return openai_chat.read_request(data)
    if protocol == "anthropic_messages":
        return anthropic_messages.read_request(data)
    if protocol == "gemini":
        return gemini.read_request(data, "m")
    return openai_responses.read_request(data)


def asked(protocol: str, **more: Any) -> Demand:
    return demanded.SPELLINGS[protocol].demand(read(protocol, {**SAID[protocol], **more}))


def capped(protocol: str, most: int, **more: Any) -> JSON:
    inbound = read(protocol, {**SAID[protocol], **more})
    before = {name: bytes(raw) for name, raw in inbound.fields.items()}
    demanded.SPELLINGS[protocol].with_max_output(inbound, most)
    assert inbound.max_tokens == most
    after = {name: bytes(raw) for name, raw in inbound.fields.items()}
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert len(changed) == 1 or protocol == "openai_chat"
    return {name: json.loads(after[name]) if name in after else "gone" for name in changed}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(text=st.text(), escaped=st.booleans())
def test_no_text_has_more_bytes_than_are_counted(protocol: str, text: str, escaped: bool) -> None:
    body = json.dumps(SAID[protocol], ensure_ascii=escaped).replace('"hi"', json.dumps(text or "x"))
    found = demanded.SPELLINGS[protocol].demand(read(protocol, body.encode()))
    assert found.text_bytes >= len(text.encode())


@pytest.mark.parametrize(
    ("protocol", "more", "n", "most"),
    [
        ("openai_chat", {"max_tokens": 7}, 1, 7),
        ("openai_chat", {"max_tokens": 7, "max_completion_tokens": 9, "n": 3}, 3, 9),
        ("anthropic_messages", {"max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 8}}, 1, 9),
        ("openai_responses", {"max_output_tokens": 9}, 1, 9),
        ("gemini", {"generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}, 2, 9),
        ("gemini", {"generation_config": {"max_output_tokens": "9"}}, 1, 9),
    ],
)
def test_the_longest_answer_is_the_one_that_the_caller_allows(protocol: str, more: JSON, n: int, most: int) -> None:
    found = asked(protocol, **more)
    assert (found.n, found.max_output, found.open_ended) == (n, most, False)


@pytest.mark.parametrize("protocol", sorted({*PROTOCOLS} - {"anthropic_messages"}))
def test_without_a_limit_it_is_open(protocol: str) -> None:
    assert asked(protocol).open_ended
    assert asked(protocol).max_output == 0


@pytest.mark.parametrize(
    ("protocol", "more", "changed"),
    [
        ("openai_chat", {}, {"max_completion_tokens": 50}),
        ("openai_chat", {"max_tokens": None}, {"max_completion_tokens": 50, "max_tokens": "gone"}),
        ("openai_chat", {"max_tokens": 90}, {"max_tokens": 50}),
        ("openai_chat", {"max_completion_tokens": 90}, {"max_completion_tokens": 50}),
        ("openai_chat", {"max_tokens": 20, "max_completion_tokens": 90}, {"max_completion_tokens": 50}),
        ("anthropic_messages", {}, {"max_tokens": 50}),
        ("openai_responses", {}, {"max_output_tokens": 50}),
        ("openai_responses", {"max_output_tokens": 90}, {"max_output_tokens": 50}),
        ("gemini", {}, {"generationConfig": {"maxOutputTokens": 50}}),
        ("gemini", {"generationConfig": {"topK": 3}}, {"generationConfig": {"topK": 3, "maxOutputTokens": 50}}),
        ("gemini", {"generation_config": {"max_output_tokens": 9}}, {"generation_config": {"max_output_tokens": 50}}),
        ("gemini", {"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 50}}),
    ],
)
def test_a_limit_is_written_where_the_caller_has_his(protocol: str, more: JSON, changed: JSON) -> None:
    assert capped(protocol, 50, **more) == changed


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(most=st.integers(1, 10**6), bounded=st.booleans())
def test_a_capped_request_asks_for_no_more(protocol: str, most: int, bounded: bool) -> None:
    limits: JSON = {
        "openai_chat": {"max_tokens": 77},
        "anthropic_messages": {"max_tokens": 77},
        "openai_responses": {"max_output_tokens": 77},
        "gemini": {"generationConfig": {"maxOutputTokens": 77}},
    }
    inbound = read(protocol, {**SAID[protocol], **(limits[protocol] if bounded else {})})
    demanded.SPELLINGS[protocol].with_max_output(inbound, most)
    again = read(protocol, msgspec.json.encode(inbound.fields))
    assert again.max_tokens is not None
    assert again.max_tokens <= most


@pytest.mark.parametrize(
    ("protocol", "more", "mark"),
    [
        ("openai_chat", {}, ""),
        ("openai_chat", {"messages": [{"role": "user", "content": "cache_control is a field"}]}, ""),
        ("openai_chat", {"messages": [{"role": "user", "content": 'say "cache_control"'}]}, ""),
        ("openai_chat", {"tools": [{"type": "function", "cache_control": {"type": "ephemeral"}}]}, "5m"),
        ("anthropic_messages", {"cache_control": {"type": "ephemeral"}}, "5m"),
        ("anthropic_messages", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "1h"),
        (
            "anthropic_messages",
            {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
             "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]},
            "1h",
        ),
    ],
)  # fmt: skip
def test_cache_marks(protocol: str, more: JSON, mark: str) -> None:
    assert asked(protocol, **more).cache_marked == mark


def test_a_name_in_disguise_is_found() -> None:
    plain = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"x","%b":{}}]}]}'
    assert demanded.may_hold_media("anthropic_messages", read("anthropic_messages", plain % b"cache\\u005fcontrol"))
    said = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[%b]}'
    tools = said % b'{"name":"f","cache\\u005fcontrol":{}}'
    assert demanded.SPELLINGS["anthropic_messages"].demand(read("anthropic_messages", tools)).cache_marked == "1h"
    found = read("anthropic_messages", plain % b"s\\u006furce")
    assert demanded.may_hold_media("anthropic_messages", found)
    assert not demanded.may_hold_media("anthropic_messages", read("anthropic_messages", plain % b"caf\\u00e9 \\u003c"))


@pytest.mark.parametrize(
    ("protocol", "more", "tier"),
    [
        ("openai_chat", {"service_tier": "flex"}, "flex"),
        ("openai_chat", {"service_tier": None}, ""),
        ("openai_responses", {"service_tier": "priority"}, "priority"),
        ("anthropic_messages", {"speed": "fast", "service_tier": "auto"}, "fast"),
        ("gemini", {"serviceTier": "SERVICE_TIER_FLEX"}, "flex"),
        ("gemini", {"service_tier": "priority"}, "priority"),
    ],
)
def test_service_tiers(protocol: str, more: JSON, tier: str) -> None:
    assert asked(protocol, **more).service_tier == tier


@pytest.mark.parametrize(
    ("protocol", "more"),
    [
        ("openai_chat", {"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "wav"}}),
        ("gemini", {"generationConfig": {"responseModalities": ["AUDIO"]}}),
    ],
)
def test_answers_of_sound(protocol: str, more: JSON) -> None:
    assert asked(protocol, **more).audio_output
    assert not asked(protocol).audio_output


def test_a_prediction_may_be_paid_as_output() -> None:
    assert asked("openai_chat", prediction={"type": "content", "content": "x" * 500}).predicted >= 500


@pytest.mark.parametrize(
    ("tools", "count"),
    [
        (None, None),
        ([{"name": "f", "input_schema": {"type": "object"}}], 0),
        ([{"type": "bash_20250124", "name": "bash"}, {"type": "computer_20251124", "name": "computer"}], 2),
    ],
)
def test_tools_of_the_providers_own(tools: list[JSON] | None, count: int | None) -> None:
    assert asked("anthropic_messages", tools=tools).tools == count


IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
MEDIA = [
    ("openai_chat", {"messages": [{"role": "user", "content": [IMAGE]}]}),
    ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
    ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
    (
        "anthropic_messages",
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a"}}]}]},
    ),
    ("gemini", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}]}),
    ("gemini", {"contents": [{"parts": [{"file_data": {"file_uri": "https://a"}}]}]}),
    (
        "openai_responses",
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a"}]}]},
    ),
    ("openai_responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://a"}]}]}),
]


@pytest.mark.parametrize(("protocol", "more"), MEDIA)
def test_media_are_suspected(protocol: str, more: JSON) -> None:
    assert demanded.may_hold_media(protocol, read(protocol, {**SAID[protocol], **more}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_text_about_media_is_not(protocol: str) -> None:
    text = 'the "image_url", a "source", "inlineData", "file_id", caf\u00e9 <b>'
    body = json.dumps(SAID[protocol]).replace('"hi"', json.dumps(text))
    assert not demanded.may_hold_media(protocol, read(protocol, body.encode()))
