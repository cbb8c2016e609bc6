"""Every dialect in which providers tell of errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.wire.provider_errors import MAX_MESSAGE, ErrorFacts, read_error

ERRORS: list[tuple[bytes, ErrorFacts]] = [
    (
        b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}',
        ErrorFacts(message="m", type="t", param="p", code="c"),
    ),
    (b'{"error":{"message":"m","type":null,"param":null,"code":null}}', ErrorFacts(message="m")),
    (b'{"error":{"message":"m","code":429}}', ErrorFacts(message="m", code="429", status=429)),
    (b'{"error":{"message":"m","code":"503"}}', ErrorFacts(message="m", code="503", status=503)),
    (
        b'{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"r"}',
        ErrorFacts(message="m", type="overloaded_error", status=529),
    ),
    (b'{"error":"Model not found"}', ErrorFacts(message="Model not found")),
    (b'{"error":["a"]}', ErrorFacts(message='["a"]')),
    (b'{"detail":"Not Found"}', ErrorFacts(message="Not Found")),
    (
        b'{"detail":[{"loc":["body","seed"],"msg":"bad","type":"x"},{"msg":"worse"}]}',
        ErrorFacts(message="body.seed: bad; worse"),
    ),
    (b'{"detail":[{"loc":7,"msg":"odd"},{"loc":{"a":1}},{"loc":true}]}', ErrorFacts(message="odd; ; ")),
    (b'{"detail":{"a":1}}', ErrorFacts(message='{"a":1}')),
    (
        b'{"message":"m","type":"t","code":400,"object":"error"}',
        ErrorFacts(message="m", type="t", code="400", status=400),
    ),
    (b'{"message":{"detail":[{"loc":["x"],"msg":"y"}]}}', ErrorFacts(message='{"detail":[{"loc":["x"],"msg":"y"}]}')),
    (b'[{"error":{"code":400,"message":"m","status":"INVALID"}}]', ErrorFacts(message="m", code="400", status=400)),
    (b"Internal Server Error\n", ErrorFacts(message="Internal Server Error")),
    (b"<!DOCTYPE html><head><title>502 Bad\n Gateway</title></head>secret", ErrorFacts(message="502 Bad\n Gateway")),
    (b"<html><h1>A &amp; <b>B</b></h1>", ErrorFacts(message="A &  B")),
    (b"<html>", ErrorFacts(message="")),
    (b"", ErrorFacts(message="")),
    (b"{}", ErrorFacts(message="")),
    (b"[]", ErrorFacts(message="[]")),
    (b"\xff\xfe", ErrorFacts(message="��")),
    (b"[ERROR] out of memory", ErrorFacts(message="[ERROR] out of memory")),
    (b' {"choices":[{"message":{"content":"what was said', ErrorFacts(message="")),
    (b'[{"candidates":[{"content":"what was said', ErrorFacts(message="")),
    (b'{"error":{"message":"m"', ErrorFacts(message="")),
]


@pytest.mark.parametrize(("data", "facts"), ERRORS)
def test_every_dialect_of_error(data: bytes, facts: ErrorFacts) -> None:
    assert read_error(data) == facts


@given(st.binary(max_size=60) | st.sampled_from([b"[" * 10_000, b'{"error":' + b"[" * 10_000, b"x" * 100_000]))
def test_an_error_can_always_be_read(data: bytes) -> None:
    assert len(read_error(data).message) <= MAX_MESSAGE
