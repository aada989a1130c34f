"""What a person writes for a moment, read: ``--since``, ``--until`` and ``--older-than``.

Text and the present moment come in, a moment in UTC goes out. The present carries the zone in which days begin and in
which a moment without a zone is meant. Pure: the clock is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta

__all__ = ["FORMS", "beginning_of", "end_of"]

FORMS = "a date (2026-01-31), a date with a time, today, yesterday, or how long ago (30m, 24h, 7d, 2w)"
"""What is understood, for messages and help."""

_UNITS: Mapping[str, timedelta] = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DAYS: Mapping[str, int] = {"today": 0, "yesterday": -1}
_AGO = re.compile(rf"(\d+)\s*([{''.join(_UNITS)}])", re.ASCII | re.IGNORECASE)
_ONE_DAY = timedelta(days=1)


def beginning_of(text: str, now: datetime) -> datetime:
    """Return the moment that ``text`` names; of a day its beginning.

    Args:
        text: see ``FORMS``.
        now: the present, aware; its zone is that of days and of moments without one.

    Raises:
        ValueError: it names no moment; the message says what is understood.

    >>> beginning_of("yesterday", datetime(2026, 1, 31, 12, tzinfo=UTC)).isoformat()
    '2026-01-30T00:00:00+00:00'
    """
    return _read(text, now, days_later=0)


def end_of(text: str, now: datetime) -> datetime:
    """Return the moment before which ``text`` ends: of a day the beginning of the next, else the moment itself.

    Raises:
        ValueError: as ``beginning_of``.

    >>> end_of("2026-01-31", datetime(2026, 2, 10, 12, tzinfo=UTC)).isoformat()
    '2026-02-01T00:00:00+00:00'
    """
    return _read(text, now, days_later=1)


def _read(text: str, now: datetime, *, days_later: int) -> datetime:
    written = text.strip()
    try:
        day = _day(written, now)
        if day is not None:
            begins = datetime.combine(day + days_later * _ONE_DAY, time(), tzinfo=now.tzinfo)
            return begins.astimezone(UTC)
        return _moment(written, now)
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"{text!r} names no moment; write {FORMS}") from exc


def _day(written: str, now: datetime) -> date | None:
    """Return the day that is named, or None where it is no day."""
    if written.lower() in _DAYS:
        return now.date() + _DAYS[written.lower()] * _ONE_DAY
    return _or_none(date.fromisoformat, written)


def _moment(written: str, now: datetime) -> datetime:
    ago = _AGO.fullmatch(written)
    if ago is not None:
        return now.astimezone(UTC) - int(ago[1]) * _UNITS[ago[2].lower()]
    moment = datetime.fromisoformat(written)
    return (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)).astimezone(UTC)


def _or_none(read: Callable[[str], date], written: str) -> date | None:
    try:
        return read(written)
    except ValueError:
        return None
