from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidRequest
from trunkline.wire.usage_exports import BilledLine, read_export

OPENAI_USAGE = b"""\
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,\
service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens
1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,,3,,,gpt-5-mini-2025-08-07,,,1200,340,1000,200
1759708800,1759795200,2025-10-06T00:00:00+00:00,2025-10-07T00:00:00+00:00,,,,,,,,,,,
"""
OPENAI_COSTS = b"""\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id
1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.8958740000000000,usd,"gpt-4o, input",,org-1
1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.5,usd,,,org-1
1759708800,1759795200,2025-10-06T00:00:00+00:00,2025-10-07T00:00:00+00:00,,,,,
"""
ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,\
usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,\
web_search_count,inference_geo,speed
2026-03-22,claude-sonnet-4-20250514,a key,Default,standard,≤ 200k,100,20,3,4000,50,0,,
""".encode()
ANTHROPIC_COSTS = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type
2026-08-04,Claude Haiku 4.5,Default,a key,message,≤ 200k,input_no_cache,0.05,0.05,token
""".encode()
OPENROUTER = b"""\
generation_id,created_at,cost_total,cost_cache,tokens_prompt,tokens_completion,provider_name,model_permaslug
gen-1,2026-03-30 02:37:51.271,0.0105,0.0,100,200,OpenAI,openai/gpt-4-turbo
"""


SEMICOLONS = b"""\xef\xbb\xbfDate;Model;Prompt Tokens;Completion Tokens;Cost\r
2026-04-30;m;1,000;2;"$1,234.5"\r
;;;;\r
"""


