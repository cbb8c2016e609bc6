"""Items of a provider's answer."""

from __future__ import annotations

import pytest
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.translation.exchange import Opaque, Part, Reasoning, State, Stop, Text, ToolCall
from trunkline.translation.openai_responses.answered import Incomplete, Said, parts_of, read_item, stop_of


@pytest.mark.parametrize(
    ("item", "parts"),
    [
        (b'{"type":"message","content":[{"type":"output_text","text":""}]}', []),
        (b'{"type":"message","content":[{"type":"output_text","text":"a"}]}', [Text(text="a")]),
        (b'{"type":"reasoning","summary":[]}', []),
        (b'{"type":"reasoning","summary":[],"encrypted_content":null}', []),
        (
            b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}',
            [Reasoning(state=State("p", "rs_1.x"))],
        ),
        (
            b'{"type":"function_call","call_id":"c","name":"f","namespace":"n","arguments":"{}"}',
            [ToolCall(id="c", name="n__f", arguments="{}")],
        ),
        (
            b'{"type":"custom_tool_call","call_id":"c","name":"f","input":"x"}',
            [ToolCall(id="c", name="f", arguments="x", custom=True)],
        ),
    ],
)
def test_items_are_parts(item: bytes, parts: list[Part]) -> None:
    assert parts_of(read_item(Raw(item)), "p") == parts


def test_an_item_that_only_this_protocol_knows_stays_as_it_came() -> None:
    raw = b'{"type":"tool_search_call","arguments":{"q": 1.0}}'
    (part,) = parts_of(read_item(Raw(raw)), "p")
    assert isinstance(part, Opaque)
    assert (bytes(part.raw), part.kind) == (raw, "tool_search_call")


@pytest.mark.parametrize("item", [b"5", b"{}", b'{"type":"function_call","arguments":{}}'])
def test_nonsense_is_refused(item: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_item(Raw(item))


@pytest.mark.parametrize(
    ("said", "called", "refused", "stop"),
    [
        (Said(status="completed"), False, False, "end"),
        (Said(status="completed"), True, True, "tool"),
        (Said(status="completed"), False, True, "refusal"),
        (Said(status="incomplete"), True, False, "length"),
        (Said(status="incomplete", incomplete_details=Incomplete("max_output_tokens")), False, False, "length"),
        (Said(status="incomplete", incomplete_details=Incomplete("content_filter")), False, False, "filter"),
        (Said(), False, False, "end"),
    ],
)
def test_states_are_stops(said: Said, called: bool, refused: bool, stop: Stop) -> None:
    assert stop_of(said, called=called, refused=refused) == stop


@pytest.mark.parametrize("logprobs", ['"x"', "7", "null", '{"a":1}', "true"])
def test_logprobs_that_are_no_list_are_none(logprobs: str) -> None:
    item = read_item(Raw(b'{"type":"message","content":[{"type":"output_text","logprobs":%b}]}' % logprobs.encode()))
    assert item is not None
    assert item.logprobs() == []
