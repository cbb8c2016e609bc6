from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from trunkline.errors import InvalidRequest
from trunkline.providers.sandbox import json_body


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=3)]


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inner: list[Inner]
    size: Annotated[int, Meta(ge=16)] = 16


DECODER = msgspec.json.Decoder(Outer)


def test_what_fits_is_read() -> None:
    assert json_body.read(DECODER, b'{"inner":[{"name":"a"}]}') == Outer([Inner("a")])


@pytest.mark.parametrize(
    ("body", "within", "param", "code"),
    [
        (b"{", "", None, "invalid_json"),
        (b'{"inner":[{"name":"\xff"}]}', "", None, "invalid_json"),
        (b"[]", "", None, "invalid_type"),
        (b"{}", "", "inner", "missing_required_parameter"),
        (b"{}", "input[2]", "input[2].inner", "missing_required_parameter"),
        (b'{"inner":[{}]}', "", "inner[0].name", "missing_required_parameter"),
        (b'{"inner":[],"other":1}', "", "other", "unknown_parameter"),
        (b'{"inner":[{"name":"a","b":1}]}', "", "inner[0].b", "unknown_parameter"),
        (b'{"inner":[{"name":1}]}', "x", "x.inner[0].name", "invalid_type"),
        (b'{"inner":[{"name":"long"}]}', "", "inner[0].name", "string_above_max_length"),
        (b'{"inner":[],"size":1}', "", "size", "integer_below_min_value"),
    ],
)
def test_what_does_not_fit_is_named(body: bytes, within: str, param: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        json_body.read(DECODER, body, within)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_list_within_a_field_has_no_dot() -> None:
    with pytest.raises(InvalidRequest) as caught:
        json_body.read(msgspec.json.Decoder(list[Inner]), b'[{"name":1}]', "input")
    assert caught.value.param == "input[0].name"


def test_a_body_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        json_body.read(msgspec.json.Decoder(object), b"[" * 100_000)
    assert caught.value.code == "invalid_json"
