"""Records without what must not be written, for those who bring them from elsewhere or take them away.

A record and what knows secrets come in, the same record without them goes out, with how many were taken out. Prompts,
answers, errors, options and all that the agent printed are looked through; ids, names and places never. Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import SessionRecord, TurnRecord
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["Redacts", "WholeTurn", "redacted_session", "redacted_turn"]


class Redacts(Protocol):
    """What takes secrets out of decoded values and texts, and says how many there were."""

    def value(self, value: object) -> tuple[object, int]:
        """Return a value of JSON's types without its secrets."""

    def text(self, text: str) -> tuple[str, int]:
        """Return a text without its secrets."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WholeTurn:
    """A turn with what is long in it."""

    turn: TurnRecord
    response: LLMResponseDict | None
    events: Sequence[Mapping[str, object]]


def redacted_session(session: SessionRecord, redactor: Redacts) -> tuple[SessionRecord, int]:
    """Return a session without secrets in its title, and how many were taken out."""
    title, count = redactor.text(session.title)
    return dataclasses.replace(session, title=title), count


def redacted_turn(whole: WholeTurn, redactor: Redacts) -> tuple[WholeTurn, int]:
    """Return a turn without secrets, and how many were taken out; they are added to its own count."""
    turn = whole.turn
    found = {
        "prompt": turn.prompt,
        "text": turn.text,
        "error": turn.error,
        "options": turn.options,
        "notices": list(turn.notices),
        "response": whole.response,
        "events": list(whole.events),
    }
    clean, count = redactor.value(found)
    if not count:
        return whole, 0
    fields = cast("dict[str, Any]", clean)
    response, events = fields.pop("response"), fields.pop("events")
    fields |= {"notices": tuple(fields["notices"]), "redactions": turn.redactions + count}
    return WholeTurn(turn=dataclasses.replace(turn, **fields), response=response, events=events), count
