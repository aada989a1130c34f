"""What one turn used: raw counters in, this turn's tokens and dollars out; what cannot be known is None, never a guess.

The program prints three kinds of counters with every ``result``:

- ``usage``: the tokens of the agent itself since the result before, without its sub-agents;
- ``total_cost_usd`` and ``modelUsage``: running totals. Of the whole session, over every resume, in current versions (a
  fork starts at its parent's total); of one process in old ones. Adding them up overstates;
- ``model_usage_since_last_result``, in its event stream: all that the process used since its result before.

The last one, where it is there, is a turn's exact share. Without it the share is a difference of totals, for which the
turn before must be known. Money is added up as decimals of what was printed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal

from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.fields import list_in, mapping_in, number_in, results_in, text_in
from mcp_coder.llm_types import LLMResponseDict

__all__ = ["usage_of", "usage_of_events"]


def usage_of(response: LLMResponseDict, previous: LLMResponseDict | None = None) -> Usage:
    """Return what the turn of a response used.

    Args:
        response: the turn.
        previous: the turn before it in the same session (for a fork: the last turn that it shares). Where the agent
            printed totals only, a turn's cost is their difference; without ``previous`` it is then None, except for a
            session's first turn. It is None, too, where work went on behind the answer, in sub-agents or on their
            reports: only all of the turn's events (``usage_of_events``) show what that used.

    Example::

        first = prompt_llm("My favorite color is blue")
        second = prompt_llm("What is it?", session_id=first["session_id"])
        usage_of(second, first).cost_usd  # Decimal("0.0005")
    """
    before = _results_of(previous)[-1:] if previous is not None else ()
    found = _usage(_results_of(response), before[0] if before else None, _messages_of(response))
    if response["method"] != "api" and _reports_may_follow(response["raw_response"]):
        return dataclasses.replace(found, cost_usd=None)
    return found


def usage_of_events(events: Sequence[RawEvent], previous: RawEvent | None = None) -> Usage:
    """Return what a turn used, from all that was printed in it; ``previous`` is the last ``result`` of the turn before.

    More than ``usage_of`` can know where work went on in the background: each of the turn's results counts.
    """
    return _usage(results_in(events), previous, events)


def _results_of(response: LLMResponseDict) -> tuple[RawEvent, ...]:
    """Return the results of a turn: by the program the one it kept, by the SDK all."""
    raw = response["raw_response"]
    if response["method"] != "api":
        return (raw,)
    return results_in(_messages_of(response)) or (mapping_in(raw, "result_info"),)


def _messages_of(response: LLMResponseDict) -> tuple[RawEvent, ...]:
    messages = list_in(response["raw_response"], "raw_messages")
    return tuple(message for message in messages if isinstance(message, Mapping))


def _reports_may_follow(result: RawEvent) -> bool:
    """Return whether the agent may have gone on behind this answer, with the report of a sub-agent."""
    answers_one = mapping_in(result, "origin").get("kind") == "task-notification"
    return not answers_one and bool(number_in(mapping_in(result, "subagent_stats"), "started_in_background"))


def _usage(results: Sequence[RawEvent], previous: RawEvent | None, events: Sequence[RawEvent]) -> Usage:
    results = _each_once(results)
    total = _money(results[-1], "total_cost_usd") if results else None
    if results and all(_SINCE in result for result in results):
        tokens, cost = _exact(results), _sum_of_costs(results)
    else:
        tokens = _own_tokens(results, events)
        cost = _cost(results[-1], tokens, previous) if results else None
    return _usage_from(tokens, total, None if results and _is_unfinished(results[-1]) else cost)


_SINCE = "model_usage_since_last_result"

_Tokens = tuple[int, int, int, int]
"""Input, output, read from the cache, written to it."""

_NOTHING: _Tokens = (0, 0, 0, 0)


def _usage_from(tokens: _Tokens, total: Decimal | None, cost: Decimal | None) -> Usage:
    sent, written, cache_read, cache_written = tokens
    return Usage(
        input_tokens=sent,
        output_tokens=written,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_written,
        cost_usd=cost,
        total_cost_usd=total,
    )


def _each_once(results: Sequence[RawEvent]) -> tuple[RawEvent, ...]:
    """Leave out a result that stands there twice."""
    by_id = {text_in(result, "uuid") or str(place): result for place, result in enumerate(results)}
    return tuple(by_id.values())


def _is_unfinished(result: RawEvent) -> bool:
    """Return whether sub-agents were at work when this was printed: what they went on to use is not in it."""
    stats = mapping_in(result, "subagent_stats")
    killed = mapping_in(stats, "killed")
    ended = [
        number_in(stats, "completed"),
        number_in(stats, "failed"),
        *(number_in(killed, by) for by in killed),
    ]
    return (number_in(stats, "spawned") or 0) > sum(count or 0 for count in ended)


# --- tokens


def _exact(results: Sequence[RawEvent]) -> _Tokens:
    return _sum([_of_models(mapping_in(result, _SINCE)) for result in results])


def _own_tokens(results: Sequence[RawEvent], events: Sequence[RawEvent]) -> _Tokens:
    if any("usage" in result for result in results):
        return _sum([_of_usage(mapping_in(result, "usage")) for result in results])
    return _sum([_of_usage(usage) for usage in _usage_by_message(events).values()])


def _usage_by_message(events: Sequence[RawEvent]) -> dict[str, Mapping[str, object]]:
    """Return the counters of each of the model's messages; an event for each of its blocks repeats them."""
    found: dict[str, Mapping[str, object]] = {}
    for event in events:
        # The SDK's messages have the fields of the model's message on their own level.
        message = mapping_in(event, "message") or event
        if event.get("type") == "assistant":
            found[text_in(message, "id") or text_in(event, "message_id")] = mapping_in(message, "usage")
    return found


