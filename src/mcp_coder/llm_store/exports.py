"""The export format: records come in and lines of JSON go out, or lines come in and records go out.

A manifest, then the sessions, each followed by its turns with their whole responses and event logs, then a last line
with the counts. How lines are numbered and checked is known to ``export_lines``, how records are written to
``export_records``. One turn is held at a time. Nothing here does I/O.

What a newer minor version wrote is read, and what is not known is told by name; a newer major version is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from mcp_coder.llm_store.export_lines import Flaw, Frame, LineWriter, fields_of, frames
from mcp_coder.llm_store.export_records import (
    session_from,
    session_json,
    turn_from,
    turn_json,
    unknown_fields,
)

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import SessionRecord, TurnRecord
    from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "ExportWriter",
    "ExportedSession",
    "ExportedTurn",
    "Flaw",
    "Item",
    "Manifest",
    "Unknown",
    "read_export",
]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What an export says of itself.

    Attributes:
        version: of the format.
        made_at: when, as it stands there; ``mcp_coder_version`` by which version of ours.
        sessions, turns: how many are to come, as far as was known when it was begun.
    """

    version: str
    made_at: str
    mcp_coder_version: str
    sessions: int
    turns: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportedSession:
    """A session of an export.

    Attributes:
        line: where it stands.
        session: its record.
        parent_turn_id: the last turn that it shares with its parent, where it is a fork and has turns.
    """

    line: int
    session: SessionRecord
    parent_turn_id: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportedTurn:
    """A turn of an export, with its whole response and what the agent printed; ``line``: where it stands."""

    line: int
    turn: TurnRecord
    response: LLMResponseDict | None
    events: Sequence[Mapping[str, object]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """What this version does not know and leaves out, by name."""

    names: tuple[str, ...]


Item = Manifest | ExportedSession | ExportedTurn | Flaw | Unknown


class ExportWriter:
    """Makes the lines of one export, in the order in which they are asked for.

    Attributes:
        sessions, turns: how many were written.

    Example::

        writer = ExportWriter()
        file.write(writer.manifest(made_at=now, mcp_coder_version=__version__, sessions=1, turns=1))
        file.write(writer.session(session))
        file.write(writer.turn(turn, response, events))
        file.write(writer.end())
    """

    def __init__(self) -> None:
        self.sessions = 0
        self.turns = 0
        self._lines = LineWriter()

    def manifest(self, *, made_at: datetime, mcp_coder_version: str, sessions: int, turns: int) -> bytes:
        """Return the first line; ``sessions`` and ``turns`` say how many are to come."""
        return self._lines.manifest(
            {
                "made_at": made_at.astimezone(UTC).isoformat(),
                "mcp_coder_version": mcp_coder_version,
                "sessions": sessions,
                "turns": turns,
            }
        )

    def session(self, session: SessionRecord, *, parent_turn_id: str | None = None) -> bytes:
        """Return the line of a session; the lines of its turns follow it."""
        self.sessions += 1
        return self._lines.value("session", {**session_json(session), "parent_turn_id": parent_turn_id})

    def turn(
        self, turn: TurnRecord, response: LLMResponseDict | None, events: Sequence[Mapping[str, object]]
    ) -> bytes:
        """Return the line of a turn.

        Raises:
            ValueError, TypeError: it holds what JSON cannot.
        """
        self.turns += 1
        return self._lines.value("turn", {**turn_json(turn), "response": response, "events": list(events)})

    def end(self) -> bytes:
        """Return the last line."""
        return self._lines.end({"sessions": self.sessions, "turns": self.turns})


def read_export(lines: Iterable[bytes]) -> Iterator[Item]:
    """Return what the lines of an export hold, in their order, and what is wrong with them.

    Raises:
        UnsupportedVersionError: it was written by a newer major version.

    Example::

        with open("sessions.jsonl", "rb") as file:
            turns = [item.turn for item in read_export(file) if isinstance(item, ExportedTurn)]
    """
    for found in frames(lines):
        if isinstance(found, Flaw):
            yield found
        elif found.kind != "end":
            yield from _items(found)


def _items(frame: Frame) -> Iterator[Item]:
    read = _READERS.get(frame.kind)
    if read is None:
        yield Unknown(names=(frame.kind,))
        return
    try:
        fields = fields_of(frame)
        yield read(frame.line, fields)
    except ValueError as exc:
        yield Flaw(line=frame.line, reason=f"cannot be read: {frame.kind}: {exc}", damage=False)
        return
    unknown = unknown_fields(fields, of=frame.kind)
    if unknown:
        yield Unknown(names=unknown)


def _manifest(_line: int, fields: Mapping[str, object]) -> Item:
    return Manifest(
        version=str(fields["mcp_coder_export"]),
        made_at=str(fields.get("made_at", "")),
        mcp_coder_version=str(fields.get("mcp_coder_version", "")),
        sessions=_number(fields, "sessions"),
        turns=_number(fields, "turns"),
    )


def _number(fields: Mapping[str, object], key: str) -> int:
    found = fields.get(key)
    return found if isinstance(found, int) else 0


def _session(line: int, fields: Mapping[str, object]) -> Item:
    parent = fields.get("parent_turn_id")
    return ExportedSession(
        line=line, session=session_from(fields), parent_turn_id=parent if isinstance(parent, str) else None
    )


def _turn(line: int, fields: Mapping[str, object]) -> Item:
    response, events = fields.get("response"), fields.get("events")
    if not (response is None or isinstance(response, dict)):
        raise ValueError("response: is no JSON object")
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise ValueError("events: is no list of JSON objects")
    return ExportedTurn(
        line=line, turn=turn_from(fields), response=cast("LLMResponseDict | None", response), events=events
    )


_READERS: Mapping[str, Callable[[int, Mapping[str, object]], Item]] = {
    "manifest": _manifest,
    "session": _session,
    "turn": _turn,
}
