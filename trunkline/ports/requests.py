"""The request log: one row for each call, without bodies. It is no part of the money; it says what happened."""

from __future__ import annotations

from typing import Protocol

import msgspec


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields are the table's columns in its order. `number` is the call's (trunkline.ids), `request_id` the
    caller's or ours, `response_id` what the answer is called. Durations are whole microseconds; a step that was not
    reached took 0. `warnings` are lines. `code` is the error's. `started_at_ms`: since 1970."""

    number: int
    account_id: str
    key_id: str
    request_id: str
    response_id: str | None
    tag: str | None
    end_user: str | None
    endpoint: str
    protocol: str
    asked_model: str
    model: str
    provider: str
    status: int
    code: str | None
    stream: bool
    attempts: int
    started_at_ms: int
    identify_us: int
    read_us: int
    route_us: int
    admit_us: int
    send_us: int
    relay_us: int
    settle_us: int
    total_us: int
    first_event_us: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nanos: int
    upstream_cost_nanos: int
    estimated: bool
    finish_reason: str | None
    warnings: str | None
    user_agent: str | None


class RequestLog(Protocol):
    def add(self, row: RequestRow) -> None:
        """Returns at once; the row is on disk within a second. Never raises: a log that cannot be written is told of
        in the log of the process, and calls go on."""
        ...
