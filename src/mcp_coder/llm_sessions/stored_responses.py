"""A response that was stored in a file, as a turn of its session: pure.

A response comes in, and what was read of its counters; the records of a turn go out. Its prompt is not known. Its id is
made from what it holds, so that the same response is always the same turn. What the file does not say stays empty.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_coder.llm_store.base import NewTurn, SessionRecord, TurnEnding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_coder.llm_sessions.records import Reading
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["StoredAnswer", "answer_key", "stored_answer", "time_of"]

_NOTICE = "imported from a stored response, which has no prompt"
_NO_ZONE = "its time was stored without a zone, and taken as UTC"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TITLE = 90
_LONGEST_TURN_MS = 7 * 24 * 3_600_000
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,199}")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StoredAnswer:
    """What a stored response says of its turn.

    Attributes:
        turn_id: made from the response, in the order of time as all ids of turns.
        session_id, provider, method, text: as the response has them.
        started_at: when the turn began, as far as that is known; ``ended_at`` when the answer was there.
        zoned: whether the response said in which zone that was.
        version, cwd: of the agent's program, and where it ran; empty and None where the response does not say.
        events: what of the agent's own words is in it.
        response: the response.
        redactions: how many secrets were taken out of the text and the response.
    """

    turn_id: str
    session_id: str
    provider: str
    method: str
    text: str
    started_at: datetime
    ended_at: datetime
    zoned: bool
    version: str
    cwd: str | None
    events: Sequence[Mapping[str, object]]
    response: LLMResponseDict
    redactions: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells this answer from all others of its session."""
        return answer_key(self.response)

    def session(self) -> SessionRecord:
        """Return the session's record, for a store that has none; the answer stands in for its first prompt."""
        line = " ".join(self.text.split())
        shown = line if len(line) <= _LONGEST_TITLE else line[: _LONGEST_TITLE - 1] + "…"
        return SessionRecord(
            session_id=self.session_id,
            provider=self.provider,
            title=f"(answer) {shown}".rstrip(),
            cwd=self.cwd,
            created_at=self.started_at,
            updated_at=self.ended_at,
            cost_usd=Decimal(0),
            unrecorded_usd=Decimal(0),
        )

    def turn(self, reading: Reading) -> tuple[NewTurn, TurnEnding]:
        """Return how the turn began and ended, with what was read of its counters."""
        begun = NewTurn(
            turn_id=self.turn_id,
            session_id=self.session_id,
            provider=self.provider,
            method=self.method,
            prompt="",
            started_at=self.started_at,
            native_id=reading.finish.native_id,
            cwd=self.cwd,
            model=reading.model,
            agent_version=self.version,
        )
        ending = TurnEnding(
            state="succeeded",
            ended_at=self.ended_at,
            text=self.text,
            response=self.response,
            usage=reading.usage,
            reading=reading.version,
            model=reading.model,
            native_id=reading.finish.native_id,
            point=reading.finish.point if reading.finish.answered else None,
            counter=reading.counter,
            notices=(_NOTICE,) if self.zoned else (_NOTICE, _NO_ZONE),
            redactions=self.redactions,
        )
        return begun, ending


def answer_key(response: LLMResponseDict) -> tuple[str, str]:
    """Return what tells an answer from all others of its session: when it was given, and its id or else its text."""
    found: Mapping[str, object] = dict(response)
    raw = _mapping(found, "raw_response")
    told = _text(raw, "uuid") or _text(_mapping(raw, "result_info"), "uuid") or _text(found, "text")
    return str(found.get("timestamp")), told


def stored_answer(response: LLMResponseDict) -> StoredAnswer:
    """Return what a stored response says of its turn.

    Raises:
        ValueError: it cannot become a turn; the message says why.
    """
    found: Mapping[str, object] = dict(response)
    session_id = found.get("session_id")
    if session_id is None:
        raise ValueError("it belongs to no session: it has no session_id")
    if not isinstance(session_id, str) or not _ID.fullmatch(session_id):
        raise ValueError("its session_id is no id")
    ended_at, zoned = _time(found.get("timestamp"))
    raw = _mapping(found, "raw_response")
    started_at = ended_at - _duration(raw)
    about = _mapping(raw, "session_info")
    return StoredAnswer(
        turn_id=_turn_id(found, started_at),
        session_id=session_id,
        provider=_text(found, "provider"),
        method=_text(found, "method"),
        text=_text(found, "text"),
        started_at=started_at,
        ended_at=ended_at,
        zoned=zoned,
        version=_text(about, "version"),
        cwd=_text(about, "cwd") or None,
        events=_events(raw),
        response=response,
    )


def time_of(response: LLMResponseDict) -> datetime:
    """Return when an answer was given; the earliest moment there is where that is not told."""
    try:
        return _time(dict(response).get("timestamp"))[0]
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _time(found: object) -> tuple[datetime, bool]:
    try:
        time = datetime.fromisoformat(found if isinstance(found, str) else "")
        zoned = time.tzinfo is not None
        time = time.astimezone(UTC) if zoned else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise ValueError("its timestamp is no time") from exc
    if time < _EPOCH + timedelta(milliseconds=_LONGEST_TURN_MS):
        raise ValueError("its timestamp is no time of an answer")
    return time, zoned


def _duration(raw: Mapping[str, object]) -> timedelta:
    """Return how long the turn took, where the agent said."""
    result = _mapping(raw, "result_info") or raw
    milliseconds = result.get("duration_ms")
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        return timedelta()
    return timedelta(milliseconds=milliseconds) if 0 < milliseconds < _LONGEST_TURN_MS else timedelta()


def _events(raw: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """Return what of the agent's words is kept: by the SDK all messages, by the program its result."""
    messages = raw.get("raw_messages")
    if isinstance(messages, list):
        return tuple(message for message in messages if isinstance(message, dict))
    result = _mapping(raw, "result_info")
    return ({"type": "result", **result},) if result else (raw,) if raw else ()


def _mapping(found: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _text(found: Mapping[str, object], key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""


def _turn_id(response: Mapping[str, object], started_at: datetime) -> str:
    """Return a UUID of version 7 of this moment whose random bits are a hash of the response."""
    try:
        text = json.dumps(response, sort_keys=True, separators=(",", ":"))
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    milliseconds, rest = divmod((started_at - _EPOCH) // timedelta(microseconds=1), 1000)
    high = (milliseconds << 16) | (7 << 12) | (rest << 12) // 1000
    low = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 2
    digits = f"{(high << 64) | (0b10 << 62) | low:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
