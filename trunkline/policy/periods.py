"""When a budget's period begins and ends, in the zone that its owner lives in.

A period begins with the first instant of its first local day. Where the clocks skip midnight that is the instant of the
jump; where midnight comes twice it is the first of the two, so that the minutes which repeat stay in the day that has
begun. Periods follow one another without a gap: the end of one is the start of the next.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from trunkline.errors import InvalidRequest
from trunkline.ports.budgets import Period

# Files beside the zones: the machine's own zone is nobody's name, and those of `right/` count leap seconds.
_NOT_NAMES = frozenset({"localtime", "posixrules", "Factory"})
_NOT_FOLDERS = ("right/", "posix/")


def period_bounds(period: Period, zone: str, now_s: float) -> tuple[float, float | None]:
    """The first second of the period that `now_s` is in, and of the next: Unix seconds. `never`: (0.0, None).

    Weeks begin on Monday. Raises InvalidRequest for a zone that is not known.
    """
    if period == "never":
        return 0.0, None
    where = _zone(zone)
    first = _first_day(period, datetime.fromtimestamp(now_s, where).date())
    end = _first_instant(_next(period, first), where)
    # In a zone that goes back over midnight, the day before comes again after the day has begun.
    while end <= now_s:
        first = _next(period, first)
        end = _first_instant(_next(period, first), where)
    return float(_first_instant(first, where)), float(end)


def check_zone(name: str) -> None:
    """Raises InvalidRequest when `name` is not in the IANA database (such as `Europe/Berlin`)."""
    _zone(name)


def _zone(name: str) -> ZoneInfo:
    if name not in _NOT_NAMES and not name.startswith(_NOT_FOLDERS):
        try:
            return ZoneInfo(name)
        # A folder of zones, a name that leaves the database, a file that is no zone.
        except (KeyError, ValueError, OSError):
            pass
    raise InvalidRequest(f"{name[:64]!r} is no time zone; give an IANA name such as 'Europe/Berlin'.", param="zone")


def _first_day(period: Period, day: date) -> date:
    if period == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if period == "week" else day


def _next(period: Period, first: date) -> date:
    if period == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if period == "week" else 1)


def _first_instant(day: date, zone: ZoneInfo) -> int:
    """Unix seconds."""
    midnight = datetime.combine(day, time.min, zone)
    # Of a midnight that comes twice `fold=0` is the first; of one that is skipped it lies behind the jump, and `fold=1`
    # before it (https://peps.python.org/pep-0495/).
    at, before = int(midnight.timestamp()), int(midnight.replace(fold=1).timestamp())
    while at - before > 1:
        middle = (at + before) // 2
        if datetime.fromtimestamp(middle, UTC).astimezone(zone).date() >= day:
            at = middle
        else:
            before = middle
    return at
