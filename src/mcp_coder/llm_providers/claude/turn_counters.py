"""What the program printed of its counters in a turn, read: events in, counts out; nothing here decides.

The program prints three kinds of counters with every ``result``:

- ``usage``: the tokens of the agent itself since the result before, without its sub-agents;
- ``total_cost_usd`` and ``modelUsage``: running totals. Of the whole session, over every resume, in current versions (a
  fork starts at its parent's total); of one process in old ones. Adding them up overstates;
- ``model_usage_since_last_result``, in its event stream: all that the process used since its result before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal

from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.counts import (
    Count,
    Models,
    by_model,
    dollars_in,
    of_models,
    of_usage,
    summed,
    tokens_in,
)
from mcp_coder.llm_providers.claude.fields import mapping_in, results_in, text_in
from mcp_coder.llm_providers.claude.spoken import spoken

__all__ = ["TurnCounters", "counters_of"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnCounters:
    """All counters of a turn.

    Attributes:
        answered: a result was printed.
        own: the tokens of the agent itself in all results; those of its messages where no result counts any.
        spoken: the tokens of the messages that were printed, sub-agents' included.
        share: exactly what was used since the turn before, where each result says so.
        total: the dollars of the running total, as they were printed last.
        totals: the running totals by model, as they were printed last.
        whole: no sub-agent was at work when the last result was printed: what it went on to use is not in it.
        aborted: the turn was broken off.
        call_failed: the turn ended with an error of the model's service.
    """

    answered: bool = False
    own: Count = dataclasses.field(default_factory=Count)
    spoken: Models = dataclasses.field(default_factory=dict)
    share: Models | None = None
    total: Decimal | None = None
    totals: Models | None = None
    whole: bool = True
    aborted: bool = False
    call_failed: bool = False

    @property
    def share_dollars(self) -> Decimal | None:
        """The dollars of the exact share, as far as they were all printed."""
        return None if self.share is None else summed(self.share.values()).dollars

    @property
    def nothing_shown(self) -> bool:
        """Whether the running totals say nothing, or zero."""
        return not self.total and not any(summed((self.totals or {}).values()).tokens)


def counters_of(events: Sequence[RawEvent], results: Sequence[RawEvent] | None = None) -> TurnCounters:
    """Return what a turn's events say of what it used; give ``results`` where they are not among the events."""
    found = _each_once(results_in(events) if results is None else results)
    messages = spoken(events)
    if not found:
        return TurnCounters(own=summed(messages.values()), spoken=messages)
    last = found[-1]
    return TurnCounters(
        answered=True,
        own=_own(found, messages),
        spoken=messages,
        share=_share(found),
        total=dollars_in(last, "total_cost_usd"),
        totals=_totals(last),
        whole=not _is_unfinished(last),
        aborted=_is_aborted(last),
        call_failed=last.get("is_error") is True and text_in(last, "subtype") == "success",
    )


def _each_once(results: Sequence[RawEvent]) -> tuple[RawEvent, ...]:
    """Leave out a result that stands there twice."""
    by_id = {text_in(result, "uuid") or str(place): result for place, result in enumerate(results)}
    return tuple(by_id.values())


def _totals(result: RawEvent) -> Models | None:
    """Return the running totals by model; the SDK has its own name for them."""
    for name in ("modelUsage", "model_usage"):
        if isinstance(result.get(name), Mapping):
            return of_models(mapping_in(result, name))
    return None


_SINCE = "model_usage_since_last_result"


def _share(results: Sequence[RawEvent]) -> Models | None:
    if not all(_SINCE in result for result in results):
        return None
    return by_model(one for result in results for one in of_models(mapping_in(result, _SINCE)).items())


def _own(results: Sequence[RawEvent], messages: Models) -> Count:
    if any("usage" in result for result in results):
        return summed(of_usage(mapping_in(result, "usage")) for result in results)
    return summed(messages.values())


def _is_unfinished(result: RawEvent) -> bool:
    stats = mapping_in(result, "subagent_stats")
    killed = mapping_in(stats, "killed")
    ended = tokens_in(stats, "completed") + tokens_in(stats, "failed")
    return tokens_in(stats, "spawned") > ended + sum(tokens_in(killed, by) for by in killed)


def _is_aborted(result: RawEvent) -> bool:
    broken_off = text_in(result, "subtype") == "error_during_execution"
    return broken_off or text_in(result, "terminal_reason").startswith("aborted")
