import dataclasses
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.fields import results_in
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.responses import api_details, new_response
from mcp_coder.llm_providers.claude.usage import (
    READING,
    Baseline,
    counter_of,
    main_model,
    usage_of,
    usage_of_events,
    usage_of_turn,
)
from mcp_coder.llm_types import LLMResponseDict

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
NOW = "2026-01-31T12:00:00Z"
OPUS = "claude-opus-5-5"
CURRENT = "2.1.330"


def events_of(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


def response(raw: RawEvent, method: str = "cli") -> LLMResponseDict:
    return new_response(text="x", session_id="s1", method=method, raw_response=raw, timestamp=NOW)


def real(name: str) -> LLMResponseDict:
    return response(json.loads((SAMPLES / f"{name}.stdout").read_bytes()))


def by_sdk(*messages: RawEvent) -> LLMResponseDict:
    details: Any = api_details("x", messages)
    return response({key: value for key, value in details.items() if key != "text"}, "api")


# --- real turns


def opus(sent: int, written: int, cost: str | None) -> ModelUsage:
    dollars = None if cost is None else Decimal(cost)
    return ModelUsage(model=OPUS, input_tokens=sent, output_tokens=written, cost_usd=dollars)


def test_s40_a_session_and_a_fork_of_real_turns() -> None:
    first, second, fork = real("json_success"), real("json_resumed"), real("json_forked")
    costs = [usage_of(first).cost_usd, usage_of(second, first).cost_usd, usage_of(fork, second).cost_usd]
    assert [str(cost) for cost in costs] == ["0.049284", "0.049488", "0.049632"]
    assert sum(cost for cost in costs if cost) == usage_of(fork).total_cost_usd == Decimal("0.148404")


def test_a_total_is_kept_as_it_was_printed() -> None:
    assert str(usage_of(real("json_success")).total_cost_usd) == "0.049283999999999994"


def test_a_resumed_turn_alone_has_no_cost_but_its_tokens() -> None:
    assert usage_of(real("json_resumed")) == Usage(
        input_tokens=12337,
        output_tokens=7,
        thinking_tokens=0,
        cost_usd=None,
        total_cost_usd=Decimal("0.098772"),
    )


def test_a_turn_with_a_tool_is_one_turn() -> None:
    assert usage_of(real("json_tool_use")) == Usage(
        input_tokens=24691,
        output_tokens=14,
        thinking_tokens=0,
        cost_usd=Decimal("0.099044"),
        total_cost_usd=Decimal("0.09904400000000001"),
        models=(opus(24691, 14, "0.099044"),),
    )


# Name of a real turn in the live form -> its own tokens in and out, its cost, the running total.
LIVE = {
    "live_plain": (100, 5, "0.0005", "0.0005"),
    "live_resumed": (100, 5, "0.0005", "0.001"),
    "live_foreground_agent": (300, 15, "0.0015", "0.0015"),
    "live_background_agent": (400, 20, "0.0020", "0.002"),
    "live_max_budget": (100, 5, "0.0005", "0.0005"),
    "live_interrupted": (100, 2, "0.00044", "0.00044"),
    "live_command_compact": (200, 10, "0.001", "0.0015"),
    "live_command_cost": (0, 0, "0", "0"),
    "live_api_error_401": (0, 0, "0", "0"),
    "live_api_error_529": (0, 0, "0", "0"),
    "live_not_logged_in": (0, 0, "0", "0"),
    "live_unknown_session": (0, 0, "0", "0"),
}


@pytest.mark.parametrize(("name", "figures"), LIVE.items(), ids=LIVE)
def test_real_live_turns_say_exactly_what_they_used(name: str, figures: tuple[int, int, str, str]) -> None:
    sent, written, cost, total = figures
    used = Usage(
        input_tokens=sent,
        output_tokens=written,
        thinking_tokens=0 if sent else None,
        cost_usd=Decimal(cost),
        total_cost_usd=Decimal(total),
        models=(opus(sent, written, cost),) if sent else (),
    )
    assert usage_of_events(events_of(name)) == used
    began = Decimal(total) - Decimal(cost)
    recorded = dataclasses.replace(used, basis="cumulative", baseline_usd=Decimal(0), unrecorded_usd=began)
    assert usage_of_turn(events_of(name), version=CURRENT) == recorded


def recorded(names: list[str], version: str) -> list[Usage]:
    """Return what a recorder makes of these real turns, each behind the one before it."""
    found, known = [], Baseline.from_json({"first": True})
    for name in names:
        events = events_of(name)
        found.append(usage_of_turn(events, version=version, baseline=known))
        known = Baseline.from_json({"counter": counter_of(events), "contiguous": True})
    return found


def test_s40_a_recorded_session_and_a_fork_of_real_turns() -> None:
    first, second, fork = recorded(["json_success", "json_resumed", "json_forked"], CURRENT)
    assert second == Usage(
        input_tokens=12337,
        output_tokens=7,
        thinking_tokens=0,
        cost_usd=Decimal("0.049488"),
        total_cost_usd=Decimal("0.098772"),
        basis="cumulative",
        baseline_usd=Decimal("0.049284"),
        unrecorded_usd=Decimal(0),
        models=(opus(12337, 7, "0.049488"),),
    )
    assert [first.baseline_usd, fork.baseline_usd] == [Decimal(0), second.total_cost_usd]
    assert sum(turn.cost_usd or 0 for turn in (first, second, fork)) == fork.total_cost_usd


def test_s40_a_recorded_session_of_real_turns_that_print_their_share() -> None:
    assert recorded(["live_plain", "live_resumed"], CURRENT)[1] == Usage(
        input_tokens=100,
        output_tokens=5,
        thinking_tokens=0,
        cost_usd=Decimal("0.0005"),
        total_cost_usd=Decimal("0.001"),
        basis="cumulative",
        baseline_usd=Decimal("0.0005"),
        unrecorded_usd=Decimal(0),
        models=(opus(100, 5, "0.0005"),),
    )


@pytest.mark.parametrize(
    ("version", "basis", "costs"),
    [
        ("2.1.247", "per_process", ["0.049284", "0.098772"]),
        ("2.1.260", "unknown", ["0.049284", "0.049488"]),
        ("", "unknown", ["0.049284", "0.049488"]),
    ],
)
def test_the_version_says_what_totals_count(version: str, basis: str, costs: list[str]) -> None:
    found = recorded(["json_success", "json_resumed"], version)
    assert [str(usage.cost_usd) for usage in found] == costs
    assert {usage.basis for usage in found} == {basis}


def test_s41_a_real_killed_turn_costs_nobody_knows_what() -> None:
    assert usage_of_turn(events_of("live_sigterm"), version=CURRENT) == Usage(
        input_tokens=100, output_tokens=1, basis="cumulative", models=(opus(100, 1, None),)
    )


def test_s36_what_goes_on_behind_the_last_result_is_not_known() -> None:
    events = [event for event in events_of("live_background_agent") if "origin" not in event]
    found = usage_of_turn(events, version=CURRENT, baseline=Baseline.from_json({"first": True}))
    assert (found.cost_usd, found.unrecorded_usd) == (None, Decimal("0.001"))
    assert found.models == (opus(200, 10, None),)


def test_the_version_of_this_reading() -> None:
    assert READING == 1


def test_s36_an_answer_before_the_end_of_its_sub_agents_has_no_cost_of_its_own() -> None:
    answer, report = results_in(events_of("live_background_agent"))
    assert usage_of(response(answer)).cost_usd is None
    assert usage_of(by_sdk(answer, report)).cost_usd == Decimal("0.002")


def test_the_next_turn_does_not_pay_for_what_an_answer_left_out() -> None:
    answer, report = results_in(events_of("live_background_agent"))
    assert usage_of(response(report), response(answer)).cost_usd == Decimal("0.001")


# --- made-up turns


def counted(own: int, total: float | None, counted: int | None, **fields: object) -> RawEvent:
    """Return a result: tokens of the turn, the running total in dollars and in tokens."""
    event: dict[str, object] = {
        "type": "result",
        "usage": {"input_tokens": own},
        **fields,
    }
    if total is not None:
        event["total_cost_usd"] = total
    if counted is not None:
        event["modelUsage"] = {
            "opus": {"inputTokens": counted - 1},
            "haiku": {"inputTokens": 1},
        }
    return event


FIRST = counted(10, 0.1, 10)

COSTS = [
    pytest.param(FIRST, None, "0.1", id="first_turn"),
    pytest.param(counted(10, 0.3, 20), None, None, id="later_turn_alone"),
    pytest.param(counted(10, 0.3, 20), FIRST, "0.2", id="difference"),
    pytest.param(counted(10, 0.3, 25), FIRST, "0.2", id="side_work_counts_too"),
    pytest.param(counted(10, 0.3, 12), FIRST, None, id="not_of_this_series"),
    pytest.param(counted(10, 0.1, 20), FIRST, "0.0", id="nothing_was_charged"),
    pytest.param(counted(30, 0.3, 30), FIRST, "0.3", id="counter_of_one_process"),
    pytest.param(counted(5, 0.05, 5), FIRST, "0.05", id="counter_was_reset"),
    pytest.param(counted(5, 0.05, 8), FIRST, None, id="counter_was_reset_with_more_in_it"),
    pytest.param(counted(10, None, 20), FIRST, None, id="no_total"),
    pytest.param(counted(10, 0.3, None), FIRST, None, id="no_counted_tokens"),
    pytest.param(counted(10, 0.3, 20), counted(10, None, 10), None, id="no_total_before"),
    pytest.param(counted(10, 0.3, 20), counted(10, 0.1, None), None, id="no_counted_tokens_before"),
]  # fmt: skip


@pytest.mark.parametrize(("result", "before", "cost"), COSTS)
@pytest.mark.parametrize("method", ["cli", "api"])
def test_cost(result: RawEvent, before: RawEvent | None, cost: str | None, method: str) -> None:
    def made(raw: RawEvent) -> LLMResponseDict:
        return response(raw) if method == "cli" else by_sdk(raw)

    found = usage_of(made(result), None if before is None else made(before))
    assert found.cost_usd == (None if cost is None else Decimal(cost))
    assert usage_of_events([result], before) == found


def test_side_work_counts_in_all_figures() -> None:
    found = usage_of(response(counted(10, 0.3, 25)), response(FIRST))
    assert found == Usage(
        input_tokens=15,
        cost_usd=Decimal("0.2"),
        total_cost_usd=Decimal("0.3"),
        models=(ModelUsage(model="opus", input_tokens=15),),
    )


def test_s40_sums_are_exact() -> None:
    """In binary floating point 0.3 - 0.1 is 0.19999999999999998."""
    assert usage_of(response(counted(10, 0.3, 20)), response(FIRST)).cost_usd == Decimal("0.2")


def test_the_sdks_name_for_the_totals() -> None:
    result = {key: value for key, value in FIRST.items() if key != "modelUsage"}
    assert usage_of(by_sdk({**result, "model_usage": FIRST["modelUsage"]})).cost_usd == Decimal("0.1")


def test_cache_tokens() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
    }
    found = usage_of(response({"type": "result", "usage": usage}))
    assert (found.cache_read_tokens, found.cache_write_tokens) == (3, 4)


