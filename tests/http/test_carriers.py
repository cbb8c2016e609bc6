"""Every carrier, alone and together."""

from __future__ import annotations

import pytest

from trunkline.errors import Unauthenticated
from trunkline.http.asgi import Headers
from trunkline.http.carriers import credential

KEY = "sk-tl-abc-secret"


def ask(headers: Headers, query: bytes = b"") -> str:
    return credential(headers, dict(headers), query)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer " + KEY.encode())],
        [(b"authorization", b"bearer   " + KEY.encode() + b" ")],
        [(b"x-api-key", KEY.encode())],
        [(b"api-key", KEY.encode())],
        [(b"x-goog-api-key", KEY.encode())],
        [(b"authorization", b"Bearer " + KEY.encode()), (b"x-api-key", KEY.encode())],
        [(b"authorization", b"Basic dXNlcjpwYXNz"), (b"x-api-key", KEY.encode())],
        [(b"accept", b"a"), (b"accept", b"b"), (b"api-key", KEY.encode())],
    ],
)
def test_the_key_is_found_in_every_carrier(headers: Headers) -> None:
    assert ask(headers) == KEY


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "invalid_api_key"),
        ([(b"authorization", b"")], "invalid_api_key"),
        ([(b"authorization", b"Bearer ")], "invalid_api_key"),
        ([(b"authorization", KEY.encode())], "invalid_api_key"),
        ([(b"x-api-key", b"  ")], "invalid_api_key"),
        ([(b"authorization", b"Bearer one-key"), (b"x-api-key", b"other-key")], "ambiguous_credentials"),
        ([(b"x-api-key", b"one-key"), (b"api-key", b"other-key")], "ambiguous_credentials"),
        ([(b"x-api-key", KEY.encode()), (b"x-api-key", KEY.encode())], "ambiguous_credentials"),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")], "ambiguous_credentials"),
    ],
)
def test_what_does_not_say_who_calls_is_refused(headers: Headers, code: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        ask(headers)
    assert refused.value.code == code
    assert "one-key" not in refused.value.message


@pytest.mark.parametrize("query", [b"key=sk-1", b"a=b&API_KEY=sk-1", b"access_token=x"])
def test_a_key_in_the_address_is_refused_and_the_header_named(query: bytes) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer") as refused:
        ask([(b"x-api-key", KEY.encode())], query)
    assert "sk-1" not in refused.value.message


def test_the_id_of_a_key_is_no_key() -> None:
    headers: Headers = [(b"x-api-key", KEY.encode())]
    assert ask(headers, b"key=key_Gsq5Dd9y9aNV") == KEY
    for query in (b"key=key_Gsq5Dd9y9aN", b"key=key_Gsq5Dd9y9aNVx", b"key=key_Gsq5Dd9y9aN-", b"key=", b"key"):
        with pytest.raises(Unauthenticated):
            ask(headers, query)


def test_other_query_parameters_are_nobodys_business() -> None:
    assert ask([(b"x-api-key", KEY.encode())], b"beta=true&all=1") == KEY
