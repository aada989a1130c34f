"""Days, weeks and months in a zone, also where its clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.llm_store.periods import PERIODS, period_of

BERLIN, HAVANA, BEIRUT, APIA = map(
    ZoneInfo, ("Europe/Berlin", "America/Havana", "Asia/Beirut", "Pacific/Apia")
)


@pytest.mark.parametrize(
    ("kind", "when", "zone", "key", "hours"),
    [
        ("day", datetime(2026, 1, 31, 23, 59, tzinfo=UTC), UTC, "2026-01-31", 24),
        ("day", datetime(2026, 1, 31, 23, 59, tzinfo=UTC), BERLIN, "2026-02-01", 24),
        ("day", datetime(2026, 3, 29, 12, tzinfo=UTC), BERLIN, "2026-03-29", 23),
        ("day", datetime(2026, 10, 25, 12, tzinfo=UTC), BERLIN, "2026-10-25", 25),
        ("day", datetime(2025, 11, 2, 12, tzinfo=UTC), HAVANA, "2025-11-02", 25),
        ("day", datetime(2026, 3, 29, 12, tzinfo=UTC), BEIRUT, "2026-03-29", 23),
        ("week", datetime(2026, 1, 1, tzinfo=UTC), UTC, "2025-12-29", 168),
        ("week", datetime(2026, 3, 29, tzinfo=UTC), BERLIN, "2026-03-23", 167),
        ("month", datetime(2024, 2, 29, tzinfo=UTC), UTC, "2024-02", 29 * 24),
        ("month", datetime(2026, 12, 31, tzinfo=UTC), UTC, "2026-12", 31 * 24),
    ],
)
def test_a_period_has_its_name_and_its_length(
    kind: str, when: datetime, zone: ZoneInfo, key: str, hours: int
) -> None:
    period = period_of(kind, when, zone)
    assert period.key == key
    assert period.until.astimezone(UTC) - period.since.astimezone(UTC) == timedelta(hours=hours)
    assert period.since <= when < period.until


@given(
    st.sampled_from(PERIODS),
    st.integers(1980 * 8766, 2037 * 8766).map(
        lambda hours: datetime(1, 1, 1, 0, 17, tzinfo=UTC) + timedelta(hours=hours)
    ),
    st.sampled_from([UTC, BERLIN, HAVANA, BEIRUT, APIA]),
)
def test_every_time_lies_in_its_period_and_the_next_begins_where_it_ends(
    kind: str, when: datetime, zone: ZoneInfo
) -> None:
    period = period_of(kind, when, zone)
    since, until = period.since.astimezone(UTC), period.until.astimezone(UTC)
    assert since <= when < until
    assert period_of(kind, since, zone).key == period.key
    assert period_of(kind, until, zone).since.astimezone(UTC) == until
