"""Events as the chunks of a stream."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.translation.gemini import shape
from trunkline.translation.exchange import (
    ArgumentsDelta,
    Began,
    CallBegan,
    Ended,
    Event,
    Finished,
    Media,
    Opaque,
    PartCame,
    PartEnded,
    ReasoningAsked,
    ReasoningDelta,
    RefusalDelta,
    Request,
    State,
    StateCame,
    TextDelta,
    Usage,
    Used,
)
from trunkline.translation.gemini.state import wrapped
from trunkline.translation.gemini.writer import Writer

ASKED = Request(protocol="gemini", model="m", turns=[])
SHOWN = msgspec.structs.replace(ASKED, reasoning=ReasoningAsked(shown=True))
BEGAN = Began("r", "gpt", 5)
USAGE = Usage(input_tokens=3, output_tokens=2)


def chunks(*events: Event, request: Request = ASKED) -> list[dict[str, Any]]:
    stream = Writer(request).write([BEGAN, *events])
    if stream:
        shape.chunks_of(stream)
    return [msgspec.json.decode(event[6:]) for event in stream.split(b"\n\n")[:-1]]


def parts(*events: Event, request: Request = ASKED) -> list[Any]:
    return [
        part
        for chunk in chunks(*events, request=request)
        for part in chunk["candidates"][0]["content"].get("parts", ())
    ]


def test_text_and_the_end() -> None:
    head = {"modelVersion": "gpt", "responseId": "r"}
    assert chunks(TextDelta(0, 0, "a\u2028"), TextDelta(0, 0, ""), Finished(0, "end"), Used(USAGE), Ended()) == [
        {"candidates": [{"content": {"parts": [{"text": "a\u2028"}], "role": "model"}, "index": 0}], **head},
        {
            "candidates": [
                {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {
                "promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
            },
            **head,
        },
    ]  # fmt: skip


def test_an_answer_of_nothing_has_no_parts() -> None:
    for events in ((), (ReasoningDelta(0, 0, "hidden"),), (TextDelta(0, 0, ""),)):
        (last,) = chunks(*events, Finished(0, "filter"), Ended())
        assert last["candidates"] == [{"content": {"role": "model"}, "finishReason": "SAFETY", "index": 0}]


def test_no_content_of_an_answer_is_without_parts() -> None:
    """Else Google's own library leaves the answer out of its chats (chats.py, _validate_response)."""
    events = [*call(0, "{}"), TextDelta(0, 1, "a"), PartCame(0, 2, Media(kind="image", data="AAAA"))]
    found = chunks(*events, Finished(0, "end"), Used(USAGE), Ended())
    assert all(chunk["candidates"][0]["content"]["parts"] for chunk in found)


def call(part: int, *pieces: str, custom: bool = False) -> list[Event]:
    return [CallBegan(0, part, f"id{part}", "f", custom), *(ArgumentsDelta(0, part, piece) for piece in pieces)]


def made(part: int, args: Any) -> dict[str, Any]:
    return {"functionCall": {"id": f"id{part}", "name": "f", "args": args}}


def test_a_call_is_written_when_it_is_whole() -> None:
    writer = Writer(ASKED)
    assert writer.write([BEGAN, *call(0, '{"a":', "1}")]) == b""
    assert b'"args":{"a":1}' in writer.write([PartEnded(0, 0)])
    assert writer.write([PartEnded(0, 0)]) == b""


@pytest.mark.parametrize(
    "after",
    [TextDelta(0, 1, "x"), RefusalDelta(0, 1, "x"), PartCame(0, 1, Media(kind="image", data="AAAA"))],
    ids=lambda event: type(event).__name__,
)
def test_a_call_that_nobody_ended_goes_out_before_what_follows(after: Event) -> None:
    found = parts(*call(0, "{}"), after, Finished(0, "tool"))
    assert found[0] == made(0, {})
    assert len(found) == 2


def test_calls_that_come_mixed_go_out_in_their_order() -> None:
    mixed = [*call(0, '{"a":'), *call(1, "{}"), ArgumentsDelta(0, 0, "1}"), *call(2)]
    assert parts(*mixed, PartEnded(0, 1), Finished(0, "tool")) == [made(0, {"a": 1}), made(1, {}), made(2, {})]
    assert parts(*mixed, TextDelta(0, 3, "x"), Finished(0, "tool")) == [
        made(0, {"a": 1}),
        made(1, {}),
        {"text": "x"},
        made(2, {}),
    ]


