"""Who is in the console: a cookie that says until when, signed so that every worker can check it without asking."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Final

from trunkline import clock

LIFETIME_S: Final = 12 * 60 * 60
NAME: Final = "trunkline"
# A browser takes a `__Host-` cookie only over TLS, from the host itself, for the whole of it.
TLS_NAME: Final = "__Host-trunkline"
VALUE_LIMIT: Final = 512


class Sessions:
    """`secret` is the pepper of the installation: a new one ends every session."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def begin(self, *, tls: bool) -> str:
        """The value of a `Set-Cookie` header for a new session of twelve hours."""
        facts = f"{int(clock.now_s()) + LIFETIME_S}.{secrets.token_urlsafe(16)}"
        return _set_cookie(f"{facts}.{self._signature(facts)}", LIFETIME_S, tls=tls)

    def end(self, *, tls: bool) -> str:
        """The value of a `Set-Cookie` header that takes the cookie away."""
        return _set_cookie("", 0, tls=tls)

    def is_open(self, cookie_header: str | None, *, tls: bool) -> bool:
        """Does the request's `Cookie` header hold a session of ours that has not run out?"""
        facts, _, signature = _cookie_value(cookie_header, TLS_NAME if tls else NAME).rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(facts).encode()):
            return False
        return int(facts.partition(".")[0]) > clock.now_s()

    def _signature(self, facts: str) -> str:
        # Keys are digested with SHA-256 and the same secret: with another hash no key's digest is a session.
        return hmac.new(self._secret, b"console session " + facts.encode(), hashlib.sha512).hexdigest()


def _set_cookie(value: str, age_s: int, *, tls: bool) -> str:
    name, secure = (TLS_NAME, "; Secure") if tls else (NAME, "")
    return f"{name}={value}; Max-Age={age_s}; Path=/; HttpOnly; SameSite=Lax{secure}"


def _cookie_value(header: str | None, name: str) -> str:
    if not header:
        return ""
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel is not None and len(morsel.value) <= VALUE_LIMIT else ""
