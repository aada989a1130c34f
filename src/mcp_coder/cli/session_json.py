"""What ``sessions`` and ``usage`` print with ``--json``: records -> documents -> text.

The shapes are stable: keys are added, never renamed or taken away. Dollars are numbers, as many digits as are known, or
null where they are unknown; times are ISO 8601 in UTC. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_coder.cli.tables import MARK, UNMARK

if TYPE_CHECKING:
    from mcp_coder.cli.tools_used import ToolCall
    from mcp_coder.llm_events import ModelUsage, Usage
    from mcp_coder.llm_store.base import (
        SearchHit,
        SessionRecord,
        StoreReport,
        TurnRecord,
        UsageReport,
        UsageRow,
    )

__all__ = [
    "Document",
    "array_pieces",
    "hit_document",
    "json_text",
    "session_document",
    "show_document",
    "store_document",
    "turn_document",
    "usage_document",
]

Document = dict[str, object]


def json_text(document: object) -> str:
    """Return a document as readable JSON, with a line feed at its end.

    >>> print(json_text({"cost_usd": Decimal("0.00063")}), end="")
    {
      "cost_usd": 0.00063
    }
    """
    return json.dumps(document, indent=2, ensure_ascii=False, default=_number) + "\n"


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)  # written back with the shortest digits that mean it: those of any sum of dollars
    raise TypeError(f"{type(value).__name__} is not JSON")


def array_pieces(documents: Iterable[object], *, indent: str = "") -> Iterator[str]:
    """Yield the text of a JSON array piece by piece, so that a long one is never held whole.

    >>> "".join(array_pieces([1, 2]))
    '[\\n  1,\\n  2\\n]'
    """
    opening = "["
    for document in documents:
        text = json_text(document).rstrip("\n").replace("\n", f"\n{indent}  ")
        yield f"{opening}\n{indent}  {text}"
        opening = ","
    yield "[]" if opening == "[" else f"\n{indent}]"


def session_document(session: SessionRecord) -> Document:
    """Return a session as ``sessions list --json`` shows it."""
    return {
        "session_id": session.session_id,
        "name": session.name,
        "title": session.title,
        "tags": list(session.tags),
        "provider": session.provider,
        "native_id": session.native_id,
        "project": session.project,
        "cwd": session.cwd,
        "parent_id": session.parent_id,
        "parent_turn": session.parent_turn,
        "created_at": _time(session.created_at),
        "updated_at": _time(session.updated_at),
        "turns": session.turns,
        "cost_usd": session.cost_usd,
        "unaccounted_turns": session.unaccounted_turns,
        "unrecorded_usd": session.unrecorded_usd,
        "tokens": _tokens(session),
    }


def show_document(session: SessionRecord) -> Document:
    """Return a session as ``sessions show --json`` begins it: its ``turns`` are the turns themselves."""
    document = session_document(session)
    return {("turn_count" if key == "turns" else key): value for key, value in document.items()}


def turn_document(turn: TurnRecord, calls: Sequence[ToolCall] = ()) -> Document:
    """Return a turn as ``sessions show --json`` shows it."""
    return {
        "number": turn.number,
        "turn_id": turn.turn_id,
        "state": turn.state,
        "prompt": turn.prompt,
        "text": turn.text,
        "error": None if turn.error is None else dict(turn.error),
        "started_at": _time(turn.started_at),
        "ended_at": _time(turn.ended_at),
        "seconds": _seconds(turn),
        "cost_usd": turn.usage.cost_usd,
        "unaccounted": turn.unaccounted,
        "unrecorded_usd": turn.usage.unrecorded_usd,
        "tokens": {**_tokens(turn.usage), "thinking": turn.usage.thinking_tokens},
        "model": turn.model,
        "models": [_model_document(model) for model in turn.usage.models],
        "method": turn.method,
        "tools": tools_document(calls),
        "agent_version": turn.agent_version,
        "mcp_coder_version": turn.mcp_coder_version,
        "cwd": turn.cwd,
        "host": turn.host,
        "notices": list(turn.notices),
        "carried": list(turn.carried),
        "redactions": turn.redactions,
    }


def tools_document(calls: Sequence[ToolCall]) -> list[Document]:
    """Return which tools were used, how often, and how often in vain, in the order of their first use."""
    names = dict.fromkeys(call.name for call in calls)
    return [
        {
            "name": name,
            "calls": sum(call.name == name for call in calls),
            "errors": sum(call.name == name and call.failed for call in calls),
        }
        for name in names
    ]


def hit_document(hit: SearchHit, session: SessionRecord | None) -> Document:
    """Return a turn that was found; ``highlights`` are where in ``snippet`` the words begin and end."""
    snippet, highlights = _places(hit.snippet)
    return {
        "session_id": hit.session_id,
        "name": None if session is None else session.name,
        "project": None if session is None else session.project,
        "turn_id": hit.turn_id,
        "number": hit.number,
        "started_at": _time(hit.started_at),
        "snippet": snippet,
        "highlights": highlights,
    }


def usage_document(report: UsageReport, **about: object) -> Document:
    """Return sums as ``usage --json`` shows them; ``about`` says what they were made of."""
    return {**about, "rows": [_usage_row(row) for row in report.rows], "total": _usage_row(report.total)}


def store_document(report: StoreReport, **about: object) -> Document:
    """Return what a check found."""
    return {
        **about,
        "sound": not report.problems,
        "problems": list(report.problems),
        "notes": list(report.notes),
        "size_bytes": report.size_bytes,
        "sessions": report.sessions,
        "turns": report.turns,
        "unfinished": report.unfinished,
    }


def _usage_row(row: UsageRow) -> Document:
    return {
        "key": row.key,
        "turns": row.turns,
        "cost_usd": row.cost_usd,
        "unaccounted_turns": row.unaccounted_turns,
        "unrecorded_usd": row.unrecorded_usd,
        "tokens": _tokens(row),
        **({"models": [_usage_row(model) for model in row.models]} if row.models else {}),
    }


def _model_document(model: ModelUsage) -> Document:
    return {"model": model.model, "cost_usd": model.cost_usd, "tokens": _tokens(model)}


def _tokens(counts: SessionRecord | UsageRow | Usage | ModelUsage) -> Document:
    return {
        "input": counts.input_tokens,
        "output": counts.output_tokens,
        "cache_read": counts.cache_read_tokens,
        "cache_write": counts.cache_write_tokens,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _seconds(turn: TurnRecord) -> float | None:
    return None if turn.ended_at is None else round((turn.ended_at - turn.started_at).total_seconds(), 3)


def _places(marked: str) -> tuple[str, list[list[int]]]:
    """Return a text without the marks of what was found, and where that is."""
    text, *found = marked.split(MARK)
    places = []
    for piece in found:
        word, _, rest = piece.partition(UNMARK)
        places.append([len(text), len(text) + len(word)])
        text += word + rest
    return text, places
