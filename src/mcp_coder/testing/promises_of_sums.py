"""What a store promises of sums: each dollar once, what is unknown counted; and of the check of a whole store."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store.base import SessionFilter, Store, UsageBy, UsageReport
from mcp_coder.testing.promise import Opener, Promise, opened, raises, recorded, same
from mcp_coder.testing.store_samples import at, new_turn, turn_ending, usage_of_dollars

__all__ = ["SUM_PROMISES"]

_DAY = 24 * 60


def _fill(store: Store) -> None:
    """Record a session of three turns at a dollar each, a fork with one more, a fork of that, and another one's."""
    for number in range(3):
        _spend(store, number, "session-a", "1", project="/one")
    _spend(store, _DAY, "session-b", "1", parent_id="session-a", project="/one")
    _spend(store, 40 * _DAY, "session-c", "0.5", parent_id="session-b")
    _spend(store, 41 * _DAY, "session-z", None, project="/two")
    store.begin_turn(new_turn(41 * _DAY + 1, "session-z", model="asked for"))


def _spend(store: Store, minute: int, session_id: str, dollars: str | None, **fields: object) -> None:
    models = () if dollars is None else ("large", "small")
    usage = usage_of_dollars(
        dollars, *models, unrecorded_usd=Decimal("0.25"), cache_read_tokens=2, cache_write_tokens=3
    )
    recorded(
        store,
        new_turn(minute, session_id, **fields),
        turn_ending(minute, usage=usage, model=(*models, "unsaid")[0]),
    )


def _told(report: UsageReport) -> dict[str, tuple[str, int, int]]:
    return {row.key: (str(row.cost_usd), row.turns, row.unaccounted_turns) for row in report.rows}


def a_total_has_each_dollar_once(opener: Opener) -> None:
    """Whatever it is summed by, and whatever was forked from what."""
    with opened(opener) as store:
        _fill(store)
        for by in _BY:
            total = store.usage(by).total
            same((str(total.cost_usd), total.turns, total.unaccounted_turns), ("4.5", 7, 1), by)
            same((total.key, total.unrecorded_usd), ("", Decimal("1.5")), by)
            tokens = (
                total.input_tokens,
                total.output_tokens,
                total.cache_read_tokens,
                total.cache_write_tokens,
            )
            same(tokens, (60, 6, 12, 18), by)


_BY: tuple[UsageBy, ...] = ("day", "week", "month", "session", "model", "project")


def rows_are_those_of_their_keys(opener: Opener) -> None:
    """Times in their order, the others by cost; where turns have none, the key is empty."""
    with opened(opener) as store:
        _fill(store)
        for by, wanted in _ROWS.items():
            found = _told(store.usage(by))
            same(found, wanted, by)
            same(list(found), list(wanted), f"the order of rows by {by}")


_ROWS: dict[UsageBy, dict[str, tuple[str, int, int]]] = {
    "day": {
        "2026-01-01": ("3", 3, 0),
        "2026-01-02": ("1", 1, 0),
        "2026-02-10": ("0.5", 1, 0),
        "2026-02-11": ("0", 2, 1),
    },
    "week": {"2025-12-29": ("4", 4, 0), "2026-02-09": ("0.5", 3, 1)},
    "month": {"2026-01": ("4", 4, 0), "2026-02": ("0.5", 3, 1)},
    "session": {
        "session-a": ("3", 3, 0),
        "session-b": ("1", 1, 0),
        "session-c": ("0.5", 1, 0),
        "session-z": ("0", 2, 1),
    },
    "project": {"/one": ("4", 4, 0), "": ("0.5", 1, 0), "/two": ("0", 2, 1)},
    "model": {"large": ("4.5", 5, 0), "asked for": ("0", 1, 0), "small": ("0", 5, 0), "unsaid": ("0", 1, 1)},
}


def a_tree_has_its_forks_and_theirs(opener: Opener) -> None:
    """Also where the session itself is gone."""
    with opened(opener) as store:
        _fill(store)
        for session_id, wanted in {
            "session-a": "4.5",
            "session-b": "1.5",
            "session-c": "0.5",
            "none": "0",
        }.items():
            same(str(store.usage("session", tree_of=session_id).total.cost_usd), wanted, session_id)
        store.delete_session("session-a")
        same(str(store.usage("session", tree_of="session-a").total.cost_usd), "1.5")


def sums_keep_to_what_they_are_asked_for(opener: Opener) -> None:
    """Turns begun since and before; sessions of a filter."""
    with opened(opener) as store:
        _fill(store)
        for by in _BY:
            since = store.usage(by, since=at(1), until=at(_DAY)).total
            same((str(since.cost_usd), since.turns), ("2", 2), f"by {by}, since and until")
            which = store.usage(by, which=SessionFilter(project="one")).total
            same((str(which.cost_usd), which.turns), ("4", 4), f"by {by}, of a project")
            same(store.usage(by, since=at(99 * _DAY)).rows, (), f"by {by}, of nothing")


def days_are_those_of_the_zone(opener: Opener) -> None:
    """Noon in UTC is the next day far in the east."""
    east = timezone(timedelta(hours=13))
    with opened(opener) as store:
        _fill(store)
        same(list(_told(store.usage("day", zone=east)))[:2], ["2026-01-02", "2026-01-03"])
        same(list(_told(store.usage("month", zone=east))), ["2026-01", "2026-02"])


def a_breakdown_has_the_models_of_each_row(opener: Opener) -> None:
    """By cost; what they are not told is None."""
    with opened(opener) as store:
        _fill(store)
        for by in _BY[:4]:
            row = store.usage(by, breakdown=True).rows[0]
            first, second = row.models
            same((first.key, first.cost_usd, first.turns), ("large", row.cost_usd, row.turns), by)
            same((second.key, second.cost_usd, second.unrecorded_usd), ("small", Decimal(0), None), by)
            same(store.usage(by).rows[0].models, (), f"by {by}, without a breakdown")


def what_cannot_be_summed_by_is_refused(opener: Opener) -> None:
    """Rather than summed by something else."""
    with opened(opener) as store, raises(InvalidRequestError, "a sum by nonsense"):
        store.usage("nonsense")  # type: ignore[arg-type]  # that is what is promised


def a_sound_store_checks_as_sound(opener: Opener) -> None:
    """Whatever was done to it; and says how much it holds."""
    with opened(opener) as store:
        same(store.check().problems, ())
        _fill(store)
        store.reread_turn("turn-000001", usage_of_dollars(None), reading=1, model=None)
        store.delete_session("session-b")
        report = store.check()
        same((report.problems, report.sessions, report.turns, report.unfinished), ((), 3, 6, 1))


def closing_twice_does_no_harm(opener: Opener) -> None:
    """Nor does closing what was never used."""
    store = opener()
    store.close()
    store.close()


SUM_PROMISES: tuple[Promise, ...] = (
    a_total_has_each_dollar_once,
    rows_are_those_of_their_keys,
    a_tree_has_its_forks_and_theirs,
    sums_keep_to_what_they_are_asked_for,
    days_are_those_of_the_zone,
    a_breakdown_has_the_models_of_each_row,
    what_cannot_be_summed_by_is_refused,
    a_sound_store_checks_as_sound,
    closing_twice_does_no_harm,
)
