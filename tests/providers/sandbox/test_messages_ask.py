from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.providers.sandbox.exchange import JSON
from tests.providers.sandbox.messages_exchange import SCHEMA, THINK, TOOLS, ask_for
from trunkline.errors import InvalidRequest, NotFound
from trunkline.providers.sandbox import sealed
from trunkline.providers.sandbox.directives import Directives
from trunkline.providers.sandbox.messages_ask import REDACTED, THINKING, MessagesAsk, count, read
from trunkline.providers.sandbox.prompt import Form, Image
from trunkline.providers.sandbox.words import MOST_TOKENS

HEADERS = {b"anthropic-version": b"2023-06-01"}
MARK = {"type": "ephemeral"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://e/x"}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6B"


def ask(body: JSON, **headers: str) -> MessagesAsk:
    more = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return read(msgspec.json.encode(body), {**HEADERS, **more})


def text(said: str, **more: Any) -> JSON:
    return {"type": "text", "text": said, **more}


def talk(*messages: JSON, model: str = "tools", **more: Any) -> MessagesAsk:
    return ask({**ask_for(model, "x"), "messages": list(messages), **more})


def user(*blocks: JSON) -> JSON:
    return {"role": "user", "content": list(blocks)}


USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"city": "Ulm"}}]}


def result(content: Any, **more: Any) -> JSON:
    return {"type": "tool_result", "tool_use_id": "a", "content": content, **more}


def test_the_prompt_is_the_last_text_of_the_user_without_its_directives() -> None:
    found = ask(ask_for("Sandbox-Messages/Echo", [text("[[tokens=3]] one"), PICTURE, text("two")]))
    assert (found.name, found.model, found.message) == ("sandbox-messages/echo", "echo", "[[tokens=3]] one\ntwo")
    assert found.prompt.text == "one\ntwo"
    assert found.prompt.told == Directives(tokens=3)
    assert found.prompt.images == [Image("https://e/x", "messages.0.content.1.source.url.url")]
    assert found.prompt.tokens == 2


def test_a_result_leaves_the_question_as_it_was() -> None:
    asked = user(text("[[calls=2]] Weather?"))
    found = talk(asked, USE, user(result("sunny"))).prompt
    assert (found.text, found.told.calls, found.results) == ("Weather?", 2, ["sunny"])
    found = talk(asked, USE, user(result("sunny"), text("And now?"))).prompt
    assert (found.text, found.results) == ("And now?", [])


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        ("sunny", {}, "sunny"),
        (None, {}, ""),
        ("no such town", {"is_error": True}, "(error) no such town"),
        ([text("it is"), text("sunny")], {}, "it is sunny"),
        ([PICTURE], {}, "[an http URL, which the sandbox does not fetch.]"),
        ([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}], {},
         "[PNG, 2 x 3 pixels, 33 bytes.]"),
    ],
)  # fmt: skip
def test_results_say_what_was_in_them(content: Any, more: JSON, said: str) -> None:
    found = talk(user(text("Weather?")), USE, user(result(content, **more))).prompt
    assert found.results == [said]


def test_pictures_that_tools_bring_are_seen() -> None:
    found = talk(user(text("Look."), PICTURE), USE, user(result([PICTURE, PICTURE])), model="vision").prompt
    assert [image.where for image in found.images] == [
        "messages.0.content.1.source.url.url",
        "messages.2.content.0.content.0.source.url.url",
        "messages.2.content.0.content.1.source.url.url",
    ]


@pytest.mark.parametrize(
    ("more", "ends_in_results", "effort"),
    [
        ({}, False, "none"),
        ({"thinking": {"type": "disabled"}}, False, "none"),
        ({"thinking": THINK}, False, "medium"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, False, "max"),
        ({"thinking": {"type": "adaptive"}}, True, "medium"),
        ({"thinking": {"type": "between_tools"}}, False, "none"),
        ({"thinking": {"type": "between_tools"}}, True, "medium"),
        ({"output_config": {"effort": "max"}}, False, "none"),
    ],
)
def test_when_it_thinks(more: JSON, ends_in_results: bool, effort: str) -> None:
    messages = [user(text("hi")), USE, user(result("x"))] if ends_in_results else [user(text("hi"))]
    assert talk(*messages, **more).prompt.effort == effort


def test_manual_thinking_goes_on_after_results_when_it_is_interleaved() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": sealed.seal(THINKING, "hm")}
    used = {"role": "assistant", "content": [signed, *USE["content"]]}
    body = {**ask_for("tools", "x", thinking=THINK), "messages": [user(text("hi")), used, user(result("x"))]}
    assert ask(body).prompt.effort == "none"
    assert ask(body, anthropic_beta="interleaved-thinking-2025-05-14").prompt.effort == "medium"


