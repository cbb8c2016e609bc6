"""Callers who spend money of every kind of call at once, and what they were told: the client's side of the books."""

from __future__ import annotations

import contextlib
import json
import random
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any

from tests.acceptance.asking import CHAT, Reply, eventually
from tests.acceptance.books import OPENED, Books, Row, kind_of
from tests.acceptance.metered import MOST_OUTPUT, Served, Till
from tests.acceptance.surfaces import post

NUMBERS = count(10_000)
"""Of one length, so that calls of a kind hold the same."""
NANOS = 10**9


@dataclass(frozen=True)
class Kind:
    """One way to ask. `end` is a pattern of what ends an answer that has come whole."""

    path: str
    stream: bool
    end: bytes = rb"}\Z"
    model: str = "office/chat"

    def body(self, ask: int) -> dict[str, Any]:
        prompt = [{"role": "user", "content": f"ask-{ask}"}]
        user = f"u{ask}"
        streamed = {"stream": True} if self.stream else {}
        if self.path == CHAT:
            more = {"stream_options": {"include_usage": True}} if self.stream else {}
            return {
                "model": self.model,
                "messages": prompt,
                "max_tokens": MOST_OUTPUT,
                "user": user,
                **streamed,
                **more,
            }
        if self.path == "/v1/messages":
            whose = {"metadata": {"user_id": user}}
            return {"model": "rival/messages", "messages": prompt, "max_tokens": MOST_OUTPUT, **whose, **streamed}
        if self.path == "/v1/responses":
            most = {"max_output_tokens": MOST_OUTPUT, "store": False}
            return {"model": "labs/gpt-5-codex-m", "input": f"ask-{ask}", "user": user, **most, **streamed}
        return {"model": "office/embed", "input": f"ask-{ask}", "user": user}


KINDS = (
    Kind(CHAT, stream=False),
    Kind(CHAT, stream=True, end=rb"data: \[DONE\]\n\n\Z"),
    Kind("/v1/messages", stream=False),
    Kind("/v1/messages", stream=True, end=rb"event: message_stop\n.*\n\n\Z"),
    Kind("/v1/responses", stream=False),
    Kind("/v1/responses", stream=True, end=rb"event: response.completed\n.*\n\n\Z"),
    Kind("/v1/embeddings", stream=False),
)


@dataclass
class Told:
    """What a caller knows of one call. `reply` is None when the connection ended before an answer."""

    ask: int
    key: str
    kind: Kind
    reply: Reply | None = None

    @staticmethod
    def new(key: str, kind: Kind) -> Told:
        return Told(next(NUMBERS), key, kind)

    @property
    def status(self) -> int:
        return 0 if self.reply is None else self.reply.status

    @property
    def is_whole(self) -> bool:
        reply = self.reply
        if reply is None or reply.status != 200 or not reply.whole:
            return False
        return re.search(self.kind.end, reply.body) is not None

    @property
    def number(self) -> int:
        """The call's, by its header."""
        assert self.reply is not None
        call_id = self.reply.header("x-trunkline-call-id")
        assert call_id is not None
        return int(call_id.removeprefix("call_"), 16)

    @property
    def shown_nanos(self) -> Decimal:
        """What the answer says that it cost."""
        assert self.reply is not None
        shown = re.findall(rb'"cost": ?([0-9.]+)', self.reply.body)
        assert shown, self.reply.body
        return Decimal(shown[-1].decode()) * NANOS


@dataclass(frozen=True)
class Refused:
    """The figures of a 402, in nano-dollars; `needed` is what the call might have cost."""

    limit: int
    used: int
    held: int
    needed: int

    @staticmethod
    def of(told: Told) -> Refused:
        reply = told.reply
        assert reply is not None
        assert reply.status == 402, reply
        assert reply.header("x-should-retry") == "false"
        error = json.loads(reply.body, parse_float=Decimal)["error"]
        assert error["code"] in ("budget_exceeded", "insufficient_credits")
        assert {"scope", "resets_at"} <= set(error)
        needed = re.search(r"may cost \$([0-9.]+),", error["message"])
        assert needed is not None, error
        return Refused(
            *(int(Decimal(usd) * NANOS) for usd in (error["limit"], error["used"], error["held"], needed[1]))
        )

    @property
    def is_true(self) -> bool:
        return self.used + self.held + self.needed > self.limit


