"""AWS Signature Version 4, as a function of the request and the time.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import hmac
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from trunkline.observe import Secret
from trunkline.providers.transport import Headers, Origin, UpstreamRequest

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# The headers that AWS wants signed when they are there; those that somebody on the way may add or change are not.
_SIGNED: Final = frozenset((b"content-type", b"content-md5"))


class Keys(msgspec.Struct, frozen=True):
    """An access key. `session_token` comes with one that ends."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


class Scope(msgspec.Struct, frozen=True):
    region: str
    service: str

    def on(self, day: str) -> str:
        return f"{day}/{self.region}/{self.service}/aws4_request"


def signed(request: UpstreamRequest, keys: Keys, scope: Scope, now_s: float) -> Headers:
    """The headers that sign the request: `authorization`, `x-amz-date` and `x-amz-security-token`."""
    timestamp = dt.datetime.fromtimestamp(now_s, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    added: Headers = [(b"x-amz-date", timestamp.encode("ascii"))]
    if keys.session_token is not None:
        added.append((b"x-amz-security-token", keys.session_token.reveal().encode("ascii")))
    headers = [(b"host", host(request.origin)), *filter(_is_signed, request.headers), *added]
    canonical = canonical_request(request.method, request.target, headers, request.body)
    day = timestamp[:8]
    key = _signing_key(keys.secret_access_key, day, scope)
    authorization = (
        f"{ALGORITHM} Credential={keys.access_key_id}/{scope.on(day)}, SignedHeaders={signed_names(headers)}, "
        f"Signature={signature(key, string_to_sign(canonical, timestamp, scope))}"
    )
    return [(b"authorization", authorization.encode("ascii")), *added]


def _is_signed(header: tuple[bytes, bytes]) -> bool:
    name = header[0].lower()
    return name in _SIGNED or name.startswith(b"x-amz")


def host(origin: Origin) -> bytes:
    """As the transport writes it."""
    name = f"[{origin.host}]" if ":" in origin.host else origin.host
    return (name if origin.port == _DEFAULT_PORTS[origin.scheme] else f"{name}:{origin.port}").encode("idna")


def canonical_request(method: bytes, target: bytes, headers: Headers, body: bytes) -> bytes:
    """`target` is as it is sent. Its path is encoded once more, which every service but S3 wants."""
    path, _, query = target.partition(b"?")
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(b" ".join(value.split()))
    return b"\n".join(
        (
            method,
            _quoted(path, "/~") or b"/",
            _canonical_query(query),
            *(name + b":" + b",".join(lines[name]) for name in sorted(lines)),
            b"",
            signed_names(headers).encode("ascii"),
            hashlib.sha256(body).hexdigest().encode("ascii"),
        )
    )


def signed_names(headers: Headers) -> str:
    return b";".join(sorted({name.lower() for name, _ in headers})).decode("ascii")


def _canonical_query(query: bytes) -> bytes:
    pairs = (part.partition(b"=") for part in query.split(b"&") if part)
    encoded = (
        (_quoted(unquote_to_bytes(name), "~"), _quoted(unquote_to_bytes(value), "~")) for name, _, value in pairs
    )
    return b"&".join(name + b"=" + value for name, value in sorted(encoded))


def _quoted(text: bytes, safe: str) -> bytes:
    return quote_from_bytes(text, safe=safe).encode("ascii")


def string_to_sign(canonical: bytes, timestamp: str, scope: Scope) -> str:
    return "\n".join((ALGORITHM, timestamp, scope.on(timestamp[:8]), hashlib.sha256(canonical).hexdigest()))


def signature(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("ascii"), "sha256").hex()


@functools.lru_cache(maxsize=64)
def _signing_key(secret: Secret, day: str, scope: Scope) -> bytes:
    key = b"AWS4" + secret.reveal().encode("ascii")
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode("ascii"), "sha256")
    return key
