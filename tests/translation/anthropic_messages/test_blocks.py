"""Parts written as blocks: what each becomes, what Anthropic would refuse, and what is named as lost."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.anthropic_messages.sdk import ToldLosses
from tests.translation.anthropic_messages.targets import PROVIDER, TARGET, request, target, written
from trunkline.errors import InvalidRequest
from trunkline.translation.anthropic_messages.blocks import Writing, write_parts
from trunkline.translation.exchange import (
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    State,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

PNG = b64encode(b"\x89PNG\r\n\x1a\n").decode()
JPEG = b64encode(b"\xff\xd8\xff\xe0").decode()


def blocks(
    *parts: Part, role: Role = "user", losses: ToldLosses | None = None, version: str = "2023-06-01", **more: Any
) -> list[Any]:
    writing = Writing(request(**more), target(version=version), losses or ToldLosses())
    return [
        msgspec.json.decode(msgspec.json.encode(block))
        for block in write_parts(Turn(role=role, parts=list(parts)), writing)
    ]


def test_text_and_refusals() -> None:
    assert blocks(Text(text="a", cache="1h"), Refusal("no"), Text(text=" "), Refusal("")) == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "no"},
    ]


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (Media(kind="image", data=PNG), {"type": "base64", "media_type": "image/png", "data": PNG}),
        (Media(kind="image", data=JPEG), {"type": "base64", "media_type": "image/jpeg", "data": JPEG}),
        (
            Media(kind="image", media_type="image/jpg", data="x"),
            {"type": "base64", "media_type": "image/jpeg", "data": "x"},
        ),
        (Media(kind="image", url="https://a.example"), {"type": "url", "url": "https://a.example"}),
        (
            Media(kind="document", data="JVBERi0x"),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
        ),
        (
            Media(kind="document", media_type="text/csv", data=b64encode(b"a;b").decode()),
            {"type": "text", "media_type": "text/plain", "data": "a;b"},
        ),
        (Media(kind="document", text="words"), {"type": "text", "media_type": "text/plain", "data": "words"}),
    ],
)
def test_media(media: Media, source: dict[str, str]) -> None:
    assert blocks(media) == [{"type": media.kind, "source": source}]


@pytest.mark.parametrize(
    ("media", "role", "version", "sentence"),
    [
        (Media(kind="audio", data="x"), "user", "2023-06-01", "media.audio"),
        (Media(kind="video", url="x"), "user", "2023-06-01", "media.video"),
        (Media(kind="image", media_type="image/tiff", data="x"), "user", "2023-06-01", "JPEG, PNG, GIF or WebP"),
        (Media(kind="document", media_type="application/zip", data="x"), "user", "2023-06-01", "PDF or text"),
        (Media(kind="document", media_type="text/plain", data="_"), "user", "2023-06-01", "base64"),
        (Media(kind="image", file_id="f"), "user", "2023-06-01", "another provider"),
        (Media(kind="image", url="x"), "assistant", "2023-06-01", "turn of the assistant"),
        (Media(kind="document", url="x"), "assistant", "2026-10-21", "turn of the assistant"),
    ],
)
def test_media_that_cannot_be_sent_is_refused(media: Media, role: Role, version: str, sentence: str) -> None:
    losses = ToldLosses()
    with pytest.raises(InvalidRequest, match=sentence):
        blocks(media, role=role, version=version, losses=losses)
    assert {how for _, how in losses.told} == {"refused"}


def test_how_closely_to_look_is_a_loss() -> None:
    losses = ToldLosses()
    blocks(Media(kind="image", url="x", detail="low"), Media(kind="image", url="x", detail="auto"), losses=losses)
    assert losses.told == {("media.detail", "dropped")}


def test_arguments_keep_their_digits() -> None:
    text = '{"a": 1.0, "b":12345678901234567890123, "c":"\\u2028\u2028"}'
    body = msgspec.json.encode(
        write_parts(
            Turn(role="assistant", parts=[ToolCall(id="t", name="n", arguments=text)]),
            Writing(request(), TARGET, ToldLosses()),
        )
    )
    assert text.encode() in body


@pytest.mark.parametrize("text", ["[]", "1", '{"a":', "x", '"a"'])
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="JSON object"):
        blocks(ToolCall(id="t", name="n", arguments=text), role="assistant")


def test_half_a_surrogate_pair_is_replaced_by_name() -> None:
    losses = ToldLosses()
    (block,) = blocks(ToolCall(id="t", name="n", arguments='{"a":"\\ud800"}'), losses=losses)
    assert block["input"] == {"a": "\ufffd"}
    assert losses.told == {("tool_calls.arguments", "changed")}


def test_ids_fit_and_match() -> None:
    odd = "call|with:odd/letters" * 9
    call, result = blocks(ToolCall(id=odd, name="n"), ToolResult(call_id=odd, parts=[]))
    assert call["id"] == result["tool_use_id"]
    assert len(call["id"]) <= 64
    assert blocks(ToolCall(id="toolu_1", name="n"))[0]["id"] == "toolu_1"


def test_free_text_of_a_custom_tool() -> None:
    assert blocks(ToolCall(id="t", name="n", arguments="ls -l", custom=True))[0]["input"] == {"input": "ls -l"}


def test_results() -> None:
    image = Media(kind="image", url="https://a.example")
    result = ToolResult(call_id="t", parts=[Text(text="a"), image], is_error=True, cache="5m")
    assert blocks(result) == [
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "url", "url": "https://a.example"}},
            ],
            "is_error": True,
            "cache_control": {"type": "ephemeral"},
        }
    ]
    assert blocks(ToolResult(call_id="t", parts=[Text(text="a")]))[0]["content"] == "a"


def test_only_the_providers_own_reasoning_goes_back() -> None:
    losses = ToldLosses()
    found = blocks(
        Reasoning(text="mine", state=State(PROVIDER, "sig+/=")),
        Reasoning(state=State(PROVIDER, "omitted")),
        Reasoning(state=State(PROVIDER, "redacted:secret")),
        Reasoning(state=State("openai", "theirs")),
        Reasoning(state=State("", "whose")),
        role="assistant",
        losses=losses,
    )
    assert found == [
        {"type": "thinking", "thinking": "mine", "signature": "sig+/="},
        {"type": "thinking", "thinking": "", "signature": "omitted"},
        {"type": "redacted_thinking", "data": "secret"},
    ]
    assert losses.told == set()
    assert blocks(Reasoning(text="theirs", state=State("openai", "x")), losses=losses) == []
    assert losses.told == {("reasoning", "changed")}


def test_parts_of_other_protocols() -> None:
    losses = ToldLosses()
    assert blocks(Opaque("openai_responses", Raw(b"{}"), "web_search_call"), losses=losses) == []
    assert losses.told == {("web_search_call", "dropped")}
    mine = {"type": "server_tool_use", "id": "s"}
    assert blocks(Opaque("anthropic_messages", Raw(msgspec.json.encode(mine)), "server_tool_use")) == [mine]


@pytest.mark.parametrize(
    ("protocol", "role", "version", "kept"),
    [
        ("anthropic_messages", "user", "2023-06-01", True),
        ("anthropic_messages", "assistant", "2026-10-21", True),
        ("anthropic_messages", "user", "2026-10-21", False),
        ("openai_responses", "assistant", "2023-06-01", False),
    ],
)
def test_citations(protocol: str, role: Role, version: str, kept: bool) -> None:
    losses = ToldLosses()
    text = Text(text="a", citations=Raw(b'[{"type":"char_location"}]'))
    (block,) = blocks(text, role=role, version=version, losses=losses, protocol=protocol)
    assert ("citations" in block) == kept
    assert losses.told == (set() if kept else {("citations", "dropped")})


def test_a_single_text_is_a_string() -> None:
    assert written(request())["messages"] == [{"role": "user", "content": "Hi"}]
