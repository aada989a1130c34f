"""Whose the dollars of the running totals are: rules one by one, and the law of the ledger over whole sessions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers.claude.baseline import Baseline
from mcp_coder.llm_providers.claude.counts import Count, Models, Tokens
from mcp_coder.llm_providers.claude.shares import CUMULATIVE, PER_PROCESS, UNKNOWN, Share, basis_of, share_of
from mcp_coder.llm_providers.claude.turn_counters import TurnCounters
from mcp_coder.llm_providers.claude.usage import counter_of, usage_of_turn


def dollars(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# --- the basis

BASES = {
    "1.0.109": PER_PROCESS,
    "2.0.999": PER_PROCESS,
    "2.1.247": PER_PROCESS,
    "2.1.248": UNKNOWN,
    "2.1.279": UNKNOWN,
    "2.1.280": CUMULATIVE,
    "2.1.330 (Claude Code)": CUMULATIVE,
    "3.0.0": CUMULATIVE,
    "": UNKNOWN,
    "2.1": UNKNOWN,
    "newest": UNKNOWN,
}


@pytest.mark.parametrize(("version", "basis"), BASES.items(), ids=repr)
def test_what_totals_count_follows_from_the_version(version: str, basis: str) -> None:
    assert basis_of(version) == basis


# --- one turn


def models(opus: int, haiku: int = 0) -> Models:
    """Return models with so many tokens sent, a dollar for ten of them."""
    counted = {"opus": opus, "haiku": haiku}
    return {name: Count(Tokens(sent), dollars=Decimal(sent) / 10) for name, sent in counted.items() if sent}


def printed(own: int, total: str | None, totals: Models | None, **more: object) -> TurnCounters:
    """Return a turn that used so many tokens of its own, with the totals behind it."""
    turn = TurnCounters(answered=True, own=Count(Tokens(own)), total=dollars(total), totals=totals)
    return dataclasses.replace(turn, **more)  # type: ignore[arg-type]  # fields by name


UNPRICED = {"new": Count(Tokens(5))}
FIRST = Baseline(total=Decimal(0), models={}, contiguous=True)
AFTER_TEN = Baseline(total=Decimal(1), models=models(10), contiguous=True)
AFTER_A_DOLLAR = dataclasses.replace(AFTER_TEN, models=None)
SINCE_TEN = dataclasses.replace(AFTER_TEN, contiguous=False)
NOTHING = Baseline()
FORK = dataclasses.replace(AFTER_TEN, forked=True)
SAME_PROCESS = dataclasses.replace(AFTER_TEN, same_process=True)
OLD_FORK = dataclasses.replace(SINCE_TEN, forked=True)

# turn, basis, baseline -> cost, the baseline that was taken, unrecorded dollars
SHARES = {
    # Totals that go on over the session.
    "a first turn": (printed(10, "1", models(10)), CUMULATIVE, FIRST, "1", "0", "0"),
    "a first turn with side work": (printed(10, "1.5", models(10, 5)), CUMULATIVE, FIRST, "1.5", "0", "0"),
    "a first turn that failed": (printed(0, "0", {}), CUMULATIVE, FIRST, "0", "0", "0"),
    "a later turn": (printed(10, "2", models(20)), CUMULATIVE, AFTER_TEN, "1", "1", "0"),
    "side work": (printed(10, "2.5", models(20, 5)), CUMULATIVE, AFTER_TEN, "1.5", "1", "0"),
    "totals of dollars only": (printed(10, "2", None), CUMULATIVE, AFTER_TEN, "1", "1", "0"),
    "no tokens, but dollars": (printed(0, "2", {}), CUMULATIVE, AFTER_A_DOLLAR, "1", "1", "0"),
    "a turn that was lost between": (printed(10, "2", models(20)), CUMULATIVE, SINCE_TEN, "1", "1", "0"),
    "a turn by hand between": (printed(10, "2.7", models(27)), CUMULATIVE, SINCE_TEN, None, "1", "1.7"),
    "dollars by hand without tokens": (printed(0, "2", models(10)), CUMULATIVE, SINCE_TEN, None, "1", "1"),
    "nothing was recorded": (printed(10, "3", models(30)), CUMULATIVE, NOTHING, None, "0", "3"),
    "nothing was recorded, nor anything there": (printed(10, "1", models(10)), CUMULATIVE, NOTHING, "1", "0", "0"),
    "the counter began anew": (printed(5, "0.5", models(5)), CUMULATIVE, AFTER_TEN, "0.5", "0", "0"),
    "it began anew and passed the old one": (printed(30, "3", models(30)), CUMULATIVE, AFTER_TEN, "3", "0", "0"),
    "it began anew, with more in it": (printed(5, "0.8", models(8)), CUMULATIVE, AFTER_TEN, None, None, None),
    "set back, then past the old one": (printed(10, "1.5", models(15)), CUMULATIVE, AFTER_TEN, None, "1", "0.5"),
    "another model's counter": (printed(3, "2", UNPRICED), CUMULATIVE, AFTER_TEN, None, "1", "1"),
    "aborted": (printed(0, "1.3", models(13), aborted=True), CUMULATIVE, AFTER_TEN, "0.3", "1", "0"),
    "aborted, not contiguous": (printed(0, "1", models(10), aborted=True), CUMULATIVE, SINCE_TEN, None, "1", "0"),
    "aborted, its own tokens only": (printed(10, "1", models(10), aborted=True), CUMULATIVE, NOTHING, None, "0", "1"),
    "entered no session": (printed(0, "0", {}, aborted=True), CUMULATIVE, AFTER_TEN, "0", "0", "0"),
    "no total": (printed(10, None, models(20)), CUMULATIVE, AFTER_TEN, None, None, None),
    # Refused by the model's service.
    "refused": (printed(0, "1", models(10), call_failed=True), CUMULATIVE, AFTER_TEN, "0", "1", "0"),
    "refused, by hand before": (printed(0, "2", models(20), call_failed=True), CUMULATIVE, SINCE_TEN, "0", "1", "1"),
    "refused, and nothing known": (printed(0, "2", models(20), call_failed=True), UNKNOWN, NOTHING, "0", None, None),
    "refused later in the turn": (printed(5, "2", models(20), call_failed=True), CUMULATIVE, SINCE_TEN, None, "1", "1"),
    # The program's own word.
    "exact": (printed(9, "2", models(20), share=models(10)), CUMULATIVE, AFTER_TEN, "1", "1", "0"),
    "exact, not contiguous": (printed(9, "5", models(50), share=models(10)), CUMULATIVE, SINCE_TEN, "1", "1", "3"),
    "exact, nothing was recorded": (printed(9, "5", models(50), share=models(10)), CUMULATIVE, NOTHING, "1", "0", "4"),
    "exact, began anew": (printed(9, "1", models(10), share=models(10)), CUMULATIVE, AFTER_TEN, "1", "0", "0"),
    "exact, set back": (printed(9, "1.2", models(12), share=models(10)), CUMULATIVE, AFTER_TEN, "1", None, None),
    "exact, no total": (printed(9, None, None, share=models(10)), CUMULATIVE, AFTER_TEN, "1", None, None),
    "exact, no dollars": (printed(9, "2", models(20), share=UNPRICED), CUMULATIVE, AFTER_TEN, None, "1", "1"),
    "exact, old version": (printed(9, "1", models(10), share=models(10)), PER_PROCESS, AFTER_TEN, "1", None, None),
    "exact, unknown version": (printed(9, "1", models(10), share=models(10)), UNKNOWN, AFTER_TEN, "1", None, None),
    "exact, nothing used": (printed(0, "1", models(10), share={}), CUMULATIVE, AFTER_TEN, "0", "1", "0"),
    "cut": (printed(0, "2", models(20), share=models(10), aborted=True), CUMULATIVE, AFTER_TEN, "1", "1", "0"),
    "cut, none counted": (printed(0, "1", models(10), share={}, aborted=True), CUMULATIVE, AFTER_TEN, None, "1", "0"),
    # Sub-agents were still at work: what the turn cost in the end is not known, what the total shows is unrecorded.
    "not whole": (printed(9, "2", models(20), share=models(10), whole=False), CUMULATIVE, AFTER_TEN, None, "1", "1"),
    "not whole, not exact": (printed(10, "2", models(20), whole=False), CUMULATIVE, AFTER_TEN, None, "1", "1"),
    # Forks: what was before is the other session's.
    "fork": (printed(10, "2", models(20)), CUMULATIVE, FORK, "1", "1", "0"),
    "fork, exact": (printed(9, "2", models(20), share=models(10)), CUMULATIVE, FORK, "1", "1", "0"),
    "fork, exact, not contiguous": (printed(9, "5", models(50), share=models(10)), CUMULATIVE, OLD_FORK, "1", "4", "0"),
    "fork, not contiguous": (printed(10, "5", models(50)), CUMULATIVE, OLD_FORK, None, None, None),
    # Totals of one process.
    "old version": (printed(10, "1", models(10)), PER_PROCESS, AFTER_TEN, "1", "0", "0"),
    "old version, side work": (printed(10, "3", models(10, 20)), PER_PROCESS, SINCE_TEN, "3", "0", "0"),
    "old version, dollars only": (printed(10, "3", None), PER_PROCESS, NOTHING, "3", "0", "0"),
    "old version, no total": (printed(10, None, None), PER_PROCESS, NOTHING, None, None, None),
    # Totals of either.
    "old version, same process": (printed(10, "2", models(20)), PER_PROCESS, SAME_PROCESS, "1", "1", "0"),
    "old version, same process, more": (printed(10, "3", models(20, 10)), PER_PROCESS, SAME_PROCESS, "2", "1", "0"),
    "unknown version, same process": (printed(10, "2.5", models(20, 5)), UNKNOWN, SAME_PROCESS, "1.5", "1", "0"),
    "unknown version, first turn": (printed(10, "1.5", models(10, 5)), UNKNOWN, FIRST, "1.5", "0", "0"),
    "unknown version, goes on": (printed(10, "2", models(20)), UNKNOWN, AFTER_TEN, "1", "1", "0"),
    "unknown version, begins anew": (printed(10, "1", models(10)), UNKNOWN, AFTER_TEN, "1", "0", "0"),
    "unknown version, side work": (printed(10, "2.5", models(20, 5)), UNKNOWN, AFTER_TEN, None, None, None),
    "unknown version, dollars only": (printed(10, "2", None), UNKNOWN, AFTER_TEN, None, None, None),
}  # fmt: skip


@pytest.mark.parametrize(
    ("turn", "basis", "baseline", "cost", "taken", "unrecorded"), SHARES.values(), ids=SHARES
)
def test_share(
    turn: TurnCounters,
    basis: str,
    baseline: Baseline,
    cost: str | None,
    taken: str | None,
    unrecorded: str | None,
) -> None:
    found = share_of(turn, basis, baseline)
    assert (found.cost, found.baseline) == (dollars(cost), dollars(taken))
    assert found.unrecorded(turn.total) == dollars(unrecorded)
    assert None in (turn.total, found.baseline) or turn.total == sum(
        (part for part in (found.baseline, found.cost, found.unrecorded(turn.total)) if part), Decimal(0)
    )


MODELS = {
    "exact": (printed(9, "2", models(20), share=models(10, 5)), models(10, 5)),
    "growth": (printed(10, "2.5", models(20, 5)), models(10, 5)),
    "a model that has not grown": (printed(5, "1.5", {**models(10), **UNPRICED}), UNPRICED),
    "the whole": (printed(30, "3", models(20, 10)), models(20, 10)),
    "not told": (printed(30, "2", models(12)), None),
}  # fmt: skip


@pytest.mark.parametrize(("turn", "share"), MODELS.values(), ids=MODELS)
def test_share_by_model(turn: TurnCounters, share: Models | None) -> None:
    assert share_of(turn, CUMULATIVE, AFTER_TEN).models == share


def test_s41_a_killed_turn_has_what_its_messages_showed_and_no_cost() -> None:
    killed = TurnCounters(spoken=models(10), own=Count(Tokens(10)))
    assert share_of(killed, CUMULATIVE, FIRST) == Share(models=models(10))
    assert share_of(killed, CUMULATIVE, FIRST).unrecorded(None) is None


def test_noise_is_not_unrecorded() -> None:
    share = Share(cost=Decimal("0.000000001"), baseline=Decimal("0.1"))
    assert share.unrecorded(Decimal("0.1000000020000003")) == 0
    assert share.unrecorded(Decimal("0.1000000030000003")) == Decimal("0.000000002")
    assert share.unrecorded(Decimal("0.05")) == 0  # never negative


# --- whole sessions

PRICES = {"opus": (4e-6, 2e-5), "haiku": (8e-7, 4e-6)}
"""Dollars for a token sent and one written, in floats as the program has them."""

_Used = tuple[int, int]
_USED = st.tuples(st.integers(1, 20_000), st.integers(1, 5_000))
_SIDE = st.one_of(st.just((0, 0)), _USED)


def price(model: str, used: _Used) -> float:
    return used[0] * PRICES[model][0] + used[1] * PRICES[model][1]


def exactly(used: _Used, side: _Used = (0, 0)) -> Decimal:
    """Return what this costs, without the noise of floats."""
    parts = zip((*used, *side), (p for model in PRICES for p in PRICES[model]), strict=True)
    return sum((tokens * Decimal(str(each)) for tokens, each in parts), Decimal(0))


@dataclasses.dataclass
class Program:
    """A session of a program with cumulative counters: what it has saved of them."""

    dollars: float = 0.0
    used: dict[str, tuple[int, int, float]] = dataclasses.field(default_factory=dict)

    def copy(self) -> Program:
        return Program(self.dollars, dict(self.used))

    def spend(self, used: _Used, side: _Used = (0, 0)) -> None:
        for model, tokens in (("opus", used), ("haiku", side)):
            if any(tokens):
                sent, written, cost = self.used.get(model, (0, 0, 0.0))
                cost += price(model, tokens)
                self.used[model] = (sent + tokens[0], written + tokens[1], cost)
                self.dollars += price(model, tokens)

    def result(self, own: _Used, share: Program | None, *, aborted: bool) -> dict[str, object]:
        event: dict[str, object] = {
            "type": "result",
            "subtype": "error_during_execution" if aborted else "success",
            "total_cost_usd": self.dollars,
            "usage": {"input_tokens": own[0], "output_tokens": own[1]},
            "modelUsage": self.counters(),
        }
        return event if share is None else {**event, "model_usage_since_last_result": share.counters()}

    def counters(self) -> Mapping[str, object]:
        return {
            model: {"inputTokens": sent, "outputTokens": written, "costUSD": cost}
            for model, (sent, written, cost) in self.used.items()
        }


@dataclasses.dataclass
class Session:
    """A session as its recorder sees it, and what was really spent in it."""

    exact: bool
    program: Program = dataclasses.field(default_factory=Program)
    parent: Session | None = None
    counters: list[dict[str, object] | None] = dataclasses.field(default_factory=list)
    usages: list[Usage] = dataclasses.field(default_factory=list)
    moved: bool = False
    hidden: Decimal = Decimal(0)
    """Spent by others, or by turns of ours that were killed, since the last total that we saw."""
    shown: Decimal = Decimal(0)
    """All that the totals which we saw grew by."""

    def baseline(self) -> dict[str, object]:
        """Return what the recorder knows: the newest counter, and whether it can have moved since."""
        source, forked = (self, False) if any(self.counters) else (self.parent, self.parent is not None)
        history = [] if source is None else list(reversed(source.counters))
        newest = next((counter for counter in history if counter), None)
        known = {
            "counter": newest,
            "contiguous": bool(history)
            and history[0] is not None
            and source is not None
            and not source.moved,
            "first": not self.counters and self.parent is None and not self.moved,
            "forked": forked,
        }
        return json.loads(json.dumps(known))  # type: ignore[no-any-return]  # as it comes back from a store

    def turn(self, used: _Used, side: _Used, *, saved: bool = True, aborted: bool = False) -> Usage:
        """Run a turn of ours; without ``saved`` the program does not keep its totals."""
        running, share = self.program.copy(), Program()
        running.spend(used, side)
        share.spend(used, side)
        own = (0, 0) if aborted else used
        events = [running.result(own, share if self.exact else None, aborted=aborted)]
        usage = usage_of_turn(events, version="2.1.330", baseline=Baseline.from_json(self.baseline()))
        self.counters.append(counter_of(events))
        self.usages.append(usage)
        self.shown += exactly(used, side) + self.hidden
        self.hidden, self.moved = Decimal(0), False
        if saved:
            self.program = running
        return usage

    def by_hand(self, used: _Used) -> None:
        self.program.spend(used)
        self.hidden += exactly(used)
        self.moved = True

    def killed(self, used: _Used, *, saved: bool) -> None:
        """Run a turn of ours that prints no result."""
        usage = usage_of_turn((), version="2.1.330", baseline=Baseline.from_json(self.baseline()))
        assert usage.cost_usd is None
        assert usage.unrecorded_usd is None
        self.counters.append(None)
        if saved:
            self.program.spend(used)
            self.hidden += exactly(used)

    def reset(self) -> None:
        self.program, self.hidden = Program(), Decimal(0)

    def fork(self) -> Session:
        return Session(exact=self.exact, program=self.program.copy(), parent=self)

    def accounted(self) -> Decimal:
        parts = [part for usage in self.usages for part in (usage.cost_usd, usage.unrecorded_usd) if part]
        return sum(parts, Decimal(0))


def check(usage: Usage, used: _Used, side: _Used, *, exact: bool) -> None:
    """Check what holds of each turn, whatever went before: its cost is right or unknown, nothing is negative."""
    assert usage.cost_usd == exactly(used, side) or (usage.cost_usd is None and not exact)
    assert usage.unrecorded_usd is None or usage.unrecorded_usd >= 0
    if usage.cost_usd is not None:
        assert (usage.input_tokens, usage.output_tokens) == (used[0] + side[0], used[1] + side[1])
        assert sum((model.cost_usd for model in usage.models if model.cost_usd), Decimal(0)) == usage.cost_usd


_OURS = {
    "own": {},
    "interrupted": {"aborted": True},
    "stopped by SIGINT": {"aborted": True, "saved": False},
    "killed behind its answer": {"saved": False},
}
"""Turns of ours that print a result."""

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine a whole session takes longer than is expected of a test."""

