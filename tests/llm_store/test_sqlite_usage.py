"""Sums by SQL: exact, of each period in its zone, and from the sessions' own sums where that is the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import UsageBy
from mcp_coder.llm_store.sqlite_usage import Asked, statement_for
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import at, new_turn, turn_ending, usage_of_dollars

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("asked", "statement"),
    [
        (Asked(by="session"), "usage_of_sessions"),
        (Asked(by="project", tree_of="s"), "usage_of_sessions"),
        (Asked(by="model"), "usage_of_sessions"),
        (Asked(by="session", since=at(0)), "usage_of_turns"),
        (Asked(by="project", until=at(0)), "usage_of_turns"),
        (Asked(by="day"), "usage_of_turns"),
    ],
)
def test_a_whole_session_was_summed_already(asked: Asked, statement: str) -> None:
    assert statement_for(asked) == statement


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 3), st.integers(0, 800)), max_size=12),
    st.sampled_from(["day", "week", "month", "session", "project"]),
)
def test_sums_are_exact_whichever_way_they_are_made(spent: list[tuple[int, int, int]], by: UsageBy) -> None:
    store = open_store("memory:")
    for number, (nano, session, days) in enumerate(spent):
        turn = new_turn(
            number,
            f"s{session}",
            project=f"p{session % 2}",
            started_at=at(0) + timedelta(days=days, hours=number),
        )
        recorded(store, turn, turn_ending(usage=usage_of_dollars(str(Decimal(nano).scaleb(-9)), "m")))
    wanted = sum((Decimal(nano).scaleb(-9) for nano, _, _ in spent), Decimal(0))
    for report in (store.usage(by, zone=BERLIN), store.usage(by, since=datetime(2000, 1, 1, tzinfo=UTC))):
        assert report.total.cost_usd == sum((row.cost_usd for row in report.rows), Decimal(0)) == wanted
        assert report.total.turns == sum(row.turns for row in report.rows) == len(spent)
        assert len({row.key for row in report.rows}) == len(report.rows)
    store.close()


def test_turns_on_both_sides_of_midnight_are_of_two_days() -> None:
    store = open_store("memory:")
    midnight = datetime(2026, 3, 29, tzinfo=BERLIN)
    for number, second in enumerate((-1e-6, 0, 22 * 3600, 23 * 3600 - 1e-6, 23 * 3600)):  # a day of 23 hours
        when = midnight.astimezone(UTC) + timedelta(seconds=second)
        recorded(store, new_turn(number, started_at=when), turn_ending(usage=usage_of_dollars("1")))
    found = {row.key: row.turns for row in store.usage("day", zone=BERLIN).rows}
    assert found == {"2026-03-28": 1, "2026-03-29": 3, "2026-03-30": 1}
    store.close()


def test_far_times_take_no_time() -> None:
    store = open_store("memory:")
    for number, year in enumerate((1, 1970, 9998)):
        recorded(store, new_turn(number, started_at=datetime(year, 6, 1, tzinfo=UTC)))
    assert [row.key for row in store.usage("month").rows] == ["0001-06", "1970-06", "9998-06"]
    store.close()


def test_odd_names_are_keys_like_others() -> None:
    store = open_store("memory:")
    usage = usage_of_dollars("1", "model \ud800")
    recorded(store, new_turn(project="/odd \udcff"), turn_ending(usage=usage))
    assert [row.key for row in store.usage("project").rows] == ["/odd \udcff"]
    assert [row.key for row in store.usage("model").rows] == ["model \ud800"]
    assert [row.models[0].key for row in store.usage("project", breakdown=True).rows] == ["model \ud800"]
    store.close()
