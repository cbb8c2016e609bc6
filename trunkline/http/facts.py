"""Our own response headers: what served a call, under the configured prefix and its aliases."""

from __future__ import annotations

import re

from trunkline import clock
from trunkline.http.asgi import Headers
from trunkline.pipeline.call import Call

VALUE_LIMIT = 1024
MEMO_ENTRIES = 2048
_UNSAFE = re.compile(r"[^\x20-\x7e]")


def header_value(text: str) -> bytes:
    """`text` as a header's value: printable ASCII, so that no caller's name can break out of its line."""
    if len(text) > VALUE_LIMIT:
        text = text[:VALUE_LIMIT]
    if text.isascii() and text.isprintable():
        return text.encode()
    return _UNSAFE.sub("?", text).encode()


class FactHeaders:
    """Names are made once, and the values that a route and a deployment decide once for each pair of them."""

    def __init__(self, prefix: str, aliases: tuple[str, ...] = ()) -> None:
        def names(fact: str) -> tuple[bytes, ...]:
            return tuple(f"{one}-{fact}".encode() for one in (prefix, *aliases))

        self._call_id = names("call-id")
        self._model = names("model")
        self._alias = names("alias")
        self._provider = names("provider")
        self._attempts = names("attempts")
        self._warning = names("warning")
        self._overhead = names("overhead-ms")
        self._served: dict[tuple[str, str, str], Headers] = {}

    def of(self, call: Call) -> Headers:
        """What is known by now: a stream's headers may go out before the deployment that serves it is known."""
        call_id = call.id.encode()
        headers: Headers = [(b"x-request-id", call.request_id.encode())]
        for name in self._call_id:
            headers.append((name, call_id))
        deployment, route = call.deployment, call.route
        if deployment is None or route is None or call.answered_at == 0.0:
            return headers
        served = (route.asked, deployment.model_id, deployment.provider_id)
        headers += self._served.get(served) or self._remember(served)
        attempts, overhead = b"%d" % call.attempts, b"%.3f" % (call.overhead_until(clock.monotonic_s()) * 1000)
        for name in self._attempts:
            headers.append((name, attempts))
        for name in self._overhead:
            headers.append((name, overhead))
        for warning in call.warnings:
            value = header_value(warning)
            headers += [(name, value) for name in self._warning]
        return headers

    def _remember(self, served: tuple[str, str, str]) -> Headers:
        asked, model_id, provider_id = served
        headers: Headers = []
        for names, value in ((self._model, model_id), (self._alias, asked), (self._provider, provider_id)):
            headers += [(name, header_value(value)) for name in names]
        if len(self._served) >= MEMO_ENTRIES:
            self._served.clear()
        self._served[served] = headers
        return headers
