"""Where in a field something is wrong, said in the caller's words."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from trunkline.errors import InvalidRequest
from trunkline.translation.openai_chat.shapes import CacheControl, Message, SaidFunction, decoded, lifetime

MESSAGES = msgspec.json.Decoder(list[Message])


@pytest.mark.parametrize(
    ("raw", "param", "sentence"),
    [
        (b'[{"role":"user","content":[{"type":1}]}]', "messages[0].content[0].type", "Expected `str`, got `int`"),
        (b'[{"content":"x"}]', "messages[0]", "Object missing required field `role`"),
        (b'{"role":"user"}', "messages", "Expected `array`, got `object`"),
        (b'[{"role":"user","content":"\xff"}]', "messages", "utf-8"),
        (b'[{"role":"user","content":[{"type":"a","thinking":' + b"[" * 100_000, "messages", "recursion"),
    ],
)
def test_the_place_is_named(raw: bytes, param: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decoded(MESSAGES, Raw(raw), "messages")
    assert refused.value.param == param
    assert refused.value.message.startswith(f"'{param}' is wrong: ")
    assert sentence in refused.value.message


def test_lifetimes() -> None:
    assert lifetime(None) is None
    assert lifetime(CacheControl()) == "5m"
    assert lifetime(CacheControl(ttl="1h")) == "1h"


def test_arguments_are_text_however_they_come() -> None:
    assert SaidFunction(arguments='{"a": 1.0}').text() == '{"a": 1.0}'
    assert SaidFunction(arguments={"a": "\u2028"}).text() == '{"a":"\u2028"}'
    assert SaidFunction().text() == SaidFunction(arguments={}).text() == ""
