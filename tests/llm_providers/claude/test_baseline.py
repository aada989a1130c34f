"""What is kept between two turns: written small, read back whole, and junk is no baseline."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.baseline import Baseline, baseline_after, counter_of
from mcp_coder.llm_providers.claude.counts import Count, Tokens
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.turn_counters import counters_of

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
OPUS = "claude-opus-5-5"


def events_of(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


# --- what a turn leaves


def test_what_a_real_turn_leaves() -> None:
    assert counter_of(events_of("live_resumed")) == {
        "total_cost_usd": 0.001,
        "began_usd": 0.0005,
        "models": {OPUS: {"inputTokens": 200, "outputTokens": 10, "costUSD": 0.001}},
    }


def test_without_an_exact_share_nobody_knows_where_it_began() -> None:
    assert counter_of(events_of("json_resumed")) == {
        "total_cost_usd": 0.098772,
        "models": {OPUS: {"inputTokens": 24643, "outputTokens": 10, "costUSD": 0.098772}},
    }


def test_dollars_alone() -> None:
    assert counter_of([{"type": "result", "total_cost_usd": 1}]) == {"total_cost_usd": 1.0}


def test_the_last_result_counts() -> None:
    counter = counter_of(events_of("live_background_agent"))
    assert counter is not None
    assert (counter["total_cost_usd"], counter["began_usd"]) == (0.002, 0.0)
    assert "open" not in counter


SHARE = {"opus": {"inputTokens": 1, "costUSD": 0.3}}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"subtype": "error_during_execution"}, id="aborted"),
        pytest.param({"subagent_stats": {"spawned": 1}}, id="sub_agent_at_work"),
    ],
)
def test_totals_may_move_behind_a_turn_that_did_not_end_well(fields: dict[str, object]) -> None:
    counter = counter_of([{"type": "result", "total_cost_usd": 0.5, **fields}])
    assert counter == {"total_cost_usd": 0.5, "open": True}


def test_a_turn_never_began_below_zero() -> None:
    counter = counter_of([{"type": "result", "total_cost_usd": 0.1, "model_usage_since_last_result": SHARE}])
    assert counter == {"total_cost_usd": 0.1, "began_usd": 0.0}


@pytest.mark.parametrize(
    "name", ["live_sigterm", "live_unknown_session", "live_command_clear", "live_api_error_401"]
)
def test_what_leaves_nothing_to_go_by(name: str) -> None:
    assert counter_of(events_of(name)) is None


def test_no_total_is_nothing_to_go_by() -> None:
    assert counter_of([{"type": "result", "modelUsage": SHARE}]) is None
    assert counter_of([]) is None


# --- what the next turn is measured against


def known(counter: object, **more: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps({"counter": counter, "contiguous": True, **more}))
    return found


def test_it_comes_back_from_json() -> None:
    found = Baseline.from_json(known(counter_of(events_of("live_resumed"))))
    assert found == Baseline(
        total=Decimal("0.001"),
        began=Decimal("0.0005"),
        models={OPUS: Count(Tokens(200, 10), dollars=Decimal("0.001"))},
        contiguous=True,
    )


def test_it_is_that_of_the_result_itself() -> None:
    events = events_of("json_resumed")
    stored = Baseline.from_json(known(counter_of(events)))
    direct = baseline_after(counters_of(events), contiguous=True)
    assert (stored.total, stored.began, stored.contiguous) == (direct.total, direct.began, direct.contiguous)
    assert stored.models is not None
    assert direct.models is not None
    assert stored.models[OPUS].tokens == direct.models[OPUS].tokens
    assert baseline_after(counters_of([]), contiguous=False) == Baseline()


COUNTER = {"total_cost_usd": 0.049283999999999994}
WITH_MODELS = {**COUNTER, "models": {"m": {}}}
TOTAL = Decimal("0.049284")

BASELINES: dict[str, tuple[dict[str, object] | None, Baseline]] = {
    "nothing": (None, Baseline()),
    "nothing known": ({}, Baseline()),
    "no turn before had a counter": (known(None), Baseline()),
    "the session begins": (known(None, first=True), Baseline(total=Decimal(0), models={}, contiguous=True)),
    "a counter": (known(COUNTER), Baseline(total=TOTAL, contiguous=True)),
    "a counter counts more than a beginning": (known(COUNTER, first=True), Baseline(total=TOTAL, contiguous=True)),
    "not contiguous": (known(COUNTER, contiguous=False), Baseline(total=TOTAL)),
    "with models": (known(WITH_MODELS), Baseline(total=TOTAL, models={"m": Count()}, contiguous=True)),
    "it may have moved": (known({**WITH_MODELS, "open": True}), Baseline(total=TOTAL)),
    "a fork": (known(COUNTER, forked=True), Baseline(total=TOTAL, contiguous=True, forked=True)),
    "a fork of what nobody recorded": (known(None, forked=True), Baseline(forked=True)),
    "the same process": (known(COUNTER, same_process=True), Baseline(total=TOTAL, contiguous=True, same_process=True)),
    "the same process, as junk": (known(COUNTER, same_process="yes"), Baseline(total=TOTAL, contiguous=True)),
    "the same process, without a counter": (known(None, same_process=True), Baseline()),
    "junk": (known({"total_cost_usd": "1", "models": [1]}), Baseline()),
    "junk in it": (known({**COUNTER, "began_usd": [], "models": 1}), Baseline(total=TOTAL, contiguous=True)),
}  # fmt: skip


@pytest.mark.parametrize(("json_known", "baseline"), BASELINES.values(), ids=BASELINES)
def test_what_a_recorder_knows(json_known: dict[str, object] | None, baseline: Baseline) -> None:
    assert Baseline.from_json(json_known) == baseline


# --- the last total at or below

TWO = Baseline(total=Decimal("0.5"), began=Decimal("0.3"))
BELOW = {
    "behind both": (TWO, "0.7", "0.5"),
    "the last total": (TWO, "0.5", "0.5"),
    "within noise": (TWO, "0.499999999", "0.5"),
    "between, since the program forgot": (TWO, "0.4", "0.3"),
    "where the last turn began": (TWO, "0.3", "0.3"),
    "before both": (TWO, "0.1", None),
    "at zero": (TWO, "0.000000001", "0"),
    "one is known": (Baseline(total=Decimal("0.5")), "0.4", None),
    "none is known": (Baseline(), "0.4", "0"),
}


@pytest.mark.parametrize(("baseline", "dollars", "found"), BELOW.values(), ids=BELOW)
def test_the_last_total_at_or_below(baseline: Baseline, dollars: str, found: str | None) -> None:
    assert baseline.before(Decimal(dollars)) == (None if found is None else Decimal(found))
