from __future__ import annotations

import msgspec

from trunkline.ports.reports import (
    CallQuery,
    Reports,
    RequestLogReader,
    Sums,
    UsageBucket,
    UsagePage,
    UsageQuery,
    UsageResult,
)
from trunkline.storage.reports import SqlReports
from trunkline.storage.request_reader import SqlRequestLogReader


def fulfil(reports: SqlReports, reader: SqlRequestLogReader) -> tuple[Reports, RequestLogReader]:
    """The type checker reads this."""
    return reports, reader


def test_a_question_without_filters_is_about_everything() -> None:
    asked = UsageQuery(start_s=0, end_s=1)
    filters = (asked.accounts, asked.keys, asked.models, asked.providers, asked.endpoints, asked.tags, asked.batch)
    assert (asked.root, set(filters)) == ("acct_root", {None})
    calls = CallQuery()
    assert (calls.root, {calls.accounts, calls.keys, calls.models, calls.tags}) == ("acct_root", {None})


def test_pages_are_values() -> None:
    """Callers add them up and keep them."""
    result = UsageResult(sums=Sums(requests=1, cost_nanos=5), model="m")
    page = UsagePage(buckets=(UsageBucket(start_s=0, end_s=1, results=(result,)),))
    assert hash(page) == hash(msgspec.json.decode(msgspec.json.encode(page), type=UsagePage))