# --- exact shares


def share(dollars: float | None, **fields: object) -> RawEvent:
    model: dict[str, object] = {
        "inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 3, "cacheCreationInputTokens": 4,
    }  # fmt: skip
    if dollars is not None:
        model["costUSD"] = dollars
    return {
        "type": "result",
        "total_cost_usd": 9.5,
        "model_usage_since_last_result": {"opus": model},
        **fields,
    }


def test_an_exact_share_needs_no_turn_before() -> None:
    assert usage_of(response(share(0.1))) == Usage(
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        cost_usd=Decimal("0.1"),
        total_cost_usd=Decimal("9.5"),
        models=(
            ModelUsage(
                model="opus",
                input_tokens=1,
                output_tokens=2,
                cache_read_tokens=3,
                cache_write_tokens=4,
                cost_usd=Decimal("0.1"),
            ),
        ),
    )


def test_shares_of_several_results_add_up_and_count_once() -> None:
    first, second = share(0.1, uuid="r1"), share(0.2, uuid="r2")
    assert usage_of(by_sdk(first, second, first)).cost_usd == Decimal("0.3")
    assert usage_of(by_sdk(share(0.1), share(0.2))).input_tokens == 2


def test_a_share_without_dollars_has_no_cost() -> None:
    assert usage_of(response(share(None))).cost_usd is None
    assert usage_of(by_sdk(share(0.1), share(None))).cost_usd is None