def _of_usage(usage: Mapping[str, object]) -> _Tokens:
    return _numbers(
        usage, "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"
    )


def _of_models(models: Mapping[str, object]) -> _Tokens:
    keys = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    return _sum([_numbers(mapping_in(models, name), *keys) for name in models])


def _numbers(counters: Mapping[str, object], *keys: str) -> _Tokens:
    sent, written, cache_read, cache_written = (int(number_in(counters, key) or 0) for key in keys)
    return sent, written, cache_read, cache_written


def _sum(parts: Sequence[_Tokens]) -> _Tokens:
    sent, written, cache_read, cache_written = (sum(column) for column in zip(_NOTHING, *parts, strict=True))
    return sent, written, cache_read, cache_written


# --- money


def _cost(last: RawEvent, own: _Tokens, previous: RawEvent | None) -> Decimal | None:
    """Return this turn's share of the running total, where the counters show which it is."""
    total, counted = _money(last, "total_cost_usd"), _total_tokens(last)
    if total is None or counted is None:
        return None
    if counted == own:
        # Nothing but this turn is in the total: a first turn, or a counter that began anew.
        return total
    before = None if previous is None else _money(previous, "total_cost_usd")
    counted_before = None if previous is None else _total_tokens(previous)
    if before is None or counted_before is None or total < before:
        return None
    grown = [now - then for now, then in zip(counted, counted_before, strict=True)]
    # Side work may have used more than the turn itself; less means that this total does not go on from that one.
    fits = all(more >= used for more, used in zip(grown, own, strict=True))
    return total - before if fits else None


def _total_tokens(result: RawEvent) -> _Tokens | None:
    """Return the running totals of tokens; the SDK has its own name for them."""
    for name in ("modelUsage", "model_usage"):
        if isinstance(result.get(name), Mapping):
            return _of_models(mapping_in(result, name))
    return None


def _sum_of_costs(results: Sequence[RawEvent]) -> Decimal | None:
    models = [
        mapping_in(mapping_in(result, _SINCE), name)
        for result in results
        for name in mapping_in(result, _SINCE)
    ]
    costs = [_money(model, "costUSD") for model in models]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


def _money(counters: Mapping[str, object], key: str) -> Decimal | None:
    """Return dollars exactly as they were printed: the shortest decimal of the number, not its binary value."""
    found = number_in(counters, key)
    return None if found is None else Decimal(str(found))
