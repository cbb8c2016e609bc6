"""Signatures in callers' hands and back, and what is passed on of a caller's own request."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.gemini.exchanges import GEMINI_3, VERTEX
from trunkline.translation.exchange import State
from trunkline.translation.gemini.state import SKIPPED, passed_fields, strip_foreign_state, unwrapped, wrapped
from trunkline.wire import codec
from trunkline.wire.codec import Fields


def fields_of(**body: Any) -> Fields:
    return codec.fields(msgspec.json.encode(body), frozenset())


def values(fields: Fields) -> dict[str, Any]:
    return {name: msgspec.json.decode(raw) for name, raw in fields.items()}


@given(st.text(min_size=1), st.text())
def test_what_is_wrapped_comes_back_through_clients_that_decode_it(origin: str, data: str) -> None:
    state = State(origin, data)
    carried = wrapped(state)
    decoded = b64decode(carried, validate=True)
    assert unwrapped(carried) == state
    assert unwrapped(urlsafe_b64encode(decoded).decode()) == state
    assert unwrapped(urlsafe_b64encode(decoded).decode().rstrip("=")) == state


def test_what_was_not_wrapped_is_of_unknown_origin() -> None:
    for signature in ("CtEBAVSoXO7+A==", "", SKIPPED, "dGwxLg", "dGwxL", "dGwxL!!!", "dGwxL/8=", "dGwxLé"):
        assert unwrapped(signature) == State("", signature)


MINE, OTHERS = wrapped(State("google", "sig+/=")), wrapped(State("openai", "x"))


def test_foreign_state_is_removed_and_the_providers_own_unwrapped() -> None:
    call = {"functionCall": {"name": "f", "args": {"n": 1.0}}}
    fields = fields_of(
        contents=[
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [
                {"text": "Hm", "thought": True, "thoughtSignature": OTHERS},
                {"text": "Hm", "thought": True, "thoughtSignature": MINE},
                {"text": "Yes", "thoughtSignature": OTHERS},
                {"text": "", "thought_signature": OTHERS},
                {**call, "thoughtSignature": OTHERS},
                {**call, "thought_signature": MINE},
                {**call, "thoughtSignature": "raw"},
            ]},
            {"role": "model", "parts": {"text": "", "thoughtSignature": OTHERS}},
        ],
        tools=[],
    )  # fmt: skip
    cleaned = values(strip_foreign_state(fields, "google"))
    assert cleaned == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [
                {"text": "Hm", "thought": True, "thoughtSignature": "sig+/="},
                {"text": "Yes"},
                {**call, "thoughtSignature": SKIPPED},
                {**call, "thought_signature": "sig+/="},
                {**call, "thoughtSignature": "raw"},
            ]},
        ],
        "tools": [],
    }  # fmt: skip
    assert b"1.0" in bytes(strip_foreign_state(fields, "google")["contents"])


def test_a_signed_pictures_state_is_not_a_signature() -> None:
    fields = fields_of(
        contents=[{"parts": [{"text": "", "thought": True, "thoughtSignature": wrapped(State("google", "media:x"))}]}]
    )
    assert values(strip_foreign_state(fields, "google")) == {"contents": []}


def test_what_has_nothing_of_ours_is_left_alone() -> None:
    for body in ({"contents": [{"parts": [{"text": "x", "thoughtSignature": "raw"}]}]}, {}, {"contents": "dGwxL"}):
        fields = fields_of(**body)
        cleaned = strip_foreign_state(fields, "google")
        assert {name: bytes(raw) for name, raw in cleaned.items()} == {name: bytes(raw) for name, raw in fields.items()}


def test_what_is_passed_on_lacks_what_the_provider_refuses() -> None:
    warnings: list[str] = []
    target = msgspec.structs.replace(GEMINI_3, drops=("temperature", "top_p", "seed", "reasoning"))
    fields = fields_of(
        contents=[{"parts": [{"text": "x"}]}],
        generation_config={"temperature": 1.0, "top_p": 0.5, "topK": 5, "thinkingConfig": {}},
    )
    assert values(passed_fields(fields, target, warnings))["generation_config"] == {"topK": 5}
    assert warnings == [
        f"dropped generation_config.{name}: not supported by google/gemini-3-flash"
        for name in ("temperature", "top_p", "thinkingConfig")
    ]
    assert passed_fields(fields, GEMINI_3, warnings) == fields


def test_ids_of_calls_are_not_passed_on_to_vertex() -> None:
    fields = fields_of(
        contents=[
            {"parts": [{"functionCall": {"id": "a", "name": "f", "args": {"id": 1}}}]},
            {"parts": [{"function_response": {"id": "a", "name": "f", "response": {"id": 1}}}, {"text": "x"}]},
        ]
    )
    assert values(passed_fields(fields, GEMINI_3, [])) == values(fields)
    assert values(passed_fields(fields, VERTEX, [])) == {
        "contents": [
            {"parts": [{"functionCall": {"name": "f", "args": {"id": 1}}}]},
            {"parts": [{"function_response": {"name": "f", "response": {"id": 1}}}, {"text": "x"}]},
        ]
    }
    plain = fields_of(contents=[{"parts": [{"text": "x"}]}])
    assert passed_fields(plain, VERTEX, []) == plain
