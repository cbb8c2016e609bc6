"""Nothing that a model counts is more than what was demanded; what is no text is counted by formula."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pairs import rooms
from tests.wire.test_demanded import MEDIA, SAID, read
from tests.wire.test_media_header import png, sound
from trunkline.providers.sandbox import faces
from trunkline.providers.sandbox.faults import FaultCounts
from trunkline.providers.transport import Origin, Timers, UpstreamRequest
from trunkline.translation import demand as demands
from trunkline.wire import (
    anthropic_messages_answer,
    gemini_answer,
    openai_chat_answer,
    openai_responses_answer,
)
from trunkline.wire.demand import Demand
from trunkline.wire.usage import Usage

JSON = dict[str, Any]
PROTOCOLS = ("openai_chat", "anthropic_messages", "gemini", "openai_responses")
FACES = faces.faces()


def asked(protocol: str, body: JSON | bytes) -> Demand:
    return demands.demand(protocol, read(protocol, body), rooms.translator(protocol).read_request)


def of_model(found: Demand, model: str = "gpt-4o", most: int | None = 16_384, context: int | None = 128_000) -> Demand:
    return demands.for_model(found, model, max_output_tokens=most, context_window=context, default_max_output=4096)


def used(protocol: str, body: JSON, model: str) -> Usage | None:
    """What the sandbox counts; None when it refuses."""
    path = {
        "openai_chat": "/v1/chat/completions",
        "anthropic_messages": "/v1/messages",
        "gemini": f"/v1beta/models/{model}:generateContent",
        "openai_responses": "/v1/responses",
    }[protocol]
    told = body if protocol == "gemini" else {**body, "model": model}
    request = UpstreamRequest(
        origin=Origin("http", "sandbox.invalid", 80),
        target=path.encode(),
        headers=[(b"anthropic-version", b"2023-06-01")],
        body=msgspec.json.encode(told),
        timers=Timers(),
        streaming=False,
    )
    plan = faces.answer(FACES, request, b"", FaultCounts())
    if plan.status != 200:
        return None
    whole = b"".join(step for step in plan.steps if isinstance(step, bytes))
    answer: Any = {
        "openai_chat": openai_chat_answer.read_answer,
        "anthropic_messages": anthropic_messages_answer.read_answer,
        "gemini": gemini_answer.read_answer,
        "openai_responses": openai_responses_answer.read_answer,
    }[protocol](whole)
    usage: Usage | None = answer.usage
    return usage


def conversation(protocol: str, texts: list[str]) -> JSON:
    roles = ("user", "model" if protocol == "gemini" else "assistant")
    turns = [(roles[place % 2], text) for place, text in enumerate(texts)]
    if protocol == "gemini":
        return {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in turns]}
    messages = [{"role": role, "content": text} for role, text in turns]
    return {**SAID[protocol], "input" if protocol == "openai_responses" else "messages": messages}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5).filter(lambda texts: len(texts) % 2),
    model=st.sampled_from(["echo", "story", "think"]),
    most=st.none() | st.integers(1, 200),
)
def test_the_sandbox_counts_no_more_than_was_demanded(
    protocol: str, texts: list[str], model: str, most: int | None
) -> None:
    body = conversation(protocol, texts)
    inbound = read(protocol, body)
    if most is not None:
        demands.with_max_output(protocol, inbound, most)
        body = {name: json.loads(bytes(raw)) for name, raw in inbound.fields.items()}
    found = of_model(asked(protocol, body))
    usage = used(protocol, body, model)
    if usage is not None:
        assert usage.input_tokens <= found.input_tokens
        assert usage.output_tokens <= found.output_tokens


def test_the_sandbox_does_answer_these() -> None:
    for protocol in PROTOCOLS:
        assert used(protocol, conversation(protocol, ["hello there"]), "echo") is not None


PICTURE = b64encode(png(1024, 1024) + bytes(60_000)).decode()
SOUND = b64encode(sound(12.3)).decode()
WITH_PICTURES = [
    (
        "openai_chat",
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]}]},
    ),
    (
        "anthropic_messages",
        {"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}]}]}]},
    ),
    ("gemini", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}]}),
    (
        "openai_responses",
        {"input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "high"}]}]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "more"), WITH_PICTURES)
def test_a_picture_is_counted_by_its_size_and_not_by_its_bytes(protocol: str, more: JSON) -> None:
    found = asked(protocol, {**SAID[protocol], **more})
    assert [(medium.width, medium.height) for medium in found.media] == [(1024, 1024)]
    assert found.text_bytes < 500
    assert of_model(found).media_tokens == 765
    assert of_model(found, "claude-sonnet-4-5").media_tokens == 1399
    assert of_model(found, "gemini-3-pro-preview").media_tokens == 1120


@pytest.mark.parametrize(("protocol", "more"), MEDIA)
def test_what_is_elsewhere_is_counted_too(protocol: str, more: JSON) -> None:
    found = asked(protocol, {**SAID[protocol], **more})
    assert found.media
    counted = of_model(found)
    assert counted.media_tokens + counted.audio_tokens > 0


def test_sound_is_counted_by_the_second() -> None:
    part = {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}
    found = of_model(asked("openai_chat", {**SAID["openai_chat"], "messages": [{"role": "user", "content": [part]}]}))
    assert (found.audio_tokens, found.media_tokens) == (130, 0)
    part["input_audio"] = {"data": b64encode(b"ID3" + bytes(7497)).decode(), "format": "mp3"}
    found = of_model(asked("openai_chat", {**SAID["openai_chat"], "messages": [{"role": "user", "content": [part]}]}))
    assert found.audio_tokens == 100  # 10 seconds at the least that a second can be


def test_what_only_looks_like_a_picture_is_text() -> None:
    """In the arguments of a tool's call it is written out as text."""
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"type": "image", "source": {"data": "A" * 5000}}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call]}]
    found = asked("anthropic_messages", {**SAID["anthropic_messages"], "messages": messages})
    assert found.text_bytes > 5000
    assert not found.media