def test_shares_must_be_whole_to_count() -> None:
    found = usage_of(by_sdk(share(0.1, uuid="r1"), counted(10, 0.3, 10)))
    assert found.input_tokens == 10


STATS = {"spawned": 2, "completed": 1, "failed": 0, "killed": {"parent": 0, "user": 0}}


@pytest.mark.parametrize(
    ("stats", "known"),
    [
        pytest.param({}, True, id="none_told"),
        pytest.param({"spawned": 0}, True, id="none_started"),
        pytest.param(STATS, False, id="one_at_work"),
        pytest.param({**STATS, "completed": 2}, True, id="all_completed"),
        pytest.param({**STATS, "failed": 1}, True, id="one_failed"),
        pytest.param({**STATS, "killed": {"user": 1}}, True, id="one_killed"),
        pytest.param({"started_in_background": 1}, False, id="a_report_may_follow"),
    ],
)
def test_what_sub_agents_go_on_to_use_is_not_known(stats: dict[str, object], known: bool) -> None:
    found = usage_of(response(share(0.1, subagent_stats=stats)))
    assert (found.cost_usd is not None) is known


# --- the SDK's messages


def spoken(message_id: str, tokens: int) -> RawEvent:
    """Return a message as the SDK gives it, one for each block."""
    return {"type": "assistant", "message_id": message_id, "usage": {"input_tokens": tokens}}


