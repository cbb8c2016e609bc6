"""Which web pages may call from a browser. Without `cors_origins` no answer carries a CORS header."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.http.asgi import Headers, Message, Scope, Send

METHODS = b"GET, POST, DELETE, OPTIONS"
PREFLIGHT_AGE_S = b"600"


class Cors:
    """`*` among the origins allows every page; keys come in headers, so no cookie is ever shared."""

    def __init__(self, origins: tuple[str, ...], header_prefixes: tuple[str, ...]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.rstrip("/").lower().encode() for origin in origins)
        exposed = ["x-request-id", "request-id", "retry-after", "x-should-retry"]
        for prefix in header_prefixes:
            exposed += [f"{prefix}-{fact}" for fact in ("call-id", "model", "alias", "provider", "attempts", "warning")]
        self._exposed = ", ".join(exposed).encode()

    def allows(self, origin: bytes) -> bool:
        return self._any or origin.lower() in self._origins

    def headers(self, origin: bytes) -> Headers:
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", self._exposed),
            (b"vary", b"origin"),
        ]

    def preflight(self, scope: Scope, named: Mapping[bytes, bytes]) -> Headers | None:
        """The answer's headers (status 204) when this is a preflight from an allowed page, else None."""
        origin = named.get(b"origin")
        if scope["method"] != "OPTIONS" or origin is None or b"access-control-request-method" not in named:
            return None
        if not self.allows(origin):
            return None
        headers = self.headers(origin)
        headers.append((b"access-control-allow-methods", METHODS))
        headers.append((b"access-control-allow-headers", named.get(b"access-control-request-headers", b"*")))
        headers.append((b"access-control-max-age", PREFLIGHT_AGE_S))
        return headers

    def wrap(self, send: Send, origin: bytes) -> Send:
        """The same `send`, whose first message carries the headers for this page."""

        async def with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.headers(origin)]
            await send(message)

        return with_cors
