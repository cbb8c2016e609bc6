"""What providers say was used, as their consoles and APIs export it: read into lines of one day and one model each.

JSON of OpenAI's usage and costs (https://platform.openai.com/docs/api-reference/usage), of Anthropic's usage and cost
reports (https://platform.claude.com/docs/en/api/admin/cost_report, /admin/usage_report) and of OpenRouter's activity
(https://openrouter.ai/docs/api/api-reference/analytics/get-user-activity); the tables that the three consoles export
(https://platform.openai.com/usage, https://platform.claude.com/usage, https://openrouter.ai/activity), told by their
columns; and any table with columns for date, model, tokens or cost.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from trunkline.errors import InvalidRequest
from trunkline.money import NANOS_PER_USD
from trunkline.wire.codec import UNREADABLE

DAY_S: Final = 86_400
LEAST_DECIMALS: Final = 2
"""Of an amount in a table. What `5` was rounded from is taken to be cents."""

_decode = msgspec.json.Decoder(Any, float_hook=Decimal).decode


class BilledLine(msgspec.Struct, frozen=True, kw_only=True):
    """`day` is written 2026-04-30 and is one of UTC. What the export does not say is None. `slack_nanos`: by how much
    the cost may be off for having been rounded."""

    day: str
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanos: int | None = None
    slack_nanos: int = 0


class UsageExport(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` says what it is, for people. `provider` is whose, None for a table that does not say."""

    kind: str
    provider: str | None
    lines: tuple[BilledLine, ...]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """A table that is known by columns. Of `day`, `model` and `cost` the first column there is counts, tokens are added
    up over all there are. `model_ends`: what stands after it in the model's column is no part of its name."""

    kind: str
    provider: str | None
    columns: frozenset[str] = frozenset()
    day: tuple[str, ...]
    model: tuple[str, ...]
    model_ends: str | None = None
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()


LAYOUTS: Final = (
    Layout(
        kind="OpenAI costs",
        provider="openai",
        columns=frozenset({"amount_value", "amount_currency"}),
        day=("start_time_iso", "start_time"),
        model=("line_item",),
        model_ends=", ",
        cost=("amount_value",),
    ),
    Layout(
        kind="OpenAI usage",
        provider="openai",
        columns=frozenset({"num_model_requests", "input_tokens"}),
        day=("start_time_iso", "start_time"),
        model=("model",),
        input=("input_tokens",),
        output=("output_tokens",),
    ),
    Layout(
        kind="Anthropic usage",
        provider="anthropic",
        columns=frozenset({"usage_date_utc", "model_version", "usage_output_tokens"}),
        day=("usage_date_utc",),
        model=("model_version",),
        input=(
            "usage_input_tokens_no_cache",
            "usage_input_tokens_cache_write",
            "usage_input_tokens_cache_write_5m",
            "usage_input_tokens_cache_write_1h",
            "usage_input_tokens_cache_read",
        ),
        output=("usage_output_tokens",),
    ),
    Layout(
        kind="Anthropic costs",
        provider="anthropic",
        columns=frozenset({"usage_date_utc", "model", "token_type", "cost_usd"}),
        day=("usage_date_utc",),
        model=("model",),
        cost=("cost_usd",),
    ),
    Layout(
        kind="OpenRouter activity",
        provider="openrouter",
        columns=frozenset({"model_permaslug", "cost_total"}),
        day=("created_at",),
        model=("model_permaslug",),
        input=("tokens_prompt",),
        output=("tokens_completion",),
        cost=("cost_total",),
    ),
)
PLAIN: Final = Layout(
    kind="a table",
    provider=None,
    day=("date", "day", "usage_date_utc", "start_time_iso", "start_time", "timestamp", "created_at"),
    model=("model", "model_id", "model_name", "model_version"),
    input=("input_tokens",),
    output=("output_tokens",),
    cost=("cost", "cost_usd", "amount", "amount_usd", "total_cost", "usage"),
)
OTHER_NAMES: Final = {
    "prompt_tokens": "input_tokens",
    "tokens_prompt": "input_tokens",
    "completion_tokens": "output_tokens",
    "tokens_completion": "output_tokens",
}


def read_export(content: bytes) -> UsageExport:
    """Raises InvalidRequest for what is none of them, saying in which row."""
    content = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not content:
        raise InvalidRequest("The export is empty.", param="file")
    return _read_json(content) if content[:1] in (b"{", b"[") else _read_table(content)


