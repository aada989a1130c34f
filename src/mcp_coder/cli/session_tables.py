"""Sessions, turns and what was found in them, as tables and reports for people.

Records come in, tables and pairs of name and value go out; nothing is written here. Pure: the zone is handed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_coder.cli.render import money, one_line
from mcp_coder.cli.tables import Column, Table

if TYPE_CHECKING:
    from datetime import datetime, tzinfo
    from decimal import Decimal

    from mcp_coder.cli.tools_used import ToolCall
    from mcp_coder.llm_events import Usage
    from mcp_coder.llm_store.base import SearchHit, SessionRecord, TurnRecord, UsageRow

__all__ = [
    "clock",
    "counted",
    "hits_table",
    "session_report",
    "sessions_table",
    "size",
    "tokens",
    "took",
    "tools",
    "turn_state",
    "turns_table",
]

_LONGEST_CELL = 100
"""Characters of a prompt or answer in a table that is not shortened to a terminal."""


# --- single values


def clock(moment: datetime | None, zone: tzinfo) -> str:
    """Return a moment as the clock of a zone shows it, to the minute; nothing where there is none."""
    return "" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def counted(number: int, thing: str) -> str:
    """Return how many there are of a thing.

    >>> counted(1, "turn"), counted(1200, "session")
    ('1 turn', '1,200 sessions')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def size(number: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> size(0), size(1_536_000), size(3 * 10**9)
    ('0 B', '1.5 MB', '3.0 GB')
    """
    amount, units = float(number), ["B", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.0f} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def took(turn: TurnRecord) -> str:
    """Return how long a turn took, or nothing while it has not ended."""
    if turn.ended_at is None:
        return ""
    seconds = max((turn.ended_at - turn.started_at).total_seconds(), 0.0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"


def tokens(counts: SessionRecord | UsageRow | Usage) -> str:
    """Return counts of tokens in one line."""
    return (
        f"{counts.input_tokens:,} in, {counts.output_tokens:,} out, "
        f"{counts.cache_read_tokens:,} read from cache, {counts.cache_write_tokens:,} written to it"
    )


def tools(calls: Iterable[ToolCall]) -> str:
    """Return which tools were used and how often: ``Bash x3, Read``."""
    counts = Counter(call.name for call in calls)
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in counts.items())


def turn_state(turn: TurnRecord) -> str:
    """Return how a turn stands, and the class of the error that ended it."""
    kind = (turn.error or {}).get("class")
    return f"{turn.state} ({kind})" if kind else turn.state


def _cost(amount: Decimal, unaccounted: int) -> str:
    return "unknown" if not amount and unaccounted else money(amount)


# --- sessions

_SESSION_COLUMNS = (
    Column(heading="session", style="cyan"),
    Column(heading="changed"),
    Column(heading="turns", right=True),
    Column(heading="cost", right=True),
    Column(heading="unaccounted", right=True, only_if_used=True, needless=1, style="yellow"),
    Column(heading="unrecorded", right=True, only_if_used=True, needless=3, style="yellow"),
    Column(heading="project", only_if_used=True, least=8, needless=2),
    Column(heading="name", only_if_used=True, least=10, style="bold"),
    Column(heading="tags", only_if_used=True, least=8, needless=4),
    Column(heading="title", least=16),
)


def sessions_table(sessions: Sequence[SessionRecord], zone: tzinfo, ids: Mapping[str, str]) -> Table:
    """Return sessions as a table; ``ids`` are the ids to show."""
    return Table(columns=_SESSION_COLUMNS, rows=[_session_row(each, zone, ids) for each in sessions])


def _session_row(session: SessionRecord, zone: tzinfo, ids: Mapping[str, str]) -> Sequence[str]:
    return (
        ids.get(session.session_id, session.session_id),
        clock(session.updated_at, zone),
        f"{session.turns:,}",
        _cost(session.cost_usd, session.unaccounted_turns),
        f"{session.unaccounted_turns:,}" if session.unaccounted_turns else "",
        money(session.unrecorded_usd) if session.unrecorded_usd else "",
        _last_name(session.project),
        session.name or "",
        ", ".join(session.tags),
        session.title,
    )


def _last_name(path: str | None) -> str:
    """Return the last name in a path, of whichever system it comes."""
    return (path or "").rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def session_report(session: SessionRecord, zone: tzinfo) -> list[tuple[str, str]]:
    """Return what is known of a session, in pairs of name and value; what is not known is left out."""
    unaccounted = session.unaccounted_turns
    rows = (
        ("session", session.session_id),
        ("name", session.name or ""),
        ("title", session.title),
        ("tags", ", ".join(session.tags)),
        ("agent", session.provider),
        ("agent's id", session.native_id if session.native_id not in (None, session.session_id) else ""),
        ("project", session.project or ""),
        ("directory", session.cwd if session.cwd not in (None, session.project) else ""),
        ("forked from", _fork_point(session)),
        ("begun", clock(session.created_at, zone)),
        ("changed", clock(session.updated_at, zone)),
        ("turns", f"{session.turns:,}"),
        ("cost", _cost(session.cost_usd, unaccounted)),
        ("unaccounted", f"{counted(unaccounted, 'turn')} of unknown cost" if unaccounted else ""),
        (
            "unrecorded",
            f"{money(session.unrecorded_usd)} beside these turns" if session.unrecorded_usd else "",
        ),
        ("tokens", tokens(session)),
    )
    return [(name, value) for name, value in rows if value]


def _fork_point(session: SessionRecord) -> str:
    if session.parent_id is None:
        return ""
    point = f", turn {session.parent_turn}" if session.parent_turn is not None else ""
    return session.parent_id + point


# --- turns

_TURN_COLUMNS = (
    Column(heading="turn", right=True, style="cyan"),
    Column(heading="begun"),
    Column(heading="took", right=True, only_if_used=True),
    Column(heading="cost", right=True),
    Column(heading="state", only_if_used=True, least=11, style="yellow"),
    Column(heading="tools", only_if_used=True, least=8, needless=1),
    Column(heading="prompt", least=16),
    Column(heading="answer", only_if_used=True, least=16, needless=2),
)


def turns_table(turns: Iterable[tuple[TurnRecord, Sequence[ToolCall]]], zone: tzinfo) -> Table:
    """Return turns, each with its calls of tools, as a table."""
    return Table(columns=_TURN_COLUMNS, rows=[_turn_row(turn, calls, zone) for turn, calls in turns])


def _turn_row(turn: TurnRecord, calls: Sequence[ToolCall], zone: tzinfo) -> Sequence[str]:
    return (
        str(turn.number),
        clock(turn.started_at, zone),
        took(turn),
        "" if turn.state == "started" else money(turn.usage.cost_usd),
        "" if turn.state == "succeeded" else turn_state(turn),
        tools(calls),
        one_line(turn.prompt, _LONGEST_CELL),
        one_line(turn.text, _LONGEST_CELL),
    )


# --- what was found

_HIT_COLUMNS = (
    Column(heading="session", style="cyan"),
    Column(heading="turn", right=True),
    Column(heading="begun"),
    Column(heading="name", only_if_used=True, least=10, needless=1, style="bold"),
    Column(heading="found", least=24),
)


def hits_table(
    hits: Iterable[SearchHit], names: Mapping[str, str | None], zone: tzinfo, ids: Mapping[str, str]
) -> Table:
    """Return what was found as a table; ``names`` are those of the sessions, ``ids`` the ids to show."""
    rows = [
        (
            ids.get(hit.session_id, hit.session_id),
            str(hit.number),
            clock(hit.started_at, zone),
            names.get(hit.session_id) or "",
            hit.snippet,
        )
        for hit in hits
    ]
    return Table(columns=_HIT_COLUMNS, rows=rows)
