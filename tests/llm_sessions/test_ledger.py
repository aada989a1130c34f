"""From which counter a turn's share is taken, and how it is read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.llm_sessions.recorded import VERSION, assistant, begin, end, result

from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.base import Entry
from mcp_coder.llm_sessions.ledger import baseline_before, read_turn, recompute, usage_of_session
from mcp_coder.llm_sessions.records import WARM
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import SessionRecord, Store, TurnRecord

ONE, TWO, THREE = (f"5fb8e1b7-5135-4c68-b20c-5f5a207a457{letter}" for letter in "abc")
CLAUDE = provider_named("claude")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


def resumed(session_id: str = ONE, *, moved: bool = False) -> Entry:
    return Entry(first_id=session_id, resume=session_id, cwd="/", moved=moved)


def counter(total: float) -> dict[str, object]:
    return {"total_cost_usd": total}


def test_a_session_that_begins_begins_at_zero(store: Store) -> None:
    entry = Entry(first_id=ONE, begin=ONE, cwd="/")
    assert baseline_before(store, entry, None) == {
        "counter": None,
        "contiguous": True,
        "forked": False,
        "first": True,
    }


def test_a_session_that_was_begun_elsewhere_begins_nowhere(store: Store) -> None:
    known = baseline_before(store, resumed(moved=True), None)
    assert (known["counter"], known["contiguous"], known["first"]) == (None, False, False)


def test_the_last_turn_is_the_baseline_of_the_next(store: Store) -> None:
    for total in (0.5, 1.0):
        end(store, begin(store, ONE), counter=counter(total))
    known = baseline_before(store, resumed(), None)
    assert known == {"counter": counter(1.0), "contiguous": True, "forked": False, "first": False}


@pytest.mark.parametrize("state", ["interrupted", "unknown", "failed"])
def test_behind_a_turn_without_a_counter_nothing_is_certain(store: Store, state: str) -> None:
    end(store, begin(store, ONE), counter=counter(0.5))
    end(store, begin(store, ONE), state)
    known = baseline_before(store, resumed(), None)
    assert (known["counter"], known["contiguous"]) == (counter(0.5), False)


def test_where_somebody_else_went_on_nothing_is_certain(store: Store) -> None:
    end(store, begin(store, ONE), counter=counter(0.5))
    assert baseline_before(store, resumed(moved=True), None)["contiguous"] is False


def test_a_fork_goes_on_from_its_parents_newest_counter(store: Store) -> None:
    for total in (0.5, 1.0):
        end(store, begin(store, ONE), counter=counter(total))
    entry = Entry(first_id=TWO, begin=TWO, resume=ONE, fork=True, cwd="/")
    known = baseline_before(store, entry, ONE)
    assert known == {"counter": counter(1.0), "contiguous": True, "forked": True, "first": False}


def test_a_fork_goes_on_from_its_own_counter_as_soon_as_it_has_one(store: Store) -> None:
    end(store, begin(store, ONE), counter=counter(0.5))
    end(store, begin(store, TWO, parent_id=ONE), counter=counter(0.7))
    known = baseline_before(store, resumed(TWO), None)
    assert (known["counter"], known["forked"]) == (counter(0.7), False)


def test_a_fork_of_a_fork_that_was_not_asked_anything_yet(store: Store) -> None:
    end(store, begin(store, ONE), counter=counter(0.5))
    now = datetime.now(UTC)
    for session_id, parent in ((TWO, ONE), (THREE, TWO)):
        store.add_session(
            SessionRecord(
                session_id=session_id,
                provider="claude",
                parent_id=parent,
                created_at=now,
                updated_at=now,
                cost_usd=Decimal(0),
                unrecorded_usd=Decimal(0),
            )
        )
    known = baseline_before(store, Entry(first_id=THREE, begin=THREE, resume=ONE, fork=True, cwd="/"), None)
    assert (known["counter"], known["forked"], known["first"]) == (counter(0.5), True, False)


def test_a_fork_of_what_nobody_recorded(store: Store) -> None:
    entry = Entry(first_id=TWO, begin=TWO, resume=ONE, fork=True, cwd="/", moved=True)
    known = baseline_before(store, entry, ONE)
    assert known == {"counter": None, "contiguous": False, "forked": True, "first": False}


def test_the_process_of_the_turn_before_is_named(store: Store) -> None:
    end(store, begin(store, ONE), counter=counter(0.5))
    known = baseline_before(store, dataclasses.replace(resumed(), warm=True), None)
    assert known == {
        "counter": counter(0.5),
        "contiguous": True,
        "forked": False,
        "first": False,
        "same_process": True,
    }


class Watched:
    """A store's turns, and how many of them were looked at."""

    def __init__(self, store: Store) -> None:
        self.looked = 0
        self._turns = store.turns(ONE, newest_first=True)

    def __iter__(self) -> Iterator[TurnRecord]:
        for turn in self._turns:
            self.looked += 1
            yield turn


