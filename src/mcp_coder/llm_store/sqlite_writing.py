"""What is written when a turn begins and ends and when a session is changed, within a transaction that is under way.

A connection in a write transaction and a record come in; rows are written. A turn is one row that is written twice,
at its beginning and at its end; nothing of other turns is touched. The session's row keeps the sums, in the same
transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mcp_coder.llm_errors import InvalidRequestError, SessionNotFoundError, StoreError
from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.base import ENDED_STATES, NewTurn, SessionRecord, TurnEnding, TurnRecord
from mcp_coder.llm_store.raw_dictionaries import CURRENT, raw_dictionary
from mcp_coder.llm_store.raw_records import raw_from
from mcp_coder.llm_store.rows import (
    begun_record,
    ending_row,
    model_rows,
    new_session_row,
    session_row,
    turn_row,
    usage_row,
)
from mcp_coder.llm_store.sqlite_ancestry import Past, past_of_fork, past_within
from mcp_coder.llm_store.sqlite_statements import run
from mcp_coder.llm_store.values import keys_for

__all__ = [
    "Ended",
    "add_session",
    "begin_turn",
    "delete_session",
    "discard_turn",
    "end_turn",
    "ended",
    "import_turn",
    "rename_session",
    "reread_turn",
    "tag_session",
]

_SUMMED = (
    "cost_nano",
    "unrecorded_nano",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)
"""What a session's row adds up over its turns, in the order of ``{summed}`` in ``queries.sql``."""

_BATCH = 16
_LONG = 20_000
"""How many turns are written into the index at a time; and from how many characters on a text is not left waiting."""


# --- the journal


def begin_turn(connection: sqlite3.Connection, turn: NewTurn) -> TurnRecord:
    """Write a turn as started, and its session if it is new. ``StoreError`` where there is such a turn."""
    session, number, parent_turn_id = _place_of(connection, turn)
    row = turn_row(turn)
    key = _free_key(connection, row["started_at"])
    place = {"turn": key, "session": session, "number": number, "parent_turn_id": parent_turn_id}
    try:
        run(connection, "insert_turn", {**row, **place})
    except sqlite3.IntegrityError as error:
        raise StoreError(f"there is a turn {turn.turn_id} already", turn_id=turn.turn_id) from error
    run(connection, "insert_texts", {"turn": key, "prompt": turn.prompt, "text": ""})
    return begun_record(turn, number, parent_turn_id)


def _free_key(connection: sqlite3.Connection, started_at: Any) -> int:
    """Return a key for a turn, behind those of the turns that began before it or at once with it."""
    first, last = keys_for(started_at)
    while True:
        (highest,) = run(connection, "highest_key", (first, last)).fetchone()
        if highest is None or highest < last:
            return first if highest is None else int(highest) + 1
        first, last = last + 1, last + 1 + last - first


def _key(inserted: sqlite3.Cursor) -> int:
    return inserted.lastrowid or 0


def _place_of(connection: sqlite3.Connection, turn: NewTurn) -> tuple[int, int, str | None]:
    """Return the key of a turn's session, made if it is new, the turn's number there, and the id of the turn before."""
    found = run(connection, "session_to_write", (turn.session_id,)).fetchone()
    if found is None:
        past = past_of_fork(connection, turn.parent_id, turn.parent_point)
        key = _key(run(connection, "insert_session", new_session_row(turn, 1, past.number)))
        return key, 1, past.turn_id
    key, last, parent_id, parent_turn = found
    past = _past(connection, turn, key, last, parent_id, parent_turn)
    row = new_session_row(turn, last + 1, None if last else past.number)
    run(connection, "session_goes_on", {**row, "session": key})
    return key, last + 1, past.turn_id


