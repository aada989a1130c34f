"""Sessions as Markdown, for reading: records come in, text goes out, a page for each session.

Prompts and answers are shown as they are, inside fences longer than any of their own, so that nothing in them can
become part of the page; what stands in a line is escaped, and control characters are shown as pictures. Nothing is
shortened but the arguments of tools. Such a page cannot be imported. Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_coder.llm_events import ToolFinished, ToolStarted

if TYPE_CHECKING:
    from decimal import Decimal

    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_store.base import SessionRecord, TurnRecord

__all__ = ["session_heading", "turn_section"]

_LONGEST_INPUT = 120


def session_heading(session: SessionRecord) -> str:
    """Return how a session's page begins: its title, and what is known of it."""
    title = _in_line(session.name or session.title or f"Session {session.session_id}")
    facts = "".join(f"- {name}: {value}\n" for name, value in _session_facts(session))
    return f"# {title}\n\n{facts}\n"


def turn_section(turn: TurnRecord, events: Iterable[TurnEvent] = ()) -> str:
    """Return a turn: what was asked, which tools were used, what was answered, and what it cost.

    Args:
        turn: the turn.
        events: what a watcher was told of it; its tools are taken from there.
    """
    tools = "\n".join(_tool_line(*used) for used in _tools_in(events))
    parts = [
        f"## Turn {turn.number}",
        _facts_line(turn),
        f"**Prompt**\n\n{_fenced(turn.prompt, 'text')}" if turn.prompt else "*The prompt was not recorded.*",
        f"**Tools**\n\n{tools}" if tools else "",
        f"**Answer**\n\n{_fenced(turn.text, 'markdown')}" if turn.text else "",
        _ENDINGS[turn.state](turn),
        *(f"*Note: {_in_line(notice)}*" for notice in turn.notices),
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


# --- facts


def _session_facts(session: SessionRecord) -> Iterator[tuple[str, str]]:
    yield "session", _code(session.session_id)
    yield "agent", _in_line(session.provider)
    for name, value in (("directory", session.cwd), ("project", session.project)):
        if value:
            yield name, _code(value)
    if session.tags:
        yield "tags", ", ".join(_code(tag) for tag in session.tags)
    if session.parent_id:
        turn = f", after its turn {session.parent_turn}" if session.parent_turn is not None else ""
        yield "forked from", _code(session.parent_id) + turn
    yield "begun", _time(session.created_at)
    yield "last changed", _time(session.updated_at)
    yield "turns", str(session.turns)
    yield "cost", _session_cost(session)


def _session_cost(session: SessionRecord) -> str:
    beside = [
        f"{session.unaccounted_turns} of the turns unknown" if session.unaccounted_turns else "",
        f"{_money(session.unrecorded_usd)} more outside these turns" if session.unrecorded_usd else "",
    ]
    told = ", ".join(part for part in beside if part)
    return f"{_money(session.cost_usd)} ({told})" if told else _money(session.cost_usd)


def _facts_line(turn: TurnRecord) -> str:
    usage = turn.usage
    sent = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    facts = [
        _time(turn.started_at),
        "" if turn.ended_at is None else f"{(turn.ended_at - turn.started_at).total_seconds():,.1f} s",
        _in_line(turn.model or ""),
        f"{sent:,} tokens in, {usage.output_tokens:,} out" if sent or usage.output_tokens else "",
        f"cost {_money(usage.cost_usd)}",
    ]
    return " · ".join(fact for fact in facts if fact)


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${amount:,.4f}"


# --- how it ended


def _failure(turn: TurnRecord) -> str:
    error = turn.error or {}
    status = f" ({error['status']})" if isinstance(error.get("status"), int) else ""
    told = [f"{_in_line(str(error.get('class') or ''))}{status}", _in_line(str(error.get("message") or ""))]
    return ": ".join(part for part in told if part) or "no reason was recorded"


_ENDINGS: Mapping[str, Callable[[TurnRecord], str]] = {
    "succeeded": lambda turn: f"**With an error:** {_failure(turn)}" if turn.error else "",
    "failed": lambda turn: f"**Failed:** {_failure(turn)}",
    "interrupted": lambda turn: f"**Interrupted:** {_failure(turn)}",
    "unknown": lambda _: "**How this turn ended is not known:** its caller died.",
    "started": lambda _: "**This turn was still under way.**",
}


# --- tools


def _tools_in(events: Iterable[TurnEvent]) -> list[tuple[ToolStarted, bool]]:
    """Return the calls of tools in their order, each with whether it failed."""
    begun: list[ToolStarted] = []
    failed: set[str] = set()
    for event in events:
        if isinstance(event, ToolStarted):
            begun.append(event)
        elif isinstance(event, ToolFinished) and event.is_error:
            failed.add(event.call_id)
    return [(tool, tool.call_id in failed) for tool in begun]


def _tool_line(tool: ToolStarted, failed: bool) -> str:
    shown = next((value for value in tool.input.values() if isinstance(value, str) and value.strip()), "")
    argument = f" {_code(_shortened(shown))}" if shown else ""
    return f"- {_in_line(tool.name)}{argument}{' (failed)' if failed else ''}"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_INPUT else line[: _LONGEST_INPUT - 1] + "…"


# --- text that cannot become part of the page

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
_LINE_END = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_BACKTICKS = re.compile("`+")


def _shown(text: str) -> str:
    """Return text that moves no cursor: control characters as their pictures, other line ends as line feeds."""
    return _CONTROL.sub(_picture, _LINE_END.sub("\n", text))


def _picture(found: re.Match[str]) -> str:
    number = ord(found[0])
    return chr(0x2400 + number) if number < 0x20 else "\u2421" if number == 0x7F else "\ufffd"


def _in_line(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(_shown(text).split()))


def _code(text: str) -> str:
    """Return text as code in a line, between more backticks than it has itself."""
    line = " ".join(_shown(text).split())
    ticks = "`" * (_longest_run(line) + 1)
    blank = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{blank}{line}{blank}{ticks}"


def _fenced(text: str, language: str) -> str:
    """Return text as a block, fenced by more backticks than it has itself."""
    shown = _shown(text)
    ticks = "`" * max(_longest_run(shown) + 1, 3)
    end = "" if shown.endswith("\n") else "\n"
    return f"{ticks}{language}\n{shown}{end}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)
