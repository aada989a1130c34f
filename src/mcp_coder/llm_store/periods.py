"""A time -> the day, week or month that it lies in, as people of a zone have them. Nothing here does I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo

__all__ = ["PERIODS", "Period", "period_of"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """A day, week or month: its name, its first moment, and the first moment after it."""

    key: str
    since: datetime
    until: datetime


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


_BOUNDS: dict[str, tuple[int, Callable[[date], tuple[date, date]]]] = {
    "day": (len("2026-01-31"), lambda day: (day, day + timedelta(days=1))),
    "week": (len("2026-01-31"), _week),
    "month": (len("2026-01"), _month),
}
"""How much of its first day names a period, and its first day with the first one behind it."""

PERIODS = tuple(_BOUNDS)


def period_of(kind: str, when: datetime, zone: tzinfo) -> Period:
    """Return the period of a kind (one of ``PERIODS``) that holds a time.

    Example:
        >>> period_of("week", datetime(2026, 1, 31, tzinfo=UTC), UTC).key  # doctest: +SKIP
        '2026-01-26'
    """
    length, bounds = _BOUNDS[kind]
    first, behind = bounds(when.astimezone(zone).date())
    return Period(key=first.isoformat()[:length], since=_midnight(first, zone), until=_midnight(behind, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins: where clocks are put back over midnight the first time, forward the moment they are."""
    return datetime.combine(day, time(), zone)
