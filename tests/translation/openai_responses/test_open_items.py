"""One item from its first event to its last."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from tests.translation.openai_responses.exchanges import plain
from trunkline.translation.exchange import State, ToolCall
from trunkline.translation.openai_responses.open_items import OpenCall, OpenMessage, OpenReasoning, Place
from trunkline.translation.openai_responses.output import NOTHING


class Events:
    """What was emitted, as (type, fields)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.place = Place(self.emit, plain(), "item_1", 4)

    def emit(self, name: bytes, fields: bytes) -> None:
        self.told.append((name.decode().removeprefix("response."), msgspec.json.decode(b"{" + fields + b"}")))

    def names(self) -> list[str]:
        return [name for name, _ in self.told]


def test_a_message_closes_each_part_before_the_next() -> None:
    events = Events()
    message = OpenMessage(events.place, None)
    message.text(0, "a", NOTHING)
    message.refusal(1, "b")
    message.text(0, "c", NOTHING)
    item = msgspec.json.decode(message.close("completed"))
    assert [part.get("text", part.get("refusal")) for part in item["content"]] == ["a", "b", "c"]
    assert [fields["content_index"] for name, fields in events.told if name.endswith(".delta")] == [0, 1, 2]
    assert events.names().count("content_part.added") == events.names().count("content_part.done") == 3
    assert {fields["output_index"] for _, fields in events.told} == {4}


def test_annotations_are_counted_within_their_part() -> None:
    events = Events()
    message = OpenMessage(events.place, None)
    message.text(0, "a", NOTHING)
    message.annotate(0, [Raw(b'{"n":1}'), Raw(b'{"n":2}')])
    message.annotate(1, [Raw(b'{"n":3}')])
    added = [fields for name, fields in events.told if name == "output_text.annotation.added"]
    assert [(one["content_index"], one["annotation_index"]) for one in added] == [(0, 0), (0, 1), (1, 0)]
    item = msgspec.json.decode(message.close("completed"))
    assert [len(part["annotations"]) for part in item["content"]] == [2, 1]


def test_reasoning_counts_its_summaries_and_its_texts_apart() -> None:
    events = Events()
    reasoning = OpenReasoning(events.place, 0, as_summary=False)
    for text, summary in (("a", 0), ("b", 0), ("c", 3), ("d", None)):
        reasoning.delta(text, summary)
    reasoning.state = State("p", "s")
    item = msgspec.json.decode(reasoning.close("completed"))
    assert [part["text"] for part in item["summary"]] == ["ab", "c"]
    assert [part["text"] for part in item["content"]] == ["d"]
    assert item["encrypted_content"].startswith("~tl1.")
    places = [
        fields.get("summary_index", fields.get("content_index")) for name, fields in events.told if ".delta" in name
    ]
    assert places == [0, 0, 1, 0]


def test_reasoning_itself_may_be_told_as_a_summary() -> None:
    events = Events()
    reasoning = OpenReasoning(events.place, 0, as_summary=True)
    reasoning.delta("a", None)
    item = msgspec.json.decode(reasoning.close("completed"))
    assert item["summary"] == [{"type": "summary_text", "text": "a"}]
    assert "content" not in item
    assert events.names() == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]


def test_calls_end_with_their_whole_input() -> None:
    for custom, kind, field in (
        (False, "function_call_arguments", "arguments"),
        (True, "custom_tool_call_input", "input"),
    ):
        events = Events()
        call = OpenCall(events.place, 0, ToolCall(id="call_1", name="f", custom=custom))
        seen = [call.may_be_complete]
        for piece in ('{"a"', ":1} "):
            call.delta(piece)
            seen.append(call.may_be_complete)
        assert seen == [False, False, True]
        item = msgspec.json.decode(call.close("completed"))
        assert item[field] == call.arguments() == '{"a":1} '
        assert events.names() == ["output_item.added", *[f"{kind}.delta"] * 2, f"{kind}.done", "output_item.done"]
        assert events.told[-2][1][field] == '{"a":1} '
