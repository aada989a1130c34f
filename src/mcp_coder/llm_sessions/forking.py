"""Fork a session from its record: a new id that shares the past up to a finished turn, before anything is asked.

No agent is started: the fork stands in the store and in a card, and its first turn begins it as the fork that it is.
"""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import InvalidRequestError, SessionError, SessionNotFoundError, StoreError
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.leases import Lease, lease_directory
from mcp_coder.llm_sessions.stores import not_recorded
from mcp_coder.llm_store.base import SessionRecord

if TYPE_CHECKING:
    from mcp_coder.llm_sessions.stores import Recording
    from mcp_coder.llm_store.base import Store, TurnRecord

__all__ = ["fork_session", "record_fork"]


def fork_session(store: Store, session_id: str, *, at: int | None = None) -> SessionRecord:
    """Begin a fork and return its record; prompting its id goes on with it.

    Args:
        store: the record of the session.
        session_id: the session to fork from.
        at: the number of the last turn that the fork shares; None: the last one that finished.

    Raises:
        SessionNotFoundError: there is no such session in the store.
        InvalidRequestError: there is no such turn, or it did not finish.
        SessionError: no finished turn of it is known, or the fork cannot be entered.

    Example::

        fork = fork_session(store, first["session_id"], at=2)
        prompt_llm("Another way, please", session_id=fork.session_id)
    """
    parent = store.session(session_id)
    turn = _last_shared_turn(store, session_id, at)
    fork = _record(parent, str(uuid.uuid4()), turn.number)
    _write_card(fork, turn)
    store.add_session(fork)
    return fork


def _last_shared_turn(store: Store, session_id: str, at: int | None) -> TurnRecord:
    for turn in store.turns(session_id, newest_first=True):
        if at is None and turn.point is not None:
            return turn
        if turn.number == at:
            if turn.point is None:
                raise InvalidRequestError(
                    f"turn {at} did not finish ({turn.state}), so nothing can be forked there; name another",
                    session_id=session_id,
                )
            return turn
    if at is not None:
        raise InvalidRequestError(f"session {session_id} has no turn {at}", session_id=session_id)
    raise SessionError(
        "no turn of this session that finished is known: nothing to fork", session_id=session_id
    )


def record_fork(recording: Recording, parent_id: str, fork_id: str, point: str) -> None:
    """Record a fork that begins at a native message, where its parent is recorded; it has no turn yet.

    Raises:
        StoreError: a named store cannot take it.
    """
    store = recording.store
    if store is None:
        return
    try:
        parent = store.session(parent_id)
        at = (turn.number for turn in store.turns(parent_id, newest_first=True) if turn.point == point)
        store.add_session(_record(parent, fork_id, next(at, None)))
    except SessionNotFoundError:
        return
    except StoreError as error:
        if recording.named:
            raise
        not_recorded(error)


def _record(parent: SessionRecord, fork_id: str, parent_turn: int | None) -> SessionRecord:
    now = datetime.now(UTC)
    return dataclasses.replace(
        parent,
        session_id=fork_id,
        native_id=None,
        name=None,
        tags=(),
        parent_id=parent.session_id,
        parent_turn=parent_turn,
        created_at=now,
        updated_at=now,
        turns=0,
        cost_usd=Decimal(0),
        unaccounted_turns=0,
        unrecorded_usd=Decimal(0),
        input_tokens=0,
        output_tokens=0,
        cache_read_tokens=0,
        cache_write_tokens=0,
    )


def _write_card(fork: SessionRecord, turn: TurnRecord) -> None:
    """Say where the fork begins: its first turn finds it there, whoever begins it."""
    card = Card(
        first_id=fork.session_id,
        native_id=fork.session_id,
        cwd=fork.cwd or "",
        config_dir=turn.config_dir or "",
        version=turn.agent_version,
        origin=turn.native_id or turn.session_id,
        origin_point=turn.point,
    )
    try:
        lease = Lease.take(lease_directory(turn.config_dir), fork.session_id, wait=0)
        try:
            lease.write_card(card)
        finally:
            lease.release()
    except OSError as error:
        raise SessionError(
            f"the fork's card cannot be written ({error})", session_id=fork.parent_id
        ) from error