def _read_table(content: bytes) -> UsageExport:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The export is neither JSON nor a table in UTF-8.", param="file") from None
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = [name.strip().lower().replace(" ", "_") for name in next(rows)]
        layout, names = _layout(names)
        lines = list(_table_lines(layout, names, rows))
    except csv.Error as error:
        raise InvalidRequest(
            f"Row {rows.line_num} of the export is no row of a table: {error}.", param="file"
        ) from None
    return UsageExport(kind=layout.kind, provider=layout.provider, lines=tuple(lines))


def _layout(names: list[str]) -> tuple[Layout, list[str]]:
    for layout in LAYOUTS:
        if layout.columns <= set(names):
            return layout, names
    names = [OTHER_NAMES.get(name, name) for name in names]
    there = set(names)
    if there & set(PLAIN.day) and there & {*PLAIN.input, *PLAIN.output, *PLAIN.cost}:
        return PLAIN, names
    raise InvalidRequest(
        "The columns are not those of an export of OpenAI, Anthropic or OpenRouter. Any table will do that has the"
        " columns date, model, and input_tokens, output_tokens or cost.",
        param="file",
    )


def _table_lines(layout: Layout, names: list[str], rows: Any) -> Iterator[BilledLine]:
    for cells in rows:
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
        where = f"row {rows.line_num}"
        if not any(row.get(name) for name in (*layout.input, *layout.output, *layout.cost)):
            continue  # a day on which nothing was used, or an empty line
        if len(cells) != len(names):
            raise InvalidRequest(f"Of the export, {where} has {len(cells)} cells, not {len(names)}.", param="file")
        start = _first(row, layout.day) or ""
        _check_day(start, row.get("end_time_iso") or row.get("end_time"), where)
        model = _first(row, layout.model)
        if model and layout.model_ends:
            model = model.partition(layout.model_ends)[0]
        _check_currency(row.get("amount_currency"), where)
        cost = _first(row, layout.cost)
        amount = None if cost is None else _amount(cost, where)
        yield BilledLine(
            day=_moment(start, where).strftime("%Y-%m-%d"),
            model=model,
            input_tokens=_added(row, layout.input, where),
            output_tokens=_added(row, layout.output, where),
            cost_nanos=None if amount is None else _nanos(amount),
            slack_nanos=0 if amount is None else _slack(amount),
        )


def _read_json(content: bytes) -> UsageExport:
    try:
        pages = (
            [_decode(line) for line in content.splitlines() if line.strip()] if _is_lines(content) else _decode(content)
        )
    except UNREADABLE:
        raise InvalidRequest("The export begins like JSON but is none.", param="file") from None
    lines: list[BilledLine] = []
    kinds: set[tuple[str, str]] = set()
    for place, bucket in enumerate(_buckets(pages)):
        where = f"data[{place}]"
        if not isinstance(bucket, dict):
            raise InvalidRequest(f"Of the export, {where} is no object.", param="file")
        results = bucket.get("results", [bucket])
        for result in results if isinstance(results, list) else ():
            if not isinstance(result, dict):
                raise InvalidRequest(f"Of the export, a result in {where} is no object.", param="file")
            report, whose, line = _json_line(bucket, result, where)
            kinds.add((report, whose))
            lines.append(line)
    if len(kinds) > 1:
        raise InvalidRequest("The export mixes reports of several kinds; give one file for each.", param="file")
    if not kinds:
        return UsageExport(kind="an empty report", provider=None, lines=())
    kind, provider = kinds.pop()
    return UsageExport(kind=kind, provider=provider, lines=tuple(lines))


def _is_lines(content: bytes) -> bool:
    """One page a line: what stands on the first line is JSON by itself, and more follows."""
    first, _, more = content.partition(b"\n")
    if not more.strip():
        return False
    try:
        _decode(first)
    except UNREADABLE:
        return False
    return True


def _buckets(pages: Any) -> Iterator[Any]:
    """Of one page, of several, or of what stands in one."""
    if isinstance(pages, dict):
        pages = [pages]
    for page in pages if isinstance(pages, list) else ():
        inside = page.get("data") if isinstance(page, dict) else None
        yield from inside if isinstance(inside, list) else [page]