@pytest.mark.parametrize(
    ("block", "refused"),
    [
        ({"type": "thinking", "thinking": "hm", "signature": sealed.seal(THINKING, "hm")}, None),
        ({"type": "thinking", "thinking": "", "signature": sealed.seal(THINKING, "hm")}, None),
        ({"type": "thinking", "thinking": "hm!", "signature": sealed.seal(THINKING, "hm")}, "Invalid `signature`"),
        ({"type": "thinking", "thinking": "hm", "signature": sealed.seal("other", "hm")}, "Invalid `signature`"),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, "Invalid `signature`"),
        ({"type": "redacted_thinking", "data": sealed.seal(REDACTED, "hm")}, None),
        ({"type": "redacted_thinking", "data": sealed.seal(THINKING, "hm")}, "Invalid `data`"),
    ],
)
def test_reasoning_comes_back_as_it_was_given(block: JSON, refused: str | None) -> None:
    messages = [user(text("hi")), {"role": "assistant", "content": [block, text("so")]}, user(text("and?"))]
    if refused is None:
        talk(*messages, model="echo")
        return
    with pytest.raises(InvalidRequest) as caught:
        talk(*messages, model="echo")
    assert caught.value.message.startswith(f"messages.1.content.0: {refused}")


def test_the_order_of_what_is_cached_and_where_its_breakpoints_are() -> None:
    found = ask(
        ask_for(
            "echo",
            [text("three four"), text("five", cache_control=MARK)],
            system=[text("one two", cache_control={**MARK, "ttl": "1h"})],
            tools=[{**TOOLS[0], "cache_control": {**MARK, "ttl": "1h"}}, TOOLS[1]],
        )
    )
    assert [segment.ttl for segment in found.segments] == ["1h", None, "1h", None, "5m"]
    assert [segment.tokens for segment in found.segments][2:] == [2, 2, 1]
    assert all(segment.tokens > 3 for segment in found.segments[:2]), "a tool's name, description and schema"
    assert found.prompt.tokens == sum(segment.tokens for segment in found.segments)
    plain = ask(ask_for("echo", [text("three four"), text("five")], system="one two", tools=TOOLS))
    assert [segment.content for segment in plain.segments] == [segment.content for segment in found.segments]


def test_breakpoints_in_results_and_on_the_whole() -> None:
    inner = result([text("sunny", cache_control=MARK)])
    found = talk(user(text("Weather?")), USE, user(inner))
    assert [segment.ttl for segment in found.segments] == [None, None, "5m"]
    found = talk(user(text("Weather?")), USE, user(result("sunny")), cache_control={**MARK, "ttl": "1h"})
    assert [segment.ttl for segment in found.segments] == [None, None, "1h"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"system": [text("x", cache_control=MARK)] * 5}, "A maximum of 4 blocks with cache_control may be provided"),
        ({"system": [text("x", cache_control=MARK), text("y", cache_control={**MARK, "ttl": "1h"})]}, "must not come"),
        ({"system": [text("")]}, "system.0: text content blocks must be non-empty"),
        ({"messages": [user(text("[[sped=1]]"))]}, "directive 'sped'"),
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "additionalProperties"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}}, "not found"),
    ],
)
def test_what_is_refused(more: JSON, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask({**ask_for("json", "hi"), **more})
    assert said in caught.value.message


def test_what_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="model: ecko"):
        ask(ask_for("ecko", "hi"))
    with pytest.raises(NotFound, match="File not found: file-1"):
        ask(ask_for("vision", [{"type": "image", "source": {"type": "file", "file_id": "file-1"}}, text("hi")]))


def test_forms_and_bounds() -> None:
    schema = {**SCHEMA, "additionalProperties": False}
    found = ask(
        ask_for("json", "hi", output_config={"format": {"type": "json_schema", "schema": schema}}, max_tokens=10**7)
    )
    assert found.prompt.form == Form(schema=schema, where="output_config.format.schema")
    assert (found.bounds.tokens, found.stream, found.shows) == (MOST_TOKENS, False, "summarized")


def test_the_newer_version_is_read_by_its_own_rules() -> None:
    cited = text("x", citations=[{"type": "char_location"}])
    ask(ask_for("echo", [cited]))
    with pytest.raises(InvalidRequest, match="citations"):
        ask(ask_for("echo", [cited]), anthropic_version="2026-10-21")


def test_counting_counts_as_the_answer_does() -> None:
    body = ask_for("echo", "one two", system="be kind", tools=TOOLS)
    tokens = ask(body).prompt.tokens
    del body["max_tokens"]
    assert count(msgspec.json.encode(body), HEADERS) == tokens > 4
