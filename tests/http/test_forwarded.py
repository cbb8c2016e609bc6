from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import SettingsInvalid
from trunkline.http.asgi import Headers, Scope
from trunkline.http.forwarded import TrustedProxies

TRUSTED = TrustedProxies(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])


def applied(headers: Headers) -> Scope:
    scope: Scope = {"client": ("10.0.0.1", 1234), "scheme": "http", "headers": headers}
    TRUSTED.apply(scope)
    return scope


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8::7", True),
        ("127.0.0.1", False),
        ("", False),
        ("unix", False),
    ],
)
def test_who_is_trusted(address: str, trusted: bool) -> None:
    assert TRUSTED.trusts(address) is trusted


def test_nobody_is_trusted_unasked() -> None:
    assert not TrustedProxies([]).trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (b"203.0.113.7", "203.0.113.7"),
        (b"203.0.113.7, 10.0.0.9", "203.0.113.7"),
        # What stands left of the first stranger was written by that stranger.
        (b"10.0.0.5, 198.51.100.1, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        (b"10.0.0.5, 10.0.0.9", "10.0.0.5"),
        (b"203.0.113.7:4711", "203.0.113.7"),
        (b"[2001:db9::1]:4711", "2001:db9::1"),
        (b"2001:db9::1", "2001:db9::1"),
        (b"::ffff:203.0.113.7", "203.0.113.7"),
        (b"203.0.113.7, unknown, 10.0.0.9", "10.0.0.9"),
        (b"unknown", "10.0.0.1"),
        (b"", "10.0.0.1"),
        (b"203.0.113.7, ", "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_stranger(chain: bytes, client: str) -> None:
    assert applied([(b"x-forwarded-for", chain)])["client"][0] == client


def test_lines_of_the_header_are_one_list() -> None:
    lines = [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.7, 10.0.0.9")]
    assert applied(lines)["client"] == ("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [(b"https", "https"), (b"HTTPS", "https"), (b"http, https", "https"), (b"gopher", "http"), (b"", "http")],
)
def test_the_scheme_is_what_the_nearest_proxy_says(value: bytes, scheme: str) -> None:
    assert applied([(b"x-forwarded-proto", value)])["scheme"] == scheme


def test_without_headers_nothing_changes() -> None:
    assert applied([(b"host", b"a")])["client"] == ("10.0.0.1", 1234)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_client(chain: bytes) -> None:
    client, _port = applied([(b"x-forwarded-for", chain)])["client"]
    assert client


@pytest.mark.parametrize("network", ["", "10.0.0.0/33", "proxy.example", "10.0.0"])
def test_a_network_that_is_none(network: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        TrustedProxies([network])
    assert caught.value.param == "server.trusted_proxies"
