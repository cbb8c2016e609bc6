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


AWS_TYPE = b"x-amzn-errortype"


@pytest.mark.parametrize(
    ("status", "headers", "said", "kind", "code", "message"),
    [
        (
            400,
            [(AWS_TYPE, b"ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/")],
            b'{"message":"The provided model identifier is invalid."}',
            errors.UpstreamRefused,
            "ValidationException",
            "The provided model identifier is invalid.",
        ),
        (
            404,
            [],
            b'{"__type":"com.amazon.coral.service#ResourceNotFoundException","Message":"No such model."}',
            errors.UpstreamRefused,
            "ResourceNotFoundException",
            "No such model.",
        ),
        (
            429,
            [(AWS_TYPE, b"ThrottlingException")],
            b'{"message":"Too many tokens, please wait before trying again."}',
            errors.UpstreamRateLimited,
            None,
            "office: Too many tokens, please wait before trying again.",
        ),
        (
            424,
            [(AWS_TYPE, b"ModelErrorException")],
            b'{"message":"m","originalStatusCode":500}',
            errors.UpstreamFailed,
            None,
            "office failed (424): m",
        ),
        (
            400,
            [],
            b'{"error":{"code":400,"message":"Unknown name","status":"INVALID_ARGUMENT"}}',
            errors.UpstreamRefused,
            "INVALID_ARGUMENT",
            "Unknown name",
        ),
        (
            404,
            [],
            b'[{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}]',
            errors.UpstreamRefused,
            "NOT_FOUND",
            "models/x is not found",
        ),
        (
            404,
            [],
            b'{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}',
            errors.UpstreamRefused,
            "DeploymentNotFound",
            "The API deployment does not exist.",
        ),
        (
            404,
            [],
            b'{"error":{"code":"404","message":"Resource not found"}}',
            errors.UpstreamRefused,
            "provider_refused",
            "Resource not found",
        ),
        (
            400,
            [],
            (
                b'{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter",'
                b'"status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}'
            ),
            errors.UpstreamRefused,
            "content_filter",
            "The response was filtered",
        ),
        (
            401,
            [],
            b'{"statusCode":401,"message":"Access denied due to invalid subscription key"}',
            errors.UpstreamAccount,
            "provider_account",
            None,
        ),
    ],
)
def test_what_the_clouds_say(  # noqa: PLR0913 - a table
    status: int, headers: Headers, said: bytes, kind: type[UpstreamError], code: str | None, message: str | None
) -> None:
    error = faults.refusal("office", status, headers, said)
    assert type(error) is kind
    if code is not None:
        assert error.code == code
    if message is not None:
        assert error.message == message


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (400, [(AWS_TYPE, b"IncompleteSignature")], b"{}"),
        (400, [(AWS_TYPE, b"ServiceQuotaExceededException")], b'{"message":"over"}'),
        (404, [(AWS_TYPE, b"FTUFormNotFilled")], b'{"message":"Model use case details have not been submitted"}'),
        (400, [], (b'{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid. Please pass a valid'
                  b' API key.","details":[{"reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}')),
    ],
)  # fmt: skip
def test_a_clouds_trouble_with_our_account_is_not_the_callers(status: int, headers: Headers, said: bytes) -> None:
    assert type(faults.refusal("office", status, headers, said)) is errors.UpstreamAccount


def test_a_clock_that_is_off_is_told_to_whoever_can_set_it() -> None:
    said = b'{"message":"Signature expired: 20150830T123600Z is now earlier than 20150830T130000Z (...Z - 5 min.)"}'
    error = faults.refusal("office", 403, [(AWS_TYPE, b"InvalidSignatureException")], said)
    assert "clock" in error.message
    assert "2015" not in error.message
    assert "clock" not in faults.refusal("office", 403, [], b'{"message":"no"}').message


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}], 37.0),
        ([{"reason": "x"}, {"retryDelay": "37.826266380s"}], 37.82626638),
        ([{"retryDelay": "999999999s"}], 86_400.0),
        ([{"retryDelay": "soon"}], None),
        ([{"retryDelay": 5}], None),
        ("x", None),
        (None, None),
    ],
)
def test_googles_delay(details: object, seconds: float | None) -> None:
    said = body(status="RESOURCE_EXHAUSTED", details=details)
    assert faults.refusal("office", 429, [], said).retry_after_s == seconds
    assert faults.refusal("office", 429, [(b"retry-after", b"7")], said).retry_after_s == 7.0


values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "Message", "__type", "details", "reason", "retryDelay", "status", "code"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(values, st.integers(300, 599))
def test_any_shape_becomes_an_error_of_the_tree(said: object, status: int) -> None:
    error = faults.refusal("office", status, [], json.dumps(said).encode())
    assert isinstance(error, UpstreamError)
    assert error.retry_after_s is None or error.retry_after_s >= 0
