from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.providers.sandbox.gemini_parts import DATA, Content, Part, tokens_of

CALL = {"functionCall": {"name": "f", "args": {"city": "Ulm", "days": 2}}}
RESPONSE = {"functionResponse": {"name": "f", "response": {"output": "it is sunny"}}}


def content(*parts: Any) -> Content:
    return msgspec.convert({"role": "user", "parts": list(parts)}, Content)


@pytest.mark.parametrize(
    ("parts", "tokens"),
    [
        ([{"text": "one two"}, {"text": "three"}], 3),
        ([{"text": "one two", "thought": True}], 0),
        ([CALL], 5),
        ([RESPONSE], 4),
        ([{"inlineData": {"mimeType": "image/png", "data": "x"}}], 0),
    ],
)
def test_tokens(parts: list[Any], tokens: int) -> None:
    assert tokens_of(content(*parts)) == tokens


def test_what_a_content_holds() -> None:
    found = content({"text": "a"}, CALL, RESPONSE)
    assert [call.name for call in found.calls] == ["f"]
    assert [each.response for each in found.responses] == [{"output": "it is sunny"}]
    assert not found.is_response
    assert content(RESPONSE, RESPONSE).is_response


def test_a_thought_is_not_said() -> None:
    assert [part.said for part in content({"text": "a"}, {"text": "b", "thought": True}).parts or []] == ["a", None]


def test_every_kind_of_data_is_a_field_of_a_part() -> None:
    assert {field.name for field in msgspec.structs.fields(Part)} >= set(DATA)
