"""The headers a credential may come in, on every route alike."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trunkline.errors import Unauthenticated
from trunkline.http.asgi import Headers

PLAIN_CARRIERS = (b"x-api-key", b"api-key", b"x-goog-api-key")
CARRIERS = frozenset((b"authorization", *PLAIN_CARRIERS))
QUERY_CARRIERS = frozenset((b"key", b"api_key", b"api-key", b"apikey", b"access_token", b"x-api-key"))

_KEY_ID = re.compile(rb"key_[0-9A-Za-z]{12}")
"""An id says which key is meant; it opens nothing."""

MISSING = (
    "No API key was sent. "
    "Put it in the header `Authorization: Bearer <key>` (or `x-api-key`, `api-key`, `x-goog-api-key`)."
)


def credential(headers: Headers, named: Mapping[bytes, bytes], query: bytes = b"") -> str:
    """The key that came with a request; `named` is `dict(headers)`. Raises Unauthenticated.

    The same key in two carriers is one key. Two different keys, or one carrier twice, leave it open who is calling.
    """
    if query:
        _refuse_query_key(query)
    if len(named) != len(headers):
        _refuse_repeated(headers)
    found: bytes | None = None
    authorization = named.get(b"authorization")
    if authorization is not None:
        scheme, _, value = authorization.partition(b" ")
        if scheme.lower() == b"bearer":
            found = value.strip() or None
    for name in PLAIN_CARRIERS:
        value = named.get(name, b"").strip()
        if value:
            if found is not None and value != found:
                raise Unauthenticated(
                    f"Two different API keys were sent, one of them in `{name.decode()}`. Send one.",
                    code="ambiguous_credentials",
                )
            found = value
    if found is None:
        raise Unauthenticated(MISSING)
    return found.decode("latin-1")


def _refuse_repeated(headers: Headers) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in CARRIERS:
            if name in seen:
                raise Unauthenticated(
                    f"The header `{name.decode()}` was sent twice. Send it once.", code="ambiguous_credentials"
                )
            seen.add(name)


def _refuse_query_key(query: bytes) -> None:
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        name = name.lower()
        if name in QUERY_CARRIERS and not _KEY_ID.fullmatch(value):
            raise Unauthenticated(
                f"An API key in the address (`?{name.decode()}=`) ends up in logs, so it is not accepted. "
                "Put it in the header `Authorization: Bearer <key>`, `x-api-key` or `x-goog-api-key`."
            )
