"""Estimates: of the right size, never nothing, and never less for more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.translation import estimate
from trunkline.translation.exchange import Answer, Choice, Media, Part, Request, Text, Tool, ToolCall, ToolResult, Turn
from trunkline.wire.codec import Raw
from trunkline.wire.inbound import Inbound


def asked(*parts: Part, tools: list[Tool] | None = None) -> int:
    turns = [Turn(role="user", parts=list(parts))] if parts else []
    return estimate.tokens(Request(protocol="p", model="m", turns=turns, tools=list(tools or ())))


def test_english_is_four_characters_a_token_and_other_scripts_one() -> None:
    assert asked(Text(text="a" * 400)) == 100 + estimate.TURN_TOKENS
    assert asked(Text(text="語" * 100)) == 100 + estimate.TURN_TOKENS
    assert asked() == 1


def test_everything_that_is_sent_counts() -> None:
    bare = asked(Text(text="x"))
    page = Media(kind="document", data="A" * 8000)
    for part in (
        Media(kind="image", url="https://a.example/b.png"),
        page,
        Media(kind="audio", data="A" * 8000),
        Media(kind="document", file_id="file-1"),
        ToolCall(id="1", name="find", arguments='{"a":1}'),
        ToolResult(call_id="1", parts=[Text(text="found")]),
    ):
        assert asked(Text(text="x"), part) > bare
    assert asked(page) >= 3 * estimate.PAGE_TOKENS
    assert asked(Text(text="x"), tools=[Tool(name="find", parameters=Raw(b'{"type":"object"}'))]) > bare + 4


@given(st.text(max_size=200), st.text(max_size=50))
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert asked(Text(text=text + more)) >= asked(Text(text=text))


def test_a_request_that_only_its_provider_understands_is_weighed() -> None:
    inbound = Inbound(fields={"messages": Raw(b"x" * 40), "new": Raw(b"y" * 8)}, model="m")

    def read(said: Inbound) -> Request:
        raise InvalidRequest("what is this?")

    assert estimate.estimate_input(inbound, read) == 12
    known = Request(protocol="p", model="m", turns=[Turn(role="user", parts=[Text(text="a" * 400)])])
    assert estimate.estimate_input(inbound, lambda _: known) == estimate.tokens(known)
    assert estimate.estimate_input(Inbound(fields={}, model="m"), read) == 1


def test_an_answer_has_the_tokens_of_all_its_choices() -> None:
    parts: list[Part] = [Text(text="a" * 40), ToolCall(id="1", name="find", arguments="{}")]
    one = Choice(parts=parts, stop="end")
    assert estimate.output_tokens(Answer(id="a", model="m", choices=[one, one])) == 2 * (10 + 8 + 1 + 1)
    assert estimate.output_tokens(Answer(id="a", model="m", choices=[])) == 0
