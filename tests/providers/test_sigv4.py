"""Signature Version 4 against the test suite that AWS publishes."""

from __future__ import annotations

import datetime as dt

import pytest

from trunkline.observe import Secret
from trunkline.providers import sigv4
from trunkline.providers.sigv4 import Keys, Scope
from trunkline.providers.transport import Headers, Origin, Timers, UpstreamRequest

# https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4, each with its context.json
KEYS = Keys("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
SCOPE = Scope("us-east-1", "service")
NOW_S = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC).timestamp()
ORIGIN = Origin("https", "example.amazonaws.com", 443)
LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SIGNATURES = {
    "get-vanilla-query-order-key-case": (
        b"/?Param2=value2&Param1=value1",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-vanilla-empty-query-key": (
        b"/?Param1=value1",
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    "get-vanilla-query-unreserved": (
        b"/?-._~" + LETTERS + b"=-._~" + LETTERS,
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    "get-vanilla-query-order-encoded": (
        b"/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    "get-vanilla-utf8-query": (
        "/?ሴ=bar".encode(),
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    "get-utf8": ("/ሴ".encode(), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-space-normalized": (
        b"/example space/",
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    "get-unreserved": (b"/-._~" + LETTERS, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
}


def request(target: bytes = b"/", **fields: object) -> UpstreamRequest:
    given: dict[str, object] = {"method": b"GET", "headers": [], "timers": Timers(), **fields}
    return UpstreamRequest(origin=ORIGIN, target=target, **given)  # type: ignore[arg-type]  # real fields


def authorization(asked: UpstreamRequest, keys: Keys = KEYS) -> str:
    return dict(sigv4.signed(asked, keys, SCOPE, NOW_S))[b"authorization"].decode()


@pytest.mark.parametrize("case", SIGNATURES)
def test_the_published_signatures(case: str) -> None:
    target, signature = SIGNATURES[case]
    assert authorization(request(target)) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def test_a_post_and_its_date() -> None:
    headers = sigv4.signed(request(method=b"POST"), KEYS, SCOPE, NOW_S)
    assert headers[1:] == [(b"x-amz-date", b"20150830T123600Z")]
    assert headers[0][1].endswith(b"=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")


def test_a_session_token_is_sent_and_signed() -> None:
    keys = Keys(KEYS.access_key_id, KEYS.secret_access_key, Secret(TOKEN))
    headers = sigv4.signed(request(), keys, SCOPE, NOW_S)
    assert headers[2] == (b"x-amz-security-token", TOKEN.encode())
    assert (
        headers[0][1]
        .decode()
        .endswith(
            "SignedHeaders=host;x-amz-date;x-amz-security-token, "
            "Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
        )
    )


DATE = (b"X-Amz-Date", b"20150830T123600Z")
HOST = (b"Host", b"example.amazonaws.com")


@pytest.mark.parametrize(
    ("headers", "signature"),
    [
        (  # get-header-value-trim
            [(b"My-Header1", b" value1"), (b"My-Header2", b'"a   b   c"')],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (  # get-header-value-order
            [(b"My-Header1", b"value4"), (b"My-Header1", b"value1"), (b"My-Header1", b"value3"),
             (b"My-Header1", b"value2")],
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
    ],
)  # fmt: skip
def test_the_published_headers(headers: Headers, signature: str) -> None:
    canonical = sigv4.canonical_request(b"GET", b"/", [HOST, *headers, DATE], b"")
    assert signature_of(canonical) == signature


def test_the_published_body() -> None:
    """post-x-www-form-urlencoded, whose body is signed."""
    digest = b"9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
    headers = [
        HOST,
        DATE,
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"content-length", b"13"),
        (b"x-amz-content-sha256", digest),
    ]
    canonical = sigv4.canonical_request(b"POST", b"/", headers, b"Param1=value1")
    assert canonical.endswith(digest)
    assert signature_of(canonical) == "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"


def signature_of(canonical: bytes) -> str:
    key = sigv4._signing_key(KEYS.secret_access_key, "20150830", SCOPE)
    text = sigv4.string_to_sign(canonical, "20150830T123600Z", SCOPE)
    return sigv4.signature(key, text)


def test_the_published_canonical_request_and_what_is_signed_of_it() -> None:
    headers = [HOST, DATE, (b"content-length", b"13"), (b"content-type", b"application/x-www-form-urlencoded")]
    canonical = sigv4.canonical_request(b"POST", b"/", headers, b"")
    assert canonical.decode().splitlines() == [
        "POST",
        "/",
        "",
        "content-length:13",
        "content-type:application/x-www-form-urlencoded",
        "host:example.amazonaws.com",
        "x-amz-date:20150830T123600Z",
        "",
        "content-length;content-type;host;x-amz-date",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]
    assert sigv4.string_to_sign(canonical, "20150830T123600Z", SCOPE).splitlines() == [
        "AWS4-HMAC-SHA256",
        "20150830T123600Z",
        "20150830/us-east-1/service/aws4_request",
        "0eccf3fbe5a3c5d3df1d87c98cdf5dbde190d26aabdd91c9407db930a0c00896",
    ]


def test_only_headers_that_stay_as_they_are_on_the_way_are_signed() -> None:
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"user-agent", b"trunkline"),
        (b"traceparent", b"00-1-2-01"),
        (b"x-amzn-bedrock-trace", b"ENABLED"),
    ]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amzn-bedrock-trace," in authorization(request(headers=headers))


def test_what_is_encoded_in_a_path_is_encoded_once_more() -> None:
    canonical = sigv4.canonical_request(b"POST", b"/model/us.meta.llama-v1%3A0/converse", [HOST], b"{}")
    assert canonical.splitlines()[1] == b"/model/us.meta.llama-v1%253A0/converse"


@pytest.mark.parametrize(
    ("origin", "written"),
    [
        (Origin("https", "a.example", 443), b"a.example"),
        (Origin("http", "a.example", 80), b"a.example"),
        (Origin("https", "a.example", 8443), b"a.example:8443"),
        (Origin("http", "::1", 8000), b"[::1]:8000"),
    ],
)
def test_the_host_is_signed_as_the_transport_writes_it(origin: Origin, written: bytes) -> None:
    assert sigv4.host(origin) == written


def test_keys_print_no_secret() -> None:
    assert "wJalr" not in repr(Keys("AKIDEXAMPLE", KEYS.secret_access_key, Secret(TOKEN)))
    assert TOKEN not in repr(Keys("AKIDEXAMPLE", KEYS.secret_access_key, Secret(TOKEN)))
