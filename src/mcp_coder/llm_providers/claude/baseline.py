"""The running totals between two turns: what one leaves for the next, and what the next is measured against.

A turn's events come in, plain JSON goes out for the recorder to keep. Later that JSON comes in, with what the recorder
knows of the time between, and a ``Baseline`` goes out. JSON of another making is no baseline; nothing is raised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal

from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.counts import NOISE, Models, as_printed, dollars_in, of_models, rounded
from mcp_coder.llm_providers.claude.fields import mapping_in
from mcp_coder.llm_providers.claude.turn_counters import TurnCounters, counters_of

__all__ = ["Baseline", "baseline_after", "counter_of"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What is known of the running totals before a turn.

    Attributes:
        total: the last dollars that were recorded; None: nothing of the session was.
        began: the dollars at which the turn that printed them began, where it said. A program that is killed, be it
            behind its answer, does not keep its totals: the next one goes on from here.
        models: the last totals by model, where they were printed.
        contiguous: nothing can have been counted since.
        forked: the totals are those of another session, from which this turn's is forked.
        same_process: they were printed by the process that runs this turn, so that they go on in any version.
        earlier: dollars that were recorded before those, and that the totals may have been set back to.
    """

    total: Decimal | None = None
    began: Decimal | None = None
    models: Models | None = None
    contiguous: bool = False
    forked: bool = False
    same_process: bool = False
    earlier: tuple[Decimal, ...] = ()

    @classmethod
    def from_json(cls, known: Mapping[str, object] | None) -> Baseline:
        """Return the baseline that is in what a recorder knows.

        Args:
            known: ``counter``: what ``counter_of`` gave for the last turn for which it gave anything; for a fork, until
                it has a counter of its own, that of the session that it is forked from. ``contiguous``: nothing can
                have happened in that session since. ``forked``: the counter is, or would be, the other session's.
                ``first``: the session begins with this turn, at zero. ``same_process``: the counter was printed by the
                process that runs this turn. ``earlier``: counters of turns before.
        """
        known = known or {}
        counter = mapping_in(known, "counter")
        total = dollars_in(counter, "total_cost_usd")
        # An open total may go on from below, too: then even tokens that fit prove nothing.
        models = None if counter.get("open") is True else counter.get("models")
        if total is not None:
            return cls(
                total=rounded(total),
                began=dollars_in(counter, "began_usd"),
                models=of_models(models) if isinstance(models, Mapping) else None,
                contiguous=known.get("contiguous") is True and counter.get("open") is not True,
                forked=known.get("forked") is True,
                same_process=known.get("same_process") is True,
                earlier=_totals_in(known.get("earlier")),
            )
        if known.get("first") is True:
            return cls(total=Decimal(0), models={}, contiguous=True)
        return cls(forked=known.get("forked") is True)

    def before(self, dollars: Decimal) -> Decimal | None:
        """Return the highest total that was recorded at or below ``dollars``; zero where nothing was recorded.

        None: all that was recorded is higher. Then the counter was set back, and what of it was recorded is not known.
        """
        if dollars <= NOISE or self.total is None:
            return Decimal(0)
        recorded = [total for total in (self.total, self.began, *self.earlier) if total is not None]
        return max((total for total in recorded if total <= dollars + NOISE), default=None)


def _totals_in(counters: object) -> tuple[Decimal, ...]:
    found = (
        [dollars_in(each, "total_cost_usd") for each in counters if isinstance(each, Mapping)]
        if isinstance(counters, list)
        else []
    )
    return tuple(rounded(total) for total in found if total is not None)


def baseline_after(turn: TurnCounters, *, contiguous: bool) -> Baseline:
    """Return what a turn is measured against whose last one had these counters."""
    total = None if turn.total is None else rounded(turn.total)
    return Baseline(total=total, began=_began(turn), models=turn.totals, contiguous=contiguous)


def counter_of(events: Sequence[RawEvent]) -> dict[str, object] | None:
    """Return what the next turn has to know of this turn's last result, as plain JSON; None: nothing to go by.

    A total of zero is nothing to go by: a program that failed to enter the session prints it, and so does ``/clear``,
    in whose new session nobody goes on.

    Example::

        {
            "total_cost_usd": 0.001,
            "began_usd": 0.0005,
            "models": {"some-model": {"inputTokens": 200, "outputTokens": 10, "costUSD": 0.001}},
            "open": True,  # only where the totals may have moved behind it: sub-agents were at work, or it was aborted
        }
    """
    turn = counters_of(events)
    if turn.total is None or turn.nothing_shown:
        return None
    began = _began(turn)
    return {
        "total_cost_usd": float(turn.total),
        **({} if began is None else {"began_usd": float(began)}),
        **({} if turn.totals is None else {"models": as_printed(turn.totals)}),
        **({"open": True} if turn.aborted or not turn.whole else {}),
    }


def _began(turn: TurnCounters) -> Decimal | None:
    """Return the total that a turn began at, where it printed its share."""
    used = turn.share_dollars
    return None if used is None or turn.total is None else max(rounded(turn.total - used), Decimal(0))
