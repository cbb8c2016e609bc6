"""Our own response headers: what served a call, under the configured prefix and its aliases."""

from __future__ import annotations

import re

from trunkline import clock
from trunkline.http.asgi import Headers
from trunkline.pipeline.call import Call

VALUE_LIMIT = 1024
_UNSAFE = re.compile(r"[^\x20-\x7e]")


def header_value(text: str) -> bytes:
    """`text` as a header's value: printable ASCII, so that no caller's name can break out of its line."""
    if len(text) > VALUE_LIMIT:
        text = text[:VALUE_LIMIT]
    if text.isascii() and text.isprintable():
        return text.encode()
    return _UNSAFE.sub("?", text).encode()


class FactHeaders:
    """Names are made once; `of` fills in the values of one call."""

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

    def of(self, call: Call) -> Headers:
        """What is known by now: a stream's headers may go out before the deployment that serves it is known."""
        headers: Headers = [(b"x-request-id", call.request_id.encode())]
        add = headers.append
        call_id = call.id.encode()
        for name in self._call_id:
            add((name, call_id))
        deployment, route = call.deployment, call.route
        if deployment is None or route is None or call.answered_at == 0.0:
            return headers
        model, provider = header_value(deployment.model_id), header_value(deployment.provider_id)
        asked, attempts = header_value(route.asked), b"%d" % call.attempts
        overhead = b"%.3f" % (call.overhead_until(clock.monotonic_s()) * 1000)
        for position, name in enumerate(self._model):
            add((name, model))
            add((self._alias[position], asked))
            add((self._provider[position], provider))
            add((self._attempts[position], attempts))
            add((self._overhead[position], overhead))
            for warning in call.warnings:
                add((self._warning[position], header_value(warning)))
        return headers