def printed(message_id: str, tokens: int, **fields: object) -> RawEvent:
    """Return a message as the program prints it."""
    message = {"id": message_id, "usage": {"input_tokens": tokens}, **fields}
    return {"type": "assistant", "message": message}


@pytest.mark.parametrize("make", [spoken, printed])
def test_s40_a_message_counts_once_however_many_blocks_it_has(make: Any) -> None:
    found = usage_of(by_sdk(make("m1", 5), make("m1", 5), make("m2", 7), {"type": "user", "usage": {}}))
    assert found == Usage(input_tokens=12)


def test_a_results_own_usage_counts_more_than_its_messages() -> None:
    assert usage_of(by_sdk(spoken("m1", 5), FIRST)).input_tokens == 10


def test_a_response_without_messages_has_its_result_info() -> None:
    info = {key: value for key, value in FIRST.items() if key != "type"}
    assert usage_of(response({"result_info": info, "raw_messages": []}, "api")).cost_usd == Decimal("0.1")


def test_nothing_is_known_of_nothing() -> None:
    assert usage_of(response({})) == Usage()
    assert usage_of(response({}, "api")) == Usage()
    assert usage_of_events([]) == Usage()
    assert usage_of_events([printed("m1", 5)]) == Usage(input_tokens=5)


@pytest.mark.parametrize("junk", [None, "x", True, [1]], ids=repr)
def test_junk_counters_are_nothing(junk: object) -> None:
    raw = {"usage": junk, "total_cost_usd": None, "modelUsage": junk, "subagent_stats": junk}
    assert usage_of(response(raw)) == Usage()


# --- the model

MODELS: dict[str, tuple[tuple[RawEvent, ...], str | None]] = {
    "nothing": ((), None),
    "a real turn": (events_of("live_plain"), OPUS),
    "a real turn with a sub-agent": (events_of("live_background_agent"), OPUS),
    "refused: the one that was asked": (events_of("live_api_error_401"), OPUS),
    "a result alone": (events_of("json_resumed"), OPUS),
    "killed: the one that was asked": (events_of("live_sigterm"), OPUS),
    "no result": (({"type": "assistant", "message": {}},), None),
    "the one that wrote most": (
        ({"type": "result", "modelUsage": {"a": {"outputTokens": 1}, "b": {"outputTokens": 2}}},),
        "b",
    ),
    "in this turn": (
        (
            {
                "type": "result",
                "modelUsage": {"a": {"outputTokens": 9}, "b": {"outputTokens": 2}},
                "model_usage_since_last_result": {"b": {"outputTokens": 2}},
            },
        ),
        "b",
    ),
    "that spoke": (({"type": "system", "subtype": "init", "model": "a"}, printed("m1", 1, model="b")), "b"),
}


@pytest.mark.parametrize(("events", "model"), MODELS.values(), ids=MODELS)
def test_main_model(events: tuple[RawEvent, ...], model: str | None) -> None:
    assert main_model(events) == model
