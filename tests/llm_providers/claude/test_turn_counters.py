"""What is read of a turn's counters: all its results, the last totals, and what says that they are not the end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.counts import Count, Tokens
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.turn_counters import TurnCounters, counters_of

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
OPUS = "claude-opus-5-5"


def events_of(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


def result(**fields: object) -> RawEvent:
    return {"type": "result", "subtype": "success", "is_error": False, **fields}


def spent(sent: int, dollars: float = 0.1, model: str = "opus") -> dict[str, object]:
    return {model: {"inputTokens": sent, "costUSD": dollars}}


def test_a_real_turn() -> None:
    used = {OPUS: Count(Tokens(100, 5), thinking=0, dollars=Decimal("0.0005"))}
    assert counters_of(events_of("live_plain")) == TurnCounters(
        answered=True,
        own=Count(Tokens(100, 5), thinking=0),
        spoken={OPUS: Count(Tokens(100, 5))},
        share=used,
        total=Decimal("0.0005"),
        totals=used,
    )


def test_s36_all_results_of_a_real_turn_count() -> None:
    turn = counters_of(events_of("live_background_agent"))
    assert turn.own.tokens == Tokens(300, 15)
    assert turn.share == turn.totals == {OPUS: Count(Tokens(400, 20), thinking=0, dollars=Decimal("0.002"))}
    assert turn.share_dollars == turn.total == Decimal("0.002")


def test_results_may_stand_beside_the_events() -> None:
    said = {"type": "assistant", "message": {"id": "m", "model": "opus", "usage": {"input_tokens": 5}}}
    turn = counters_of([said, result(total_cost_usd=1)], [{"total_cost_usd": 2}])
    assert (turn.total, turn.own.tokens.sent) == (Decimal(2), 5)


def test_without_a_result_there_are_the_messages() -> None:
    said = {"type": "assistant", "message": {"id": "m", "model": "opus", "usage": {"input_tokens": 5}}}
    turn = counters_of([said])
    assert not turn.answered
    assert (turn.own.tokens.sent, turn.spoken) == (5, {"opus": Count(Tokens(5))})
    assert counters_of([]) == TurnCounters(own=Count(dollars=Decimal(0)))


def test_a_result_counts_once() -> None:
    first, second = (
        result(uuid=name, usage={"input_tokens": 5}, model_usage_since_last_result=spent(5)) for name in "ab"
    )
    turn = counters_of([first, second, first])
    assert turn.own.tokens.sent == 10
    assert turn.share == {"opus": Count(Tokens(10), dollars=Decimal("0.2"))}
    nameless = result(usage={"input_tokens": 5})
    assert counters_of([nameless, nameless]).own.tokens.sent == 10


def test_a_share_must_be_whole() -> None:
    turn = counters_of([result(model_usage_since_last_result=spent(5)), result()])
    assert (turn.share, turn.share_dollars) == (None, None)
    assert counters_of([result(model_usage_since_last_result={})]).share_dollars == 0
    assert counters_of([result(model_usage_since_last_result={"opus": {}})]).share_dollars is None


@pytest.mark.parametrize("name", ["modelUsage", "model_usage"])
def test_both_names_of_the_totals(name: str) -> None:
    assert counters_of([result(**{name: spent(5)})]).totals == {
        "opus": Count(Tokens(5), dollars=Decimal("0.1"))
    }
    assert counters_of([result(**{name: None})]).totals is None


@pytest.mark.parametrize(
    ("fields", "nothing"),
    [
        pytest.param({}, True, id="no_totals"),
        pytest.param({"total_cost_usd": 0, "modelUsage": {}}, True, id="zero"),
        pytest.param({"total_cost_usd": 0, "modelUsage": spent(0, 0)}, True, id="a_model_with_zero"),
        pytest.param({"total_cost_usd": 0.1}, False, id="dollars"),
        pytest.param({"total_cost_usd": 0, "modelUsage": spent(1, 0)}, False, id="tokens"),
    ],
)
def test_totals_of_zero_show_nothing(fields: dict[str, object], nothing: bool) -> None:
    assert counters_of([result(**fields)]).nothing_shown is nothing


STATS = {"spawned": 2, "completed": 1, "failed": 0, "killed": {"parent": 0, "user": 0}}


@pytest.mark.parametrize(
    ("stats", "whole"),
    [
        pytest.param(None, True, id="not_told"),
        pytest.param({"spawned": 0}, True, id="none_started"),
        pytest.param(STATS, False, id="one_at_work"),
        pytest.param({**STATS, "completed": 2}, True, id="all_completed"),
        pytest.param({**STATS, "failed": 1}, True, id="one_failed"),
        pytest.param({**STATS, "killed": {"user": 1}}, True, id="one_killed"),
    ],
)
def test_sub_agents_that_are_still_at_work(stats: object, whole: bool) -> None:
    assert counters_of([result(subagent_stats=stats)]).whole is whole
    assert counters_of([result(subagent_stats=stats), result()]).whole


# Real outputs -> aborted, and whether the model's service refused.
ENDS = {
    "live_plain": (False, False),
    "live_interrupted": (True, False),
    "live_interrupted_early": (True, False),
    "live_sigint": (True, False),
    "live_unknown_session": (True, False),
    "live_api_error_401": (False, True),
    "live_not_logged_in": (False, True),
    "json_max_turns": (False, False),
}


@pytest.mark.parametrize(("name", "ends"), ENDS.items(), ids=ENDS)
def test_how_real_turns_ended(name: str, ends: tuple[bool, bool]) -> None:
    turn = counters_of(events_of(name))
    assert (turn.aborted, turn.call_failed) == ends


def test_a_reason_to_stop_counts_as_broken_off() -> None:
    assert counters_of([result(terminal_reason="aborted_tools")]).aborted


@pytest.mark.parametrize("junk", [None, "x", True, [1]], ids=repr)
def test_junk_counters_are_nothing(junk: object) -> None:
    fields = ["usage", "total_cost_usd", "modelUsage", "subagent_stats", "model_usage_since_last_result"]
    turn = counters_of([result(**dict.fromkeys(fields, junk))])
    assert (turn.total, turn.totals, turn.share) == (None, None, {})
    assert not any(turn.own.tokens)
