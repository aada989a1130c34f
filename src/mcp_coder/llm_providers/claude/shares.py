"""Which part of the running totals is one turn's: counters in, this turn's share out; pure.

A turn's share is printed, or it is a difference of running totals. Which totals can be compared depends on the
program's version and on what the recorder knows of the time since the last ones; and the tokens of the agent itself,
which are printed for each turn, must bear it out. A new way to know a share is a row in ``_RULES``; the first that
knows decides.

The law of the ledger is ``total = baseline + cost + unrecorded``; the baseline is the last total that was recorded. So
the sum of ``cost + unrecorded`` over a session's turns is all that its counter grew by: no dollar is lost, none is
counted twice. Where a counter was set back, and nothing that was recorded tells what is left in it, there is no
baseline, and what is unrecorded is not known.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from decimal import Decimal

from mcp_coder.llm_providers.claude.baseline import Baseline
from mcp_coder.llm_providers.claude.counts import NOISE, Models, grown, rounded, summed
from mcp_coder.llm_providers.claude.turn_counters import TurnCounters

__all__ = ["CUMULATIVE", "PER_PROCESS", "UNKNOWN", "Share", "basis_of", "share_of"]

CUMULATIVE, PER_PROCESS, UNKNOWN = "cumulative", "per_process", "unknown"

_LAST_PER_PROCESS, _FIRST_CUMULATIVE = (2, 1, 247), (2, 1, 280)
"""Up to the one, totals are known to begin anew with each process; from the other on, to go on over a session."""


def basis_of(version: str) -> str:
    """Return what the totals of this version of the program count: ``cumulative``, ``per_process`` or ``unknown``.

    >>> basis_of("2.1.330"), basis_of("2.1.247"), basis_of("2.1.260"), basis_of("")
    ('cumulative', 'per_process', 'unknown', 'unknown')
    """
    found = re.match(r"\s*(\d+)\.(\d+)\.(\d+)", version)
    numbers = tuple(map(int, found.groups())) if found else ()
    if numbers >= _FIRST_CUMULATIVE:
        return CUMULATIVE
    return PER_PROCESS if numbers and numbers <= _LAST_PER_PROCESS else UNKNOWN


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What of the counters is this turn's.

    Attributes:
        models: its part by model; None: not told, so that its tokens are those of the agent itself.
        cost: its dollars, or None.
        baseline: the total that was recorded before it, or None.
    """

    models: Models | None = None
    cost: Decimal | None = None
    baseline: Decimal | None = None

    def unrecorded(self, total: Decimal | None) -> Decimal | None:
        """Return what ``total`` shows beyond this turn and its baseline; None: not known. Never negative."""
        if total is None or self.baseline is None:
            return None
        rest = rounded(total) - self.baseline - (self.cost or 0)
        return rounded(rest) if rest > NOISE else Decimal(0)


def share_of(turn: TurnCounters, basis: str, baseline: Baseline) -> Share:
    """Return what of the counters is this turn's; its cost is None where sub-agents were still at work behind it."""
    if baseline.same_process:
        basis = CUMULATIVE  # within one process totals go on, whatever the version
    found = next(share for rule in _RULES if (share := rule(turn, basis, baseline)) is not None)
    return found if turn.whole else dataclasses.replace(found, cost=None)


def _killed(turn: TurnCounters, _basis: str, _baseline: Baseline) -> Share | None:
    """Without a result there are the model's messages."""
    return None if turn.answered else Share(models=turn.spoken)


def _broken_off(turn: TurnCounters, basis: str, baseline: Baseline) -> Share | None:
    """Broken off before anything was counted: a request that was under way is in no counter, and may be billed."""
    if not turn.aborted or turn.share is None or any(summed(turn.share.values()).tokens):
        return None
    return _not_told(turn, basis, baseline)


def _printed(turn: TurnCounters, basis: str, baseline: Baseline) -> Share | None:
    """The program says itself what was used since its result before."""
    if turn.share is None:
        return None
    cost = None if turn.share_dollars is None else rounded(turn.share_dollars)
    return Share(models=turn.share, cost=cost, baseline=_recorded_before(turn, basis, baseline, cost))


