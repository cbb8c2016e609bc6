from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import sealed
from trunkline.providers.sandbox.gemini_parts import Content
from trunkline.providers.sandbox.gemini_turns import CALL, PASSES, TEXT, check, check_signatures, merged

TEXT_PART = {"text": "hi"}
SIGNED = sealed.seal(CALL, "f\nhm>?")
SIGNED_TEXT = sealed.seal(TEXT, "hm")


def call(name: str = "f", signature: str | None = None, call_id: str | None = None) -> Any:
    return {"functionCall": {"name": name, "args": {}, "id": call_id}, "thoughtSignature": signature}


def answer(name: str = "f", call_id: str | None = None) -> Any:
    return {"functionResponse": {"name": name, "response": {}, "id": call_id}}


def user(*parts: Any) -> Any:
    return {"role": "user", "parts": list(parts) or [TEXT_PART]}


def model(*parts: Any) -> Any:
    return {"role": "model", "parts": list(parts) or [TEXT_PART]}


def talk(*contents: Any) -> list[Content]:
    return msgspec.convert(list(contents), list[Content])


@pytest.mark.parametrize(
    "contents",
    [
        [user()],
        [{"parts": [TEXT_PART]}],
        [user(), model(), user()],
        [user(), model()],
        [user(), user()],
        [user(), model(call()), user(answer())],
        [user(), model(call()), {"role": "function", "parts": [answer()]}],
        [user(), model(call("f"), call("g")), user(answer("g"), answer("f"))],
        [user(), model(call("f"), call("g")), user(answer("g")), user(answer("f"))],
        [user(), model(TEXT_PART), model(call()), model({"text": ""}), user(answer(), TEXT_PART)],
        [user(), model(call(call_id="1")), user(answer(call_id="1"))],
        [user(), model(call(call_id="1")), user(answer())],
        [user({"inlineData": {"mimeType": "image/png", "data": "x"}}, {"text": ""})],
    ],
)
def test_what_is_in_order(contents: list[Any]) -> None:
    check(talk(*contents))


@pytest.mark.parametrize(
    ("contents", "said", "param"),
    [
        ([], "contents is not specified", "contents"),
        ([{"role": "system", "parts": [TEXT_PART]}], "valid role: user, model", "contents[0].role"),
        ([{"role": "assistant", "parts": [TEXT_PART]}], "valid role: user, model", "contents[0].role"),
        ([{"role": "user"}], "parts must not be empty", "contents[0].parts"),
        ([user({"thought": True})], "required oneof field 'data'", "contents[0].parts[0]"),
        ([user(TEXT_PART, {**TEXT_PART, **call()})], "already set. Cannot set 'function_call'", "contents[0].parts[1]"),
        ([user(), model(call("")), user(answer())], "Name cannot be empty", "contents[1].parts[0].function_call"),
        ([model(call()), user(answer())], "comes immediately after a user turn", "contents[0]"),
        ([user(call())], "comes immediately after a user turn", "contents[0]"),
        ([user(answer())], "comes immediately after a function call turn", "contents[0]"),
        ([user(), model(), user(answer())], "comes immediately after a function call turn", "contents[2]"),
        ([user(), model(call(), answer())], "comes immediately after a function call turn", "contents[1]"),
        ([user(), model(call())], "number of function response parts", "contents"),
        ([user(), model(call()), user()], "number of function response parts", "contents[2]"),
        ([user(), model(call(), call()), user(answer())], "number of function response parts", "contents[2]"),
        ([user(), model(call("f")), user(answer("g"))], "names do not match", "contents[2]"),
        ([user(), model(call(call_id="1")), user(answer(call_id="2"))], "ids do not match", "contents[2]"),
    ],
)  # fmt: skip
def test_what_is_out_of_order_is_named(contents: list[Any], said: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(talk(*contents))
    assert said in caught.value.message
    assert caught.value.param == param


@pytest.mark.parametrize(
    "signature",
    [
        SIGNED,
        SIGNED.replace("-", "+").replace("_", "/"),
        SIGNED.rstrip("="),
        *PASSES,
        b64encode(PASSES[0].encode()).decode(),
    ],
)
def test_a_signature_may_be_spelled_as_bytes_are(signature: str) -> None:
    check_signatures(talk(user(), model(call(signature=signature)), user(answer())), required=True)


@pytest.mark.parametrize(
    "part",
    [
        call(signature="bm8="),
        call(signature="not base64!"),
        call("g", signature=SIGNED),
        call(signature=SIGNED_TEXT),
        {**TEXT_PART, "thoughtSignature": SIGNED},
    ],
)
def test_a_signature_that_was_not_given_for_this_is_refused(part: Any) -> None:
    with pytest.raises(InvalidRequest, match="Corrupted thought signature") as caught:
        check_signatures(talk(user(), model(TEXT_PART, part)), required=False)
    assert caught.value.param == "contents[1].parts[1].thoughtSignature"


@pytest.mark.parametrize(
    ("contents", "where"),
    [
        ([user(), model(call(signature=SIGNED), call()), user(answer(), answer())], None),
        ([user(), model(call(signature=SIGNED)), model(call()), user(answer(), answer())], None),
        ([user(), model(call()), user(answer()), model(), user()], None),
        ([user(), model({**TEXT_PART, "thoughtSignature": SIGNED_TEXT}), user()], None),
        ([user(), model(call(), call(signature=SIGNED)), user(answer(), answer())], "contents[1]"),
        ([user(), model(call()), user(answer())], "contents[1]"),
        ([user(), model(call(signature=SIGNED)), user(answer()), model(call()), user(answer())], "contents[3]"),
        ([user(), model(call()), user(answer()), model(call(signature=SIGNED)), user(answer())], "contents[1]"),
    ],
)
def test_the_first_call_of_each_step_of_this_turn_is_signed(contents: list[Any], where: str | None) -> None:
    check_signatures(talk(*contents), required=False)
    if where is None:
        check_signatures(talk(*contents), required=True)
        return
    with pytest.raises(InvalidRequest, match="missing a thought_signature") as caught:
        check_signatures(talk(*contents), required=True)
    assert caught.value.param == where


def test_contents_of_one_side_are_one_turn() -> None:
    contents = talk(user(), user(), model(), user(answer()), {"role": "function", "parts": [answer()]})
    assert [(at, turn.role, len(turn.parts or [])) for at, turn in merged(contents)] == [
        (0, "user", 2),
        (2, "model", 1),
        (3, "user", 2),
    ]
    assert [len(content.parts or []) for content in contents] == [1] * 5, "what is merged is left as it was"


def test_long_talks_are_checked_in_linear_time() -> None:
    check(talk(user(), *[model(call())] * 20_000, *[user(answer())] * 20_000))
