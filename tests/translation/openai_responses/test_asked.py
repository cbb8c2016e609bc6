"""Names of tools in namespaces, and what is said of a wrong value."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.openai_responses.exchanges import plain
from trunkline.translation.openai_responses.asked import MOST_NAME, Asked, flat, refusal, split


@given(st.text(max_size=80), st.text(min_size=1, max_size=80))
def test_a_flat_name_is_one_that_every_protocol_takes(namespace: str, name: str) -> None:
    made = flat(namespace, name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)
    assert made == flat(namespace, name)


def test_flat_names() -> None:
    assert flat(None, "a.b") == "a.b"
    assert flat("mcp__docs__", "search") == "mcp__docs__search"
    assert flat("docs", "search") == "docs__search"
    assert flat("docs.one", "search") != flat("docs.two", "search")
    assert len(flat("n" * 70, "s")) <= MOST_NAME


def test_only_a_request_of_this_protocol_knows_namespaces() -> None:
    asked = Asked(protocol="openai_responses", model="m", turns=[], namespaces={"a__b": ("a", "b")})
    assert split(asked, "a__b") == ("a", "b")
    assert split(asked, "other") == (None, "other")
    assert split(plain(), "a__b") == (None, "a__b")


class _Shape(msgspec.Struct):
    count: int | None
    names: list[str] | str = ""


@pytest.mark.parametrize(
    ("body", "param", "sentence"),
    [
        (b'{"count":"a"}', "it.count", "'it.count' must be a whole number or null."),
        (b'{"count":1,"names":[5]}', "it.names[0]", "'it.names[0]' must be a string."),
        (b"{}", "it.count", "'it.count' is required."),
        (b"[]", "it", "'it' must be an object."),
        (b"", "it", "'it' must be of another form."),
    ],
)
def test_a_wrong_value_is_named(body: bytes, param: str, sentence: str) -> None:
    with pytest.raises((msgspec.DecodeError, msgspec.ValidationError)) as caught:
        msgspec.json.decode(body, type=_Shape)
    said = refusal(caught.value, "it")
    assert (said.param, said.message) == (param, sentence)
