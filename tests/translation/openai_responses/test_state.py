"""State that calls refer to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter

from trunkline.errors import InvalidRequest
from trunkline.translation import envelope
from trunkline.translation.exchange import State
from trunkline.translation.openai_responses.state import (
    expand,
    input_items,
    references,
    strip_foreign_state,
    visible_item,
)
from trunkline.wire.codec import Fields, encode

ITEMS: TypeAdapter[Any] = TypeAdapter(ResponseItem)
USER = {"role": "user", "content": "q"}


def fields(**given: Any) -> Fields:
    return {name: Raw(encode(value)) for name, value in given.items()}


def decoded(told: Fields) -> dict[str, Any]:
    return {name: msgspec.json.decode(raw) for name, raw in told.items()}


def sealed(origin: str, data: str = "s", **more: Any) -> dict[str, Any]:
    wrapped = envelope.wrap(State(origin, data))
    return {"type": "reasoning", "id": "rs_ours", "summary": [], "encrypted_content": wrapped, **more}


def made(prefix: str) -> str:
    return f"{prefix}_made"


def test_state_of_this_provider_is_unwrapped_and_anothers_taken_out() -> None:
    native = {"type": "reasoning", "id": "rs_n", "summary": [], "encrypted_content": "gAAA"}
    body = fields(model="m", input=[USER, sealed("p", "rs_theirs.tail"), sealed("other"), native, USER])
    told = decoded(strip_foreign_state(body, "p"))
    assert told["input"] == [
        USER,
        {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "tail"},
        native,
        USER,
    ]
    assert told["model"] == "m"


def test_a_body_without_state_of_ours_is_untouched() -> None:
    for body in (fields(input="tl1"), fields(model="m"), fields(input=[USER])):
        assert strip_foreign_state(body, "p") is body
    talk = fields(input="what is ~tl1.x?")
    with pytest.raises(InvalidRequest):
        strip_foreign_state(fields(input={"a": "~tl1."}), "p")
    assert decoded(strip_foreign_state(talk, "p")) == decoded(talk)
    about = fields(input=[{"role": "user", "content": "~tl1.x"}])
    assert decoded(strip_foreign_state(about, "p")) == decoded(about)


def test_items_are_listed_as_the_api_lists_them() -> None:
    body = fields(
        input=[
            USER,
            {"role": "assistant", "content": "a"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "b"}], "id": "msg_own"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
            {"type": "reasoning", "summary": []},
            {"type": "item_reference", "id": "msg_1"},
        ]
    )
    items = [msgspec.json.decode(item) for item in input_items(body, made)]
    assert [item["id"] for item in items] == [
        "msg_made",
        "msg_made",
        "msg_own",
        "fc_made",
        "fco_made",
        "rs_made",
        "msg_1",
    ]
    for item in items[:-1]:
        ITEMS.validate_python(item)
    assert items[0]["content"] == [{"type": "input_text", "text": "q"}]
    assert items[1]["content"] == [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]


def test_a_text_is_listed_as_a_message() -> None:
    (item,) = [msgspec.json.decode(item) for item in input_items(fields(input="Hi"), made)]
    ITEMS.validate_python(item)
    assert (item["id"], item["role"], item["content"]) == ("msg_made", "user", [{"type": "input_text", "text": "Hi"}])
    assert input_items(fields(model="m"), made) == []
    assert input_items(fields(input=None), made) == []


def test_what_went_before_stands_first() -> None:
    before = [Raw(encode({"type": "message", "id": "msg_1", "role": "user", "content": "a"}))]
    body = fields(model="m", previous_response_id="resp_1", input="b")
    told = decoded(expand(before, body))
    assert told == {
        "model": "m",
        "input": [
            {"type": "message", "id": "msg_1", "role": "user", "content": "a"},
            {"type": "message", "role": "user", "content": "b"},
        ],
    }
    assert decoded(expand(before, fields(conversation={"id": "conv_1"})))["input"][0]["id"] == "msg_1"


def test_references_become_their_items() -> None:
    stored = {"type": "message", "id": "msg_1", "role": "user", "content": "a"}
    for reference in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        body = fields(input=[USER, reference])
        assert references(body) == ["msg_1"]
        for told in (
            expand([], body, {"msg_1": Raw(encode(stored))}),
            expand([Raw(encode(stored))], body),
        ):
            assert decoded(told)["input"][-2:] == [USER, stored]
    assert references(fields(input="x")) == references(fields(input=[USER])) == []


def test_an_unknown_reference_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        expand([], fields(input=[USER, {"id": "msg_9"}]))
    assert (caught.value.param, caught.value.code) == ("input[1].id", "item_not_found")


@pytest.mark.parametrize("given", [{"a": 1}, [5], [{"type": 5}]])
def test_items_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(InvalidRequest):
        input_items(fields(input=given), made)
    with pytest.raises(InvalidRequest):
        expand([], fields(input=given))


def test_a_kept_item_is_shown_as_it_was() -> None:
    hidden = Raw(encode(sealed("p", hidden=True)))
    assert visible_item(hidden, state=True) is None
    open_item = Raw(encode(sealed("p")))
    assert visible_item(open_item, state=True) is open_item
    bare = visible_item(open_item, state=False)
    assert bare is not None
    assert msgspec.json.decode(bare) == {"type": "reasoning", "id": "rs_ours", "summary": []}
    message = Raw(b'{"type":"message","content":"about ~tl1.x"}')
    assert visible_item(message, state=False) is message
