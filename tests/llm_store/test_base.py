"""The records of a store: frozen, made by keyword; what a turn's state and cost say together."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store import base
from mcp_coder.llm_store.base import ENDED_STATES, TURN_STATES, Store, TurnRecord
from mcp_coder.llm_store.sqlite import SQLiteStore

RECORDS = [getattr(base, name) for name in base.__all__ if dataclasses.is_dataclass(getattr(base, name))]


def record(state: str, cost: Decimal | None) -> TurnRecord:
    fields = dict.fromkeys(field.name for field in dataclasses.fields(TurnRecord))
    known = {"state": state, "usage": Usage(cost_usd=cost), "started_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return TurnRecord(**{**fields, **known})  # type: ignore[arg-type]  # the others do not matter


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: str(kind.__name__))
def test_records_are_frozen_and_made_by_keyword(kind: type) -> None:
    parameters = kind.__dataclass_params__  # type: ignore[attr-defined]  # of every dataclass
    assert parameters.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))


def test_the_states() -> None:
    assert ENDED_STATES == ("succeeded", "failed", "interrupted", "unknown")
    assert set(TURN_STATES) - set(ENDED_STATES) == {"started"}


@pytest.mark.parametrize(
    ("state", "cost", "unaccounted"),
    [
        ("started", None, False),
        ("succeeded", None, True),
        ("succeeded", Decimal(0), False),
        ("interrupted", None, True),
        ("failed", Decimal("0.5"), False),
    ],
)
def test_an_ended_turn_of_unknown_cost_is_unaccounted(
    state: str, cost: Decimal | None, unaccounted: bool
) -> None:
    assert record(state, cost).unaccounted is unaccounted


def test_a_turn_can_be_copied_and_pickled() -> None:
    turn = record("succeeded", None)
    assert copy.deepcopy(turn) == pickle.loads(pickle.dumps(turn)) == turn


def test_our_store_is_one() -> None:
    promised = {name for name in vars(Store) if not name.startswith("_")}
    assert promised <= {*dir(SQLiteStore), "url"}
    store: Store = SQLiteStore("memory:", None)
    assert store.url == "memory:"
    store.close()
