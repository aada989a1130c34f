"""What a store promises of what it keeps: texts, responses, events, times and dollars come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store.base import Store
from mcp_coder.testing.promise import Opener, Promise, opened, raises, recorded, same
from mcp_coder.testing.store_samples import at, new_turn, sample_response, turn_ending, usage_of_dollars

__all__ = ["RECORD_PROMISES"]

_TEXTS = (
    "plain",
    "",
    "two\r\nlines\n",
    "NUL \x00 within",
    "a half character \ud83d",
    "the other half \ude00 first, then \ud83d",
    "e\u0301 \u202eback\u202c 😀 \ufeff \uffff",
    "\x02marks\x03 %s {} ' \" ; -- /*",
    "long " * 100_000,
)


def any_text_comes_back(opener: Opener) -> None:
    """As a prompt, as an answer, as a path, as a name, in an error."""
    with opened(opener) as store:
        for number, text in enumerate(_TEXTS, 1):
            turn = new_turn(number, f"session-{number}", prompt=text, cwd=text, session_name=text, host=text)
            ending = turn_ending(number, text=text, error={"message": text}, notices=(text,))
            found = recorded(store, turn, ending)
            same((found.prompt, found.cwd, found.host), (text, text, text))
            same((found.text, found.error, found.notices), (text, {"message": text}, (text,)))
            same(list(store.turns(turn.session_id)), [found])
            same(store.session(turn.session_id).cwd, text)


def a_response_comes_back_whole(opener: Opener) -> None:
    """Unknown keys, the order of keys, large integers, odd characters; and none where there was none."""
    with opened(opener) as store:
        for number, response in enumerate((sample_response(), None), 1):
            recorded(store, new_turn(number), turn_ending(number, response=response))
            found = store.response(f"turn-{number:06d}")
            same(found, response)
            same(repr(found), repr(response), "the order of keys")
        same(store.response(store.begin_turn(new_turn(3)).turn_id), None)


def events_come_back_in_order(opener: Opener) -> None:
    """With a response, and without one: what a turn printed that failed."""
    events = [{"type": "system"}, dict(sample_response()), {"text": "x" * 100_000}, {}]
    with opened(opener) as store:
        recorded(store, new_turn(1), turn_ending(1, events=events, response=sample_response()))
        recorded(store, new_turn(2), turn_ending(2, events=events[:1], state="failed"))
        recorded(store, new_turn(3), turn_ending(3, events=events[:2] * 500))
        same(store.events("turn-000001"), tuple(events))
        same(store.events("turn-000002"), tuple(events[:1]))
        same(store.events("turn-000003"), tuple(events[:2] * 500))
        same(store.events(store.begin_turn(new_turn(4)).turn_id), ())
        same(store.response("turn-000001"), sample_response())


def times_come_back_in_utc_to_the_microsecond(opener: Opener) -> None:
    """Whatever zone they were in; the times of a session too."""
    east = timezone(timedelta(hours=5, minutes=45))
    begun = datetime(2026, 7, 1, 2, 3, 4, 567891, east)
    for_long = datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)
    with opened(opener) as store:
        turn = recorded(
            store, new_turn(1, started_at=begun), turn_ending(1, ended_at=begun + timedelta(days=40))
        )
        same((turn.started_at, turn.started_at.tzinfo), (begun, UTC))
        session = store.session("session-a")
        same((session.created_at, session.updated_at), (begun, begun + timedelta(days=40)))
        same((session.created_at.tzinfo, session.updated_at.tzinfo), (UTC, UTC))
        same(store.begin_turn(new_turn(2, started_at=for_long)).started_at, for_long)


def a_time_without_a_zone_is_refused(opener: Opener) -> None:
    """And nothing is written."""
    nowhere = at(1).replace(tzinfo=None)
    with opened(opener) as store:
        store.begin_turn(new_turn(1))
        refused: tuple[Callable[[Store], object], ...] = (
            lambda store: store.begin_turn(new_turn(2, "session-b", started_at=nowhere)),
            lambda store: store.end_turn("turn-000001", turn_ending(1, ended_at=nowhere)),
            lambda store: store.usage(since=nowhere),
        )
        for call in refused:
            with raises(InvalidRequestError, "a time without a zone"):
                call(store)
        same([turn.state for turn in store.unfinished_turns()], ["started"])


def dollars_are_exact_and_unknown_ones_are_not_zero(opener: Opener) -> None:
    """To 10^-9; a half goes to the even one. What is added up is what is kept."""
    with opened(opener) as store:
        for number, (dollars, kept) in enumerate(_DOLLARS.items(), 1):
            usage = usage_of_dollars(dollars, baseline_usd=Decimal(dollars), total_cost_usd=Decimal(dollars))
            found = recorded(store, new_turn(number), turn_ending(number, usage=usage)).usage
            same([str(found.cost_usd), str(found.baseline_usd), str(found.total_cost_usd)], [kept] * 3)
        same(store.session("session-a").cost_usd, sum(map(Decimal, _DOLLARS.values())))
        unknown = recorded(store, new_turn(90), turn_ending(90, usage=usage_of_dollars(None)))
        same((unknown.usage.cost_usd, unknown.usage.baseline_usd, unknown.unaccounted), (None, None, True))
        free = recorded(store, new_turn(91), turn_ending(91, usage=usage_of_dollars("0")))
        same((free.usage.cost_usd, free.unaccounted), (Decimal(0), False))
        same(store.session("session-a").unaccounted_turns, 1)


_DOLLARS = {
    "0.1": "0.1",
    "0.2": "0.2",
    "0.049283999999999994": "0.049284",
    "0.0000000005": "0",
    "0.0000000015": "2E-9",
    "1200": "1200",
    "0.30000": "0.3",
}


RECORD_PROMISES: tuple[Promise, ...] = (
    any_text_comes_back,
    a_response_comes_back_whole,
    events_come_back_in_order,
    times_come_back_in_utc_to_the_microsecond,
    a_time_without_a_zone_is_refused,
    dollars_are_exact_and_unknown_ones_are_not_zero,
)
