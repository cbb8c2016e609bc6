"""Rows of the request log for its tests."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.ids import call_id
from trunkline.ports.requests import RequestRow

BASE = 5_000_000_000_000_000
"""A call's number, of the year 2027."""


def logged(number: int, **changes: Any) -> RequestRow:
    row = RequestRow(
        number=number,
        account_id="acct_root",
        key_id="key_1",
        request_id=call_id(number),
        response_id=f"resp_{number}",
        tag=None,
        end_user=None,
        endpoint="chat",
        protocol="openai_chat",
        asked_model="fast",
        model="openai/gpt-4o",
        provider="openai",
        status=200,
        code=None,
        stream=True,
        attempts=1,
        started_at_ms=1_800_000_000_000,
        identify_us=1,
        read_us=2,
        route_us=3,
        admit_us=4,
        send_us=5,
        relay_us=6,
        settle_us=7,
        total_us=28,
        first_event_us=11,
        input_tokens=100,
        cached_input_tokens=10,
        cache_write_tokens=5,
        output_tokens=50,
        reasoning_tokens=20,
        cost_nanos=123_456_789,
        upstream_cost_nanos=100_000_000,
        estimated=False,
        finish_reason="stop",
        warnings="dropped logit_bias\nclamped max_tokens",
        user_agent="a client",
    )
    return msgspec.structs.replace(row, **changes)
