"""What people write for a moment, at a fixed present in a zone with summer time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mcp_coder.cli.when import beginning_of, end_of

OSLO = ZoneInfo("Europe/Oslo")
NOW = datetime(2026, 7, 15, 10, 30, tzinfo=OSLO)


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("2026-01-31", "2026-01-30T23:00:00", "2026-01-31T23:00:00"),
        ("2026-07-01", "2026-06-30T22:00:00", "2026-07-01T22:00:00"),
        ("20260701", "2026-06-30T22:00:00", "2026-07-01T22:00:00"),
        ("today", "2026-07-14T22:00:00", "2026-07-15T22:00:00"),
        ("Yesterday", "2026-07-13T22:00:00", "2026-07-14T22:00:00"),
        (" today ", "2026-07-14T22:00:00", "2026-07-15T22:00:00"),
        ("2026-03-29", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
    ],
)
def test_a_day_begins_and_ends_at_midnight_of_the_zone(text: str, begins: str, ends: str) -> None:
    assert beginning_of(text, NOW) == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    assert end_of(text, NOW) == datetime.fromisoformat(ends).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00", "2026-01-31T11:00:00"),
        ("2026-07-01 12:00:30", "2026-07-01T10:00:30"),
        ("2026-01-31T12:00Z", "2026-01-31T12:00:00"),
        ("2026-01-31T12:00-05:00", "2026-01-31T17:00:00"),
        ("30m", "2026-07-15T08:00:00"),
        ("24h", "2026-07-14T08:30:00"),
        ("7d", "2026-07-08T08:30:00"),
        ("2W", "2026-07-01T08:30:00"),
        ("0h", "2026-07-15T08:30:00"),
        ("1 d", "2026-07-14T08:30:00"),
    ],
)
def test_a_moment_is_one_in_either_direction(text: str, moment: str) -> None:
    expected = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert beginning_of(text, NOW) == end_of(text, NOW) == expected
    assert beginning_of(text, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "7",
        "d",
        "-7d",
        "7x",
        "1.5h",
        "2026-13-01",
        "2026-02-30",
        "99999999999d",
        "٧d",
        "0001-01-01",
    ],
)
def test_what_is_no_moment_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no moment; write a date \(2026-01-31\)"):
        beginning_of(text, NOW)


def test_the_last_day_of_all_has_no_end() -> None:
    with pytest.raises(ValueError, match="names no moment"):
        end_of("9999-12-31", NOW)
