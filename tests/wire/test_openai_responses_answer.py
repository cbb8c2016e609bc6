"""Whole answers of the Responses API, as far as they are read on their way through."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from openai.types.responses import ResponseUsage

from trunkline.errors import UpstreamFailed
from trunkline.wire.codec import encode
from trunkline.wire.openai_responses_answer import (
    estimated_output,
    read_answer,
    read_usage,
    with_model,
    write_usage,
)
from trunkline.wire.usage import Usage

MESSAGE = {"type": "message", "content": []}
COUNTS = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 17,
}
USAGE = Usage(input_tokens=10, output_tokens=7, cached_input_tokens=4, cache_write_tokens=2, reasoning_tokens=3)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (COUNTS, USAGE),
        ({"input_tokens": 1, "output_tokens": 2}, Usage(input_tokens=1, output_tokens=2)),
        (
            {**COUNTS, "input_tokens_details": None, "output_tokens_details": None},
            Usage(input_tokens=10, output_tokens=7),
        ),
        (
            {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": {"cached_tokens": None}},
            Usage(input_tokens=1, output_tokens=2),
        ),
        ({"input_tokens": 1}, None),
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({"input_tokens": 1.5, "output_tokens": 2}, None),
        ({"input_tokens": 20_000_000, "output_tokens": 2}, None),
        ({"input_tokens": 3, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}, None),
        (None, None),
        ([], None),
    ],
)
def test_counts_that_can_be_believed(said: Any, expected: Usage | None) -> None:
    assert read_usage(Raw(encode(said))) == expected
    assert read_answer(encode({"output": [MESSAGE], "usage": said})).usage == expected


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"output": None, "error": {"message": "broken"}}, "broken"),
        ({"output": [], "status": "failed", "error": {"code": "server_error", "message": "broken"}}, "broken"),
        ({"output": [], "status": "failed", "error": None}, "status failed"),
        ({"output": [], "status": "cancelled", "usage": COUNTS}, "status cancelled"),
        ({"output": [], "error": {"message": "hidden"}}, "hidden"),
        ({"detail": "no"}, "no"),
    ],
)
def test_a_failure_in_a_good_answer_is_found(body: dict[str, Any], sentence: str) -> None:
    answer = read_answer(encode(body))
    assert answer.error is not None
    assert sentence in answer.error.message
    assert answer.usage == (USAGE if "usage" in body else None)


def test_what_is_unfinished_is_no_failure() -> None:
    for status in ("completed", "incomplete", "queued", "in_progress"):
        assert read_answer(encode({"output": [], "status": status, "usage": COUNTS})).error is None
    assert read_answer(encode({"output": [MESSAGE]})).usage is None


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"id":1}', b'{"output":[5]}', b'{"output":[],"a":"\xff"}'])
def test_what_is_no_response_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_answer(body)


def test_another_name_may_be_shown() -> None:
    body = b'{"id":"resp_1", "model":"a", "n":1.0}'
    assert msgspec.json.decode(with_model(body, "b")) == {"id": "resp_1", "model": "b", "n": 1.0}
    assert b"1.0" in with_model(body, "b")
    assert with_model(b"[]", "b") == b"[]"


def test_usage_of_ours_reads_as_it_was_meant() -> None:
    written = write_usage(msgspec.structs.replace(USAGE, cost_nanos=5))
    ResponseUsage.model_validate(msgspec.json.decode(written))
    assert read_usage(Raw(written)) == USAGE
    assert written.endswith(b'"cost":0.000000005}')
    assert b"cost" not in write_usage(USAGE)


def test_a_response_without_usage_can_be_weighed() -> None:
    said = [{"type": "reasoning", "encrypted_content": "e" * 99, "summary": [{"type": "summary_text", "text": "1234"}]}]
    assert (
        estimated_output(encode({"output": [*said, {"type": "function_call", "name": "f", "arguments": "123"}]})) == 2
    )