def _of_one_process(turn: TurnCounters, basis: str, _baseline: Baseline) -> Share | None:
    """A total of one process is this turn's, which was all that the process did."""
    if basis != PER_PROCESS or turn.total is None:
        return None
    return Share(models=turn.totals, cost=rounded(turn.total), baseline=Decimal(0))


def _growth(turn: TurnCounters, basis: str, baseline: Baseline) -> Share | None:
    """A total that goes on has grown by this turn alone, side work included, where nothing else can have happened."""
    grown_by = _since(turn, baseline)
    if grown_by is None or not baseline.contiguous or (basis != CUMULATIVE and baseline.total):
        return None
    if grown_by.models is None:
        return grown_by
    used = summed(grown_by.models.values()).tokens
    return grown_by if all(more >= less for more, less in zip(used, turn.own.tokens, strict=True)) else None


def _nothing_else(turn: TurnCounters, _basis: str, _baseline: Baseline) -> Share | None:
    """A total that counts exactly the turn's own tokens is a first turn's, or that of a counter that began anew."""
    if turn.total is None or turn.totals is None:
        return None
    whole = Share(models=turn.totals, cost=rounded(turn.total), baseline=Decimal(0))
    return whole if _is_borne_out(whole, turn) else None


def _nothing_else_since(turn: TurnCounters, _basis: str, baseline: Baseline) -> Share | None:
    """A total that has grown by exactly the turn's own tokens has grown by nothing else, whatever else was possible."""
    grown_by = _since(turn, baseline)
    return grown_by if grown_by is not None and _is_borne_out(grown_by, turn) else None


def _refused(turn: TurnCounters, basis: str, baseline: Baseline) -> Share | None:
    """A call that the model's service refused costs nothing."""
    if not turn.call_failed or any(turn.own.tokens):
        return None
    nothing = Decimal(0)
    return Share(models={}, cost=nothing, baseline=_recorded_before(turn, basis, baseline, nothing))


def _not_told(turn: TurnCounters, basis: str, baseline: Baseline) -> Share | None:
    """What cannot be known is not guessed; what the total has grown by is unrecorded."""
    return Share(baseline=_recorded_before(turn, basis, baseline, None))


_Rule = Callable[[TurnCounters, str, Baseline], Share | None]

_RULES: tuple[_Rule, ...] = (
    _killed,
    _broken_off,
    _printed,
    _of_one_process,
    _growth,
    _nothing_else,
    _nothing_else_since,
    _refused,
    _not_told,
)


def _since(turn: TurnCounters, baseline: Baseline) -> Share | None:
    """Return by how much the totals have grown; None where they do not go on from the baseline."""
    if turn.total is None or baseline.total is None or rounded(turn.total) < baseline.total:
        return None
    cost = rounded(turn.total - baseline.total)
    if turn.totals is None or baseline.models is None:
        return Share(cost=cost, baseline=baseline.total)
    models = grown(turn.totals, baseline.models)
    return None if models is None else Share(models=models, cost=cost, baseline=baseline.total)


def _is_borne_out(share: Share, turn: TurnCounters) -> bool:
    """Return whether these are exactly the tokens of the agent itself. No tokens bear out nothing but no dollars."""
    if share.models is None or summed(share.models.values()).tokens != turn.own.tokens:
        return False
    if turn.aborted and turn.total:
        return False  # the tokens of what was broken off are in the totals only
    return any(turn.own.tokens) or not share.cost


def _recorded_before(
    turn: TurnCounters, basis: str, baseline: Baseline, cost: Decimal | None
) -> Decimal | None:
    """Return the last total that was recorded before a turn, so that what lies between is unrecorded."""
    if basis != CUMULATIVE or turn.total is None:
        return None
    began = max(rounded(turn.total) - (cost or 0), Decimal(0))
    if baseline.forked:
        # All that was before is the other session's, and shows in that one's counter.
        return None if cost is None else began
    return baseline.before(began)