def test_a_text_document_is_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "A" * 5000}
    messages = [{"role": "user", "content": [{"type": "document", "source": source}]}]
    found = asked("anthropic_messages", {**SAID["anthropic_messages"], "messages": messages})
    assert found.text_bytes > 5000
    assert not found.media


def test_what_the_reader_refuses_is_counted_whole() -> None:
    part = {"type": "image_url", "image_url": {"url": 5}, "data": "A" * 5000}
    found = asked("openai_chat", {**SAID["openai_chat"], "messages": [{"role": "user", "content": [part]}]})
    assert found.text_bytes > 5000
    assert found.media


@pytest.mark.parametrize(
    ("protocol", "more"),
    [("gemini", {"cachedContent": "cachedContents/1"}), ("openai_responses", {"prompt": {"id": "pmpt_1"}})],
)
def test_what_the_provider_keeps_may_be_all_that_it_reads(protocol: str, more: JSON) -> None:
    assert of_model(asked(protocol, {**SAID[protocol], **more})).media_tokens == 128_000
    assert not asked(protocol, {**SAID[protocol], **dict.fromkeys(more)}).media


@pytest.mark.parametrize(("most", "held"), [(16_384, 4096), (1000, 1000), (None, 4096)])
def test_an_open_answer_is_as_long_as_the_model_can_or_the_default(most: int | None, held: int) -> None:
    found = of_model(asked("openai_chat", SAID["openai_chat"]), most=most)
    assert (found.max_output, found.open_ended) == (held, False)


def test_a_longer_answer_that_the_caller_allows_is_held_in_full() -> None:
    found = of_model(asked("openai_chat", {**SAID["openai_chat"], "max_tokens": 100_000}), most=1000)
    assert found.max_output == 100_000


def test_claude_is_told_about_tools() -> None:
    body = {**SAID["anthropic_messages"], "tools": [{"name": "f", "input_schema": {"type": "object"}}]}
    found = asked("anthropic_messages", body)
    assert of_model(found, "gpt-4o").text_bytes == found.text_bytes
    assert of_model(found, "claude-opus-4-7").text_bytes == found.text_bytes + demands.CLAUDE_TOOLS_TOKENS
    own = asked("anthropic_messages", {**body, "tools": [{"type": "bash_20250124", "name": "bash"}]})
    told = demands.CLAUDE_TOOLS_TOKENS + demands.CLAUDE_TOOL_TOKENS
    assert of_model(own, "claude-opus-4-7").text_bytes == own.text_bytes + told


def test_what_depends_on_no_model_is_not_made_anew() -> None:
    found = asked("openai_chat", {**SAID["openai_chat"], "max_tokens": 5})
    assert of_model(found) is found


def test_a_cache_mark_in_disguise_is_held_for() -> None:
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"x","%b":{}}]}]}'
    assert asked("anthropic_messages", body % b"cache\\u005fcontrol").cache_marked == "1h"
    assert asked("anthropic_messages", body % b"caf\\u00e9").cache_marked == ""
