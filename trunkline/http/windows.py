"""Lengths and stretches of time in queries: `window=30d`, `month=2026-04`, `start_time=…&end_time=…`."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from trunkline.errors import InvalidRequest

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_S: Final = 100 * 366 * 86_400
LONGEST_WINDOW_D: Final = 400
DAY_S: Final = 86_400
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799, description="Unix seconds.")]


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way of saying it; none is the last 30 days, or the month that runs where months are what is asked for."""

    window: Annotated[str | None, Meta(description="The time up to now, such as `30d` or `24h`.")] = None
    month: Annotated[str | None, Meta(description="A month of UTC, such as `2026-04`.")] = None
    start_time: Moment | None = None
    end_time: Moment | None = None


class Stretch(NamedTuple):
    """From `start_s` on, before `end_s`; Unix seconds. `label` is how it was asked for."""

    label: str
    start_s: int
    end_s: int


def seconds(text: str, param: str) -> int:
    """The length of `30d`, `24h`, `90m`, `45s`, `2w` or `0`. Raises InvalidRequest."""
    found = re.fullmatch(r"(\d{1,12})([smhdw])", text.strip().lower(), re.ASCII)
    length = 0 if text.strip() == "0" else int(found[1]) * SECONDS[found[2]] if found else LONGEST_S + 1
    if length > LONGEST_S:
        raise InvalidRequest(
            f"{param}: {text[:40]!r} is no length of time; write 30d, 24h, 90m, 45s or 2w.", param=param
        )
    return length


def month_of(text: str) -> Stretch:
    """The month written `2026-04`. Raises InvalidRequest."""
    found = re.fullmatch(r"(\d{4})-(\d{2})", text, re.ASCII)
    year, month = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (1970 <= year <= 9998 and 1 <= month <= 12):
        raise InvalidRequest(f"month: {text[:40]!r} is no month; write it as 2026-04.", param="month")
    start = calendar.timegm((year, month, 1, 0, 0, 0))
    return Stretch(text, start, start + calendar.monthrange(year, month)[1] * DAY_S)


def stretch(asked: Window, now_s: float, *, monthly: bool = False) -> Stretch:
    """What is meant. `monthly`: nothing said is the month that runs. Raises InvalidRequest."""
    given = [name for name in ("window", "month", "start_time") if getattr(asked, name) is not None]
    if len(given) > 1:
        raise InvalidRequest(f"Give {' or '.join(given)}, not both.", param=given[1])
    end_s = int(now_s) + 1
    if asked.month is not None:
        return month_of(asked.month)
    if asked.start_time is not None:
        end_s = asked.end_time if asked.end_time is not None else end_s
        return _checked(Stretch("custom", asked.start_time, end_s), "end_time")
    if asked.end_time is not None:
        raise InvalidRequest("end_time needs start_time.", param="start_time")
    if asked.window is None and monthly:
        return month_of(f"{dt.datetime.fromtimestamp(now_s, dt.UTC):%Y-%m}")
    window = asked.window or "30d"
    return _checked(Stretch(window, end_s - seconds(window, "window"), end_s), "window")


def _checked(meant: Stretch, param: str) -> Stretch:
    if not 0 < meant.end_s - meant.start_s <= LONGEST_WINDOW_D * DAY_S:
        raise InvalidRequest(f"{param}: more than nothing and at most {LONGEST_WINDOW_D} days.", param=param)
    return meant