@pytest.mark.parametrize(("warm", "looked"), [(True, 1), (False, 4)])
def test_where_the_process_is_the_same_no_earlier_turn_is_looked_at(
    store: Store, warm: bool, looked: int
) -> None:
    for total in (0.1, 0.2, 0.3, 0.4):
        end(store, begin(store, ONE, options={WARM: True}), counter=counter(total))
    turns = Watched(store)
    entry = dataclasses.replace(resumed(), warm=warm)
    known = baseline_before(store, entry, None, newest_first=iter(turns))
    assert known["counter"] == counter(0.4)
    assert turns.looked == looked
    assert ("earlier" in known) is not warm


def test_a_killed_turn_is_passed_over_in_the_same_process_too(store: Store) -> None:
    end(store, begin(store, ONE, options={WARM: True}), counter=counter(0.5))
    end(store, begin(store, ONE, options={WARM: True}), "interrupted", counter=None)
    known = baseline_before(store, dataclasses.replace(resumed(), warm=True), None)
    assert (known["counter"], known["contiguous"]) == (counter(0.5), False)


# --- what a kept agent did of its own accord


def share(tokens: int, cost: float) -> dict[str, Any]:
    return {"model_usage_since_last_result": {"claude-test": {"inputTokens": tokens, "costUSD": cost}}}


REPORT = result(
    ONE,
    "a report",
    origin={"kind": "task-notification"},
    total_cost_usd=0.25,
    uuid="another",
    **share(5, 0.05),
)
ANSWER = [assistant(ONE), result(ONE, **share(25, 0.25))]
TOTAL = {"counter": {"total_cost_usd": 0.2}, "contiguous": True, "same_process": True}


def test_what_was_done_between_turns_is_on_the_next_turns_bill() -> None:
    reading = read_turn(CLAUDE, ANSWER, VERSION, TOTAL, between=[REPORT])
    assert (reading.usage.cost_usd, reading.usage.input_tokens) == (Decimal("0.3"), 30)
    assert (reading.usage.baseline_usd, reading.usage.unrecorded_usd) == (Decimal("0.2"), Decimal(0))
    assert read_turn(CLAUDE, ANSWER, VERSION, TOTAL).usage.unrecorded_usd == Decimal("0.05")
    assert reading.finish == CLAUDE.finish(ANSWER)
    assert reading.counter == CLAUDE.counter([REPORT, *ANSWER])


def test_that_it_was_idle_changes_no_bill() -> None:
    idle = {"type": "system", "subtype": "session_state_changed", "state": "idle"}
    assert read_turn(CLAUDE, ANSWER, VERSION, TOTAL, between=[idle]) == read_turn(
        CLAUDE, ANSWER, VERSION, TOTAL
    )


def test_a_turn_that_was_killed_leaves_what_was_before_it_to_a_later_total() -> None:
    reading = read_turn(CLAUDE, [assistant(ONE)], VERSION, TOTAL, between=[REPORT])
    assert reading.counter is None
    assert reading.usage == read_turn(CLAUDE, [assistant(ONE)], VERSION, TOTAL).usage


