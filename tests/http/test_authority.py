from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.http import authority, refusals
from trunkline.http.refusals import Refusal

VALID = [b"a", b"a.", b"a-b.c_d~e", b"xn--bcher-kva.example", b"a%20b", b"127.0.0.1", b"a:0", b"a:65535", b"a:"]
VALID += [b"[::1]", b"[::1]:8080", b"[::ffff:1.2.3.4]", b"A.B", b"x" * 255 + b":65535"]
INVALID = [
    b"",
    b":80",
    b"a b",
    b" a",
    b"a,b",
    b"x@a",
    b"a/b",
    b"a?b",
    b"a#b",
    b"a:b",
    b"a:65536",
    b"a:000080",
    b"a:1:2",
]
INVALID += [b"a\x00", b"\xc3\xa9", b"a%2", b"a%zz", b"[::1", b"::1", b"[a]", b"[]", b"[1::2::3]", b"[fe80::1%25eth0]"]
INVALID += [b"a'b", b'a"b', b"a;b", b"a\\b", b"<a>", b"a\tb", b"x" * 300]


@pytest.mark.parametrize("host", VALID)
def test_valid_hosts(host: bytes) -> None:
    assert authority.is_valid_host(host)


@pytest.mark.parametrize("host", INVALID)
def test_invalid_hosts(host: bytes) -> None:
    assert not authority.is_valid_host(host)
    with pytest.raises(Refusal) as caught:
        authority.require_host(host)
    assert caught.value is refusals.HOST
    assert host not in authority.known_hosts


@given(st.binary(max_size=40))
def test_a_valid_host_holds_nothing_that_could_end_it(host: bytes) -> None:
    """Whatever it is printed into: a URL, a header, a page."""
    if authority.is_valid_host(host):
        assert not set(host) & set(b" \t\r\n\0/?#@\\,;<>\"'&=(){}|^`")


def test_known_hosts_stay_few() -> None:
    for number in range(3 * authority.KNOWN_HOSTS_MAX):
        authority.require_host(b"host-%d" % number)
        assert b"host-%d" % number in authority.known_hosts
        assert len(authority.known_hosts) <= authority.KNOWN_HOSTS_MAX


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://a/x?q", b"a", b"/x?q"),
        (b"https://a/x", b"a", b"/x"),
        (b"HTTP://A:80/x", b"a:80", b"/x"),
        (b"http://a", b"a", b"/"),
        (b"http://a?q", b"a", b"/?q"),
        (b"http://a/x?u=http://b/", b"a", b"/x?u=http://b/"),
        (b"http://[::1]:8/x", b"[::1]:8", b"/x"),
    ],
)
def test_the_absolute_form(target: bytes, host: bytes, path: bytes) -> None:
    assert authority.origin_form(b"GET", target, host) == path


@pytest.mark.parametrize(
    ("method", "target", "refusal"),
    [
        (b"GET", b"http://b/x", refusals.HOST_DIFFERS),
        (b"GET", b"http://a:80/x", refusals.HOST_DIFFERS),
        (b"GET", b"http://x@a/x", refusals.HOST_DIFFERS),
        (b"GET", b"http:///x", refusals.HOST_DIFFERS),
        (b"GET", b"http://b?http://a/", refusals.HOST_DIFFERS),
        (b"GET", b"ftp://a/x", refusals.TARGET),
        (b"GET", b"http://a/x#y", refusals.TARGET),
        (b"GET", b"http:a/x", refusals.TARGET),
        (b"GET", b"*", refusals.TARGET),
        (b"CONNECT", b"a:80", refusals.TARGET),
    ],
)
def test_targets_that_are_refused(method: bytes, target: bytes, refusal: Refusal) -> None:
    with pytest.raises(Refusal) as caught:
        authority.origin_form(method, target, b"a")
    assert caught.value is refusal


def test_the_asterisk_is_for_options() -> None:
    assert authority.origin_form(b"OPTIONS", b"*", b"a") == b"*"