@pytest.mark.parametrize(
    ("content", "kind", "provider", "lines"),
    [
        (
            OPENAI_USAGE,
            "OpenAI usage",
            "openai",
            [BilledLine(day="2025-10-05", model="gpt-5-mini-2025-08-07", input_tokens=1200, output_tokens=340)],
        ),
        (
            OPENAI_COSTS,
            "OpenAI costs",
            "openai",
            [
                BilledLine(day="2025-10-05", model="gpt-4o", cost_nanos=895_874_000, slack_nanos=1),
                BilledLine(day="2025-10-05", cost_nanos=500_000_000, slack_nanos=5_000_001),
            ],
        ),
        (
            ANTHROPIC_USAGE,
            "Anthropic usage",
            "anthropic",
            [BilledLine(day="2026-03-22", model="claude-sonnet-4-20250514", input_tokens=4123, output_tokens=50)],
        ),
        (
            ANTHROPIC_COSTS,
            "Anthropic costs",
            "anthropic",
            [BilledLine(day="2026-08-04", model="Claude Haiku 4.5", cost_nanos=50_000_000, slack_nanos=5_000_001)],
        ),
        (
            OPENROUTER,
            "OpenRouter activity",
            "openrouter",
            [
                BilledLine(
                    day="2026-03-30",
                    model="openai/gpt-4-turbo",
                    input_tokens=100,
                    output_tokens=200,
                    cost_nanos=10_500_000,
                    slack_nanos=50_001,
                )
            ],
        ),
        (
            SEMICOLONS,
            "a table",
            None,
            [
                BilledLine(
                    day="2026-04-30",
                    model="m",
                    input_tokens=1000,
                    output_tokens=2,
                    cost_nanos=1_234_500_000_000,
                    slack_nanos=5_000_001,
                )
            ],
        ),
        (
            b"timestamp,cost\n2026-04-30T23:30:00-02:00,1.25\n",
            "a table",
            None,
            [BilledLine(day="2026-05-01", cost_nanos=1_250_000_000, slack_nanos=5_000_001)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tables(content: bytes, kind: str, provider: str | None, lines: list[BilledLine]) -> None:
    found = read_export(content)
    assert (found.kind, found.provider, list(found.lines)) == (kind, provider, lines)


def bucket(*results: dict[str, Any], **bounds: Any) -> dict[str, Any]:
    return {"object": "bucket", "start_time": 1_730_419_200, "end_time": 1_730_505_600, "results": results} | bounds


USED = bucket(
    {
        "object": "organization.usage.completions.result",
        "input_tokens": 5000,
        "output_tokens": 1000,
        "input_cached_tokens": 4000,
        "model": "gpt-4o-mini-2024-07-18",
    }
)
COST = bucket(
    {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": None},
    {
        "object": "organization.costs.result",
        "amount": {"value": 1e-7, "currency": "usd"},
        "line_item": "gpt-4o, output",
    },
)
CLAUDE_USED = {
    "starting_at": "2025-08-01T00:00:00Z",
    "ending_at": "2025-08-02T00:00:00Z",
    "results": [
        {
            "uncached_input_tokens": 1500,
            "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
            "cache_read_input_tokens": 200,
            "output_tokens": 500,
            "model": "claude-sonnet-4-20250514",
        }
    ],
}
CLAUDE_COST = {
    "starting_at": "2025-08-01T00:00:00Z",
    "ending_at": "2025-08-02T00:00:00Z",
    "results": [{"amount": "123.78912", "currency": "USD", "description": "…", "model": "claude-sonnet-4-20250514"}],
}
ACTIVITY = {
    "date": "2025-08-24",
    "model": "openai/gpt-4.1",
    "model_permaslug": "openai/gpt-4.1-2025-04-14",
    "usage": 0.015,
    "byok_usage_inference": 0.012,
    "requests": 5,
    "prompt_tokens": 50,
    "completion_tokens": 125,
    "reasoning_tokens": 25,
}


@pytest.mark.parametrize(
    ("data", "kind", "lines"),
    [
        (
            USED,
            "OpenAI usage",
            [BilledLine(day="2024-11-01", model="gpt-4o-mini-2024-07-18", input_tokens=5000, output_tokens=1000)],
        ),
        (
            COST,
            "OpenAI costs",
            [
                BilledLine(day="2024-11-01", cost_nanos=60_000_000, slack_nanos=1),
                BilledLine(day="2024-11-01", model="gpt-4o", cost_nanos=100, slack_nanos=1),
            ],
        ),
        (
            CLAUDE_USED,
            "Anthropic usage",
            [BilledLine(day="2025-08-01", model="claude-sonnet-4-20250514", input_tokens=3200, output_tokens=500)],
        ),
        (
            CLAUDE_COST,
            "Anthropic costs",
            [BilledLine(day="2025-08-01", model="claude-sonnet-4-20250514", cost_nanos=1_237_891_200, slack_nanos=51)],
        ),
        (
            ACTIVITY,
            "OpenRouter activity",
            [
                BilledLine(
                    day="2025-08-24",
                    model="openai/gpt-4.1-2025-04-14",
                    input_tokens=50,
                    output_tokens=125,
                    cost_nanos=15_000_000,
                    slack_nanos=1,
                )
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reports(data: dict[str, Any], kind: str, lines: list[BilledLine]) -> None:
    page = {"object": "page", "data": [data], "has_more": False, "next_page": None}
    written = msgspec.json.encode(page)
    for content in (
        written,
        msgspec.json.format(written, indent=2),
        msgspec.json.encode([page]),
        msgspec.json.encode([data]),
    ):
        found = read_export(content)
        assert (found.kind, list(found.lines)) == (kind, lines)
    assert read_export(written + b"\n" + written).lines == (*lines, *lines)


def test_reports_without_anything() -> None:
    found = read_export(b'{"object":"page","data":[],"has_more":false}')
    assert (found.provider, found.lines) == (None, ())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\xff\xfe\x00", "neither JSON nor a table"),
        (b'{"data": [', "begins like JSON"),
        (b'{"data": [1]}', r"data\[0\]"),
        (b'{"data": [{"results": [1]}]}', r"data\[0\]"),
        (b'{"hello": 1}', r"data\[0\]"),
        (b'{"data": [{"date": "2026-04-30", "hello": 1}]}', "none of OpenAI's"),
        (b"name,colour\na,b\n", "columns"),
        (b"date,model\n2026-04-30,m\n", "columns"),
        (b"date,cost\nyesterday,1\n", "'yesterday' where a date"),
        (b"date,cost\n2026-04-30,much\n", "row 2 has 'much'"),
        (b"date,cost\n2026-04-30,NaN\n", "'NaN'"),
        (b"date,cost\n2026-04-30,1e99\n", "'1e99'"),
        (b"date,input_tokens\n2026-04-30,1.5\n", "not whole"),
        (b"date,cost\n2026-04-30,1,2\n", "3 cells, not 2"),
        (b'date,cost\n2026-04-30,"1', "row of a table"),
        (OPENAI_COSTS.replace(b"usd", b"eur"), "'eur'"),
        (OPENAI_COSTS.replace(b"2025-10-06T00", b"2025-11-05T00"), "more than a day"),
        (msgspec.json.encode({"data": [bucket(*USED["results"], end_time=1_740_000_000)]}), "more than a day"),
        (msgspec.json.encode({"data": [USED, COST]}), "several kinds"),
        (msgspec.json.encode({"data": [CLAUDE_COST | {"starting_at": "then"}]}), "'then'"),
        (b"[" * 100_000, "begins like JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_export_is_told_why(content: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as raised:
        read_export(content)
    assert raised.value.param == "file"


SCRAPS = st.sampled_from(
    [
        b"date",
        b"model",
        b"cost",
        b"input_tokens",
        b",",
        b"\n",
        b'"',
        b"1",
        b"2026-04-30",
        b"{",
        b"[",
        b'"data":',
        b"}",
        b"]",
    ]
)


@given(content=st.binary(max_size=60) | st.lists(SCRAPS, max_size=14).map(b"".join))
def test_anything_is_read_or_refused(content: bytes) -> None:
    with suppress(InvalidRequest):
        for line in read_export(content).lines:
            assert len(line.day) == len("2026-04-30")