def _past(
    connection: sqlite3.Connection,
    turn: NewTurn,
    key: int,
    last: int,
    parent_id: str | None,
    parent_turn: int | None,
) -> Past:
    """Return the turn that one of a session that is there already goes on from."""
    if last:
        return past_within(connection, key, last)
    if parent_id is None or parent_turn is None:
        return past_of_fork(connection, parent_id or turn.parent_id, turn.parent_point)
    return past_of_fork(connection, parent_id, number=parent_turn)


class Ended(NamedTuple):
    """An ending, as rows: worked out before it is this writer's turn."""

    text: str
    row: Mapping[str, Any]
    models: Sequence[Mapping[str, object]]
    raw: bytes | None


def ended(ending: TurnEnding) -> Ended:
    """Return an ending as it will be written.

    Raises:
        InvalidRequestError: a turn does not end in that state; or something in it is not JSON.
    """
    if ending.state not in ENDED_STATES:
        raise InvalidRequestError(f"a turn ends as one of {', '.join(ENDED_STATES)}; not {ending.state!r}")
    try:
        raw = raw_from(ending.response, ending.events, raw_dictionary(CURRENT))
        return Ended(text=ending.text, row=ending_row(ending), models=model_rows(ending.usage), raw=raw)
    except (TypeError, RecursionError) as error:
        raise InvalidRequestError(f"this ending of a turn cannot be stored: {error}") from error


def end_turn(connection: sqlite3.Connection, turn_id: str, ending: Ended) -> bool:
    """Write how a turn ended; return False, and write nothing, where it had ended before."""
    key, session, _, state, *_ = _existing_turn(connection, turn_id)
    if state != "started":
        return False
    run(connection, "end_turn", {**ending.row, "turn": key})
    if ending.text:
        run(connection, "answer_text", {"turn": key, "text": ending.text})
    if ending.raw is not None:
        run(connection, "insert_raw", {"turn": key, "dictionary": CURRENT, "raw": ending.raw})
    _write_models(connection, key, ending.models)
    _follow_ending(connection, session, ending.row)
    _index_some(connection, ending.text)
    return True


def _follow_ending(connection: sqlite3.Connection, session: int, row: Mapping[str, Any]) -> None:
    change = {name: row[name] or 0 for name in _SUMMED}
    change["unaccounted_turns"] = int(row["cost_nano"] is None)
    _follow(connection, session, change, native_id=row["native_id"], ended_at=row["ended_at"])


def _index_some(connection: sqlite3.Connection, text: str) -> None:
    """Write the texts of ended turns into the index when they have become a batch.

    Written each for itself they would take as long as all the rest of a turn. Until then they are searched as they are,
    so that a long one is not left waiting.
    """
    (waiting,) = run(connection, "count_to_index").fetchone()
    if waiting >= _BATCH or len(text) > _LONG:
        run(connection, "index_texts")
        run(connection, "note_indexed")


def _write_models(connection: sqlite3.Connection, key: int, rows: Iterable[Mapping[str, object]]) -> None:
    for row in rows:
        run(connection, "insert_model", {**row, "turn": key})


def _follow(
    connection: sqlite3.Connection,
    session: int,
    change: Mapping[str, object],
    *,
    native_id: str | None = None,
    ended_at: object = 0,
) -> None:
    """Add to the sums of a session."""
    row = {**change, "session": session, "native_id": native_id, "ended_at": ended_at}
    run(connection, "session_sums_follow", row)


def discard_turn(connection: sqlite3.Connection, turn_id: str) -> None:
    """Remove a started turn, and its session where that was made with it."""
    found = _turn_to_write(connection, turn_id)
    if found is None:
        return
    key, session, _, state, *_ = found
    if state != "started":
        raise StoreError(f"the turn {turn_id} has ended; it is not taken back", turn_id=turn_id)
    run(connection, "delete_turn", {"turn": key})
    run(connection, "session_lost_turn", {"session": session})
    run(connection, "delete_session_left_empty", {"session": session})


