"""A provider's refusal, and what of it reaches a caller."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import clock, errors
from trunkline.errors import UpstreamError
from trunkline.providers import faults
from trunkline.providers.transport import Headers


def body(message: str = "no", **more: object) -> bytes:
    return json.dumps({"error": {"message": message, "type": "t", "param": None, "code": None} | more}).encode()


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, body(), errors.UpstreamRefused),
        (404, body(), errors.UpstreamRefused),
        (413, body(), errors.UpstreamRefused),
        (422, b'{"detail":[{"loc":["body","n"],"msg":"bad"}]}', errors.UpstreamRefused),
        (401, body(), errors.UpstreamAccount),
        (402, body(), errors.UpstreamAccount),
        (403, body(), errors.UpstreamAccount),
        (429, body(code="insufficient_quota"), errors.UpstreamAccount),
        (429, body(type="insufficient_quota"), errors.UpstreamAccount),
        (429, body(), errors.UpstreamRateLimited),
        (408, b"", errors.UpstreamTimeout),
        (504, b"<html><title>Gateway Time-out</title></html>", errors.UpstreamTimeout),
        (409, body(), errors.UpstreamOverloaded),
        (425, body(), errors.UpstreamOverloaded),
        (503, body(), errors.UpstreamOverloaded),
        (529, body(), errors.UpstreamOverloaded),
        (301, b"", errors.UpstreamFailed),
        (500, b"Internal Server Error", errors.UpstreamFailed),
        (502, b"", errors.UpstreamFailed),
        (418, b"", errors.UpstreamFailed),
    ],
)
def test_the_table(status: int, said: bytes, kind: type[UpstreamError]) -> None:
    error = faults.refusal("office", status, [], said)
    assert type(error) is kind
    assert error.status == status


def test_our_accounts_trouble_tells_nothing_of_it() -> None:
    said = body("Incorrect API key provided: sk-proj-abcd1234efgh5678. Your org org-ABCDEF1234567890 has no credit.")
    error = faults.refusal("office", 401, [], said)
    assert "sk-proj" not in error.message
    assert "org-" not in error.message
    assert "office" in error.message


def test_a_refusal_keeps_its_field_and_its_code() -> None:
    error = faults.refusal("office", 400, [], body("too long", param="messages", code="context_length_exceeded"))
    assert (error.message, error.param, error.code) == ("too long", "messages", "context_length_exceeded")


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcd1234efgh5678",
        "AIzaSyA1234567890abcdefghijklmnopqrstu",
        "Bearer abc.def-123456",
        "gsk_abcdefgh12345678",
        "xai-1234567890abcdef",
        "0123456789abcdef0123456789abcdef",
        "sk-ab***************wxyz",
        "ab12*******",
    ],
)
def test_what_looks_like_a_credential_never_crosses(secret: str) -> None:
    for status in (400, 429, 500, 503):
        assert secret not in faults.refusal("office", status, [], body(f"key {secret} is wrong")).message


def test_plain_words_do_cross() -> None:
    sentence = "This model's maximum context length is 4096 tokens; basic authentication is not supported."
    assert faults.clean(sentence) == sentence


@given(st.text())
def test_a_message_is_bounded_and_printable(text: str) -> None:
    cleaned = faults.clean(text * 40)
    assert len(cleaned) <= faults.MESSAGE_LIMIT
    assert all(letter.isprintable() or letter == "\n" for letter in cleaned)


@given(st.binary(max_size=300), st.integers(300, 599))
def test_any_bytes_become_an_error_of_the_tree(said: bytes, status: int) -> None:
    assert isinstance(faults.refusal("office", status, [], said), UpstreamError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"7")], 7.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after-ms", b"250"), (b"retry-after", b"9")], 0.25),
        ([(b"retry-after", b"Sat, 01 Jan 2000 00:00:10 GMT")], 10.0),
        ([(b"retry-after", b"Sat, 01 Jan 2000 00:00:00 GMT")], 0.0),
        ([(b"retry-after", b"Fri, 31 Dec 1999 00:00:00 GMT")], None),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"99999999999")], 86_400.0),
        ([], None),
    ],
)
def test_retry_after(headers: Headers, seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: 946_684_800.0)
    assert faults.retry_after_s(headers) == seconds