def _json_line(bucket: dict[str, Any], result: dict[str, Any], where: str) -> tuple[str, str, BilledLine]:
    what = str(result.get("object", ""))
    start = bucket.get("start_time", bucket.get("starting_at", result.get("date")))
    _check_day(start, bucket.get("end_time", bucket.get("ending_at")), where)
    day = _moment(start, where).strftime("%Y-%m-%d")
    model = result.get("model")
    if what.startswith("organization.costs"):
        amount = result.get("amount") or {}
        _check_currency(amount.get("currency"), where)
        item = result.get("line_item")
        named = str(item).partition(", ")[0] if item else None
        value = _amount(amount.get("value", 0), where)
        line = BilledLine(day=day, model=named, cost_nanos=_nanos(value), slack_nanos=1)
        return "OpenAI costs", "openai", line
    if what.startswith("organization.usage."):
        return "OpenAI usage", "openai", _json_tokens(day, result, (("input_tokens",), ("output_tokens",)), where)
    if "uncached_input_tokens" in result:
        flat = {**result, **(result.get("cache_creation") or {})}
        cached = ("cache_read_input_tokens", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
        columns = (("uncached_input_tokens", *cached), ("output_tokens",))
        return "Anthropic usage", "anthropic", _json_tokens(day, flat, columns, where)
    if "amount" in result and "starting_at" in bucket:
        # In cents: https://platform.claude.com/docs/en/api/admin/cost_report
        _check_currency(result.get("currency"), where)
        cents = _amount(result["amount"], where)
        line = BilledLine(day=day, model=model, cost_nanos=_nanos(cents / 100), slack_nanos=_slack(cents) // 100 + 1)
        return "Anthropic costs", "anthropic", line
    if "model_permaslug" in result:
        line = _json_tokens(day, result, (("prompt_tokens",), ("completion_tokens",)), where)
        nanos = _nanos(_amount(result.get("usage", 0), where))
        permanent = str(result["model_permaslug"])
        line = msgspec.structs.replace(line, model=permanent, cost_nanos=nanos, slack_nanos=1)
        return "OpenRouter activity", "openrouter", line
    raise InvalidRequest(
        f"Of the export, {where} is none of OpenAI's, Anthropic's or OpenRouter's reports of usage or costs.",
        param="file",
    )


def _json_tokens(
    day: str, result: dict[str, Any], columns: tuple[tuple[str, ...], tuple[str, ...]], where: str
) -> BilledLine:
    inputs, outputs = (_added({name: result.get(name) for name in names}, names, where) for names in columns)
    model = result.get("model")
    return BilledLine(day=day, model=None if model is None else str(model), input_tokens=inputs, output_tokens=outputs)


def _first(row: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((row[name] for name in names if row.get(name)), None)


def _added(row: Mapping[str, Any], names: Iterable[str], where: str) -> int | None:
    """None when none of them is there."""
    there = [_amount(row[name], where) for name in names if row.get(name) not in (None, "")]
    total = sum(there, Decimal(0))
    if total != total.to_integral_value():
        raise InvalidRequest(f"Of the export, {where} has a count of tokens that is not whole.", param="file")
    return int(total) if there else None


def _amount(value: Any, where: str) -> Decimal:
    """`$1,234.50`, `1234.5` or a number."""
    text = str(value).strip().removeprefix("$").replace(",", "")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) >= Decimal(10) ** 15:
        raise InvalidRequest(f"Of the export, {where} has {str(value)[:40]!r} where a number stands.", param="file")
    return amount


def _nanos(usd: Decimal) -> int:
    return int((usd * NANOS_PER_USD).to_integral_value())


def _slack(amount: Decimal) -> int:
    """Half of the last digit that is shown, in nano-dollars."""
    exponent = amount.as_tuple().exponent
    decimals = max(LEAST_DECIMALS, -exponent if isinstance(exponent, int) else 0)
    return int(Decimal(NANOS_PER_USD) / 2 / Decimal(10) ** decimals) + 1


def _moment(value: Any, where: str) -> dt.datetime:
    """Unix seconds or ISO 8601, which is of UTC unless it says otherwise."""
    text = str(value).strip()
    try:
        if text.isascii() and text.isdigit():
            return dt.datetime.fromtimestamp(int(text), dt.UTC)
        moment = dt.datetime.fromisoformat(text)
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError):
        shown = text[:40]
    raise InvalidRequest(f"Of the export, {where} has {shown!r} where a date stands.", param="file")


def _check_day(start: Any, end: Any, where: str) -> None:
    """What is summed up over more than a day cannot be compared by the day."""
    if end is not None and (_moment(end, where) - _moment(start, where)).total_seconds() > DAY_S:
        raise InvalidRequest(
            f"Of the export, {where} is for more than a day; export it by the day (bucket_width 1d) or finer.",
            param="file",
        )


def _check_currency(currency: Any, where: str) -> None:
    if currency and str(currency).lower() != "usd":
        raise InvalidRequest(
            f"Of the export, {where} is in {str(currency)[:10]!r}; prices here are in USD.", param="file"
        )
