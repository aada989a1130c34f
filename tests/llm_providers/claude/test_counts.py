"""Tokens and dollars: read whatever is printed, added up exactly, differenced only where they go on."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_coder.llm_providers.claude.counts import (
    Count,
    Models,
    Tokens,
    as_printed,
    by_model,
    dollars_in,
    grown,
    larger,
    of_model,
    of_models,
    of_usage,
    rounded,
    summed,
    tokens_in,
)

MODEL = {
    "inputTokens": 1,
    "outputTokens": 2,
    "cacheReadInputTokens": 3,
    "cacheCreationInputTokens": 4,
    "thinkingTokens": 1,
    "costUSD": 0.049283999999999994,
    "contextWindow": 1000000,
}
COUNT = Count(Tokens(1, 2, 3, 4), thinking=1, dollars=Decimal("0.049283999999999994"))


def test_a_model_is_read_as_it_was_printed() -> None:
    assert of_model(MODEL) == COUNT
    assert of_models({"opus": MODEL, "odd": None}) == {"opus": COUNT, "odd": Count()}


def test_a_usage_object_is_read() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 0},
    }
    assert of_usage(usage) == Count(Tokens(1, 2, 3, 4), thinking=0)
    assert of_usage({**usage, "output_tokens_details": None}).thinking is None


@pytest.mark.parametrize("junk", [None, "1", True, [1], -1, 1e300, float("nan")], ids=repr)
def test_junk_is_nothing(junk: object) -> None:
    assert tokens_in({"n": junk}, "n") == 0
    assert dollars_in({"n": junk}, "n") is None


def test_dollars_are_what_was_printed() -> None:
    assert dollars_in({"n": 0.1}, "n") == Decimal("0.1")
    assert dollars_in({"n": 2}, "n") == Decimal(2)
    assert str(dollars_in({"n": -0.0}, "n")) == "0.0"


# Printed dollars -> what is given out.
ROUNDED = {
    "0.049283999999999994": "0.049284",
    "0.0025200000000000003": "0.00252",
    "0.0000000004": "0",
    "0": "0",
    "100.0": "100",
    "1E+3": "1000",
    "12.5": "12.5",
}


@pytest.mark.parametrize(("printed", "text"), ROUNDED.items(), ids=ROUNDED)
def test_noise_is_rounded_away(printed: str, text: str) -> None:
    assert str(rounded(Decimal(printed))) == text


def test_the_noise_of_a_difference() -> None:
    assert rounded(Decimal("0.0025200000000000003") - Decimal("0.00126")) == Decimal("0.00126")


# --- counting


def test_a_sum_knows_its_dollars_only_when_all_are_known() -> None:
    cheap, dear, unknown = (Count(Tokens(1), dollars=d) for d in (Decimal("0.1"), Decimal("0.2"), None))
    assert summed([cheap, dear]) == Count(Tokens(2), dollars=Decimal("0.3"))
    assert summed([cheap, unknown]) == Count(Tokens(2), dollars=None)
    assert summed([]) == Count(dollars=Decimal(0))


def test_thinking_is_summed_where_it_is_said() -> None:
    silent, none, some = Count(), Count(thinking=0), Count(thinking=5)
    assert [summed(counts).thinking for counts in ([silent], [silent, none], [none, some, some])] == [
        None,
        0,
        10,
    ]


def test_counts_of_one_model_are_put_together() -> None:
    counts = [("opus", Count(Tokens(1))), ("haiku", Count(Tokens(5))), ("opus", Count(Tokens(2)))]
    assert by_model(counts) == {"opus": Count(Tokens(3)), "haiku": Count(Tokens(5))}


def test_the_larger_of_two_counts_of_one_message() -> None:
    begun, ended = Count(Tokens(100, 1)), Count(Tokens(0, 50), thinking=30)
    assert larger(begun, ended) == larger(ended, begun) == Count(Tokens(100, 50), thinking=30)
    assert larger(begun, Count()).thinking is None


OPUS = Count(Tokens(10, 5), thinking=2, dollars=Decimal("0.5"))
HAIKU = Count(Tokens(3), dollars=Decimal("0.1"))
NONE = Count(dollars=Decimal(0))

GROWN: dict[str, tuple[Models, Models, Models | None]] = {
    "from nothing": ({"opus": OPUS}, {}, {"opus": OPUS}),
    "not at all": ({"opus": OPUS}, {"opus": OPUS}, {}),
    "a new model": ({"opus": OPUS, "haiku": HAIKU}, {"opus": OPUS}, {"haiku": HAIKU}),
    "more": (
        {"opus": Count(Tokens(11, 7), thinking=3, dollars=Decimal("0.8"))},
        {"opus": OPUS},
        {"opus": Count(Tokens(1, 2), thinking=1, dollars=Decimal("0.3"))},
    ),
    "dollars alone": (
        {"opus": OPUS._replace(dollars=Decimal(1))},
        {"opus": OPUS},
        {"opus": Count(thinking=0, dollars=Decimal("0.5"))},
    ),
    "thinking is counted from now on": (
        {"opus": OPUS._replace(tokens=Tokens(11, 5))},
        {"opus": OPUS._replace(thinking=None)},
        {"opus": Count(Tokens(1), thinking=2, dollars=Decimal(0))},
    ),
    "dollars not known before": (
        {"opus": OPUS._replace(tokens=Tokens(11, 5), thinking=None)},
        {"opus": OPUS._replace(dollars=None)},
        {"opus": Count(Tokens(1))},
    ),
    "less": ({"opus": OPUS}, {"opus": OPUS._replace(tokens=Tokens(11, 0))}, None),
    "a model is gone": ({"opus": OPUS}, {"opus": OPUS, "haiku": HAIKU}, None),
    "a model without tokens is gone": ({"opus": OPUS}, {"opus": OPUS, "haiku": NONE}, {}),
}


@pytest.mark.parametrize(("now", "then", "growth"), GROWN.values(), ids=GROWN)
def test_what_totals_have_grown_by(now: Models, then: Models, growth: Models | None) -> None:
    assert grown(now, then) == growth


# --- plain JSON

_SMALL = st.integers(0, 10**9)
_COUNTS = st.builds(
    Count,
    st.builds(Tokens, _SMALL, _SMALL, _SMALL, _SMALL),
    thinking=st.none() | st.integers(1, 10**9),
    dollars=st.none() | st.floats(0, 10**6).map(lambda dollars: Decimal(str(dollars))),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), _COUNTS))
def test_models_come_back_from_json(models: Models) -> None:
    assert of_models(json.loads(json.dumps(as_printed(models)))) == models


def test_json_leaves_out_what_is_zero() -> None:
    assert as_printed({"opus": Count(Tokens(7), thinking=0, dollars=Decimal(0))}) == {
        "opus": {"inputTokens": 7, "costUSD": 0.0}
    }
