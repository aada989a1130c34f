"""The records of a store: frozen, made by keyword; what a turn's state and cost say together."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store import base
from mcp_coder.llm_store.base import ENDED_STATES, TURN_STATES, SessionFilter, Store, TurnRecord
from mcp_coder.llm_store.sqlite import SQLiteStore

RECORDS = [getattr(base, name) for name in base.__all__ if dataclasses.is_dataclass(getattr(base, name))]


def record(state: str, cost: Decimal | None) -> TurnRecord:
    fields = dict.fromkeys(field.name for field in dataclasses.fields(TurnRecord))
    known = {"state": state, "usage": Usage(cost_usd=cost), "started_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return TurnRecord(**{**fields, **known})  # type: ignore[arg-type]  # the others do not matter


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: str(kind.__name__))
def test_records_are_frozen_and_made_by_keyword(kind: type) -> None:
    record = kind(**dict.fromkeys(field.name for field in dataclasses.fields(kind)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, dataclasses.fields(kind)[0].name, "another")
    with pytest.raises(TypeError):
        kind("by position")


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


def test_records_are_equal_and_shown_by_their_fields() -> None:
    which, other = SessionFilter(tag="a"), SessionFilter(tag="b")
    assert which == SessionFilter(tag="a") != other
    assert which != "a"
    assert len({which, SessionFilter(tag="a"), other}) == 2
    shown = "SessionFilter(project=None, provider=None, tag='a', name=None, since=None, until=None, parent_id=None)"
    assert repr(which) == shown
    assert eval(shown) == which


def test_recording_loads_no_reports() -> None:
    code = "import sys, mcp_coder.llm_store.sqlite; print('mcp_coder.llm_store.reports' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_our_store_is_one() -> None:
    promised = {name for name in vars(Store) if not name.startswith("_")}
    assert promised <= {*dir(SQLiteStore), "url"}
    store: Store = SQLiteStore("memory:", None)
    assert store.url == "memory:"
    store.close()
