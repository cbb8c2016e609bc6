"""A provider that writes down what it answered and what that is worth, and the settings that give it its prices.

Each prompt has a number in it, `ask-17`, which decides the usage, so that both sides of a call can be joined by it.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from tests.acceptance import vendors
from tests.acceptance.scripted import Exchange, Provider, providing

ROUNDS = int(os.environ.get("TESTS_ROUNDS", "1"))
"""How many times as long the proofs of the ledger take."""
MOST_OUTPUT = 40
# Nano-dollars per million tokens: what calls cost has to be rounded.
INPUT_PRICE, OUTPUT_PRICE = 654_321_700, 1_987_654_300
MODELS = ("office/chat", "rival/messages", "labs/gpt-5-codex-m", "office/embed")
FLAT = "office/flat"
"""Costs the same whatever it is asked: a cent."""
CENT = 10_000_000
_KINDS = (b"/embeddings", b"/messages", b"/responses", b"/chat/completions")
_EMBEDDING = b'{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"usage":%b}'


@dataclass
class Served:
    """One request that came, and its usage. `whole` once the last byte of the answer was handed to the socket."""

    ask: int
    model: str
    input_tokens: int
    output_tokens: int
    at: float
    whole: bool = False

    @property
    def cost_nanos(self) -> int:
        """Rounded half to even."""
        if FLAT.endswith(f"/{self.model}"):
            return CENT
        worth = self.input_tokens * INPUT_PRICE + self.output_tokens * OUTPUT_PRICE
        return round(Fraction(worth, 1_000_000))


class Till:
    """What was asked of the provider, in the order in which it came. The answers to `kept` asks are not ended until
    `open` is set."""

    def __init__(self, provider: Provider, most_delay_s: float) -> None:
        self.served: list[Served] = []
        self.kept: set[int] = set()
        self.open = threading.Event()
        self._lock = threading.Lock()
        self._most_delay_s = most_delay_s
        self.provider = provider
        for model in (*MODELS, FLAT):
            provider.scripts[model.partition("/")[2]] = self._answer

    def settings(self) -> str:
        """TOML for a gateway in front of it."""
        url = self.provider.url
        rows = (("office", "openai-compatible", url), ("rival", "anthropic", url[:-3]), ("labs", "openai", url))
        lines = [
            f'[providers.{name}]\nkind = "{kind}"\nbase_url = "{where}"\napi_key = "k"' for name, kind, where in rows
        ]
        prices = f"input = {INPUT_PRICE / 1e9}\noutput = {OUTPUT_PRICE / 1e9}"
        lines += [f'[prices."{model}"]\n{prices}' for model in MODELS]
        return "\n".join([*lines, f'[prices."{FLAT}"]\ninput = 0\noutput = 0\nrequest = {CENT / 1e9}', ""])

    def by_ask(self) -> dict[int, Served]:
        """Each request came once."""
        served = list(self.served)
        found = {one.ask: one for one in served}
        assert len(found) == len(served), "a request was sent twice"
        return found

    def _answer(self, exchange: Exchange) -> None:
        served = self._note(exchange)
        chance = random.Random(served.ask)
        time.sleep(chance.random() * self._most_delay_s)
        path = exchange.head.split(b" ", 2)[1]
        kind = next(kind for kind in _KINDS if path.endswith(kind))
        streams = bool(json.loads(exchange.body).get("stream"))
        if not streams:
            self._wait(served)
        if kind == b"/embeddings":
            usage = {"prompt_tokens": served.input_tokens, "total_tokens": served.input_tokens}
            exchange.answer(200, _EMBEDDING % json.dumps(usage).encode())
        else:
            vendor = {b"/messages": vendors.MESSAGES, b"/responses": vendors.RESPONSES}.get(kind, vendors.CHAT)
            if streams:
                self._stream(exchange, vendor, served, chance)
            else:
                exchange.answer(200, _counted(vendor.whole, served))
        served.whole = True

    def _stream(self, exchange: Exchange, vendor: vendors.Vendor, served: Served, chance: random.Random) -> None:
        exchange.begin_stream()
        for piece in vendor.pieces:
            exchange.piece(_counted(piece, served))
            time.sleep(chance.random() * self._most_delay_s / len(vendor.pieces))
        self._wait(served)
        exchange.piece(_counted(b"".join(vendor.end), served))
        exchange.end_stream()

    def _wait(self, served: Served) -> None:
        if served.ask in self.kept:
            self.open.wait()

    def _note(self, exchange: Exchange) -> Served:
        found = re.search(rb"ask-(\d+)", exchange.body)
        assert found is not None, exchange.body
        ask = int(found[1])
        chance = random.Random(-ask - 1)
        output = 0 if exchange.model == "embed" else chance.randint(1, MOST_OUTPUT)
        with self._lock:
            self.served.append(Served(ask, exchange.model, chance.randint(1, 6), output, time.monotonic()))
            return self.served[-1]


def _counted(said: bytes, served: Served) -> bytes:
    """The vendor's bytes with this usage in the place of theirs."""
    said = re.sub(rb'("(?:prompt|input)_tokens": )3', rb"\g<1>%d" % served.input_tokens, said)
    said = re.sub(rb'("(?:completion|output)_tokens": )2', rb"\g<1>%d" % served.output_tokens, said)
    return re.sub(rb'("total_tokens": )5', rb"\g<1>%d" % (served.input_tokens + served.output_tokens), said)


@contextmanager
def metered(most_delay_s: float = 0.06) -> Iterator[Till]:
    with providing() as provider:
        till = Till(provider, most_delay_s)
        try:
            yield till
        finally:
            till.open.set()
