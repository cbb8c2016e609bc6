"""A session is what we signed, until it runs out; nothing else."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline import clock
from trunkline.console.session import LIFETIME_S, NAME, TLS_NAME, Sessions

NOW_S = 1_800_000_000.0


@pytest.fixture(autouse=True)
def held_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_s", lambda: NOW_S)


def cookie(set_cookie: str) -> str:
    return set_cookie.partition(";")[0]


@pytest.mark.parametrize("tls", [False, True])
def test_a_new_session_is_open(tls: bool) -> None:
    sessions = Sessions(b"pepper")
    assert sessions.is_open(cookie(sessions.begin(tls=tls)), tls=tls)
    assert not sessions.is_open(cookie(sessions.end(tls=tls)), tls=tls)


def test_cookies_are_out_of_reach_of_scripts_and_other_sites() -> None:
    plain, secure = Sessions(b"pepper").begin(tls=False), Sessions(b"pepper").begin(tls=True)
    for one in (plain, secure):
        assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={LIFETIME_S}"} <= set(one.split("; "))
    assert secure.startswith(f"{TLS_NAME}=")
    assert "Secure" in secure.split("; ")
    assert plain.startswith(f"{NAME}=")
    assert "Secure" not in plain


def test_a_plain_cookie_opens_nothing_over_tls() -> None:
    sessions = Sessions(b"pepper")
    assert not sessions.is_open(cookie(sessions.begin(tls=False)), tls=True)


def test_it_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(b"pepper")
    held = cookie(sessions.begin(tls=False))
    monkeypatch.setattr(clock, "now_s", lambda: NOW_S + LIFETIME_S - 1)
    assert sessions.is_open(held, tls=False)
    monkeypatch.setattr(clock, "now_s", lambda: NOW_S + LIFETIME_S)
    assert not sessions.is_open(held, tls=False)


def test_two_sessions_differ_and_another_secret_ends_both() -> None:
    sessions = Sessions(b"pepper")
    first, second = sessions.begin(tls=False), sessions.begin(tls=False)
    assert first != second
    assert not Sessions(b"other").is_open(cookie(first), tls=False)


def test_every_worker_with_the_secret_agrees() -> None:
    assert Sessions(b"pepper").is_open(cookie(Sessions(b"pepper").begin(tls=False)), tls=False)


@pytest.mark.parametrize(
    "header", [None, "", NAME, f"{NAME}=", f"{NAME}=.", f"{NAME}=..", f"{NAME}=9999999999.x.", "other=1", "a=b; " * 99]
)
def test_what_is_no_session(header: str | None) -> None:
    assert not Sessions(b"pepper").is_open(header, tls=False)


def test_a_keys_digest_is_no_session() -> None:
    """Keys are digested with the same secret; whoever may import any string as a key must not make a session of it."""
    facts = f"{int(NOW_S) + 60}.nonce"
    for text in (facts, f"console session {facts}"):
        forged = hmac.new(b"pepper", text.encode(), hashlib.sha256).hexdigest()
        assert not Sessions(b"pepper").is_open(f"{NAME}={facts}.{forged}", tls=False)


@given(st.integers(0, 200), st.sampled_from("0123456789abcdefXYZ.-_"))
def test_a_changed_character_ends_it(position: int, character: str) -> None:
    sessions = Sessions(b"pepper")
    name, _, value = cookie(sessions.begin(tls=False)).partition("=")
    position %= len(value)
    changed = value[:position] + character + value[position + 1 :]
    assert sessions.is_open(f"{name}={changed}", tls=False) == (changed == value)


@given(st.text(max_size=300))
def test_no_header_is_an_error(header: str) -> None:
    assert not Sessions(b"pepper").is_open(header, tls=False)
