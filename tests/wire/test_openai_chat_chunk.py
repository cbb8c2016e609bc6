"""What the parts of one event say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import UpstreamFailed
from trunkline.wire.openai_chat_chunk import (
    Choice,
    Delta,
    Edit,
    choices_of,
    delta_of,
    index_of,
    is_finish,
    partial,
    said_size,
)


def raw(value: dict[str, Any]) -> Choice:
    return msgspec.json.decode(msgspec.json.encode(value), type=dict[str, Raw])


@pytest.mark.parametrize(
    ("delta", "size"),
    [
        ({}, 0),
        ({"role": "assistant", "content": ""}, 0),
        ({"content": None}, 0),
        ({"content": "hello"}, 5),
        ({"content": None, "reasoning_content": "four"}, 4),
        ({"content": "", "reasoning": "four", "reasoning_content": "four"}, 4),
        ({"refusal": "no"}, 2),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "1234"}}]}, 4),
        ({"tool_calls": []}, 0),
        ({"signature": "s" * 99, "annotations": [1, 2, 3]}, 0),
    ],
)
def test_the_weight_of_a_delta_however_it_is_read(delta: dict[str, Any], size: int) -> None:
    assert said_size(raw(delta)) == size
    known = msgspec.json.decode(msgspec.json.encode(delta), type=Delta)
    assert len(known.content or "") or known.other_size() == size


def test_content_in_parts_has_a_weight_too() -> None:
    assert said_size(raw({"content": [{"type": "text", "text": "hello"}]})) >= 5


def test_choices_and_their_faults() -> None:
    assert choices_of({}) == choices_of({"choices": Raw(b"null")}) == []
    (choice,) = choices_of({"choices": Raw(b'[{"index":2,"delta":{"content":"a"},"finish_reason":"stop"}]')})
    assert index_of(choice) == 2
    assert delta_of(choice) == {"content": Raw(b'"a"')}
    assert is_finish(choice)
    assert not is_finish(partial(choice, {}))
    assert index_of(partial(choice, {})) == 2
    for wrong in (b'"x"', b"[1]"):
        with pytest.raises(UpstreamFailed):
            choices_of({"choices": Raw(wrong)})
    with pytest.raises(UpstreamFailed):
        index_of({"index": Raw(b"-1")})
    with pytest.raises(UpstreamFailed):
        delta_of({"delta": Raw(b"[]")})


def test_a_hull_has_no_text() -> None:
    edit = Edit()
    assert edit.is_empty()
    edit.texts.append(raw({"index": 0, "delta": {"role": "assistant", "content": ""}}))
    assert not edit.is_empty()
    assert not edit.has_text()
    edit.texts.append(raw({"index": 0, "delta": {"content": "a"}}))
    assert edit.has_text()
