"""One turn, whole, as a page for people: what is known of it, its calls of tools, the prompt and the answer.

A record comes in, text goes out. Lines and indentation stay as they were written; other control characters are left
out, so that nothing that an agent wrote moves the cursor. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_coder.cli.render import money, one_line, report_lines
from mcp_coder.cli.session_tables import clock, counted, tokens, took, turn_state

if TYPE_CHECKING:
    from datetime import tzinfo

    from mcp_coder.cli.tools_used import ToolCall
    from mcp_coder.llm_store.base import TurnRecord

__all__ = ["turn_page", "without_controls"]

_LINE_END = re.compile(r"\r\n?|[\u2028\u2029\x85]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_LONGEST_DETAIL = 200


def without_controls(text: str) -> str:
    r"""Return a text that can be shown on a terminal as it is: with its lines and tabs, and no other control character.

    >>> without_controls("one\r\n\ttwo\x1b[2J")
    'one\n\ttwo[2J'
    """
    return _CONTROL.sub("", _LINE_END.sub("\n", text))


def turn_page(turn: TurnRecord, calls: Sequence[ToolCall], zone: tzinfo) -> str:
    """Return a turn as a page."""
    parts = [
        report_lines(_facts(turn, zone)),
        _section("tools", "\n".join(map(_call_line, calls))),
        _section("prompt", without_controls(turn.prompt)),
        _section("answer", without_controls(turn.text)),
    ]
    return "\n".join(part for part in parts if part)


def _facts(turn: TurnRecord, zone: tzinfo) -> list[tuple[str, str]]:
    rows = (
        ("session", turn.session_id),
        ("turn", f"{turn.number} ({turn.turn_id})"),
        ("state", turn_state(turn)),
        *_error_rows(turn.error),
        ("begun", clock(turn.started_at, zone)),
        ("took", took(turn)),
        ("cost", "not known yet" if turn.ended_at is None else money(turn.usage.cost_usd)),
        ("unrecorded", f"{money(turn.usage.unrecorded_usd)} before it" if turn.usage.unrecorded_usd else ""),
        ("tokens", tokens(turn.usage)),
        ("model", turn.model or ""),
        ("method", turn.method),
        ("agent", f"{turn.provider} {turn.agent_version}".rstrip()),
        ("directory", turn.cwd or ""),
        ("machine", turn.host),
        (
            "carried",
            f"{counted(len(turn.carried), 'prompt')} of turns that did not finish" if turn.carried else "",
        ),
        ("redacted", counted(turn.redactions, "secret") if turn.redactions else ""),
        *(("note", notice) for notice in turn.notices),
    )
    return [(name, value) for name, value in rows if value]


def _error_rows(error: Mapping[str, object] | None) -> Iterator[tuple[str, str]]:
    """Yield what the caller was told instead of an answer."""
    if error is not None and error.get("message"):
        yield "error", str(error["message"])


def _call_line(call: ToolCall) -> str:
    failed = "  (failed)" if call.failed else ""
    return f"{call.name}  {one_line(call.detail, _LONGEST_DETAIL)}".rstrip() + failed


def _section(heading: str, text: str) -> str:
    return f"--- {heading}\n{text.rstrip()}\n" if text.strip() else ""