def test_custom_tools_and_broken_arguments() -> None:
    assert parts(*call(0, "fr", "ee", custom=True), Finished(0, "tool")) == [made(0, {"input": "free"})]
    assert parts(*call(0, '{"a'), Finished(0, "length")) == [made(0, {"input": '{"a'})]


def test_state() -> None:
    state = State("google", "s")
    call_part = {**made(0, {}), "thoughtSignature": wrapped(state)}
    assert parts(*call(0, "{}"), StateCame(0, 0, state), PartEnded(0, 0)) == [call_part]
    assert parts(TextDelta(0, 0, "a"), StateCame(0, 0, state)) == [
        {"text": "a"},
        {"text": "", "thoughtSignature": wrapped(state)},
    ]
    thought: list[Event] = [ReasoningDelta(0, 0, "a"), StateCame(0, 0, state), StateCame(0, 1, state)]
    hidden = {"text": "", "thought": True, "thoughtSignature": wrapped(state)}
    assert parts(*thought, request=SHOWN) == [{"text": "a", "thought": True}, hidden, hidden]
    assert parts(*thought) == []


def test_summaries_are_one_text() -> None:
    events: list[Event] = [ReasoningDelta(0, 0, "a", 0), ReasoningDelta(0, 0, "b", 0), ReasoningDelta(0, 0, "c", 1)]
    assert "".join(part["text"] for part in parts(*events, request=SHOWN)) == "ab\n\nc"


def test_other_parts() -> None:
    own = Opaque("gemini", Raw(b'{"executableCode":{}}'), "executableCode")
    writer = Writer(ASKED)
    assert b'"parts":[{"executableCode":{}}]' in writer.write([BEGAN, PartCame(0, 0, own)])
    assert writer.write([PartCame(0, 1, Opaque("other", Raw(b"{}")))]) == b""
    assert parts(RefusalDelta(0, 0, "no"), RefusalDelta(0, 0, "")) == [{"text": "no"}]


def test_logprobs_go_with_their_text() -> None:
    tokens = Raw(b'[{"token":"a","logprob":-1.0,"bytes":null,"top_logprobs":[]}]')
    found = chunks(TextDelta(1, 0, "a", tokens), TextDelta(1, 0, "b", Raw(b"[]")))
    assert [chunk["candidates"][0].get("avgLogprobs") for chunk in found] == [-1.0, None]
    assert [chunk["candidates"][0]["index"] for chunk in found] == [1, 1]


def finishes(*events: Event, n: int = 1) -> list[tuple[Any, bool]]:
    """(reason, with usage) of each chunk."""
    request = msgspec.structs.replace(ASKED, n=n)
    return [
        (chunk.get("candidates", [{}])[0].get("finishReason"), "usageMetadata" in chunk)
        for chunk in chunks(*events, request=request)
    ]


def test_usage_rides_on_the_last_reason() -> None:
    first, second, used = Finished(0, "end"), Finished(1, "length"), Used(USAGE)
    assert finishes(used, first, Ended()) == [("STOP", True)]
    assert finishes(first, used, Ended()) == [("STOP", True)]
    assert finishes(first, Ended()) == [("STOP", False)]
    assert finishes(first, second, used, Ended(), n=2) == [("STOP", False), ("MAX_TOKENS", True)]
    assert finishes(first, used, second, used, Ended(), n=2) == [("STOP", False), ("MAX_TOKENS", True)]
    later = Used(Usage(input_tokens=3, output_tokens=9))
    assert finishes(first, used, later, Ended()) == [("STOP", True), (None, True)]


def test_the_end_waits_for_its_usage_and_can_be_released() -> None:
    writer = Writer(ASKED)
    writer.write([BEGAN, TextDelta(0, 0, "a")])
    holding = [writer.holding]
    assert writer.write([Finished(0, "end")]) == b""
    holding.append(writer.holding)
    assert b'"finishReason":"STOP"' in writer.release()
    assert [*holding, writer.holding] == [False, True, False]
    assert writer.release() == b""
    last = writer.write([Used(USAGE), Ended()])
    assert last.startswith(b'data: {"usageMetadata":')
    shape.chunks_of(last)


def test_a_provider_that_names_nothing() -> None:
    data = Writer(ASKED).write([Began("", ""), TextDelta(0, 0, "a")])
    (chunk,) = shape.chunks_of(data)
    assert chunk.model_version == "m"
    assert chunk.response_id
