"""Records for the tests of exports: plain ones to change, and odd ones made by hypothesis."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

from hypothesis import strategies as st

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import TURN_STATES, NewTurn, SessionRecord, Store, TurnEnding, TurnRecord
from mcp_coder.llm_types import LLMResponseDict

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SESSION_ID = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"


def session(**changes: Any) -> SessionRecord:
    plain = SessionRecord(
        session_id=SESSION_ID,
        provider="claude",
        native_id=SESSION_ID,
        title="My favorite color is blue",
        cwd="/home/dev/project",
        project="/home/dev/project",
        created_at=NOON,
        updated_at=NOON + timedelta(seconds=5),
        turns=1,
        cost_usd=Decimal("0.049283999999999994"),
        unrecorded_usd=Decimal(0),
    )
    return dataclasses.replace(plain, **changes)


def turn(**changes: Any) -> TurnRecord:
    plain = TurnRecord(
        turn_id="019c1410-6400-7000-8000-000000000001",
        session_id=SESSION_ID,
        number=1,
        parent_turn_id=None,
        state="succeeded",
        provider="claude",
        method="cli",
        prompt="My favorite color is blue",
        text="Noted: blue",
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=5),
        error=None,
        usage=Usage(input_tokens=10, output_tokens=3, cost_usd=Decimal("0.05"), models=()),
        reading=1,
        model="claude-opus-5-5",
        native_id=SESSION_ID,
        point="ef913655-086e-4bb9-a36b-4f519cc55b52",
        cwd="/home/dev/project",
        config_dir="/home/dev/.claude",
        agent_version="2.1.330",
        mcp_coder_version="0.1.0",
        host="box",
        directory=None,
        options={},
        counter=None,
        baseline=None,
        carried=(),
        notices=(),
        redactions=0,
    )
    return dataclasses.replace(plain, **changes)


def response(text: str = "Noted: blue", **changes: Any) -> LLMResponseDict:
    plain: dict[str, object] = {
        "version": "1.0",
        "timestamp": "2026-01-31T12:00:05+00:00",
        "text": text,
        "session_id": SESSION_ID,
        "method": "cli",
        "provider": "claude",
        "raw_response": {"type": "result", "result": text, "total_cost_usd": 0.049283999999999994},
    }
    return cast("LLMResponseDict", plain | changes)


# --- odd ones

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

# Two halves side by side would come back as one character; nothing that was read from JSON holds them.
odd_texts = st.text(st.characters(), max_size=30).filter(lambda text: not _PAIR.search(text))
ids = st.uuids().map(str)
counts = st.integers(0, 2**63 - 1)
dollars = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**8), max_value=10**8, places=12
) | st.floats(0, 1e8, allow_subnormal=False).map(lambda number: Decimal(str(number)))
moments = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - what hypothesis takes
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))]),
    max_value=datetime(9998, 1, 1),  # noqa: DTZ001
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(odd_texts, json_values, max_size=3)
token_counts: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(
    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), counts
)
models = st.builds(ModelUsage, model=odd_texts, cost_usd=st.none() | dollars, **token_counts)
usages = st.builds(
    Usage,
    **token_counts,
    thinking_tokens=st.none() | counts,
    cost_usd=st.none() | dollars,
    total_cost_usd=st.none() | dollars,
    basis=st.sampled_from(["cumulative", "per_process", "unknown"]),
    baseline_usd=st.none() | dollars,
    unrecorded_usd=st.none() | dollars,
    models=st.lists(models, max_size=2).map(tuple),
)
maybe_texts = st.none() | odd_texts
texts = st.lists(odd_texts, max_size=2).map(tuple)
sessions = st.builds(
    SessionRecord,
    session_id=ids,
    provider=odd_texts,
    native_id=st.none() | ids,
    name=maybe_texts,
    title=odd_texts,
    tags=texts,
    cwd=maybe_texts,
    project=maybe_texts,
    config_dir=maybe_texts,
    parent_id=st.none() | ids,
    parent_turn=st.none() | counts,
    created_at=moments,
    updated_at=moments,
    turns=counts,
    cost_usd=dollars,
    unaccounted_turns=counts,
    unrecorded_usd=dollars,
    **token_counts,
)
turns = st.builds(
    TurnRecord,
    turn_id=ids,
    session_id=ids,
    number=counts,
    parent_turn_id=st.none() | ids,
    state=st.sampled_from(TURN_STATES),
    provider=odd_texts,
    method=odd_texts,
    prompt=odd_texts,
    text=odd_texts,
    started_at=moments,
    ended_at=moments,
    error=st.none() | objects,
    usage=usages,
    reading=counts,
    model=maybe_texts,
    native_id=st.none() | ids,
    point=st.none() | ids,
    cwd=maybe_texts,
    config_dir=maybe_texts,
    agent_version=odd_texts,
    mcp_coder_version=odd_texts,
    host=odd_texts,
    directory=maybe_texts,
    options=objects,
    counter=st.none() | objects,
    baseline=st.none() | objects,
    carried=st.lists(ids, max_size=2).map(tuple),
    notices=texts,
    redactions=counts,
)
events = st.lists(objects, max_size=3)


# --- in a store


def halves(
    record: TurnRecord, answer: LLMResponseDict | None = None, printed: Sequence[Mapping[str, object]] = ()
) -> tuple[NewTurn, TurnEnding]:
    """Return how a turn of a record begins and ends."""
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    begun = {field.name: fields[field.name] for field in dataclasses.fields(NewTurn) if field.name in fields}
    ended = {
        field.name: fields[field.name] for field in dataclasses.fields(TurnEnding) if field.name in fields
    }
    return NewTurn(**begun), TurnEnding(**{**ended, "redactions": 0, "response": answer, "events": printed})


def add_turn(store: Store, answer: LLMResponseDict | None = None, **changes: Any) -> TurnRecord:
    """Record a turn; its id and time are those of its place."""
    place = sum(1 for _ in store.turns(changes.get("session_id", SESSION_ID)))
    started = NOON + timedelta(minutes=place)
    about = {
        "turn_id": f"019c1410-6400-7000-8000-{place:012}",
        "started_at": started,
        "ended_at": started + timedelta(seconds=5),
        "point": f"point-{place}",
    }
    record = turn(**{**about, **changes})
    store.import_turn(*halves(record, answer, [{"type": "result", "place": place}]))
    return store.turn(record.turn_id)


def contents(store: Store) -> dict[str, object]:
    """Return all that a store holds."""
    return {
        each.session_id: (
            each,
            [
                (record, store.response(record.turn_id), store.events(record.turn_id))
                for record in store.turns(each.session_id)
            ],
        )
        for each in store.sessions()
    }
