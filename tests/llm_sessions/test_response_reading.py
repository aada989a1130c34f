from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.llm_store.export_samples import add_turn, response

from mcp_coder.llm_events import Usage
from mcp_coder.llm_sessions.response_reading import reading_of
from mcp_coder.llm_sessions.stored_responses import StoredAnswer, stored_answer
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

MODEL = "claude-opus-5-5"


@pytest.fixture
def store() -> Iterator[Store]:
    with contextlib.closing(open_store("memory:")) as opened:
        yield opened


def result(total: float, *, tokens: int = 10, of_all: int | None = None, **changes: Any) -> dict[str, object]:
    """Return a result with its own tokens, and totals of tokens and dollars."""
    counted = tokens if of_all is None else of_all
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "session_id": "native",
        "uuid": f"u{total}",
        "total_cost_usd": total,
        "usage": {"input_tokens": tokens, "output_tokens": 0},
        "modelUsage": {MODEL: {"inputTokens": counted, "outputTokens": 0, "costUSD": total}},
        **changes,
    }


def share(dollars: float, tokens: int = 10) -> dict[str, Any]:
    return {
        "model_usage_since_last_result": {
            MODEL: {"inputTokens": tokens, "outputTokens": 0, "costUSD": dollars}
        }
    }


def answer(raw: dict[str, object], **changes: Any) -> StoredAnswer:
    return stored_answer(response(raw_response=raw, **changes))


def by_sdk(raw: dict[str, object]) -> StoredAnswer:
    return answer({"session_info": {"version": "2.1.330"}, "raw_messages": [raw]}, method="api")


def test_the_first_answer_of_a_session_costs_its_total(store: Store) -> None:
    reading = reading_of(store, answer(result(0.5)), late=False)
    assert reading.usage.cost_usd == Decimal("0.5")
    assert reading.usage.unrecorded_usd in (None, Decimal(0))
    assert reading.counter is not None
    assert reading.counter["total_cost_usd"] == 0.5
    assert (reading.model, reading.finish.native_id) == (MODEL, "native")


def test_a_printed_share_is_the_cost_and_what_was_recorded_before_is_not_counted_again(store: Store) -> None:
    add_turn(store, counter={"total_cost_usd": 0.5}, usage=Usage(cost_usd=Decimal("0.5")))
    reading = reading_of(store, by_sdk(result(0.75, of_all=30, **share(0.25))), late=False)
    assert (reading.usage.cost_usd, reading.usage.unrecorded_usd) == (Decimal("0.25"), Decimal(0))


def test_of_totals_alone_the_growth_is_unrecorded_and_not_guessed(store: Store) -> None:
    add_turn(store, counter={"total_cost_usd": 0.5}, usage=Usage(cost_usd=Decimal("0.5")))
    reading = reading_of(store, by_sdk(result(1.0, of_all=30)), late=False)
    assert (reading.usage.cost_usd, reading.usage.unrecorded_usd) == (None, Decimal("0.5"))


def test_totals_that_grew_by_just_the_tokens_of_the_answer_tell_its_cost(store: Store) -> None:
    first = reading_of(store, answer(result(0.5)), late=False)
    add_turn(store, counter=first.counter, usage=first.usage)
    reading = reading_of(store, answer(result(0.75, of_all=20)), late=False)
    assert reading.usage.cost_usd == Decimal("0.25")


def test_work_that_may_go_on_behind_an_answer_leaves_its_cost_unknown(store: Store) -> None:
    raw = result(0.5, subagent_stats={"started_in_background": 1, "spawned": 1, "completed": 1}, **share(0.5))
    assert reading_of(store, answer(raw), late=False).usage.cost_usd is None


def test_an_answer_that_comes_late_is_measured_against_nothing(store: Store) -> None:
    add_turn(store, counter={"total_cost_usd": 5.0})
    reading = reading_of(store, answer(result(0.75, of_all=30, **share(0.25))), late=True)
    assert (reading.usage.cost_usd, reading.usage.unrecorded_usd) == (Decimal("0.25"), None)


def test_an_answer_by_the_sdk_is_read_from_what_was_kept_of_its_result(store: Store) -> None:
    raw: dict[str, object] = {"session_info": {}, "result_info": result(0.5, **share(0.5))}
    assert reading_of(store, answer(raw, method="api"), late=False).usage.cost_usd == Decimal("0.5")


def test_of_an_agent_that_is_not_known_nothing_is_read(store: Store) -> None:
    reading = reading_of(store, answer(result(0.5), provider="other"), late=False)
    assert (reading.usage, reading.version, reading.counter) == (Usage(), 0, None)
