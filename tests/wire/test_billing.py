"""What an answer cost goes into its usage, and no other byte changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tests.thoroughness import examples
from trunkline.wire import (
    anthropic_messages_answer,
    billing,
    gemini_answer,
    openai_chat_answer,
    openai_embeddings,
    openai_responses_answer,
)
from trunkline.wire.usage import Usage

COST = 12_345_678
USAGE = Usage(input_tokens=9, output_tokens=2, cost_nanos=COST)
CHAT = b'{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}'


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (b'{"a":1}', b'{"a":1,"cost":0.012345678}'),
        (b'{ "a" : 1.50 }', b'{ "a" : 1.50 ,"cost":0.012345678}'),
        (b'{"cost":9,"a":1.50}', b'{"cost":0.012345678,"a":1.50}'),
        (b'{"c\\u006fst":9,"a":1}', b'{"cost":0.012345678,"a":1}'),
        (b'{"a":{"cost":1}}', b'{"a":{"cost":1},"cost":0.012345678}'),
    ],
)
def test_a_cost_takes_the_place_of_any_other(said: bytes, written: bytes) -> None:
    assert billing.with_cost(said, USAGE) == written
    assert billing.with_cost(said, Usage(input_tokens=9, output_tokens=2)) == said


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, b"0"), (1, b"0.000000001"), (10**9, b"1"), (123_456_789_012, b"123.456789012"), (1_500_000_000, b"1.5")],
)
def test_a_cost_is_a_number_without_an_exponent(nanos: int, text: bytes) -> None:
    written = billing.with_cost(b'{"a":1}', Usage(input_tokens=0, output_tokens=0, cost_nanos=nanos))
    assert written == b'{"a":1,"cost":' + text + b"}"
    assert re.fullmatch(rb"\d+(\.\d{1,9})?", text)
    assert Decimal(text.decode()) * 10**9 == nanos


@pytest.mark.parametrize(
    ("body", "written"),
    [
        # once
        (b'{"id":"x","usage":%b,"z":1}', b'{"id":"x","usage":{"n":1},"z":1}'),
        (b' {\n "usage" :\t%b\n } \n', b' {\n "usage" :\t{"n":1}\n } \n'),
        # in a text
        (b'{"a":"\\"usage\\":%b","usage":%b}', None),
        # deeper, before and behind
        (b'{"a":{"usage":%b},"usage":%b,"b":[{"usage":%b}]}', b'{"a":{"usage":%b},"usage":{"n":1},"b":[{"usage":%b}]}'),
        # as a text of its own
        (b'{"a":"usage","usage":%b,"b":"usage"}', b'{"a":"usage","usage":{"n":1},"b":"usage"}'),
        # twice: every reader finds the same
        (b'{"usage":7,"a":1,"usage":%b}', b'{"usage":{"n":1},"a":1,"usage":{"n":1}}'),
        # in disguise
        (b'{"us\\u0061ge":%b,"b":{"usage":%b}}', b'{"us\\u0061ge":{"n":1},"b":{"usage":%b}}'),
        (b'{"":"}","usage":null,"a":null}', b'{"":"}","usage":{"n":1},"a":null}'),
        # not at all
        (b'{"a":{"usage":%b}}', b'{"a":{"usage":%b},"usage":{"n":1}}'),
        (b'{"a":"}" }\n', b'{"a":"}" ,"usage":{"n":1}}\n'),
    ],
)
def test_only_the_field_of_the_object_itself_changes(body: bytes, written: bytes | None) -> None:
    if written is None:
        text = CHAT.replace(b'"', b'\\"')
        body, written = body.replace(b"%b", text, 1).replace(b"%b", CHAT), b'{"a":"\\"usage\\":' + text + b'","usage":'
        written += b'{"n":1}}'
    body, written = body.replace(b"%b", CHAT), written.replace(b"%b", CHAT)
    said = msgspec.json.decode(body, type=dict[str, Raw]).get("usage", Raw())
    assert billing.with_field(body, b"usage", said, b'{"n":1}') == written


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "usage", "cost", '"usage":', "é", "}"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "cost", "a", "id"]), inner, max_size=4)
    ),
    max_leaves=12,
)
Billed = Callable[..., bytes]
PROTOCOLS: dict[str, tuple[Billed, str, str, dict[str, Any]]] = {
    "openai_chat": (openai_chat_answer.billed, "choices", "usage", msgspec.json.decode(CHAT)),
    "anthropic_messages": (
        anthropic_messages_answer.billed,
        "content",
        "usage",
        {"input_tokens": 9, "output_tokens": 2, "service_tier": "standard"},
    ),
    "openai_responses": (
        openai_responses_answer.billed,
        "output",
        "usage",
        {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
    ),
    "openai_embeddings": (openai_embeddings.billed, "data", "usage", {"prompt_tokens": 9, "total_tokens": 9}),
    "gemini": (gemini_answer.billed, "candidates", "usageMetadata", {"promptTokenCount": 9, "candidatesTokenCount": 2}),
}
EVERY = pytest.mark.parametrize(("billed", "words", "name", "told"), PROTOCOLS.values(), ids=PROTOCOLS)


@EVERY
@settings(max_examples=examples(60))
@given(data=st.data())
def test_everything_else_stays(
    billed: Billed, words: str, name: str, told: dict[str, Any], data: st.DataObject
) -> None:
    valid = data.draw(st.booleans())
    others = data.draw(st.dictionaries(st.sampled_from(["a", "id", "cost", "x"]), JSONS, max_size=3))
    said = told if valid else data.draw(st.sampled_from([None, 7, "usage", {}, [told], {"prompt_tokens": "9"}]))
    fields = {words: data.draw(JSONS), **others, name: said}
    if not valid and data.draw(st.booleans()):
        del fields[name]
    fields = dict(data.draw(st.permutations(list(fields.items()))))
    body = msgspec.json.format(msgspec.json.encode(fields), indent=data.draw(st.sampled_from([0, -1, 2])))
    after = msgspec.json.decode(billed(body, USAGE, replaced=not valid))
    shown = after.pop(name)
    assert after == {field: value for field, value in fields.items() if field != name}
    if name == "usageMetadata":
        assert "cost" not in shown
        assert (shown == told) if valid else shown["promptTokenCount"] == 9
    else:
        assert shown.pop("cost") == COST / 10**9
        assert (shown == told) if valid else shown.items() >= {k: told[k] for k in told if "tier" not in k}.items()


@EVERY
def test_a_usage_of_ours_reads_as_it_was_meant(billed: Billed, words: str, name: str, told: dict[str, Any]) -> None:
    body = billed(msgspec.json.encode({words: [], name: None}), USAGE, replaced=True)
    assert billed(msgspec.json.encode({words: []}), USAGE, replaced=True) == body
    assert billed(msgspec.json.encode({words: []}), USAGE, replaced=False) == body


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "gemini"])
def test_without_a_cost_nothing_changes(name: str) -> None:
    billed, words, field, told = PROTOCOLS[name]
    body = msgspec.json.format(msgspec.json.encode({words: [], field: told}))
    assert billed(body, Usage(input_tokens=9, output_tokens=2), replaced=False) == body