class Spenders:
    """Callers who ask without a pause, in ways and with keys drawn by lot, until the block is left."""

    def __init__(self, url: str, keys: Sequence[str], seed: int, callers: int = 12) -> None:
        self.told: list[Told] = []
        self._url = url
        self._keys = keys
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._spend, args=(random.Random(seed * 1000 + at),)) for at in range(callers)
        ]

    def __enter__(self) -> Spenders:
        for thread in self._threads:
            thread.start()
        eventually(lambda: any(one.is_whole for one in self.told), 15)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _spend(self, chance: random.Random) -> None:
        while not self._stop.is_set():
            told = Told.new(chance.choice(self._keys), chance.choice(KINDS))
            self.told.append(told)
            ask(self._url, told)
            if told.reply is None:
                time.sleep(0.02)


def ask(url: str, told: Told) -> Told:
    with contextlib.suppress(OSError, AssertionError):  # cut off before there was an answer
        told.reply = post(url, told.key, told.kind.path, told.kind.body(told.ask))
    return told


def join(told: Sequence[Told], till: Till, books: Books, capped: Sequence[str]) -> None:
    """Three accounts of the same calls, of which none is the gateway's own count, agree to the nano-dollar.

    `capped` are the keys that have a budget or credit.
    """
    served, calls = till.by_ask(), books.of_calls()
    of_ask: dict[str, list[list[Row]]] = {}
    for rows in calls.values():
        of_ask.setdefault(rows[0]["end_user"], []).append(rows)
    for user, found in of_ask.items():
        assert len(found) == 1, ("two calls for one request", user, found)
    for one in told:
        rows = next(iter(of_ask.get(f"u{one.ask}", [])), [])
        if one.is_whole:
            assert rows, ("told, and not in the ledger", one)
            assert rows == calls.get(one.number), one
            assert one.shown_nanos == _check_acknowledged(rows, served[one.ask]), (one, rows)
        elif one.status >= 400:
            assert one.ask not in served or not sum(row["cost_nanos"] for row in rows), (one, rows)
        _check_once(rows, served.get(one.ask))
        if one.key in capped and one.ask in served:
            assert any(kind_of(row) == OPENED for row in rows), ("sent before it was on disk", one, rows)


def _check_acknowledged(rows: Sequence[Row], served: Served) -> int:
    """Returns what it cost."""
    ended = [row for row in rows if kind_of(row) != OPENED]
    states = [row["state"] for row in ended]
    # The end of a call whose process was taken for dead meanwhile is an adjustment.
    assert states in (["settled"], ["released", "adjusted"]), rows
    assert not ended[-1]["estimated"], rows
    for tokens in ("input_tokens", "output_tokens"):
        assert sum(row[tokens] for row in ended) == getattr(served, tokens), (rows, served)
    assert sum(row["cost_nanos"] for row in ended) == served.cost_nanos, (rows, served)
    return served.cost_nanos


def _check_once(rows: Sequence[Row], served: Served | None) -> None:
    """Paid once and in full, or not at all."""
    costs = [row["cost_nanos"] for row in rows if kind_of(row) != OPENED and row["cost_nanos"]]
    assert len(costs) <= 1, rows
    if costs:
        assert served is not None, ("paid for what was never sent", rows)
        assert costs == [served.cost_nanos], (rows, served)


def summary(told: Sequence[Told]) -> str:
    """For the eyes of whoever runs it by hand."""
    whole = sum(one.is_whole for one in told)
    statuses: dict[int, int] = {}
    for one in told:
        statuses[one.status] = statuses.get(one.status, 0) + 1
    return json.dumps({"asked": len(told), "whole": whole, "statuses": statuses})
