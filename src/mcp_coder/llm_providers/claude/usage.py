"""What one turn used: all that was printed in it comes in, its tokens and dollars go out.

What cannot be known is None, never a guess. ``turn_counters`` reads what was printed, ``baseline`` what was before,
``shares`` decides what is this turn's; here is who asks for it: the recorder, which knows the turns before
(``usage_of_turn``), and whoever has nothing but a response (``usage_of``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.baseline import Baseline, baseline_after, counter_of
from mcp_coder.llm_providers.claude.counts import Count, rounded, summed
from mcp_coder.llm_providers.claude.fields import list_in, mapping_in, number_in, results_in, text_in
from mcp_coder.llm_providers.claude.shares import CUMULATIVE, UNKNOWN, Share, basis_of, share_of
from mcp_coder.llm_providers.claude.spoken import speakers
from mcp_coder.llm_providers.claude.turn_counters import TurnCounters, counters_of
from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "READING",
    "Baseline",
    "basis_of",
    "counter_of",
    "main_model",
    "usage_of",
    "usage_of_events",
    "usage_of_turn",
]

READING = 1
"""The version of this reading; it is stored beside what was worked out, and grows when the same events give another."""


def usage_of_turn(events: Sequence[RawEvent], *, version: str, baseline: Baseline | None = None) -> Usage:
    """Return what a turn used, by all that was printed in it and all that is known of what was before it.

    Args:
        events: what was printed. Each of the turn's results counts: work in the background has its own.
        version: the version of the program; empty where it is not known.
        baseline: the running totals before the turn; None: nothing is known of them.

    Example::

        first = usage_of_turn(events, version="2.1.330", baseline=Baseline.from_json({"first": True}))
        known = {"counter": counter_of(events), "contiguous": True}
        second = usage_of_turn(later, version="2.1.330", baseline=Baseline.from_json(known))
    """
    turn, basis = counters_of(events), basis_of(version)
    return _usage(turn, basis, share_of(turn, basis, baseline or Baseline()))


def usage_of(response: LLMResponseDict, previous: LLMResponseDict | None = None) -> Usage:
    """Return what the turn of a response used.

    Args:
        response: the turn.
        previous: the turn before it in the same session; for a fork the last one that its parent had by then, be it
            behind the point of the fork: the fork's totals go on from there. Where the agent printed totals only, a
            turn's cost is their difference; without ``previous`` it is then None, except for a session's first turn.
            It is None, too, where work went on behind the answer, in sub-agents or on their reports: only all of the
            turn's events show what that used.

    Returns:
        The turn's tokens and dollars. What takes a record of the session to know (``basis``, ``baseline_usd``,
        ``unrecorded_usd``) is left unknown.

    Example::

        first = prompt_llm("My favorite color is blue")
        second = prompt_llm("What is it?", session_id=first["session_id"])
        usage_of(second, first).cost_usd  # Decimal("0.0005")
    """
    before = _results_of(previous)[-1:] if previous is not None else ()
    turn = counters_of(_messages_of(response), _results_of(response))
    if response["method"] != "api" and _reports_may_follow(response["raw_response"]):
        turn = dataclasses.replace(turn, whole=False)
    return _without_record(turn, before[0] if before else None)


def usage_of_events(events: Sequence[RawEvent], previous: RawEvent | None = None) -> Usage:
    """Return what a turn used, from all that was printed in it; ``previous`` is the last ``result`` of the turn before.

    More than ``usage_of`` can know where work went on in the background: each of the turn's results counts.
    """
    return _without_record(counters_of(events), previous)


def _without_record(turn: TurnCounters, previous: RawEvent | None) -> Usage:
    """Return what a turn used where nothing was recorded but perhaps the result before it.

    Totals are taken for cumulative, as they have long been, but only where the tokens bear it out.
    """
    baseline = Baseline()
    if previous is not None:
        before = counters_of((), (previous,))
        baseline = baseline_after(before, contiguous=None not in (before.totals, turn.totals))
    share = dataclasses.replace(share_of(turn, CUMULATIVE, baseline), baseline=None)
    return _usage(turn, UNKNOWN, share)


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


def main_model(events: Sequence[RawEvent]) -> str | None:
    """Return the model that gave the turn's answer; where none did, the one that was to give it; None: not said.

    That is the model of most of the agent's own messages; without any, the one that wrote most by the counters.
    """
    own = speakers(events)
    if own:
        return own[0]
    turn = counters_of(events)
    counted = (turn.totals if turn.share is None else turn.share) or {}
    if counted:
        return max(counted, key=lambda name: counted[name].tokens.written)
    begun = next((event for event in events if event.get("subtype") == "init"), {})
    return text_in(begun, "model") or None


def _usage(turn: TurnCounters, basis: str, share: Share) -> Usage:
    used = turn.own if share.models is None else summed(share.models.values())
    return Usage(
        input_tokens=used.tokens.sent,
        output_tokens=used.tokens.written,
        cache_read_tokens=used.tokens.cache_read,
        cache_write_tokens=used.tokens.cache_written,
        thinking_tokens=used.thinking,
        cost_usd=share.cost,
        total_cost_usd=turn.total,
        basis=basis,
        baseline_usd=share.baseline,
        unrecorded_usd=share.unrecorded(turn.total),
        models=tuple(
            _model_usage(name, count, known=share.cost is not None)
            for name, count in (share.models or {}).items()
            if name
        ),
    )


def _model_usage(name: str, count: Count, *, known: bool) -> ModelUsage:
    return ModelUsage(
        model=name,
        input_tokens=count.tokens.sent,
        output_tokens=count.tokens.written,
        cache_read_tokens=count.tokens.cache_read,
        cache_write_tokens=count.tokens.cache_written,
        cost_usd=rounded(count.dollars) if known and count.dollars is not None else None,
    )
