"""The records of a store as plain JSON, and back: what stands in the lines of an export.

A record comes in, a dict of JSON's own types goes out; the other way each field is checked, so that a file from
elsewhere cannot bring anything into a store that its own code would not have written. Nothing is lost on the way:
dollars are exact decimals as text, times ISO 8601 in UTC. Fields that a newer version wrote are told by name. Nothing
here does I/O.

To add a field: its row in the table of its record.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import TURN_STATES, SessionRecord, TurnRecord

__all__ = ["session_from", "session_json", "turn_from", "turn_json", "unknown_fields"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """How a value is written, and how it is read; reading raises ``ValueError`` with what it should be."""

    write: Callable[[Any], object]
    read: Callable[[object], object]


def session_json(session: SessionRecord) -> dict[str, object]:
    """Return a session as plain JSON."""
    return _written(session, _SESSION)


def turn_json(turn: TurnRecord) -> dict[str, object]:
    """Return a turn as plain JSON, without its response and events."""
    return _written(turn, _TURN)


def session_from(found: object) -> SessionRecord:
    """Return the session that this is.

    Raises:
        ValueError: it is none; the message names the field.
    """
    return SessionRecord(**_read(found, _SESSION))


def turn_from(found: object) -> TurnRecord:
    """Return the turn that this is.

    Raises:
        ValueError: it is none; the message names the field.
    """
    turn = TurnRecord(**_read(found, _TURN))
    if turn.state not in TURN_STATES:
        raise ValueError(f"state: {turn.state[:40]!r} is none of {', '.join(TURN_STATES)}")
    if turn.state != "started" and turn.ended_at is None:
        raise ValueError("ended_at: a turn that has ended needs a time")
    return turn


def unknown_fields(found: Mapping[str, object], *, of: str) -> tuple[str, ...]:
    """Return the fields of a ``"manifest"``, ``"session"`` or ``"turn"`` (``of``) that this version does not know."""
    known = _KNOWN[of]
    unknown = [f"{of}.{name}" for name in found if name not in known]
    usage = found.get("usage")
    if of == "turn" and isinstance(usage, Mapping):
        unknown += [f"turn.usage.{name}" for name in usage if name not in _USAGE]
    return tuple(unknown)


def _written(record: object, table: Mapping[str, _Kind]) -> dict[str, object]:
    return {name: kind.write(getattr(record, name)) for name, kind in table.items()}


def _read(found: object, table: Mapping[str, _Kind]) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise ValueError("is no JSON object")  # noqa: TRY004 - the file is wrong, not the argument's type
    values = {}
    for name, kind in table.items():
        if name not in found:
            raise ValueError(f"{name}: is missing")
        try:
            values[name] = kind.read(found[name])
        except ValueError as exc:
            raise ValueError(f"{name}: {exc}") from exc
    return values


# --- kinds of values


def _as_it_is(value: object) -> object:
    return value


def _only(kind: type, what: str) -> Callable[[object], object]:
    def read(found: object) -> object:
        if not isinstance(found, kind) or isinstance(found, bool):
            raise ValueError(f"is no {what}")  # noqa: TRY004 - as above
        return found

    return read


_text = _only(str, "text")

_MOST = 2**63 - 1
"""The largest number that every store can hold."""


def _count(found: object) -> object:
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _MOST:
        raise ValueError("is no whole number from 0 on")
    return found


_NO_ID = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff/\\]|^-|^\.|^$")
_LONGEST_ID = 200


def _id(found: object) -> object:
    """Ids come to stand in command lines and file names: one that could be an option or a path is none."""
    if not isinstance(found, str) or len(found) > _LONGEST_ID or _NO_ID.search(found):
        raise ValueError("is no id")
    return found


def _write_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()


def _time(found: object) -> datetime:
    try:
        time = datetime.fromisoformat(str(found))
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("is no time with its UTC offset")


_DECIMAL = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,4})?")


def _dollars(found: object) -> Decimal:
    if not isinstance(found, str) or not _DECIMAL.fullmatch(found):
        raise ValueError("is no decimal number as text")
    return Decimal(found)


def _sequence(kind: _Kind) -> _Kind:
    def read(found: object) -> object:
        if not isinstance(found, list):
            raise ValueError("is no list")  # noqa: TRY004 - as above
        return tuple(kind.read(item) for item in found)

    def write(items: Sequence[object]) -> object:
        return [kind.write(item) for item in items]

    return _Kind(write, read)


def _or_null(kind: _Kind) -> _Kind:
    return _Kind(
        lambda value: None if value is None else kind.write(value),
        lambda found: None if found is None else kind.read(found),
    )


def _record(cls: Callable[..., object], table: Mapping[str, _Kind]) -> _Kind:
    return _Kind(lambda record: _written(record, table), lambda found: cls(**_read(found, table)))


_TEXT = _Kind(_as_it_is, _text)
_COUNT = _Kind(_as_it_is, _count)
_ID = _Kind(_as_it_is, _id)
_TIME = _Kind(_write_time, _time)
_DOLLARS = _Kind(str, _dollars)
_OBJECT = _Kind(dict, _only(dict, "JSON object"))
_TEXTS = _sequence(_TEXT)

# --- records: a row for each field

_TOKENS = {
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "cache_read_tokens": _COUNT,
    "cache_write_tokens": _COUNT,
}

_MODEL_USAGE = {"model": _TEXT, **_TOKENS, "cost_usd": _or_null(_DOLLARS)}

_USAGE = {
    **_TOKENS,
    "thinking_tokens": _or_null(_COUNT),
    "cost_usd": _or_null(_DOLLARS),
    "total_cost_usd": _or_null(_DOLLARS),
    "basis": _TEXT,
    "baseline_usd": _or_null(_DOLLARS),
    "unrecorded_usd": _or_null(_DOLLARS),
    "models": _sequence(_record(ModelUsage, _MODEL_USAGE)),
}

_SESSION = {
    "session_id": _ID,
    "provider": _TEXT,
    "native_id": _or_null(_ID),
    "name": _or_null(_TEXT),
    "title": _TEXT,
    "tags": _TEXTS,
    "cwd": _or_null(_TEXT),
    "project": _or_null(_TEXT),
    "config_dir": _or_null(_TEXT),
    "parent_id": _or_null(_ID),
    "parent_turn": _or_null(_COUNT),
    "created_at": _TIME,
    "updated_at": _TIME,
    "turns": _COUNT,
    "cost_usd": _DOLLARS,
    "unaccounted_turns": _COUNT,
    "unrecorded_usd": _DOLLARS,
    **_TOKENS,
}

_TURN = {
    "turn_id": _ID,
    "session_id": _ID,
    "number": _COUNT,
    "parent_turn_id": _or_null(_ID),
    "state": _TEXT,
    "provider": _TEXT,
    "method": _TEXT,
    "prompt": _TEXT,
    "text": _TEXT,
    "started_at": _TIME,
    "ended_at": _or_null(_TIME),
    "error": _or_null(_OBJECT),
    "usage": _record(Usage, _USAGE),
    "reading": _COUNT,
    "model": _or_null(_TEXT),
    "native_id": _or_null(_ID),
    "point": _or_null(_ID),
    "cwd": _or_null(_TEXT),
    "config_dir": _or_null(_TEXT),
    "agent_version": _TEXT,
    "mcp_coder_version": _TEXT,
    "host": _TEXT,
    "directory": _or_null(_TEXT),
    "options": _OBJECT,
    "counter": _or_null(_OBJECT),
    "baseline": _or_null(_OBJECT),
    "carried": _sequence(_ID),
    "notices": _TEXTS,
    "redactions": _COUNT,
}

# The names that may stand in a line, those beside its record included.
_KNOWN: Mapping[str, Collection[str]] = {
    "manifest": {"mcp_coder_export", "line", "made_at", "mcp_coder_version", "sessions", "turns"},
    "session": {*_SESSION, "parent_turn_id"},
    "turn": {*_TURN, "response", "events"},
}