def test_a_turn_is_read_again_apart_from_what_was_before_it(store: Store) -> None:
    first = begin(store, ONE, baseline={"first": True}, options={WARM: True})
    read = read_turn(CLAUDE, ANSWER, VERSION, {"first": True}, between=[REPORT])
    end(store, first, events=[REPORT, *ANSWER], usage=read.usage, reading=read.version, model=read.model)
    assert dict(recompute(store)) == {first.turn_id: False}


def test_a_turn_that_was_killed_is_read_again_without_what_was_before_it(store: Store) -> None:
    killed = begin(store, ONE, baseline={"first": True}, options={WARM: True})
    events = [REPORT, assistant(ONE)]
    read = read_turn(CLAUDE, events[1:], VERSION, {"first": True}, between=events[:1])
    end(store, killed, "interrupted", events=events, usage=read.usage, reading=read.version, model=read.model)
    assert dict(recompute(store)) == {killed.turn_id: False}
    assert store.turn(killed.turn_id).usage.cost_usd is None


# --- the sum of a session


def test_the_usage_of_a_session_is_the_sum_of_its_turns(store: Store) -> None:
    for tokens, cost in ((10, "0.25"), (20, None)):
        used = Usage(input_tokens=tokens, output_tokens=1, cost_usd=None if cost is None else Decimal(cost))
        end(store, begin(store, ONE), usage=used)
    end(store, begin(store, TWO), usage=Usage(input_tokens=1000, cost_usd=Decimal(9)))
    row = usage_of_session(store, ONE)
    assert (row.key, row.turns, row.cost_usd, row.unaccounted_turns) == (ONE, 2, Decimal("0.25"), 1)
    assert (row.input_tokens, row.output_tokens) == (30, 2)


def test_without_a_record_a_session_used_nothing_that_is_known(store: Store) -> None:
    for kept in (None, store):
        row = usage_of_session(kept, ONE)
        assert (row.key, row.turns, row.cost_usd, row.unaccounted_turns) == (ONE, 0, Decimal(0), 0)


def test_a_turn_is_read_by_its_provider(store: Store) -> None:
    events = [assistant(ONE), result(ONE)]
    reading = read_turn(CLAUDE, events, VERSION, {"first": True})
    assert reading.usage.cost_usd == Decimal("0.5")
    assert reading.version == CLAUDE.reading
    assert reading.model == "claude-test"
    assert reading.finish.answered
    assert reading.counter is not None


def recorded(store: Store, usage: Usage | None = None, total: float = 0.5) -> str:
    """Record a turn that cost half a dollar, as if an older reading had read it so."""
    turn = begin(store, ONE, baseline={"first": True})
    end(store, turn, events=[assistant(ONE), result(ONE, total_cost_usd=total)], usage=usage or Usage())
    return turn.turn_id


def test_all_turns_are_read_again(store: Store) -> None:
    turn_id = recorded(store)
    empty = begin(store, TWO)
    end(store, empty, "unknown")
    begin(store, TWO)  # under way
    assert dict(recompute(store)) == {turn_id: True, empty.turn_id: False}
    again = store.turn(turn_id)
    assert (again.usage.cost_usd, again.reading, again.model) == (
        Decimal("0.5"),
        CLAUDE.reading,
        "claude-test",
    )
    assert store.session(ONE).cost_usd == Decimal("0.5")
    assert dict(recompute(store)) == {turn_id: False, empty.turn_id: False}


def test_turns_of_an_agent_that_is_not_known_here_stay_as_they_are(store: Store) -> None:
    turn = begin(store, ONE, provider="another")
    end(store, turn, events=[result(ONE)])
    assert dict(recompute(store)) == {turn.turn_id: False}


def test_the_noise_of_a_float_is_no_change(store: Store) -> None:
    turn_id = recorded(store, total=0.5000000000000001)
    assert dict(recompute(store)) == {turn_id: True}
    assert dict(recompute(store)) == {turn_id: False}
