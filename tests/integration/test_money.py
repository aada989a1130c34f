"""No wrong dollar: each turn its own, each dollar once, what is not known is said (s36, s40, s41)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.conftest import LONGEST

from mcp_coder import LLMError, LLMResponseDict, LLMTimeoutError, ServerError, prompt_llm
from mcp_coder.llm_sessions.forking import fork_session
from mcp_coder.llm_sessions.ledger import recompute
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store, TurnRecord
from mcp_coder.testing import Die, FakeClaude, Reply, StandIn, Turn, WaitForPrompt

FakeOfVersion = Callable[[str], FakeClaude]

ZERO = Decimal(0)
both_methods = pytest.mark.parametrize("method", ["cli", "api"])


@pytest.fixture
def store(claude_standin: StandIn) -> Iterator[Store]:
    """Open the default store of this test."""
    opened = open_store()
    yield opened
    opened.close()


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, timeout=LONGEST, **options)


def begin(*questions: str, **options: Any) -> str:
    session_id = None
    for question in questions:
        session_id = ask(question, session_id, **options)["session_id"]
    assert session_id is not None
    return session_id


def same_price(model: StandIn) -> None:
    """Let each turn for which there is no rule yet cost the same."""
    model.server.add_rule(Reply.text("an answer").with_usage(input_tokens=1000, output_tokens=10))


def turns(store: Store, session_id: str) -> list[TurnRecord]:
    return list(store.turns(session_id))


def costs(store: Store, session_id: str) -> list[Decimal | None]:
    return [turn.usage.cost_usd for turn in turns(store, session_id)]


@both_methods
def test_s40_three_turns_and_a_fork(model: StandIn, store: Store, method: str) -> None:
    same_price(model)
    session = begin("one", "two", "three", method=method)
    fork = str(ask("four", session, fork=True, method=method)["session_id"])
    (x, *others), forked = costs(store, session), costs(store, fork)
    assert x is not None
    assert x > 0
    assert [*others, *forked] == [x, x, x]
    assert (store.session(session).cost_usd, store.session(fork).cost_usd) == (3 * x, x)
    for total in (store.usage().total, store.usage(tree_of=session).total):
        assert (total.cost_usd, total.turns, total.unaccounted_turns) == (4 * x, 4, 0)
        assert total.unrecorded_usd == 0
    (model_row,) = store.usage("model").rows
    assert (model_row.cost_usd, model_row.turns) == (4 * x, 4)
    assert [turn.usage.basis for turn in turns(store, session)] == ["cumulative"] * 3
    assert [turn.usage.total_cost_usd for turn in turns(store, session)] == [x, 2 * x, 3 * x]


def test_s40_a_fork_from_an_earlier_turn_and_a_fork_of_it(model: StandIn, store: Store) -> None:
    same_price(model)
    session = begin("one", "two", "three")
    fork = fork_session(store, session, at=1).session_id
    ask("another two", fork)
    other = fork_session(store, fork).session_id
    ask("another three", other)
    (x,) = set(costs(store, session))
    assert x is not None
    assert costs(store, fork) == costs(store, other) == [x]
    total = store.usage(tree_of=session).total
    assert (total.cost_usd, total.unaccounted_turns, total.unrecorded_usd) == (5 * x, 0, ZERO)
    assert store.usage(tree_of=fork).total.cost_usd == 2 * x


def test_s40_turns_by_hand_are_unrecorded_and_no_turn_of_ours(
    model: StandIn, store: Store, by_hand: Callable[..., dict[str, Any]]
) -> None:
    same_price(model)
    session = begin("one")
    by_hand(f"--resume={session}", "two, by hand")
    ask("three", session)
    x, y = costs(store, session)
    assert x == y
    assert x is not None
    recorded = store.session(session)
    assert (recorded.cost_usd, recorded.unaccounted_turns, recorded.unrecorded_usd) == (2 * x, 0, x)


def test_s40_methods_mixed_and_turns_that_failed(model: StandIn, store: Store) -> None:
    model.server.add_rule(Reply.error(500), prompt="fail")
    same_price(model)
    session = begin("one")
    with pytest.raises(ServerError):
        ask("fail", session, method="api")
    ask("two", session, method="api")
    x, failed, y = costs(store, session)
    assert (failed, x) == (ZERO, y)
    assert store.session(session).unaccounted_turns == 0


def money(total: float, tokens: int) -> dict[str, Any]:
    """Return the counters of a result as an older program prints them."""
    counted = {
        "inputTokens": tokens,
        "outputTokens": 0,
        "cacheReadInputTokens": 0,
        "cacheCreationInputTokens": 0,
        "costUSD": total,
    }
    return {"total_cost_usd": total, "modelUsage": {"claude-test": counted}}


X = 0.00063

COUNTERS: dict[str, tuple[str, list[tuple[float, int]], list[float | None]]] = {
    "the session's total": ("2.1.290", [(X, 100), (2 * X, 200), (3 * X, 300)], [X, X, X]),
    "of each process": ("2.1.200", [(X, 100), (X, 100), (X, 100)], [X, X, X]),
    "set back": ("2.1.290", [(X, 100), (2 * X, 200), (X, 100)], [X, X, X]),
    "nobody knows which, but the tokens tell": ("2.1.260", [(X, 100), (2 * X, 200), (X, 100)], [X, X, X]),
    "nobody knows which": ("2.1.260", [(X, 100), (2 * X, 500)], [X, None]),
}


@pytest.mark.parametrize("case", COUNTERS)
def test_s40_counters_of_other_programs(fake_of_version: FakeOfVersion, store: Store, case: str) -> None:
    version, printed, expected = COUNTERS[case]
    fake = fake_of_version(version)
    session_id = None
    for number, (total, tokens) in enumerate(printed):
        fake.script(
            Turn(text=f"answer {number}", input_tokens=100, output_tokens=0, result=money(total, tokens))
        )
        session_id = ask(f"turn {number}", session_id)["session_id"]
    found = costs(store, str(session_id))
    assert found == [None if each is None else Decimal(str(each)) for each in expected]
    unknown = expected.count(None)
    session = store.session(str(session_id))
    assert session.unaccounted_turns == unknown
    if unknown:  # it may be all this turn's, or its half
        assert turns(store, session.session_id)[-1].usage.unrecorded_usd is None


@both_methods
def test_s41_a_killed_turn_is_unaccounted(model: StandIn, store: Store, method: str) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    same_price(model)
    session = begin("one", method=method)
    with pytest.raises(LLMTimeoutError):
        ask("hang", session, method=method, inactivity_timeout=2)
    ask("two", session, method=method)
    x, killed, y = turns(store, session)
    assert x.usage.cost_usd == y.usage.cost_usd
    assert killed.state == "interrupted"
    recorded = store.session(session)
    if killed.usage.cost_usd is None:
        assert (killed.unaccounted, recorded.unaccounted_turns) == (True, 1)
    else:  # it was interrupted and told what it had spent
        assert recorded.cost_usd == sum(turn.usage.cost_usd or 0 for turn in (x, killed, y))
    assert [row.unaccounted_turns for row in store.usage().rows] == [recorded.unaccounted_turns]


def test_s41_a_turn_killed_outright_is_unaccounted(fake: FakeClaude, store: Store) -> None:
    fake.script(WaitForPrompt(), Die())
    with pytest.raises(LLMError) as caught:
        ask("die")
    (turn,) = turns(store, str(caught.value.session_id))
    assert (turn.usage.cost_usd, turn.unaccounted) == (None, True)
    assert store.session(turn.session_id).cost_usd == 0


def test_what_was_worked_out_can_be_worked_out_again(model: StandIn, store: Store) -> None:
    same_price(model)
    session = begin("one", "two")
    before = turns(store, session)
    assert [changed for _, changed in recompute(store)] == [False, False]
    one = before[0]
    store.reread_turn(one.turn_id, type(one.usage)(), reading=0, model=None)
    assert costs(store, session)[0] is None
    assert [changed for _, changed in recompute(store)] == [True, False]
    assert turns(store, session) == before