_Step = tuple[str, _Used, _Used]


def steps_of(*more: str) -> st.SearchStrategy[list[_Step]]:
    kinds = ["own", "own", "interrupted", "by hand", "killed", "killed, but saved", "reset", "fork", *more]
    return st.lists(st.tuples(st.sampled_from(kinds), _USED, _SIDE), max_size=12)


def play(exact: bool, steps: list[_Step]) -> list[Session]:
    """Play a session and its forks. A turn of ours follows each reset, without side work, so that it can be seen."""
    session = Session(exact=exact)
    sessions = [session]
    for kind, used, side in steps:
        if kind == "by hand":
            session.by_hand(used)
        elif kind.startswith("killed") and kind not in _OURS:
            session.killed(used, saved="saved" in kind)
        else:
            if kind == "reset":
                session.reset()
            elif kind == "fork":
                session = session.fork()
                sessions.append(session)
            side = (0, 0) if kind == "reset" else side
            check(session.turn(used, side, **_OURS.get(kind, {})), used, side, exact=exact)
    return sessions


@UNHURRIED
@given(steps_of())
def test_s40_each_dollar_once_where_each_share_is_printed(steps: list[_Step]) -> None:
    for session in play(True, steps):
        assert session.accounted() == session.shown


@UNHURRIED
@given(steps_of())
def test_s40_each_dollar_once_where_there_are_totals_only(steps: list[_Step]) -> None:
    """But for a fork behind what nobody recorded: whose that is cannot be told from the fork's own turn."""
    for session in play(False, steps):
        known = all(usage.unrecorded_usd is not None for usage in session.usages)
        assert session.accounted() == session.shown if known else session.accounted() < session.shown


@UNHURRIED
@given(steps_of("stopped by SIGINT", "killed behind its answer"))
def test_s40_no_dollar_twice_where_the_program_forgets_totals(steps: list[_Step]) -> None:
    others = {"by hand", "killed, but saved"}.intersection(kind for kind, _used, _side in steps)
    for session in play(True, steps):
        assert session.accounted() == session.shown or (others and session.accounted() < session.shown)


@UNHURRIED
@given(steps_of("stopped by SIGINT"))
def test_s40_no_dollar_twice_where_the_program_forgets_totals_and_prints_no_share(steps: list[_Step]) -> None:
    for session in play(False, steps):
        assert session.accounted() <= session.shown
