"""Our own response headers: what served a call, under the configured prefix and its aliases."""

from __future__ import annotations

import re

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
    """Names are put into templates once; the values that a route and a deployment decide, once for each pair."""

    def __init__(self, prefix: str, aliases: tuple[str, ...] = ()) -> None:
        def lines(fact: str, value: str) -> str:
            return "".join(f"{one}-{fact}: {value}\r\n" for one in (prefix, *aliases))

        self._known = ("x-request-id: %(request)b\r\n" + lines("call-id", "%(call)b")).encode()
        self._served = (
            lines("model", "%(model)b") + lines("alias", "%(alias)b") + lines("provider", "%(provider)b")
        ).encode()
        self._measured = (lines("attempts", "%(attempts)d") + lines("overhead-ms", "%(overhead).3f")).encode()
        self._warning = lines("warning", "%(warning)b").encode()
        self._cost = lines("cost-usd", "%(cost)b").encode()
        self._memo: dict[tuple[str, str, str], bytes] = {}
        named = dict.fromkeys((prefix, *aliases, "x-aig"))
        self.tag_headers = tuple(f"{one}-tag".encode() for one in named)
        """Where a caller's tag may stand."""

    def block(self, call: Call) -> bytes:
        """Header lines with what is known by now: a stream's may go out before it is known what serves it."""
        known = self._known % {b"request": call.request_id.encode(), b"call": call.id.encode()}
        deployment, route = call.deployment, call.route
        if deployment is None or route is None or not call.is_decided:
            return known
        served = (route.asked, deployment.model_id, deployment.provider_id)
        overhead_ms = (call.overhead_s or call.overhead_until(call.answered_at)) * 1000
        block = (
            known
            + (self._memo.get(served) or self._remember(served))
            + self._measured % {b"attempts": call.attempts, b"overhead": overhead_ms}
        )
        charge = call.charge
        if charge is not None and charge.usage is not None and not call.stream:
            block += self._cost % {b"cost": charge.cost_usd}
        for warning in call.warnings:
            block += self._warning % {b"warning": header_value(warning)}
        return block

    def of(self, call: Call) -> Headers:
        """The same as ASGI wants it."""
        lines = self.block(call).split(b"\r\n")[:-1]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    def _remember(self, served: tuple[str, str, str]) -> bytes:
        asked, model_id, provider_id = map(header_value, served)
        block = self._served % {b"model": model_id, b"alias": asked, b"provider": provider_id}
        if len(self._memo) >= MEMO_ENTRIES:
            self._memo.clear()
        self._memo[served] = block
        return block