def reread_turn(
    connection: sqlite3.Connection, turn_id: str, usage: Usage, *, reading: int, model: str | None
) -> None:
    """Replace what a turn used; its session's sums change by the difference."""
    key, session, _, state, *before = _existing_turn(connection, turn_id)
    if state == "started":
        raise StoreError(f"the turn {turn_id} has not ended; there is nothing to read again", turn_id=turn_id)
    row = usage_row(usage, reading, model)
    run(connection, "reread_turn", {**row, "turn": key})
    run(connection, "delete_models", {"turn": key})
    _write_models(connection, key, model_rows(usage))
    change = {name: _int(row[name]) - (old or 0) for name, old in zip(_SUMMED, before, strict=True)}
    change["unaccounted_turns"] = int(row["cost_nano"] is None) - int(before[0] is None)
    _follow(connection, session, change)


def _int(value: Any) -> int:
    return value or 0


def import_turn(connection: sqlite3.Connection, turn: NewTurn, ending: Ended) -> bool:
    """Write a whole turn; return False, and write nothing, where there is one of its id."""
    if _turn_to_write(connection, turn.turn_id) is not None:
        return False
    begin_turn(connection, turn)
    end_turn(connection, turn.turn_id, ending)
    return True


def _turn_to_write(connection: sqlite3.Connection, turn_id: str) -> Sequence[Any] | None:
    found: Sequence[Any] | None = run(connection, "turn_to_write", (turn_id,)).fetchone()
    return found


def _existing_turn(connection: sqlite3.Connection, turn_id: str) -> Sequence[Any]:
    found = _turn_to_write(connection, turn_id)
    if found is None:
        raise StoreError(f"there is no turn {turn_id}", turn_id=turn_id)
    return found


# --- sessions


def add_session(connection: sqlite3.Connection, session: SessionRecord) -> bool:
    """Write a session without turns; return False, and write nothing, where there is one of its id."""
    if run(connection, "session_to_write", (session.session_id,)).fetchone() is not None:
        return False
    key = _key(run(connection, "insert_session", session_row(session)))
    for tag in session.tags:
        run(connection, "add_tag", {"session": key, "tag": _checked_tag(tag)})
    return True


def rename_session(connection: sqlite3.Connection, session_id: str, name: str | None, url: str) -> None:
    """Write the name of a session, or that it has none."""
    key = _existing_session(connection, session_id, url)
    run(connection, "rename_session", {"session": key, "name": name or None})


def tag_session(
    connection: sqlite3.Connection, session_id: str, add: Sequence[str], remove: Sequence[str], url: str
) -> None:
    """Write the tags of a session."""
    key = _existing_session(connection, session_id, url)
    for tag in add:
        run(connection, "add_tag", {"session": key, "tag": _checked_tag(tag)})
    for tag in remove:
        run(connection, "remove_tag", {"session": key, "tag": tag})
    run(connection, "keep_session", {"session": key})


def _checked_tag(tag: str) -> str:
    if not tag.strip() or not tag.isprintable():
        raise InvalidRequestError(f"{tag!r} is no tag: a tag is a word or some, in one line")
    return tag


def delete_session(connection: sqlite3.Connection, session_id: str) -> bool:
    """Remove a session with all that hangs on it; its bytes are overwritten, their room is used again."""
    found = run(connection, "session_to_write", (session_id,)).fetchone()
    if found is None:
        return False
    run(connection, "overwrite_deleted")
    try:
        run(connection, "unindex_texts_of_session", {"session": found[0]})
        run(connection, "delete_session", {"session": found[0]})
    finally:
        run(connection, "overwrite_as_usual")
    return True


def _existing_session(connection: sqlite3.Connection, session_id: str, url: str) -> int:
    found = run(connection, "session_to_write", (session_id,)).fetchone()
    if found is None:
        raise SessionNotFoundError(
            f"there is no session {session_id} in the store {url}", searched=(url,), session_id=session_id
        )
    return int(found[0])
