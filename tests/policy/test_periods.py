from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.thoroughness import examples
from trunkline.errors import InvalidRequest
from trunkline.policy.periods import check_zone, period_bounds
from trunkline.ports.budgets import Period

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "America/Toronto",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Monrovia",
)


def unix(text: str) -> float:
    """`2018-11-04T03:00` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("day", "UTC", "2026-07-01T00:00", "2026-07-01T00:00", "2026-07-02T00:00"),
        ("day", "UTC", "2026-06-30T23:59:59.999", "2026-06-30T00:00", "2026-07-01T00:00"),
        ("week", "UTC", "2026-07-26T23:59:59", "2026-07-20T00:00", "2026-07-27T00:00"),
        ("week", "UTC", "2026-07-27T00:00", "2026-07-27T00:00", "2026-08-03T00:00"),
        ("week", "UTC", "2027-01-01T12:00", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        # Leap days, and years that have none though four divides them.
        ("day", "UTC", "2028-02-29T12:00", "2028-02-29T00:00", "2028-03-01T00:00"),
        ("month", "UTC", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("month", "UTC", "2026-02-28T12:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("month", "UTC", "2100-02-28T12:00", "2100-02-01T00:00", "2100-03-01T00:00"),
        # Days of 23 and of 25 hours.
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Berlin", "2026-10-25T01:30", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("month", "America/New_York", "2026-03-20T00:00", "2026-03-01T05:00", "2026-04-01T04:00"),
        ("week", "America/New_York", "2026-11-01T12:00", "2026-10-26T04:00", "2026-11-02T05:00"),
        # A jump over midnight: the day begins at one o'clock.
        ("day", "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00"),
        ("day", "America/Sao_Paulo", "2018-11-04T02:59:59", "2018-11-03T03:00", "2018-11-04T03:00"),
        ("day", "Africa/Cairo", "2023-04-28T12:00", "2023-04-27T22:00", "2023-04-28T21:00"),
        # Back from midnight to eleven: the day before has 25 hours.
        ("day", "America/Sao_Paulo", "2018-02-18T02:30", "2018-02-17T02:00", "2018-02-18T03:00"),
        ("day", "Africa/Cairo", "2023-10-26T21:30", "2023-10-25T21:00", "2023-10-26T22:00"),
        # Back from one to midnight: midnight comes twice, and the first counts.
        ("day", "America/Havana", "2026-11-01T04:30", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("day", "America/Havana", "2026-11-01T05:30", "2026-11-01T04:00", "2026-11-02T05:00"),
        # Back from 00:01 to 23:01: the day that has begun goes on.
        ("day", "America/St_Johns", "2010-11-07T02:30:30", "2010-11-07T02:30", "2010-11-08T03:30"),
        ("day", "America/St_Johns", "2010-11-07T03:00", "2010-11-07T02:30", "2010-11-08T03:30"),
        # From 23:30 to 00:30: the jump is the first instant of the day.
        ("day", "America/Toronto", "1919-03-31T12:00", "1919-03-31T04:30", "1919-04-01T04:00"),
        # A day that never was.
        ("day", "Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),
        ("day", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00"),
        ("day", "Asia/Kathmandu", "2026-01-01T18:15", "2026-01-01T18:15", "2026-01-02T18:15"),
    ],
)
def test_bounds(period: Period, zone: str, now: str, start: str, end: str) -> None:
    assert period_bounds(period, zone, unix(now)) == (unix(start), unix(end))


def test_never_ends() -> None:
    assert period_bounds("never", "Europe/Berlin", unix("2026-07-01T00:00")) == (0.0, None)


@settings(max_examples=examples(600), deadline=None)
@given(
    st.sampled_from(("day", "week", "month")), st.sampled_from(ZONES), st.floats(unix("1971-01-01"), unix("2101-01-01"))
)
@example("day", "America/St_Johns", unix("2010-11-07T02:45"))
@example("week", "Pacific/Apia", unix("2011-12-30T10:00"))
def test_periods_follow_one_another(period: Period, zone: str, now_s: float) -> None:
    start, end = period_bounds(period, zone, now_s)
    assert end is not None
    assert start <= now_s < end
    for inside in (start, (start + end) / 2, end - 0.001):
        assert period_bounds(period, zone, inside) == (start, end)
    assert period_bounds(period, zone, end)[0] == end
    before = datetime.fromtimestamp(start - 1, ZoneInfo(zone)).date()
    first = datetime.fromtimestamp(start, ZoneInfo(zone)).date()
    assert before < first
    if period == "month":
        assert before.month != first.month
    if period == "week":
        assert before.isocalendar()[:2] != first.isocalendar()[:2]


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+12"])
def test_names_of_zones(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Berlin",
        "America",
        "../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "right/UTC",
        "posix/UTC",
        "tzdata.zi",
        "a\0b",
        "\ud800",
        "x" * 5000,
    ],
)
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_zone(name)
    assert refused.value.param == "zone"
    assert len(refused.value.message) < 500
